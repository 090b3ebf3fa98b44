//! One short run of training: the only place of the advice that knows tensors, with the advisor's front.

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;

use super::recipe::MOMENTUM;
use super::{Bound, Method, Recipe};
use crate::clip::{GlobalNorm, Percentile, ZScore};
use crate::curvature::Governor;
use crate::finder::diverged;
use crate::monitor::{any_gradient, numbers, one_number};
use crate::optim::{Adam, AdamW, AdaptiveClip, Momentum, Rule, Sgd};
use crate::schedule::Schedule;
use crate::tied::apart;
use crate::{Builder, Error, Keel, Verdict};

/// How to train a fresh model.
pub(super) struct Order<'a, B> {
    pub(super) recipe: &'a Recipe,
    pub(super) rate: f64,
    pub(super) seed: u64,
    pub(super) over: u64,
    pub(super) batch: &'a dyn Fn(u64) -> B,
    /// Asked before each update; `false` ends the run.
    pub(super) go_on: &'a mut dyn FnMut() -> bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Finished,
    /// Something was not finite.
    Broke,
    /// The loss is far above its start.
    Hopeless,
    /// It was told to stop.
    Stopped,
}

/// What a run gave.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trial {
    /// The mean loss of the untrained model, over the first batches.
    pub(super) start: f64,
    /// The loss before each update.
    pub(super) losses: Vec<f64>,
    pub(super) end: End,
}

/// How many batches say what an untrained model's loss is.
const STARTS: u64 = 4;
/// The loss that a run is not expected to come back from, in units of the start.
const HOPELESS: f64 = 100.0;
/// How many losses have to agree on it.
const WINDOW: usize = 10;

impl Trial {
    /// The mean of the last tenth; `None` unless the run has finished with a finite one.
    pub(super) fn reached(&self) -> Option<f64> {
        let last = self.losses.len().div_ceil(10);
        let tail = &self.losses[self.losses.len() - last..];
        let mean = tail.iter().sum::<f64>() / tail.len() as f64;
        Some(mean).filter(|x| self.end == End::Finished && x.is_finite())
    }

    /// After how many updates the mean over a twentieth of `over` was at most `target`.
    pub(super) fn updates_to(&self, target: f64, over: u64) -> Option<u64> {
        let window = over.div_ceil(20).max(1) as usize;
        let below = |w: &[f64]| w.iter().sum::<f64>() / w.len() as f64 <= target;
        // The last loss of the window is that before update `at + window`.
        self.losses.windows(window).position(below).map(|at| (at + window) as u64)
    }

    fn is_hopeless(&self) -> bool {
        let Some(from) = self.losses.len().checked_sub(WINDOW) else { return false };
        let mut last = self.losses[from..].to_vec();
        last.sort_by(f64::total_cmp);
        last[WINDOW / 2] > HOPELESS * self.start
    }
}

/// The recipe's optimizer under guard, with its bound.
fn keel<M: Module + 'static>(recipe: &Recipe) -> Result<Builder<M>, Error> {
    fn bounded<M: Module + 'static>(rule: impl Rule, bound: Bound) -> Result<Builder<M>, Error> {
        Ok(match bound {
            Bound::Free => Keel::wrap(rule),
            Bound::Global => Keel::wrap(rule).clip(GlobalNorm::at_most(1.0)?),
            Bound::Adaptive => Keel::wrap(ModuleOptimizer::from(AdaptiveClip::new(0.01, rule)?)),
            Bound::Percentile => Keel::wrap(rule).clip(Percentile::default()),
            Bound::ZScore => Keel::wrap(rule).clip(ZScore::default()),
        })
    }
    match recipe.method {
        Method::Sgd => bounded(Sgd::new(), recipe.bound),
        Method::Momentum => bounded(Momentum::new(MOMENTUM)?, recipe.bound),
        Method::Nesterov => bounded(Momentum::new(MOMENTUM)?.nesterov(), recipe.bound),
        Method::Adam => bounded(Adam::new(), recipe.bound),
        Method::AdamW => bounded(AdamW::new().update_rms_at_most(1.0)?, recipe.bound),
    }
}

/// Trains a model of its own.
pub(super) fn run<M: Module + 'static, B>(
    build: &dyn Fn(u64) -> M,
    loss: &dyn Fn(&M, B) -> Tensor<1>,
    order: Order<'_, B>,
) -> Result<Trial, Error> {
    let Order { recipe, rate, seed, over, batch, go_on } = order;
    // Seeds see other batches too.
    let batch = |k: u64| batch(seed.wrapping_mul(over).wrapping_add(k));
    // BatchNorm's running statistics are shared by clones: the caller may hold one, and keeps its own.
    let build = |seed| apart(&build(seed));
    // A model for the start alone: the forward pass would leave its running statistics in the other.
    let (fresh, starts) = (build(seed), STARTS.min(over));
    let mut start = 0.0;
    for k in 0..starts {
        let first = loss(&fresh, batch(k));
        one_number("loss", &first).map_err(|why| why.of("Advisor"))?;
        let first = numbers(first)?.first().copied();
        start += first.unwrap_or(f64::NAN) / starts as f64;
    }

    let mut model = build(seed);
    let mut schedule = recipe.schedule(rate, over)?.start();
    let governor = match recipe.governed {
        true => Some(Governor::new(recipe.momentum())?),
        false => None,
    };
    let keel = keel(recipe)?;
    let mut keel = match &governor {
        Some(governor) => keel.bound(governor.clone()).build(&model)?,
        None => keel.build(&model)?,
    };
    let mut trial = Trial { start, losses: Vec::new(), end: End::Finished };
    for k in 0..over {
        if !go_on() {
            trial.end = End::Stopped;
            break;
        }
        let now = loss(&model, batch(k));
        one_number("loss", &now).map_err(|why| why.of("Advisor"))?;
        let grads = GradientsParams::from_grads(now.backward(), &model);
        any_gradient(&model, &grads).map_err(|why| why.of_function("Advisor"))?;
        if let Some(governor) = &governor {
            governor.watch(keel.updates(), &model, &grads, |model| loss(model, batch(k)))?;
        }
        let stepped = match keel.step(schedule.step(), model, grads, &now) {
            Ok(stepped) if stepped.report.verdict == Verdict::Apply => stepped,
            Ok(_) => {
                trial.end = End::Broke;
                break;
            }
            Err(halted) => {
                diverged(halted.report())?;
                trial.end = End::Broke;
                break;
            }
        };
        trial.losses.push(stepped.report.reading.loss);
        model = stepped.model;
        if trial.is_hopeless() {
            trial.end = End::Hopeless;
            break;
        }
    }
    Ok(trial)
}
