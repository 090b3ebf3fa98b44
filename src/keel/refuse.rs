//! Checks that reject a step before anything is measured; the host can make them without a readback.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::Keel;
use crate::monitor;
use crate::schedule::Rate;

impl<M: Module + 'static> Keel<M> {
    /// Returns why this rate, these gradients and this loss can't make a step, if they can't.
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
        if rate.value() == Rate::HIGHEST && self.bounds.is_empty() {
            return Some("`Rate::highest` needs a bound: add one by `Builder::bound`".to_string());
        }
        if let Err(error) = rate.check_groups(model) {
            return Some(error.to_string());
        }
        let at = rate.position().filter(|_| self.resumed)?;
        let updates = self.progress.updates;
        let expected = updates.wrapping_add(self.progress.lead);
        (at != expected).then(|| {
            format!(
                "the schedule is at update {at}, and the model at update {updates}, for which it was at \
                 {expected} when they were saved: restore it too, move it by `seek`, or call \
                 `allow_other_schedule`"
            )
        })
    }

    /// Allows the next step to use a schedule whose position differs from the one saved with this model.
    ///
    /// After a [`resume`](Self::resume), a schedule that was not restored would start over, with its warmup or at its
    /// highest rate, although the model is far along. The first step then halts, and reports both positions. Call this
    /// method if that is what you want, for example to continue training with another schedule. The rates of the former
    /// schedule are forgotten: [bounds](crate::bound) hold those of the new one.
    pub fn allow_other_schedule(&mut self) {
        self.resumed = false;
        (self.peak, self.progress.highest) = (None, 0.0);
        self.ring.iter_mut().for_each(|snapshot| snapshot.schedule = None);
    }
}
