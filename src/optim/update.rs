//! What is asked of an optimizer that works under a guard.

use std::fmt;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::GradientsParams;

use crate::Error;
use crate::checkpoint::State;

/// What an optimizer is told about one update.
#[derive(Clone)]
#[non_exhaustive]
pub struct Pace {
    /// The rate of each parameter.
    pub lr: ModuleLearningRate,
    /// What the gradients are to be multiplied by: what the clips leave of them, over the loss scale.
    pub factor: f64,
    /// The norm of the gradients as they are handed over; finite.
    pub grad_norm: f64,
}

impl Pace {
    /// `factor` of a gradient with norm `grad_norm`, at rate `lr`.
    pub fn new(lr: impl Into<ModuleLearningRate>, factor: f64, grad_norm: f64) -> Self {
        Self { lr: lr.into(), factor, grad_norm }
    }
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pace")
            .field("lr", &self.lr.base())
            .field("factor", &self.factor)
            .field("grad_norm", &self.grad_norm)
            .finish()
    }
}

/// Advances a whole model by one step, and can be put back.
///
/// Cloning must be cheap, of handles rather than of buffers, and the clone must not be touched by
/// what becomes of the original: snapshots are made of clones.
pub trait Update<M: Module>: Send {
    /// The model after one step along `pace.factor · grads`. A parameter without a gradient stays as
    /// it is. Every gradient is finite.
    fn update(&mut self, pace: Pace, model: M, grads: GradientsParams) -> M;

    /// Whether the parameters are certain to stay finite through an update at this pace. Where an
    /// optimizer can say so, from a bound on what it may add to a parameter, the old parameters need
    /// not be held and the new ones need not be checked.
    fn is_bounded(&self, pace: &Pace) -> bool {
        let _ = pace;
        false
    }

    /// Whether it squares gradients in the parameters' own type. If so, a gradient of type `f16` is not
    /// shown to it when a square could overflow there, which is from 256 on.
    fn squares_in_own_type(&self) -> bool {
        true
    }

    /// Whether all of its state is finite.
    ///
    /// # Errors
    /// If the state cannot be read from the device.
    fn is_finite(&self) -> Result<bool, Error>;

    /// A copy with a fate of its own.
    fn boxed(&self) -> Box<dyn Update<M>>;

    /// Everything that later steps depend on.
    ///
    /// # Errors
    /// If the state cannot be read from the device.
    fn state(&self) -> Result<State, Error>;

    /// Takes that state back.
    ///
    /// # Errors
    /// If it is not this optimizer's; the optimizer is then unchanged.
    fn restore(&mut self, state: &State) -> Result<(), Error>;
}
