//! What a step is refused for before anything is measured: the host knows it without a readback.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::Keel;
use crate::monitor;
use crate::schedule::Rate;

impl<M: Module + 'static> Keel<M> {
    /// Why this rate, these gradients and this loss make no step, if they make none.
    pub(super) fn objection(
        &self,
        rate: &mut Rate<'_>,
        model: &M,
        grads: &GradientsParams,
        loss: Option<&Tensor<1>>,
    ) -> Option<String> {
        if let Some(loss) = loss
            && let Err(why) = monitor::loss_and_gradients(model, grads, loss)
        {
            return Some(why.to_string());
        }
        rate.check_groups(model).err().map(|error| error.to_string())
    }
}
