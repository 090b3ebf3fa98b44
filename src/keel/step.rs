//! One training step: measure, then decide.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::Keel;
use super::agree::Share;
use super::progress::Progress;
use crate::monitor::Extent;
use crate::report::Layers;
use crate::schedule::Rate;
use crate::{Decide, Error, Fault, Halted, Reading, Stepped};

impl<M: Module + 'static> Keel<M> {
    /// Performs one training step, unless it is rejected.
    ///
    /// `rate` is what [`Scheduler::step`](crate::schedule::Scheduler::step) returns, a plain `f64`, or
    /// the rates by parameter group of Burn's `ModuleLrScheduler`. `grads` are the gradients of `loss` times
    /// [`loss_scale`](Self::loss_scale) with respect to `model`; parameters without a gradient stay
    /// unchanged. `loss` is the loss itself, unscaled. Gradients of parameters that are not in `model`
    /// are neither measured nor clipped, and Burn's optimizers ignore them.
    ///
    /// The schedule of the rate follows the verdict. After an applied step it has advanced by one. After a skip or
    /// a halt it stays at its position and gives the same rate again. After a rewind it is at the snapshot's
    /// position, with a lower rate. A plain rate has no schedule: after a rewind, this rate and every later one are
    /// multiplied by the backoff.
    ///
    /// # Errors
    /// [`Halted`], with the best available model, if a guard asks for it, or if consecutive rejections or
    /// rewinds have used up their bound. Also if the device fails, if `loss` doesn't have exactly one element,
    /// if no parameter of `model` has a gradient in `grads`, if a group of the schedule has no parameter, or
    /// if in the first step after a [resume](Self::resume) the schedule is at
    /// [another position](Self::allow_other_schedule): nothing is then counted. Calling again after that
    /// is allowed, and starts with a fresh bound on rejections. The exception is an update that had to be undone
    /// without a snapshot: the optimizer is then lost, and every later step halts.
    ///
    /// # Cost
    /// See [`Keel`].
    pub fn step<'s>(
        &mut self,
        rate: impl Into<Rate<'s>>,
        model: M,
        grads: GradientsParams,
        loss: &Tensor<1>,
    ) -> Result<Stepped<M>, Halted<M>> {
        let mut rate = rate.into();
        self.kept.running.settle(&model);
        let objection = self.objection(&mut rate, &model, &grads, Some(loss));
        if self.crew.is_some() {
            let share = Share { grads, loss: loss.clone(), weight: 1.0 };
            let stepped = self.step_together(rate, model, objection.map_or(Ok(share), Err));
            return self.finished(stepped);
        }
        if let Some(why) = objection {
            let halted = self.broken(rate, model, &why);
            return self.finished(Err(halted));
        }
        let scale = self.loss_scale();
        if self.limits.decide != Decide::Now {
            let stepped = self.step_on_device(rate, model, grads, loss.clone(), scale);
            return self.finished(stepped);
        }
        let stepped = match self.measure(&rate, &model, &grads, Some(loss), scale) {
            Ok(reading) => self.decide(rate, model, grads, reading, scale),
            Err(error) => Err(self.broken(rate, model, &error.to_string())),
        };
        self.finished(stepped)
    }

    /// Performs one training step on a model that stays in a field, as in an agent or a service.
    ///
    /// Whatever the verdict, continue with `model`. Everything else is as in [`step`](Self::step).
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::optim::{GradientsParams, SgdConfig};
    /// # use burn::tensor::{Device, Tensor};
    /// # use evenkeel::{Halted, Keel};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let device = Device::default().autodiff();
    /// struct Agent {
    ///     policy: Linear,
    ///     keel: Keel<Linear>,
    /// }
    ///
    /// impl Agent {
    ///     fn learn(&mut self, x: Tensor<2>) -> Result<f64, Halted<Linear>> {
    ///         let loss = self.policy.forward(x).powi_scalar(2).mean();
    ///         let grads = GradientsParams::from_grads(loss.backward(), &self.policy);
    ///         let stepped = self.keel.step_in_place(0.1, &mut self.policy, grads, &loss)?;
    ///         Ok(stepped.report.reading.loss)
    ///     }
    /// }
    ///
    /// let policy = LinearConfig::new(4, 1).init(&device);
    /// let keel = Keel::wrap(SgdConfig::new().init()).build(&policy)?;
    /// let mut agent = Agent { policy, keel };
    /// let x = Tensor::ones([2, 4], &device);
    /// let (first, second) = (agent.learn(x.clone())?, agent.learn(x)?);
    /// assert!(second < first);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`step`](Self::step). `model` is then the best available model, and the error contains it too.
    ///
    /// # Cost
    /// As for [`step`](Self::step), except that parameters are written into new memory instead of in place, because
    /// `model` still exists.
    pub fn step_in_place<'s>(
        &mut self,
        rate: impl Into<Rate<'s>>,
        model: &mut M,
        grads: GradientsParams,
        loss: &Tensor<1>,
    ) -> Result<Stepped<()>, Halted<M>> {
        match self.step(rate, model.clone(), grads, loss) {
            Ok(Stepped { model: after, report, late }) => {
                *model = after;
                Ok(Stepped { model: (), report, late })
            }
            Err(halted) => {
                *model = halted.model().clone();
                Err(halted)
            }
        }
    }

    /// Returns how far the parameters that had a gradient in the last step have moved, relative to their previous size.
    #[cfg(feature = "train")]
    pub(crate) fn moved(&self, before: &M, after: &M) -> Result<f64, Error> {
        let (moves, sizes) = self.monitor.moves(before, after)?;
        let norm = |of: &crate::Layers| of.iter().map(|(_, x)| x * x).sum::<f64>().sqrt();
        Ok(norm(&moves) / norm(&sizes))
    }

    /// Returns what a reading before this update has to contain; `checked` says that the parameters are checked anyway.
    pub(super) fn extent(&self, update: u64, checked: bool) -> Extent {
        match () {
            () if self.looks_at_alignments(update) => Extent::Alignments,
            () if checked || self.looks_at_parameters(update) => Extent::Parameters,
            () => Extent::Gradients,
        }
    }

    /// Returns whether a bound needs the angles between parameters and gradients before this update.
    pub(super) fn looks_at_alignments(&self, update: u64) -> bool {
        self.bounds.iter().any(|bound| bound.looks_at_alignments(update))
    }

    /// Returns whether a bound needs the parameters' sizes before this update, or a snapshot follows it.
    pub(super) fn looks_at_parameters(&self, update: u64) -> bool {
        self.bounds.iter().any(|bound| bound.looks_at_sizes(update))
            || self.limits.rewind.is_some_and(|rewind| rewind.looks_before(update))
    }

    /// Measures one reading. The gradients are `scale` times too large.
    pub(super) fn measure(
        &mut self,
        rate: &Rate<'_>,
        model: &M,
        grads: &GradientsParams,
        loss: Option<&Tensor<1>>,
        scale: f64,
    ) -> Result<Reading, Error> {
        let Progress { attempts, updates, .. } = self.progress;
        let due = |every: Option<u64>| every.is_some_and(|n| attempts.is_multiple_of(n));
        let extent = self.extent(updates, due(self.limits.check_parameters) || self.compares());
        let mut reading = self.monitor.measure(model, grads, loss, extent)?;
        if !self.looks_at_parameters(updates) && !self.compares() {
            // Read only for the check, at an interval of attempts: policies that learn from sizes must not see them.
            reading.sizes = Layers::default();
        }
        if scale != 1.0 {
            reading.grad_norm /= scale;
            reading.p_norms.iter_mut().for_each(|(_, norm)| *norm /= scale);
            reading.layers = std::mem::take(&mut reading.layers).scaled(1.0 / scale);
        }
        if due(self.limits.check_optimizer) && !self.kept.update.is_finite()? {
            reading.fault = reading.fault.or(Some(Fault::Optimizer));
        }
        (reading.attempt, reading.update) = (attempts, updates);
        Ok(self.rated(reading, rate))
    }
}
