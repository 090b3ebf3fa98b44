//! The step: measure, decide, act, record.
//!
//! This is the only module that knows all the others, and it adds nothing of its own.

mod accumulate;
mod act;
mod agree;
mod arrive;
mod builder;
mod direction;
mod flat;
mod halted;
mod judge;
mod keep;
mod kept;
mod on_device;
mod policies;
mod progress;
mod rates;
mod refuse;
mod resume;
mod seed;
mod snapshot;
mod strain;
mod told;

pub use builder::Builder;
pub use halted::Halted;
pub use rates::RateUse;

use std::fmt;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::bound::StepBound;
use crate::clip::Clip;
use crate::guard::Guard;
use crate::incident::Incidents;
use crate::monitor::Monitor;
use crate::optim::{IntoUpdate, SecondMoments, Update};
use crate::precision::LossScale;
use crate::recover::{Rewind, Ring};
use crate::report::Layers;
use crate::schedule::Rate;
use crate::{Decide, Error, Fault, Reading, Report};

use agree::{Crew, Share};
use kept::Kept;
use on_device::Pending;
use progress::Progress;
use snapshot::Snapshot;
use strain::Strain;

/// An optimizer under guard: measures each step, judges it, and applies, skips, rewinds or halts.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::optim::{AdamWConfig, GradientsParams};
/// use burn::tensor::{Device, Distribution, Tensor};
/// use evenkeel::{Keel, Rewind};
/// use evenkeel::clip::GlobalNorm;
/// use evenkeel::guard::LossSpike;
/// use evenkeel::schedule::{Cosine, Ramp, Schedule};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::default().autodiff();
/// let mut model = LinearConfig::new(4, 1).init(&device);
///
/// let mut schedule = Ramp::new(0.0, 3e-3, 10)?.then(10, Cosine::new(3e-3, 3e-5, 90)?).start();
/// let mut keel = Keel::wrap(AdamWConfig::new().init())
///     .clip(GlobalNorm::at_most(1.0)?)
///     .guard(LossSpike::default())
///     .rewind(Rewind::every(50)?)
///     .build(&model)?;
///
/// for _ in 0..20 {
///     let x = Tensor::<2>::random([8, 4], Distribution::Default, &device);
///     let loss = model.forward(x.clone()).sub(x.sum_dim(1)).powi_scalar(2).mean();
///     let grads = GradientsParams::from_grads(loss.backward(), &model);
///
///     let stepped = keel.step(schedule.step(), model, grads, &loss)?;
///     model = stepped.model;
/// }
/// assert_eq!(keel.updates(), 20);
/// # Ok(())
/// # }
/// ```
///
/// # What it keeps, whatever is configured
///
/// - Nothing non-finite reaches a parameter. Loss, rate, every gradient and every running statistic
///   are checked before the update, and every updated parameter after it. If everything was finite
///   but the update was not, which takes an absurd rate or an optimizer that divides by zero, the
///   old parameters are put back. The optimizer has seen the gradient by then, so such a step is
///   never a skip: it rewinds, or halts.
/// - A gradient that would poison an optimizer's state is never shown to it: what is non-finite, and
///   what has squares that overflow `f32`.
/// - After a rejected step everything is, bit for bit, as if the batch had never been seen:
///   parameters, optimizer, schedule, guards and clips, and the running statistics of BatchNorm,
///   which the forward pass of the bad batch has already written. Not so the random numbers that
///   the forward pass drew.
/// - Rejections in a row are bounded, and end in a rewind or in [`Halted`], never in acceptance.
/// - All of it moves together or not at all: parameters, optimizer, schedule, average, accumulated
///   gradients, loss scale, guards and clips.
///
/// # Cost
/// Beside the wrapped optimizer's own step: one pass over the gradients and one readback to measure;
/// one pass over the gradients where a clip is active; one pass over the parameters and one readback
/// to check the result. While an update runs, the old and the new parameters exist side by side.
/// With a rule of [`optim`](crate::optim) the clips' factor is part of its one pass, and nothing is
/// checked or held, because it can say beforehand that its update is finite.
#[doc(alias = "apply_if_finite")]
pub struct Keel<M: Module> {
    kept: Kept<M>,
    guards: Vec<Box<dyn Guard>>,
    clips: Vec<Box<dyn Clip>>,
    bounds: Vec<Box<dyn StepBound>>,
    loss_scale: Option<LossScale>,
    limits: Limits,
    ring: Ring<Snapshot<M>>,
    monitor: Monitor,
    progress: Progress,
    incidents: Incidents,
    /// What the next report is to tell.
    unsaid: Vec<String>,
    /// Whence the random numbers of forward passes come, if the keel sees to that.
    seed: Option<u64>,
    strain: Strain,
    /// The highest rate of the schedule; unknown until the first step shows it, and 0 if it has no peak.
    peak: Option<f64>,
    rates: RateUse,
    /// The other ranks of the run, if there are any.
    crew: Option<Crew>,
    /// The steps that the device has decided and that have not been read.
    pending: Vec<Pending>,
    /// Whether no step has been made since a checkpoint was taken back: its schedule may be another one.
    resumed: bool,
    /// Whether the next checkpoint may be of a keel with other policies.
    other_policies: bool,
}

/// The settings that are numbers.
#[derive(Debug, Clone, Copy)]
struct Limits {
    decide: Decide,
    skips_at_most: u64,
    check_parameters: Option<u64>,
    check_optimizer: Option<u64>,
    rewind: Option<Rewind>,
}

/// What one step returns when training can go on.
#[derive(Debug)]
#[must_use = "the model is in here"]
#[non_exhaustive]
pub struct Stepped<M> {
    /// The model: updated, untouched after a skip, or an earlier one after a rewind.
    pub model: M,
    /// What was measured and done; [pending](Report::pending), if the device has decided and was not
    /// read in this step.
    pub report: Report,
    /// What was read in this step of this and of earlier ones, in order. Always empty with
    /// [`Decide::Now`].
    pub late: Vec<Report>,
}

/// Why a keel whose optimizer is spent does not go on.
const SPENT: &str = "the optimizer's state was lost with an update that was taken back; build a new \
                     keel, or resume from a checkpoint";

impl<M: Module + 'static> Keel<M> {
    /// Puts an optimizer under guard: a rule of [`optim`](crate::optim) or its groups, any Burn
    /// optimizer with its parameter groups, or whatever else is an [`Update`].
    /// `Keel::wrap(optimizer).build(&model)` is a complete one.
    pub fn wrap<By>(optimizer: impl IntoUpdate<M, By>) -> Builder<M> {
        Builder::new(optimizer.into_update())
    }

    /// How many updates the weights have seen. A rewind lowers it.
    pub fn updates(&self) -> u64 {
        self.progress.updates
    }

    /// How many steps were asked for, whatever became of them. Never goes back, so it is the index of
    /// the next batch where batches are computed from a position.
    pub fn attempts(&self) -> u64 {
        self.progress.attempts
    }

    /// A copy of the optimizer, with the state that it has now: to [try rates](crate::finder) on in the middle
    /// of training. The clips, the guards and the loss scale are not in it. Steps that are
    /// [pending](Self::pending) count in it as made.
    ///
    /// # Cost
    /// Copies handles.
    pub fn optimizer(&self) -> Box<dyn Update<M>> {
        let mut copy = self.kept.update.boxed();
        copy.settle(&vec![true; self.pending.len()]);
        copy
    }

    /// What the loss is to be multiplied by before the backward pass; 1 without loss scaling.
    pub fn loss_scale(&self) -> f64 {
        self.loss_scale.as_ref().map_or(1.0, LossScale::value)
    }

    /// How many steps wait to be read; none, with [`Decide::Now`].
    pub fn pending(&self) -> u64 {
        self.pending.len() as u64
    }

    /// How often this keel has read numbers from the device, in steps. What is read to save a state, or
    /// to find who was guilty of a fault, is left out.
    pub fn readbacks(&self) -> u64 {
        self.monitor.readbacks()
    }

    /// What became of the rates that were asked for, where there is a [bound](Builder::bound).
    pub fn rates(&self) -> &RateUse {
        &self.rates
    }

    /// The steps that were not applied, and why.
    pub fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// A copy of `model` for evaluation that has the averaged weights, and the running statistics that
    /// `model` has now. `None` without an average, or before it has taken anything in.
    ///
    /// # Cost
    /// Copies handles.
    pub fn averaged(&self, model: &M) -> Option<M> {
        self.kept.average.as_ref().and_then(|average| average.model(model))
    }

    /// A copy of `model` with the weights to evaluate: the model's own, unless the optimizer averages
    /// them itself, as the [schedule-free](crate::optim::ScheduleFree) ones do.
    ///
    /// # Cost
    /// Copies handles, and for an optimizer that averages, one pass.
    pub fn eval_model(&self, model: &M) -> M {
        self.kept.update.eval_model(model)
    }

    /// The averages of squared gradients that the optimizer divides by, for a
    /// [`Watch`](crate::monitor::Watch::second_moments); none, of one that does not show them.
    ///
    /// # Cost
    /// Copies handles: see [`SecondMoments`].
    pub fn second_moments(&self) -> SecondMoments {
        self.kept.update.second_moments()
    }

    /// One training step, if it is found good.
    ///
    /// `rate` is what [`Scheduler::step`](crate::schedule::Scheduler::step) returns, a plain `f64`, or
    /// the rates by parameter group of Burn's `ModuleLrScheduler`. `grads` are those of `loss`, times
    /// [`loss_scale`](Self::loss_scale), with respect to `model`; parameters without a gradient stay as
    /// they are. `loss` is the loss itself, unscaled. Gradients of parameters that are not in `model`
    /// are neither measured nor clipped, and Burn's optimizers ignore them.
    ///
    /// What becomes of the rate's schedule: applied, it has moved on by one; skipped or halted, it
    /// stands where it was, and gives the same rate again; rewound, it stands at the snapshot's
    /// position, damped. A plain rate has no schedule: after a rewind, this and every later one is
    /// multiplied by the damping.
    ///
    /// # Errors
    /// [`Halted`], with the best model there is, if a guard asks for it, or if rejections or
    /// rewinds in a row have used up their bound. Also if the device fails, if `loss` has not one element,
    /// if no parameter of `model` has a gradient in `grads`, if a group of the schedule has no parameter, or
    /// if in the first step after a [resume](Self::resume) the schedule stands
    /// [elsewhere](Self::allow_other_schedule): nothing is then counted. Calling again after that
    /// is allowed, and starts with a fresh bound of rejections; only after an update that had to be
    /// taken back, where there was no snapshot, the optimizer is lost, and every later step halts.
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

    /// One training step of a model that is held in a field, and stays there: what an agent or a service has.
    ///
    /// Whatever becomes of the step, `model` is the one to go on with. All else is as in [`step`](Self::step).
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
    /// As [`step`](Self::step). `model` is then the best there is, and the error has it too.
    ///
    /// # Cost
    /// As [`step`](Self::step); but while `model` is still there parameters are written into new memory, and not in
    /// place.
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

    /// How far the parameters that had a gradient in the last step have moved, as a share of their size before.
    #[cfg(feature = "train")]
    pub(crate) fn moved(&self, before: &M, after: &M) -> Result<f64, Error> {
        let (moves, sizes) = self.monitor.moves(before, after)?;
        let norm = |of: &crate::Layers| of.iter().map(|(_, x)| x * x).sum::<f64>().sqrt();
        Ok(norm(&moves) / norm(&sizes))
    }

    /// Whether the parameters are part of the reading of the next step.
    fn sees_parameters(&self) -> bool {
        let Progress { attempts, updates, .. } = self.progress;
        let due = self.limits.check_parameters.is_some_and(|n| attempts.is_multiple_of(n));
        due || self.looks_at_parameters(updates)
    }

    /// Whether a bound needs the sizes of the parameters before this update, or a snapshot will be taken after it.
    fn looks_at_parameters(&self, update: u64) -> bool {
        self.bounds.iter().any(|bound| bound.looks_at_sizes(update))
            || self.limits.rewind.is_some_and(|rewind| rewind.looks_before(update))
    }

    /// One reading. The gradients are `scale` times too large.
    fn measure(
        &mut self,
        rate: &Rate<'_>,
        model: &M,
        grads: &GradientsParams,
        loss: Option<&Tensor<1>>,
        scale: f64,
    ) -> Result<Reading, Error> {
        let Progress { attempts, updates, .. } = self.progress;
        let due = |every: Option<u64>| every.is_some_and(|n| attempts.is_multiple_of(n));
        let parameters = self.sees_parameters() || self.compares();
        let mut reading = self.monitor.measure(model, grads, loss, parameters)?;
        if !self.looks_at_parameters(updates) && !self.compares() {
            // Looked at only to be checked, at every so many attempts: what learns from sizes must not know of those.
            reading.sizes = Layers::default();
        }
        if scale != 1.0 {
            reading.grad_norm /= scale;
            reading.power_norms.iter_mut().for_each(|(_, norm)| *norm /= scale);
            reading.layers = std::mem::take(&mut reading.layers).scaled(1.0 / scale);
        }
        if due(self.limits.check_optimizer) && !self.kept.update.is_finite()? {
            reading.fault = reading.fault.or(Some(Fault::Optimizer));
        }
        (reading.attempt, reading.update) = (attempts, updates);
        Ok(self.rated(reading, rate))
    }
}

impl<M: Module> fmt::Debug for Keel<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keel")
            .field("guards", &self.guards.iter().map(|guard| guard.name()).collect::<Vec<_>>())
            .field("clips", &self.clips.iter().map(|clip| clip.name()).collect::<Vec<_>>())
            .field("bounds", &self.bounds.iter().map(|bound| bound.name()).collect::<Vec<_>>())
            .field("limits", &self.limits)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}
