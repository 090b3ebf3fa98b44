//! Steps decided on the device: [`Decide::OnDevice`](crate::Decide::OnDevice).

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::rates::Held;
use super::{Keel, SPENT};
use crate::clip::Clip;
use crate::gate::{Asked, Gate};
use crate::monitor::Row;
use crate::optim::DeviceVerdict;
use crate::schedule::Rate;
use crate::{Decide, Halted, Reading, Report, Stepped};

/// A step whose numbers have not been read.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) row: Row,
    pub(super) facts: Facts,
}

/// What the host knows about such a step.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) attempt: u64,
    pub(super) lr: f64,
    pub(super) held: Held,
    /// The divisor of the gradients.
    pub(super) scale: f64,
    /// The factor on the loss; accumulated gradients are already unscaled.
    pub(super) loss_scale: f64,
    /// Whether the average has counted the step.
    pub(super) averaged: bool,
    /// Whether the optimizer takes the step back too, if it is dropped.
    pub(super) exact: bool,
}

impl<M: Module + 'static> Keel<M> {
    /// Makes one step that the device decides. The gradients are `scale` times too large. Reads what is pending if it
    /// is due.
    pub(super) fn step_on_device(
        &mut self,
        rate: Rate<'_>,
        model: M,
        grads: GradientsParams,
        loss: Tensor<1>,
        scale: f64,
    ) -> Result<Stepped<M>, Halted<M>> {
        if self.kept.spent {
            return Err(self.broken(rate, model, SPENT));
        }
        self.note_start(&rate);
        let (attempt, update) = (self.progress.attempts, self.progress.updates);
        let now = self.rated(Reading::new(update), &rate);
        if now.fault.is_some() {
            // The rate is known on the host, so there is nothing to launch.
            return self.refuse(rate, model, now);
        }
        self.progress.attempts += 1;

        self.note_peak(&rate);
        let lr = now.lr;
        let held = self.held(&rate, &now, 1.0);
        self.note_rate(held);
        let due = |every: Option<u64>| every.is_some_and(|n| attempt.is_multiple_of(n));
        let norm_at_most = self.norm_at_most(&now);
        let gate = Gate::open(
            &model,
            &self.monitor,
            Asked {
                grads: &grads,
                loss,
                extent: self.extent(update, due(self.limits.check_parameters)),
                norm_at_most,
                scale,
                squares: self.kept.update.squares_in_own_type(),
            },
        );
        let bound = gate.norm_at_most(norm_at_most, scale);
        let args = self.args(&rate, held.share, 1.0, bound);
        let verdict = DeviceVerdict::new(gate.factor().cloned(), gate.verdict().clone());
        // Held only if the optimizer does not vouch for the outcome; otherwise it writes in place.
        let mut before = (!self.kept.update.is_bounded(&args)).then(|| model.clone());
        let after = match self.kept.update.on_device() {
            Some(update) => update.update_gated(&args, model, grads, &verdict),
            None => {
                let grads = gate.gradients(&model, grads);
                // The factor is already on the gradients, and their norm isn't known on the host.
                let args = self.args(&rate, held.share, 1.0, f64::INFINITY);
                before = Some(model.clone());
                self.kept.update.update(args, model, grads)
            }
        };
        let (model, flag, row) = match before {
            Some(before) => gate.close(&before, after, &mut self.monitor),
            None => {
                let (flag, row) = gate.settle(&after, &mut self.monitor);
                (after, flag, row)
            }
        };
        let exact =
            self.kept.update.on_device().is_some_and(|update| update.keep_if(flag.tensor()));
        let model = self.kept.running.commit_if(&flag, model);
        let model = self.tied(model);
        let averaged = self
            .kept
            .average
            .as_mut()
            .is_some_and(|average| average.take_if(&flag, update, &model));

        // Counted as made until the outcome is known.
        self.progress.beside(rate.position());
        self.resumed = false;
        self.progress.updates += 1;
        let loss_scale = self.loss_scale();
        let facts = Facts { attempt, lr, held, scale, loss_scale, averaged, exact };
        self.pending.push(Pending { row, facts });
        let every = match self.limits.decide {
            Decide::OnDevice { every } => every,
            Decide::Now => 1,
        };
        if self.pending() < every {
            let mut reading = now;
            reading.attempt = attempt;
            return Ok(Stepped {
                model,
                report: Report::unread(reading).held(held.share, held.cap),
                late: Vec::new(),
            });
        }
        self.arrive(rate, model, true)
    }

    /// Reads the numbers of all pending steps and acts on them, as the last step of a full set would. If nothing is
    /// pending, and with [`Decide::Now`](crate::Decide::Now), it only returns the model.
    ///
    /// `rate` belongs to the step that comes next, as for [`step`](Self::step); the schedule will return that rate
    /// again.
    ///
    /// # Errors
    /// Same as [`step`](Self::step).
    ///
    /// # Cost
    /// One readback, if there is anything to read.
    pub fn flush<'s>(
        &mut self,
        rate: impl Into<Rate<'s>>,
        model: M,
    ) -> Result<Stepped<M>, Halted<M>> {
        let stepped = self.arrive(rate.into(), model, false);
        self.finished(stepped)
    }

    /// Returns the smallest bound of all clips; each clip was checked to have one.
    fn norm_at_most(&self, now: &Reading) -> Option<f64> {
        let bound = |clip: &dyn Clip| match clip.norm_at_most(now) {
            // An invalid bound lets nothing through, as with the factor of a clip.
            Some(bound) if bound >= 0.0 => bound,
            _ => 0.0,
        };
        self.clips.iter().map(AsRef::as_ref).map(bound).reduce(f64::min)
    }
}
