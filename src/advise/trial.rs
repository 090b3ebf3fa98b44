//! One short training run. Only this file, the advisor's entry point and the predictor handle tensors.

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;

use super::recipe::MOMENTUM;
use super::run::{End, Held, Trial, evaluated};
use super::{Bound, Method, Recipe, Safety};
use crate::clip::{GlobalNorm, Percentile, ZScore};
use crate::curvature::Governor;
use crate::finder::diverged;
use crate::guard::LossSpike;
use crate::monitor::{any_gradient, numbers, one_number};
use crate::optim::{Adam, AdamW, AdaptiveClip, Momentum, Rule, Sgd};
use crate::schedule::Schedule;
use crate::standardize::Standardize;
use crate::stat::median;
use crate::tied::apart;
use crate::{Builder, Error, Halted, Keel, Verdict};

/// The settings of the run of a fresh model.
pub(super) struct Order<'a, B> {
    pub(super) recipe: &'a Recipe,
    pub(super) rate: f64,
    pub(super) seed: u64,
    pub(super) over: u64,
    pub(super) batch: &'a dyn Fn(u64) -> B,
    /// The number of held-out batches, and the batches.
    pub(super) held_out: Option<(u64, &'a dyn Fn(u64) -> B)>,
    /// The standardization of the targets.
    pub(super) targets: Option<&'a Standardize>,
    /// Called before each update; `false` ends the run.
    pub(super) go_on: &'a mut dyn FnMut() -> bool,
}

/// The loss of a model on a batch: the one that is trained on, and, if targets are standardized, the same in the units
/// of the targets.
pub(super) struct Cost {
    pub(super) trained: Tensor<1>,
    pub(super) own: Option<Tensor<1>>,
}

/// The loss of a model on a batch, with its targets standardized if a standardization is given.
pub(super) type Costs<'f, M, B> = &'f dyn Fn(&M, B, Option<&Standardize>) -> Cost;

/// The number of batches that the initial loss is measured on: fewer than any run has.
const STARTS: u64 = 4;

/// The recipe's optimizer in a keel, with its clipping and safety.
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
    let keel = match recipe.method {
        Method::Sgd => bounded(Sgd::new(), recipe.bound),
        Method::Momentum => bounded(Momentum::new(MOMENTUM)?, recipe.bound),
        Method::Nesterov => bounded(Momentum::new(MOMENTUM)?.nesterov(), recipe.bound),
        Method::Adam => bounded(Adam::new(), recipe.bound),
        Method::AdamW => bounded(AdamW::new().update_rms_at_most(1.0)?, recipe.bound),
    }?;
    Ok(match recipe.safety {
        Safety::Bare => keel,
        Safety::Spikes => keel.guard(LossSpike::default()),
        Safety::Recommended => keel.recommended(),
    })
}

/// Returns an error, unless the run was halted by what it computed or by its own guard.
fn ended<M: Module>(recipe: &Recipe, halted: &Halted<M>) -> Result<(), Error> {
    let by = halted.report().by.as_deref();
    match recipe.safety != Safety::Bare && by.is_some_and(|by| by.starts_with("LossSpike")) {
        true => Ok(()),
        false => diverged(halted.report()),
    }
}

/// The single number of a loss.
fn number(loss: Tensor<1>) -> Result<f64, Error> {
    one_number("loss", &loss).map_err(|why| why.of("Advisor"))?;
    Ok(numbers(loss)?.first().copied().unwrap_or(f64::NAN))
}

/// The losses on these batches, with dropout off and without batch statistics.
fn looked<M: Module, B>(
    model: &M,
    costs: Costs<'_, M, B>,
    targets: Option<&Standardize>,
    batches: impl Iterator<Item = B>,
) -> Result<Vec<f64>, Error> {
    // Not `valid()`: the batches are on the training device.
    let frozen = model.clone().freeze();
    let own = |batch| {
        let Cost { trained, own } = costs(&frozen, batch, targets);
        number(own.unwrap_or(trained))
    };
    batches.map(own).collect()
}

/// The positions of the batches of an evaluation among `n`, evenly spaced.
fn positions(n: u64, over: u64) -> impl Iterator<Item = u64> {
    let used = evaluated(n, over);
    (0..used).map(move |k| (u128::from(k) * u128::from(n) / u128::from(used)) as u64)
}

/// Trains a fresh model.
pub(super) fn run<M: Module + 'static, B>(
    build: &dyn Fn(u64) -> M,
    costs: Costs<'_, M, B>,
    order: Order<'_, B>,
) -> Result<Trial, Error> {
    let Order { recipe, rate, seed, over, batch, held_out, targets, go_on } = order;
    // Different seeds see different batches too.
    let batch = |k: u64| batch(seed.wrapping_mul(over).wrapping_add(k));
    // BatchNorm's running statistics are shared by clones: the caller may hold a clone, which must not change.
    let build = |seed| apart(&build(seed));
    // A separate model for the initial loss: the forward pass would change the running statistics of the other.
    let fresh = build(seed);
    let starts = (0..STARTS).map(|k| {
        let Cost { trained, own } = costs(&fresh, batch(k), targets);
        number(own.unwrap_or(trained))
    });
    let starts: Vec<f64> = starts.collect::<Result<_, _>>()?;
    let look = |model: &M| -> Result<Option<f64>, Error> {
        let Some((n, batch)) = held_out else { return Ok(None) };
        let mut losses = looked(model, costs, targets, positions(n, over).map(batch))?;
        // An outlier row is in one batch only, and the median over batches ignores it.
        let finite = losses.iter().all(|loss| loss.is_finite());
        Ok(Some(median(&mut losses).filter(|_| finite).unwrap_or(f64::NAN)))
    };
    let held = look(&build(seed))?.map(Held::from);
    let mut trial = Trial::new(starts, held, over);
    if !trial.begins_finite() {
        // The loss and its gradients are still checked: a wrong closure is a different error from a non-finite start.
        trial.end = End::Broke;
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
    for k in 0..over {
        if trial.end != End::Finished {
            break;
        }
        if !go_on() {
            trial.end = End::Stopped;
            break;
        }
        let now = costs(&model, batch(k), targets);
        let own = now.own.map(number).transpose()?;
        let now = now.trained;
        one_number("loss", &now).map_err(|why| why.of("Advisor"))?;
        let grads = GradientsParams::from_grads(now.clone().backward(), &model);
        any_gradient(&model, &grads).map_err(|why| why.of_function("Advisor"))?;
        if let Some(governor) = &governor {
            let loss = |model: &M| costs(model, batch(k), targets).trained;
            governor.watch(keel.updates(), &model, &grads, loss)?;
        }
        let stepped = match keel.step(schedule.step(), model, grads, &now) {
            Ok(stepped) => stepped,
            Err(halted) => {
                ended(recipe, &halted)?;
                trial.end = End::Broke;
                break;
            }
        };
        model = stepped.model;
        let loss = own.unwrap_or(stepped.report.reading.loss);
        match (stepped.report.verdict, recipe.safety) {
            (Verdict::Apply, _) => trial.take(loss),
            // A guard is meant to skip batches, and the recommended set-up rewinds by itself.
            (_, Safety::Spikes | Safety::Recommended) => {}
            (_, Safety::Bare) => trial.end = End::Broke,
        }
        if trial.looks_after(k + 1)
            && let Some(loss) = look(&keel.eval_model(&model))?
        {
            trial.look(k + 1, loss);
        }
    }
    Ok(trial)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use burn::module::Param;
    use burn::nn::Linear;
    use burn::tensor::Device;

    use super::*;
    use crate::report::Report;
    use crate::{Fault, Reading};

    #[test]
    fn an_evaluation_has_a_batch_for_each_update_since_the_last_one() {
        let used = |n, over| positions(n, over).collect::<Vec<_>>();
        assert_eq!(used(3, 10), [0, 1, 2]);
        assert_eq!(used(8, 10), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(used(12, 199), [0, 1, 2, 4, 5, 6, 8, 9, 10]);
        assert_eq!(used(10, 200).len(), 10);
        assert_eq!(used(u64::MAX, 100).last(), Some(&((7 << 61) - 1)));
    }

    fn weight(of: f32) -> Linear {
        let device = Device::flex().autodiff();
        Linear { weight: Param::from_tensor(Tensor::from_floats([[of]], &device)), bias: None }
    }

    /// The square of the weight, times the batch.
    fn costs(model: &Linear, batch: f32, _: Option<&Standardize>) -> Cost {
        Cost { trained: (model.weight.val().powi_scalar(2) * batch).mean(), own: None }
    }

    /// Plain descent at a rate of 0.1 from a weight of 1, on batches of this value, which is stopped after so many
    /// updates. The held-out batches are 2, 3 and 400.
    fn trained(batch: f32, over: u64, stop: u64) -> Trial {
        let asked = Cell::new(0);
        let mut go_on = || {
            asked.set(asked.get() + 1);
            asked.get() <= stop
        };
        let held = |k: u64| [2.0, 3.0, 400.0][k as usize];
        let order = Order {
            recipe: &Recipe::plain(),
            rate: 0.1,
            seed: 7,
            over,
            batch: &|_| batch,
            held_out: Some((3, &held)),
            targets: None,
            go_on: &mut go_on,
        };
        run(&|_| weight(1.0), &costs, order).unwrap()
    }

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-5 * expected.abs()
    }

    #[test]
    fn a_run_has_the_losses_of_its_updates() {
        let trial = trained(1.0, 40, u64::MAX);
        assert_eq!((trial.end, trial.losses.len()), (End::Finished, 40));
        // The gradient is 2w, so that each update leaves 0.8 of the weight, and 0.64 of its square.
        for (k, loss) in trial.losses.iter().enumerate() {
            assert!(near(*loss, 0.64f64.powi(k as i32)), "{k}: {loss}");
        }
        // The median held-out batch, after every other update: a twentieth of the run.
        assert_eq!(trial.begun(), 3.0);
        let looks = &trial.held.as_ref().unwrap().looks;
        assert_eq!(
            looks.iter().map(|look| look.0).collect::<Vec<_>>(),
            [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40]
        );
        for (after, loss) in looks {
            assert!(near(*loss, 3.0 * 0.64f64.powi(*after as i32)), "{after}: {loss}");
        }
    }

    #[test]
    fn a_run_ends_where_it_is_told_to() {
        let trial = trained(1.0, 40, 3);
        assert_eq!((trial.end, trial.losses.len()), (End::Stopped, 3));
    }

    #[test]
    fn a_run_that_begins_at_a_value_that_is_not_finite_makes_no_update() {
        let trial = trained(f32::NAN, 40, u64::MAX);
        assert_eq!((trial.end, trial.losses.len()), (End::Broke, 0));
    }

    #[test]
    fn different_seeds_see_different_batches() {
        let seen = Cell::new(u64::MAX);
        let batch = |k| {
            seen.set(seen.get().min(k));
            1.0
        };
        let order = Order {
            recipe: &Recipe::plain(),
            rate: 0.1,
            seed: 7,
            over: 10,
            batch: &batch,
            held_out: None,
            targets: None,
            go_on: &mut || true,
        };
        assert_eq!(run(&|_| weight(1.0), &costs, order).unwrap().held, None);
        assert_eq!(seen.get(), 70);
    }

    #[test]
    fn only_its_own_guard_and_what_it_computed_may_halt_a_run() {
        let halted = |reading: Reading, by: &str| {
            let report = Report::rejected(reading, 1.0, Verdict::Halt, by.into(), 1, Vec::new());
            Halted::new(weight(1.0), report)
        };
        let guarded = |safety| Recipe { safety, ..Recipe::plain() };
        let fine = || Reading::new(3).with_loss(1.0);
        let spike = || halted(fine(), "LossSpike: 1 is far above 0.1");
        assert!(ended(&guarded(Safety::Spikes), &spike()).is_ok());
        assert!(ended(&guarded(Safety::Recommended), &spike()).is_ok());
        assert!(ended(&guarded(Safety::Bare), &spike()).is_err());
        assert!(ended(&guarded(Safety::Spikes), &halted(fine(), "the disk is full")).is_err());
        let broken = Reading { fault: Some(Fault::Loss), ..fine() };
        assert!(ended(&guarded(Safety::Bare), &halted(broken, "non-finite loss")).is_ok());
    }
}
