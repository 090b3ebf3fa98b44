//! Gradient clipping by value.

use burn::optim::Optimizer;
use burn::tensor::Tensor;

use super::{Stepped, state_of_inner};
use crate::Error;
use crate::error::check::Param;

/// Clips the gradient by value: each element is at most a bound in absolute value.
///
/// ```text
/// g ← min(max(g, −c), c)
/// ```
///
/// The direction is not preserved: of a gradient that is large throughout, only the signs are left.
///
/// It needs no number from the host, so it works the same with either [`Decide`](crate::Decide). It acts after the
/// clips of a [`Keel`](crate::Keel), on what they leave, and no report mentions it.
///
/// ```
/// use burn::optim::ModuleOptimizer;
/// use evenkeel::optim::{Momentum, ValueClip};
///
/// let optimizer = ModuleOptimizer::from(ValueClip::new(0.5, Momentum::new(0.9)?)?);
/// # let _ = optimizer;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// Agrees with `optax.clip` and torch's `clip_grad_value_`, which both accept a negative bound: then every element
/// becomes one of the two ends.
///
/// # Cost
/// One pass in addition to the optimizer's; no readback, no state.
#[derive(Clone, Debug)]
#[doc(alias = "clip_grad_value_")]
#[doc(alias = "clipvalue")]
pub struct ValueClip<O> {
    inner: O,
    at_most: f64,
}

impl<O: Optimizer> ValueClip<O> {
    /// Wraps an optimizer, with the bound `c`.
    ///
    /// # Errors
    /// If `c` is not positive and finite.
    pub fn new(at_most: f64, inner: O) -> Result<Self, Error> {
        let at_most = Param("ValueClip", "at_most").positive(at_most)?;
        Ok(Self { inner, at_most })
    }
}

impl<O: Optimizer> Optimizer for ValueClip<O> {
    state_of_inner!();

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> Stepped<O, D> {
        self.inner.step(lr, tensor, grad.clamp(-self.at_most, self.at_most), state)
    }
}
