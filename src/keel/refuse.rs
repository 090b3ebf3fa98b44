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

    /// Allows the next step a schedule that stands elsewhere than it stood beside this model when it was
    /// saved.
    ///
    /// After a [`resume`](Self::resume) a schedule that was not restored would begin anew, with its warm-up or
    /// at its highest rate, beside a model that is far on. The first step halts then, and says where both are.
    /// Call this if that is what you want: to go on training with another schedule, for one. How high the
    /// rates of the former schedule were is forgotten: [bounds](crate::bound) hold those of the new one.
    pub fn allow_other_schedule(&mut self) {
        self.resumed = false;
        (self.peak, self.progress.highest) = (None, 0.0);
        self.ring.iter_mut().for_each(|snapshot| snapshot.schedule = None);
    }
}
