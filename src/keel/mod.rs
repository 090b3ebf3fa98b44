//! The training step: measure, decide, act, record.
//!
//! This is the only module that depends on all the others; it adds no policy to them.

mod account;
mod accumulate;
mod act;
mod agree;
mod builder;
mod deferred;
mod direction;
mod flat;
mod judge;
mod kept;
mod on_device;
mod policies;
mod progress;
mod rates;
mod refuse;
mod resume;
mod retreat;
mod save_load;
mod seed;
mod snapshot;
mod step;
mod strain;
mod tracing_events;

pub use builder::Builder;
pub use rates::RateUse;

use std::fmt;

use burn::module::Module;

use crate::Decide;
use crate::bound::StepBound;
use crate::clip::Clip;
use crate::guard::Guard;
use crate::incident::Incidents;
use crate::monitor::Monitor;
use crate::optim::{IntoModelOptimizer, ModelOptimizer, SecondMoments};
use crate::precision::LossScale;
use crate::rewind::{Rewind, Ring};

use agree::Crew;
use kept::Kept;
use on_device::Pending;
use progress::Progress;
use snapshot::Snapshot;
use strain::Strain;

/// A guarded optimizer: measures and judges each step, and applies it, skips it, rewinds or halts.
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
/// # Guarantees, whatever is configured
///
/// - Nothing non-finite reaches a parameter. Loss, rate, every gradient and every running statistic
///   are checked before the update, and every updated parameter after it. If everything was finite
///   but the update was not, which takes an absurd rate or an optimizer that divides by zero, the
///   old parameters are restored. The optimizer has seen the gradient by then, so such a step is
///   never a skip: it rewinds or halts.
/// - A gradient that would poison the optimizer's state never reaches the optimizer: neither a non-finite
///   gradient nor one whose squares overflow `f32`.
/// - After a rejected step everything is, bit for bit, as if the batch had never been seen:
///   parameters, optimizer, schedule, guards and clips, and the running statistics of BatchNorm,
///   which the forward pass of the bad batch has already written. The exception is the random number
///   generator: numbers drawn by the forward pass stay drawn.
/// - Consecutive rejections are bounded, and end in a rewind or in [`Halted`](crate::Halted), never in acceptance.
/// - Parameters, optimizer, schedule, average, accumulated gradients, loss scale, guards and clips
///   advance together or not at all.
///
/// # Cost
/// In addition to the wrapped optimizer's own step: one pass over the gradients and one readback to measure;
/// one pass over the gradients where a clip is active; one pass over the parameters and one readback
/// to check the result. While an update runs, the old and the new parameters exist side by side.
/// With a rule of [`optim`](crate::optim), the clips' factor is part of its one pass, and nothing is
/// checked or held, because the rule can tell beforehand that its update is finite.
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
    /// Notices for the next report.
    unsaid: Vec<String>,
    /// The seed for the random numbers of forward passes, if the keel seeds them.
    seed: Option<u64>,
    strain: Strain,
    /// The highest rate of the schedule; unknown until the first step shows it, and 0 if it has no peak.
    peak: Option<f64>,
    rates: RateUse,
    /// The other ranks of the run, if there are any.
    crew: Option<Crew>,
    /// Steps that the device has decided and that have not been read back.
    pending: Vec<Pending>,
    /// Whether no step has been made since a checkpoint was resumed: its schedule may differ.
    resumed: bool,
    /// Whether the next checkpoint may come from a keel with other policies.
    other_policies: bool,
}

/// The plain settings of a keel.
#[derive(Debug, Clone, Copy)]
struct Limits {
    decide: Decide,
    skips_at_most: u64,
    check_parameters: Option<u64>,
    check_optimizer: Option<u64>,
    rewind: Option<Rewind>,
}

/// The reason that a keel gives when its optimizer's state is lost.
const SPENT: &str = "the optimizer's state was lost with an update that was taken back; build a new \
                     keel, or resume from a checkpoint";

impl<M: Module + 'static> Keel<M> {
    /// Wraps an optimizer: a rule of [`optim`](crate::optim) or groups of them, any Burn optimizer with its
    /// parameter groups, or any other [`ModelOptimizer`]. `Keel::wrap(optimizer).build(&model)` is a complete keel.
    pub fn wrap<By>(optimizer: impl IntoModelOptimizer<M, By>) -> Builder<M> {
        Builder::new(optimizer.into_model_optimizer())
    }

    /// Returns the number of updates that the weights have seen. A rewind lowers it.
    pub fn updates(&self) -> u64 {
        self.progress.updates
    }

    /// Returns the number of steps that were attempted, whatever their verdict. It never decreases, so where
    /// batches are computed from a position it is the index of the next batch.
    pub fn attempts(&self) -> u64 {
        self.progress.attempts
    }

    /// Returns a copy of the optimizer with its present state, for example to [try rates](crate::finder) in the
    /// middle of training. It doesn't include the clips, the guards and the loss scale. [Pending](Self::pending)
    /// steps count as made.
    ///
    /// # Cost
    /// Copies handles.
    pub fn optimizer(&self) -> Box<dyn ModelOptimizer<M>> {
        let mut copy = self.kept.update.boxed();
        if let Some(copy) = copy.on_device() {
            copy.settle(&vec![true; self.pending.len()]);
        }
        copy
    }

    /// Returns the factor by which to multiply the loss before the backward pass; 1 without loss scaling.
    pub fn loss_scale(&self) -> f64 {
        self.loss_scale.as_ref().map_or(1.0, LossScale::value)
    }

    /// Returns the number of steps not yet read back; 0 with [`Decide::Now`].
    pub fn pending(&self) -> u64 {
        self.pending.len() as u64
    }

    /// Returns how many times steps of this keel have read numbers from the device. Readbacks for saving a state or
    /// for finding the origin of a fault don't count.
    pub fn readbacks(&self) -> u64 {
        self.monitor.readbacks()
    }

    /// Returns how the requested rates were used, where there is a [bound](Builder::bound).
    pub fn rates(&self) -> &RateUse {
        &self.rates
    }

    /// Returns the steps that were not applied, with the reasons.
    pub fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// Returns a copy of `model` for evaluation, with the averaged weights and the present running statistics of
    /// `model`. `None` without an average, or before its first update.
    ///
    /// # Cost
    /// Copies handles.
    pub fn averaged(&self, model: &M) -> Option<M> {
        self.kept.average.as_ref().and_then(|average| average.model(model))
    }

    /// Returns a copy of `model` with the weights to evaluate: the model's own, unless the optimizer averages
    /// them itself, as the [schedule-free](crate::optim::ScheduleFree) optimizers do.
    ///
    /// # Cost
    /// Copies handles; for an optimizer that averages, one pass as well.
    pub fn eval_model(&self, model: &M) -> M {
        self.kept.update.eval_model(model)
    }

    /// Returns the averages of squared gradients that the optimizer divides by, for a
    /// [`Watch`](crate::monitor::Watch::second_moments); empty if the optimizer doesn't expose them.
    ///
    /// # Cost
    /// Copies handles: see [`SecondMoments`].
    pub fn second_moments(&self) -> SecondMoments {
        self.kept.update.second_moments()
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
