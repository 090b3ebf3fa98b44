//! The step: measure, decide, act, record.
//!
//! This is the only module that knows all the others, and it adds nothing of its own.

mod builder;
mod halted;
mod resume;

pub use builder::Builder;
pub use halted::Halted;

use std::fmt;

use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::module::{Module, ParamGroup};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::clip::Clip;
use crate::guard::Guard;
use crate::monitor::{self, Monitor};
use crate::optim::{Pace, Update};
use crate::recover::{Rewind, Ring};
use crate::running::Running;
use crate::schedule::Rate;
use crate::{Error, Fault, Part, Reading, Report, Verdict};

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
///
/// # Cost
/// Beside the wrapped optimizer's own step: one pass over the gradients and one readback to measure;
/// one pass over the gradients where a clip is active; one pass over the parameters and one readback
/// to check the result. While an update runs, the old and the new parameters exist side by side.
pub struct Keel<M: Module> {
    update: Box<dyn Update<M>>,
    guards: Vec<Box<dyn Guard>>,
    clips: Vec<Box<dyn Clip>>,
    skips_at_most: u64,
    check_parameters: Option<u64>,
    rewind: Option<Rewind>,
    ring: Ring<Snapshot<M>>,
    monitor: Monitor,
    running: Running,
    progress: Progress,
    /// Whether the optimizer took part in an update that was taken back.
    spent: bool,
}

/// What one step returns when training can go on.
#[derive(Debug)]
#[must_use = "the model is in here"]
#[non_exhaustive]
pub struct Stepped<M> {
    /// The model: updated, untouched after a skip, or an earlier one after a rewind.
    pub model: M,
    /// What was measured and done.
    pub report: Report,
}

/// A state to go back to.
struct Snapshot<M: Module> {
    model: M,
    running: Running,
    update: Box<dyn Update<M>>,
    /// Where the schedule goes on; unknown until the first step shows it.
    position: Option<u64>,
}

/// The counters.
#[derive(Debug, Clone, PartialEq)]
struct Progress {
    /// Steps asked for.
    attempts: u64,
    /// Updates that the weights have seen.
    updates: u64,
    /// Rejections in a row.
    rejected: u64,
    /// Rewinds since a snapshot was taken beyond `frontier`.
    rewinds: u64,
    /// The furthest update that a rewind was ruled at.
    frontier: u64,
    /// What plain rates, which have no schedule to dampen, are multiplied by.
    gain: f64,
}

/// Why a keel whose optimizer is spent does not go on.
const SPENT: &str = "the optimizer's state was lost with an update that was taken back; build a new \
                     keel, or resume from a checkpoint";

/// Who asked for what.
struct Ruling {
    verdict: Verdict,
    by: Option<String>,
}

impl<M: Module + 'static> Keel<M> {
    /// Puts an optimizer under guard: any Burn optimizer with its parameter groups, or whatever else
    /// is an [`Update`]. `Keel::wrap(optimizer).build(&model)` is a complete one.
    pub fn wrap(optimizer: impl Update<M> + 'static) -> Builder<M> {
        Builder::new(Box::new(optimizer))
    }

    /// How many updates the weights have seen.
    pub fn updates(&self) -> u64 {
        self.progress.updates
    }

    /// One training step, if it is found good.
    ///
    /// `rate` is what [`Scheduler::step`](crate::schedule::Scheduler::step) returns, a plain `f64`, or
    /// the rates by parameter group of Burn's `ModuleLrScheduler`. `grads` are those of `loss` with
    /// respect to `model`; parameters without a gradient stay as they are. Gradients of parameters
    /// that are not in `model` are neither measured nor clipped, and Burn's optimizers ignore them.
    ///
    /// What becomes of the rate's schedule: applied, it has moved on by one; skipped or halted, it
    /// stands where it was, and gives the same rate again; rewound, it stands at the snapshot's
    /// position, damped. A plain rate has no schedule: after a rewind, this and every later one is
    /// multiplied by the damping.
    ///
    /// # Errors
    /// [`Halted`], with the model in its last good state, if a guard asks for it, or if rejections or
    /// rewinds in a row have used up their bound. Also if the device fails. Calling again after that
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
        let rate = rate.into();
        if self.spent {
            return Err(self.broken(rate, model, SPENT));
        }
        if let (Some(at), Some(start)) = (rate.position(), self.ring.oldest_mut()) {
            start.position.get_or_insert(at);
        }
        self.running.settle(&model);
        let mut reading = match self.measure(&rate, &model, &grads, loss) {
            Ok(reading) => reading,
            Err(error) => return Err(self.broken(rate, model, &error.to_string())),
        };
        self.progress.attempts += 1;

        let mut ruling = self.judge(&reading);
        let mut culprits = Vec::new();
        let mut factor = 1.0;
        let mut model = model;
        if ruling.verdict == Verdict::Apply {
            factor = self.factor(&reading);
            let pace = Pace::new(self.learning_rate(&rate), factor, reading.grad_norm);
            match self.attempt(pace, model, grads) {
                Ok(updated) => return Ok(self.applied(rate, reading, factor, updated)),
                Err(Failed { before, after }) => {
                    culprits = monitor::blame(&after, None, &self.monitor);
                    reading.fault = Some(Fault::Update);
                    ruling = self.judge(&reading);
                    // The optimizer has seen this gradient, so a skip would leave a trace.
                    ruling.verdict = ruling.verdict.max(Verdict::Rewind);
                    self.spent = true;
                    model = before;
                }
            }
        } else if reading.fault.is_some() {
            culprits = monitor::blame(&model, Some(&grads), &self.monitor);
            if reading.fault == Some(Fault::Loss) {
                // A broken loss breaks every gradient: none of them says where it came from.
                culprits.retain(|culprit| culprit.part != Part::Gradient);
            }
        }
        let ruling = self.escalate(ruling);
        self.rejected(rate, reading, factor, ruling, culprits, model)
    }

    fn measure(
        &mut self,
        rate: &Rate<'_>,
        model: &M,
        grads: &GradientsParams,
        loss: &Tensor<1>,
    ) -> Result<Reading, Error> {
        let Progress { attempts, updates, gain, .. } = self.progress;
        let parameters = self.check_parameters.is_some_and(|every| attempts.is_multiple_of(every));
        let mut reading = self.monitor.measure(model, grads, loss, parameters)?;
        (reading.attempt, reading.update) = (attempts, updates);
        let lr = match rate.position() {
            Some(_) => rate.value(),
            None => rate.value() * gain,
        };
        Ok(reading.with_lr(lr))
    }

    /// The most severe verdict, and the first guard that gave it. `NonFinite` is the first of all.
    fn judge(&self, now: &Reading) -> Ruling {
        let mut ruling = Ruling { verdict: Verdict::Apply, by: None };
        for (at, guard) in self.guards.iter().enumerate() {
            let verdict = guard.judge(now);
            if verdict > ruling.verdict {
                let by = match (at, now.fault) {
                    (0, Some(fault)) => fault.to_string(),
                    _ => guard.name().to_string(),
                };
                ruling = Ruling { verdict, by: Some(by) };
            }
        }
        ruling
    }

    fn factor(&self, now: &Reading) -> f64 {
        self.clips
            .iter()
            .map(|clip| match clip.factor(now) {
                nan if nan.is_nan() => 0.0,
                factor => factor.clamp(0.0, 1.0),
            })
            .fold(1.0, f64::min)
    }

    /// What the optimizer is told: a schedule's rate as it is, a plain one damped by what rewinds
    /// have left of it.
    fn learning_rate(&self, rate: &Rate<'_>) -> ModuleLearningRate {
        let gain = match rate.position() {
            Some(_) => 1.0,
            None => self.progress.gain,
        };
        match rate.groups() {
            None => (rate.value() * gain).into(),
            Some(groups) if gain == 1.0 => groups.clone(),
            Some(groups) => {
                // Burn's rates by group can be asked, not scaled: one group for each parameter.
                let base = ModuleLrScheduler::new(groups.base() * gain);
                let scaled = self.monitor.layout().entries().iter().fold(base, |all, entry| {
                    let lr = groups.lr_from_param(entry.id, Some(&entry.path)) * gain;
                    all.with_group(ParamGroup::from_ids(vec![entry.id]), lr)
                });
                let mut scaled = scaled;
                scaled.step()
            }
        }
    }

    /// The updated model, if it is sound; otherwise the one before, and an optimizer that is spent.
    ///
    /// Where the optimizer does not vouch for the outcome, the model before the update is held, which
    /// costs Burn's optimizers nothing: they write the new parameters over the step rather than over
    /// the old ones. Holding the optimizer too would make them write its state anew at every step,
    /// for the sake of something that a sound rate and a sound optimizer never do.
    fn attempt(&mut self, pace: Pace, model: M, grads: GradientsParams) -> Result<M, Failed<M>> {
        if self.update.is_bounded(&pace) {
            return Ok(self.update.update(pace, model, grads));
        }
        let before = model.clone();
        let after = self.update.update(pace, model, grads);
        // A device that cannot be read has not shown that the update is good.
        match self.monitor.is_sound(&after).unwrap_or(false) {
            true => Ok(after),
            false => Err(Failed { before, after }),
        }
    }

    fn applied(&mut self, rate: Rate<'_>, reading: Reading, factor: f64, model: M) -> Stepped<M> {
        self.record(&reading, Verdict::Apply);
        self.running.commit(&model);
        self.progress.rejected = 0;
        self.progress.updates += 1;

        let updates = self.progress.updates;
        if self.rewind.is_some_and(|rewind| updates.is_multiple_of(rewind.every)) {
            let position = rate.position().map(|at| at.saturating_add(1));
            self.ring.push(updates, self.snapshot(&model, position));
            if updates > self.progress.frontier {
                self.progress.rewinds = 0;
            }
        }
        let report = Report {
            reading,
            verdict: Verdict::Apply,
            by: None,
            factor,
            rejected: 0,
            rewound_to: None,
            culprits: Vec::new(),
        };
        Stepped { model, report }
    }

    fn snapshot(&self, model: &M, position: Option<u64>) -> Snapshot<M> {
        Snapshot {
            model: model.clone(),
            running: self.running.clone(),
            update: self.update.boxed(),
            position,
        }
    }

    /// A rejection that has used up its bound becomes a more severe one.
    fn escalate(&mut self, ruling: Ruling) -> Ruling {
        self.progress.rejected += 1;
        let Ruling { mut verdict, by } = ruling;
        let by = by.unwrap_or_default();
        let mut because = String::new();
        if verdict == Verdict::Skip && self.progress.rejected > self.skips_at_most {
            verdict = Verdict::Rewind;
            because = format!(", {} steps in a row", self.progress.rejected);
        }
        if verdict == Verdict::Rewind {
            match self.rewind {
                None if because.is_empty() => {
                    verdict = Verdict::Halt;
                    because = ", and there is no snapshot to rewind to".to_string();
                }
                None => verdict = Verdict::Halt,
                Some(rewind) if self.progress.rewinds >= rewind.at_most => {
                    verdict = Verdict::Halt;
                    because = format!("{because}, after {} rewinds", self.progress.rewinds);
                }
                Some(_) => {}
            }
        }
        Ruling { verdict, by: Some(by + &because) }
    }

    fn rejected(
        &mut self,
        rate: Rate<'_>,
        reading: Reading,
        factor: f64,
        ruling: Ruling,
        culprits: Vec<crate::report::Culprit>,
        model: M,
    ) -> Result<Stepped<M>, Halted<M>> {
        let Ruling { verdict, by } = ruling;
        self.record(&reading, verdict);
        let mut report = Report {
            reading,
            verdict,
            by,
            factor,
            rejected: self.progress.rejected,
            rewound_to: None,
            culprits,
        };
        if verdict == Verdict::Rewind
            && let Some(rewind) = self.rewind
            && let Some((update, snapshot)) = self.ring.back()
        {
            let Progress { updates, rewinds, frontier, rejected, gain, .. } = &mut self.progress;
            *frontier = (*frontier).max(*updates);
            (*updates, *rejected) = (update, 0);
            *rewinds += 1;
            self.update = snapshot.update.boxed();
            self.spent = false;
            self.running = snapshot.running.clone();
            if !rate.rewind(snapshot.position, rewind.damp) {
                *gain *= rewind.damp;
            }
            let model = self.running.restore(snapshot.model.clone());
            report.rewound_to = Some(update);
            return Ok(Stepped { model, report });
        }
        rate.hold();
        let model = self.running.restore(model);
        match verdict {
            Verdict::Skip => Ok(Stepped { model, report }),
            _ => {
                self.progress.rejected = 0;
                Err(Halted::new(model, report))
            }
        }
    }

    /// Nothing is known of this step: the device could not be read, or the optimizer is spent.
    fn broken(&mut self, rate: Rate<'_>, model: M, why: &str) -> Halted<M> {
        let reading = Reading::new(self.progress.updates).with_lr(rate.value());
        rate.hold();
        let report = Report {
            reading,
            verdict: Verdict::Halt,
            by: Some(why.to_string()),
            factor: 1.0,
            rejected: 0,
            rewound_to: None,
            culprits: Vec::new(),
        };
        Halted::new(self.running.restore(model), report)
    }

    /// Every policy hears the final verdict, once.
    fn record(&mut self, reading: &Reading, verdict: Verdict) {
        self.guards.iter_mut().for_each(|guard| guard.record(reading, verdict));
        self.clips.iter_mut().for_each(|clip| clip.record(reading, verdict));
    }
}

impl<M: Module> fmt::Debug for Keel<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keel")
            .field("guards", &self.guards.iter().map(|guard| guard.name()).collect::<Vec<_>>())
            .field("clips", &self.clips.iter().map(|clip| clip.name()).collect::<Vec<_>>())
            .field("rewind", &self.rewind)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

/// An update that was taken back: the model before it, and the one that it made.
struct Failed<M> {
    before: M,
    after: M,
}
