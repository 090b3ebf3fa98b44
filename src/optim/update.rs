//! What is asked of an optimizer that works under a guard.

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::GradientsParams;

use crate::Error;
use crate::checkpoint::State;

/// Advances a whole model by one step, and can be put back.
///
/// Cloning must be cheap, of handles rather than of buffers, and the clone must not be touched by
/// what becomes of the original: that is how a step is undone.
pub trait Update<M: Module>: Send {
    /// The model after one step along `factor · grads`. A parameter without a gradient stays as it
    /// is. `factor` is in `[0, 1]`, and both it and the gradients are finite.
    fn update(
        &mut self,
        lr: ModuleLearningRate,
        factor: f64,
        model: M,
        grads: GradientsParams,
    ) -> M;

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
