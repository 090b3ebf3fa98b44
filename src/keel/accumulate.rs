//! Gradient accumulation: several small batches for one update.

use burn::module::{Module, ModuleVisitor, Param as Parameter};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::Keel;
use super::agree::Share;
use super::judge::Ruling;
use super::tracing_events::tell;
use crate::checkpoint::{State, tensors};
use crate::error::check::Param;
use crate::running_statistics::Running;
use crate::schedule::Rate;
use crate::tensor_shelf::Shelf;
use crate::widen::widened;
use crate::{Decide, Error, Halted, Reading, Report, Stepped, Verdict, monitor};

/// Gradients that wait for an update.
#[derive(Debug, Clone, Default)]
pub(super) struct Accumulated {
    /// Sum of the gradients, unscaled, in `f32` at least.
    sums: Shelf,
    /// Number of batches in the sum, the sum of their weights, and the sum of their weighted losses.
    count: u64,
    weight: f64,
    loss: f64,
    /// Whether any batch was offered.
    offered: bool,
    /// The running statistics after the last accepted batch.
    running: Option<Running>,
}

impl Accumulated {
    pub(super) fn state<M: Module>(&self, model: &M) -> Result<State, Error> {
        Ok(State::new()
            .with_count("count", self.count)
            .with_number("weight", self.weight)
            .with_number("loss", self.loss)
            .with_bytes("sums", tensors::to_bytes(&self.sums, model)?))
    }

    pub(super) fn restored<M: Module>(
        state: &State,
        model: &M,
        running: &Running,
    ) -> Result<Self, Error> {
        let count = state.counter("count")?;
        let sums: Shelf = tensors::from_bytes(state.bytes("sums")?, model)?;
        if count > 0 && sums.is_empty() {
            return Err(Error::record(format_args!(
                "of {count} accumulated batches no gradient is left"
            )));
        }
        let weight = state.number("weight")?;
        if count > 0 && !(weight.is_finite() && weight > 0.0) {
            return Err(Error::record(format_args!("{count} accumulated batches weigh {weight}")));
        }
        Ok(Self {
            sums,
            count,
            weight,
            loss: state.number("loss")?,
            offered: count > 0,
            running: (count > 0).then(|| running.clone()),
        })
    }
}

impl<M: Module + 'static> Keel<M> {
    /// Adds the gradients of one small batch, if they are finite, for the update that
    /// [`step_accumulated`](Self::step_accumulated) makes.
    ///
    /// Each batch is checked before it is added, so that a NaN in one can't spoil the others. A rejected batch is
    /// dropped, and the running statistics are put back to where they were before it; it does not count among the
    /// rejections in a row. `grads` and `loss` are the same as in [`step`](Self::step). Do not mix the two methods
    /// between updates.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::optim::{GradientsParams, SgdConfig};
    /// # use burn::tensor::{Device, Distribution, Tensor};
    /// # use evenkeel::Keel;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let device = Device::default().autodiff();
    /// # let mut model = LinearConfig::new(4, 1).init(&device);
    /// # let batches = |_| (0..4).map(|_| Tensor::<2>::random([8, 4], Distribution::Default, &device));
    /// let mut keel = Keel::wrap(SgdConfig::new().init()).build(&model)?;
    /// for update in 0..3 {
    ///     for x in batches(update) {
    ///         let loss = model.forward(x.clone()).sub(x.sum_dim(1)).powi_scalar(2).mean();
    ///         let grads = GradientsParams::from_grads(loss.backward(), &model);
    ///         let _report = keel.accumulate(&model, grads, &loss)?;
    ///     }
    ///     model = keel.step_accumulated(0.1, model)?.model;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If `loss` does not have exactly one element, if no parameter of `model` has a gradient in `grads`, or if the
    /// device cannot be read; nothing is then added.
    ///
    /// # Cost
    /// One pass over the gradients and one readback to measure, and one pass to add; one more set of gradients in
    /// memory, in `f32` at least.
    #[doc(alias = "accumulate_grad_batches")]
    #[doc(alias = "MultiSteps")]
    #[doc(alias = "gradient_accumulation")]
    pub fn accumulate(
        &mut self,
        model: &M,
        grads: GradientsParams,
        loss: &Tensor<1>,
    ) -> Result<Report, Error> {
        self.accumulate_weighted(model, grads, loss, 1.0)
    }

    /// Adds the gradients of one small batch with a weight, such as its number of samples or tokens, for batches of
    /// different sizes whose `loss` is a mean. The update is then along `Σ wᵢ·gᵢ / Σ wᵢ`.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::optim::{GradientsParams, SgdConfig};
    /// # use burn::tensor::{Device, Distribution, Tensor};
    /// # use evenkeel::Keel;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let device = Device::default().autodiff();
    /// # let mut model = LinearConfig::new(4, 1).init(&device);
    /// let mut keel = Keel::wrap(SgdConfig::new().init()).build(&model)?;
    /// for rows in [16, 4] {
    ///     let x = Tensor::<2>::random([rows, 4], Distribution::Default, &device);
    ///     let loss = model.forward(x.clone()).sub(x.sum_dim(1)).powi_scalar(2).mean();
    ///     let grads = GradientsParams::from_grads(loss.backward(), &model);
    ///     let _report = keel.accumulate_weighted(&model, grads, &loss, rows as f64)?;
    /// }
    /// model = keel.step_accumulated(0.1, model)?.model;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`accumulate`](Self::accumulate), and if `weight` is not positive and finite.
    ///
    /// # Cost
    /// Same as [`accumulate`](Self::accumulate).
    pub fn accumulate_weighted(
        &mut self,
        model: &M,
        grads: GradientsParams,
        loss: &Tensor<1>,
        weight: f64,
    ) -> Result<Report, Error> {
        let report = self.take_in(model, grads, loss, weight);
        self.seed_forward(model);
        report
    }

    fn take_in(
        &mut self,
        model: &M,
        grads: GradientsParams,
        loss: &Tensor<1>,
        weight: f64,
    ) -> Result<Report, Error> {
        self.kept.running.settle(model);
        if let Err(error) = Param("Keel::accumulate", "weight").positive(weight) {
            self.forget_forward(model);
            return Err(error);
        }
        if let Err(why) = monitor::loss_and_gradients(model, &grads, loss) {
            self.forget_forward(model);
            return Err(why.of("Keel::accumulate"));
        }
        let scale = self.loss_scale();
        let reading = self.measure(&0.0.into(), model, &grads, Some(loss), scale)?;
        self.progress.attempts += 1;
        self.kept.accumulated.offered = true;

        let excused = self.excuse(&reading);
        if excused.is_none() && reading.fault.is_none() {
            let Accumulated { sums, count, weight: all, loss, running, .. } =
                &mut self.kept.accumulated;
            *count += 1;
            *all += weight;
            *loss += weight * reading.loss;
            let mut now = self.kept.running.clone();
            now.commit(model);
            *running = Some(now);
            model.visit(&mut Add { grads, sums, factor: weight / scale });
            return Ok(Report::applied(reading, 1.0));
        }
        let by = match (excused, reading.fault) {
            (Some(Ruling { by, .. }), _) => by,
            (None, fault) => fault.map(|fault| fault.to_string()).unwrap_or_default(),
        };
        let culprits = monitor::culprits(model, Some(&grads), &self.monitor);
        self.forget_forward(model);
        let report = Report::rejected(reading, 1.0, Verdict::Skip, by, 0, culprits);
        self.incidents.push(&report);
        tell(&report);
        Ok(report)
    }

    /// Returns the number of batches accepted since the last update.
    #[cfg(feature = "train")]
    pub(crate) fn accumulated(&self) -> u64 {
        self.kept.accumulated.count
    }

    /// Puts the running statistics back to where they were before the last forward pass.
    fn forget_forward(&self, model: &M) {
        let before = self.kept.accumulated.running.as_ref().unwrap_or(&self.kept.running);
        let _ = before.restore(model.clone());
    }

    /// Makes one training step along the mean of the gradients added by [`accumulate`](Self::accumulate).
    ///
    /// The mean is over the accepted batches. It is measured, judged and clipped like any gradient; its loss is the
    /// mean of their losses. If no batch was accepted, the step is rejected and counts among the rejections in a row;
    /// with several [ranks](crate::ranks), this is so if none of them has accepted any. In every case the next step
    /// starts with nothing accumulated.
    ///
    /// # Errors
    /// Same as [`step`](Self::step).
    ///
    /// # Cost
    /// Same as [`step`](Self::step), and one pass over the gradients for the mean.
    pub fn step_accumulated<'s>(
        &mut self,
        rate: impl Into<Rate<'s>>,
        model: M,
    ) -> Result<Stepped<M>, Halted<M>> {
        // The batches were counted as they came in: a counted step doesn't count again, and one that ends early takes
        // none back. A rank without a batch counts the others' batch.
        let before = self.progress.attempts;
        if self.crew.is_none() || self.kept.accumulated.offered {
            self.progress.attempts = before.saturating_sub(1);
        }
        let stepped = self.step_mean(rate.into(), model);
        self.progress.attempts = self.progress.attempts.max(before);
        self.finished(stepped)
    }

    fn step_mean(&mut self, mut rate: Rate<'_>, model: M) -> Result<Stepped<M>, Halted<M>> {
        self.kept.running.settle(&model);
        let Accumulated { sums, count, weight, loss, .. } =
            std::mem::take(&mut self.kept.accumulated);
        // Scaled again: without the scale, a gradient that needed it may be 0 in the type of its parameter.
        let scale = self.loss_scale();
        let mut mean = Mean { sums, weight, scale, grads: GradientsParams::new() };
        model.visit(&mut mean);
        let objection = self.objection(&mut rate, &model, &mean.grads, None);
        let device = || model.devices().into_iter().next().unwrap_or_default();
        if self.crew.is_some() {
            let loss = Tensor::from_floats([loss / weight], &device());
            let share = Share { grads: mean.grads, loss, weight };
            return self.step_together(rate, model, objection.map_or(Ok(share), Err));
        }
        if let Some(why) = objection {
            return Err(self.broken(rate, model, &why));
        }
        if self.limits.decide != Decide::Now && count == 0 {
            let reading = self.rated(Reading::new(0).with_loss(f64::NAN), &rate);
            return self.refuse(rate, model, reading);
        }
        if self.limits.decide != Decide::Now {
            let loss = Tensor::from_floats([loss / weight], &device());
            return self.step_on_device(rate, model, mean.grads, loss, scale);
        }
        match self.measure(&rate, &model, &mean.grads, None, scale) {
            Ok(reading) => {
                // Without any batch the mean is NaN, and the step is rejected.
                let reading = reading.with_loss(loss / weight);
                self.decide(rate, model, mean.grads, reading, scale)
            }
            Err(error) => Err(self.broken(rate, model, &error.to_string())),
        }
    }
}

/// `sum ← sum + factor · gradient`, in `f32` at least.
struct Add<'a> {
    grads: GradientsParams,
    sums: &'a mut Shelf,
    factor: f64,
}

impl ModuleVisitor for Add<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Parameter<Tensor<D>>) {
        // Only once: the gradient of a parameter used in two places is gone at the second.
        let Some(grad) = self.grads.remove::<D>(param.id) else { return };
        let grad = widened(grad);
        let grad = if self.factor == 1.0 { grad } else { grad.mul_scalar(self.factor) };
        let sum = match self.sums.take::<D>(param.id) {
            Some(sum) => sum + grad,
            None => grad,
        };
        self.sums.put(param.id, sum);
    }
}

/// Turns sums into means times the loss scale, in the parameters' own type.
struct Mean {
    sums: Shelf,
    weight: f64,
    scale: f64,
    grads: GradientsParams,
}

impl ModuleVisitor for Mean {
    fn visit_float<const D: usize>(&mut self, param: &Parameter<Tensor<D>>) {
        if let Some(sum) = self.sums.take::<D>(param.id) {
            let mean = sum.div_scalar(self.weight);
            let mean = if self.scale == 1.0 { mean } else { mean.mul_scalar(self.scale) };
            let mean = mean.cast(param.base().dtype());
            self.grads.register(param.id, mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    #[test]
    fn what_waits_is_restored_as_it_was_or_refused() {
        let model = LinearConfig::new(2, 1).init(&Device::flex());
        let mut sums = Shelf::default();
        sums.put(model.weight.id, model.weight.val());
        let waits = Accumulated { sums, count: 1, weight: 2.0, loss: 0.5, ..Default::default() };
        let saved = waits.state(&model).unwrap();
        let restored = |state: &State| Accumulated::restored(state, &model, &Running::of(&model));
        let found = restored(&saved).unwrap();
        assert_eq!((found.count, found.weight, found.loss, found.offered), (1, 2.0, 0.5, true));
        for bad in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            assert!(restored(&saved.clone().with_number("weight", bad)).is_err(), "{bad}");
        }
        let nothing = Accumulated::default().state(&model).unwrap();
        assert!(restored(&nothing.clone().with_count("count", 1)).is_err());
        assert!(!restored(&nothing).unwrap().offered);
    }
}
