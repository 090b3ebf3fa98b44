//! Short runs of a copy of the model.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor, TensorData};

use super::alive::Alive;
use super::{LossCurve, ShortRun, ShortSweep};
use crate::monitor::Layout;
use crate::optim::IntoModelOptimizer;
use crate::random::{GOLDEN, mix, unit};
use crate::tied::{apart, tie};
use crate::widen::widened;
use crate::{Error, Fault, Keel, Report, Verdict, monitor};

/// Performs a short run at the constant rate `run.rate` on a copy of `model` with the given optimizer, on the
/// batches from `run.first` on. Returns the loss before each of the `run.over` updates, and whether the network
/// [died](LossCurve). The run ends early at the first update that is not made because something was not finite,
/// with a last loss of infinity; at a [hopeless](ShortRun::is_hopeless) loss; and when it is
/// [stopped](ShortRun::go_on).
///
/// `batch` returns the batch with a given index, so no position in the data changes. The model's parameters and
/// BatchNorm running statistics stay unchanged, and the optimizer is a copy of the caller's, including its state.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use evenkeel::finder::{StableRate, short_run};
/// use evenkeel::optim::Sgd;
///
/// let model = LinearConfig::new(1, 1).with_bias(false).init(&Device::default().autodiff());
/// let before = model.weight.val().into_data();
/// let loss = |model: &Linear, _: u64| model.weight.val().powi_scalar(2).mean();
///
/// let search = StableRate::new(10)?.seeds(1)?.between(0.1, 10.0)?;
/// let found = search.find(|run| short_run(&model, Sgd::new(), run, |k| k, loss))?;
/// // Descent on `w²` is stable below a rate of 1.
/// assert!((found.rate().unwrap() - 1.0).abs() < 0.05);
/// assert_eq!(model.weight.val().into_data(), before);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Initial weights
/// Seed 0 starts from the weights of `model`. Every other seed starts, for every element of every trainable
/// parameter, from
///
/// ```text
/// w·(1 + u/100)        u uniform in [−1, 1), from the seed and the element's position
/// ```
///
/// which preserves zeros, signs and scales, and what a trained model has learned. Above the edge, where two runs
/// separate exponentially, this is enough to give a different run. It is not another draw of the initial weights:
/// for that, and for an interval over initial weights, use [`fresh_run`].
///
/// # Random numbers
/// The run itself draws no random numbers. A `loss` or a `batch` that does, for dropout say, draws from the
/// device's generator, which Burn can seed but can neither read nor restore: numbers drawn after the search
/// differ from those that would have been drawn without it. If that matters, call `Device::seed` before and
/// after.
///
/// # Errors
/// If the model cannot be trained at all, see [`Builder::build`](crate::Builder::build); if `loss` returns more
/// than one element, or does not depend on the model; and if the device fails, which is not mistaken for
/// divergence.
///
/// # Cost
/// A training run of that many updates, and one additional set of parameters.
pub fn short_run<M, B, By>(
    model: &M,
    optimizer: impl IntoModelOptimizer<M, By>,
    run: &ShortRun<'_>,
    batch: impl Fn(u64) -> B,
    loss: impl Fn(&M, B) -> Tensor<1>,
) -> Result<LossCurve, Error>
where
    M: Module + 'static,
{
    let model = match run.seed {
        0 => apart(model),
        seed => tie(apart(model).map(&mut Vary { seed, places: HashMap::new() })),
    };
    steady(model, optimizer, run, batch, loss)
}

/// Performs a [`short_run`] of a model that `fresh` creates for `run.seed` and that is not perturbed further, so
/// that a [search](super::StableRate) covers initial weights and not a single draw of them.
///
/// `fresh` must return different weights for different seeds, and the same weights for the same seed, because a
/// seed starts over at each rate that is tried. `Device::seed` before the model is created ensures this; it
/// affects the device's generator.
///
/// Everything else is as for [`short_run`].
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use evenkeel::finder::{StableRate, fresh_run};
/// use evenkeel::optim::Sgd;
///
/// let device = Device::default().autodiff();
/// let fresh = |seed: u64| {
///     device.seed(seed);
///     LinearConfig::new(1, 1).with_bias(false).init(&device)
/// };
/// let loss = |model: &Linear, _: u64| model.weight.val().powi_scalar(2).mean();
///
/// let found = StableRate::new(10)?.find(|run| fresh_run(fresh, Sgd::new(), run, |k| k, loss))?;
/// assert_eq!(found.edges().len(), 3);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// As [`short_run`].
///
/// # Cost
/// As [`short_run`], plus creating a model.
pub fn fresh_run<M, B, By>(
    fresh: impl Fn(u64) -> M,
    optimizer: impl IntoModelOptimizer<M, By>,
    run: &ShortRun<'_>,
    batch: impl Fn(u64) -> B,
    loss: impl Fn(&M, B) -> Tensor<1>,
) -> Result<LossCurve, Error>
where
    M: Module + 'static,
{
    steady(apart(&fresh(run.seed)), optimizer, run, batch, loss)
}

/// Performs one sweep of the rate on a copy of `model` with the given optimizer. Returns the loss before each
/// update, and whether the network [died](LossCurve). The sweep ends early at the first update that is not made
/// because something was not finite, with a last loss of infinity; and with the loss that is
/// [lost](ShortSweep::is_lost).
///
/// Every repeat starts from the weights of `model`: create it for `sweep.repeat` if different weights are wanted.
/// Everything else is as for [`short_run`].
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use evenkeel::finder::{LrFinder, short_sweep};
/// use evenkeel::optim::Sgd;
///
/// let model = LinearConfig::new(1, 1).with_bias(false).init(&Device::default().autodiff());
/// let loss = |model: &Linear, _: u64| model.weight.val().powi_scalar(2).mean();
///
/// let test = LrFinder::new(0.1, 100.0)?.over(30)?.repeats(1)?;
/// let found = test.find(|sweep| short_sweep(&model, Sgd::new(), sweep, |k| k, loss))?;
/// // Descent on `w²` diverges above a rate of 1.
/// assert!(found.sweeps()[0].diverged());
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// As [`short_run`].
///
/// # Cost
/// As [`short_run`].
pub fn short_sweep<M, B, By>(
    model: &M,
    optimizer: impl IntoModelOptimizer<M, By>,
    sweep: &ShortSweep,
    batch: impl Fn(u64) -> B,
    loss: impl Fn(&M, B) -> Tensor<1>,
) -> Result<LossCurve, Error>
where
    M: Module + 'static,
{
    let batch = |k: u64| batch(sweep.first.wrapping_add(k));
    let mut watch = sweep.watch();
    let goes_on = |losses: &[f64]| !losses.last().is_some_and(|loss| watch(*loss));
    train(apart(model), optimizer, sweep.over, |k| sweep.rate(k), batch, loss, goes_on)
}

/// Performs a run at a constant rate on the model itself.
fn steady<M, B, By>(
    model: M,
    optimizer: impl IntoModelOptimizer<M, By>,
    run: &ShortRun<'_>,
    batch: impl Fn(u64) -> B,
    loss: impl Fn(&M, B) -> Tensor<1>,
) -> Result<LossCurve, Error>
where
    M: Module + 'static,
{
    let batch = |k: u64| batch(run.first.wrapping_add(k));
    let goes_on = |losses: &[f64]| !run.is_hopeless(losses) && run.go_on(losses.len() as u64);
    train(model, optimizer, run.over, |_| run.rate, batch, loss, goes_on)
}

/// Makes at most `over` updates; `goes_on` is called after each but the last.
fn train<M, B, By>(
    mut model: M,
    optimizer: impl IntoModelOptimizer<M, By>,
    over: u64,
    rate: impl Fn(u64) -> f64,
    batch: impl Fn(u64) -> B,
    loss: impl Fn(&M, B) -> Tensor<1>,
    mut goes_on: impl FnMut(&[f64]) -> bool,
) -> Result<LossCurve, Error>
where
    M: Module + 'static,
{
    let mut alive = Alive::new(weights(&model));
    let mut keel = Keel::wrap(optimizer).skips_at_most(0).build(&model)?;
    let mut losses = Vec::new();
    for k in 0..over {
        let now = loss(&model, batch(k));
        monitor::one_number("loss", &now).map_err(|why| why.of("a short run"))?;
        let grads = GradientsParams::from_grads(now.backward(), &model);
        monitor::any_gradient(&model, &grads).map_err(|why| why.of_function("a short run"))?;
        let report = match keel.step(rate(k), model, grads, &now) {
            Ok(stepped) => {
                model = stepped.model;
                stepped.report
            }
            Err(halted) => {
                let report = halted.report().clone();
                model = halted.into_model();
                report
            }
        };
        if report.verdict != Verdict::Apply {
            diverged(&report)?;
            // If the device failed while the update was checked, the error shows up here.
            monitor::numbers(now)?;
            // This is the effect of the rate: the loss before such an update was sound.
            if report.reading.fault == Some(Fault::Update) {
                losses.push(report.reading.loss);
            }
            losses.push(f64::INFINITY);
            break;
        }
        let reading = &report.reading;
        losses.push(reading.loss);
        alive.push(reading.loss, reading.grad_norm, reading.layers.iter());
        if k + 1 < over && !goes_on(&losses) {
            break;
        }
    }
    Ok(LossCurve { losses, dead_from: alive.dead_from() })
}

/// Returns the paths of the tensors that [count as weights](LossCurve).
fn weights<M: Module>(model: &M) -> Vec<String> {
    let layout = Layout::of(model);
    let paths = |dimensions: usize| -> Vec<String> {
        let trainable = layout.entries().iter().filter(|entry| entry.trainable);
        let of = trainable.filter(|entry| entry.shape.len() >= dimensions);
        of.map(|entry| entry.path.clone()).collect()
    };
    let matrices = paths(2);
    if matrices.is_empty() { paths(0) } else { matrices }
}

/// The maximum share by which [`short_run`] perturbs a weight.
const VARIED: f64 = 0.01;

/// Perturbs the initial weights for another seed.
struct Vary {
    seed: u64,
    /// The index of each parameter visited so far: a shared one must be perturbed identically in all its places.
    places: HashMap<ParamId, u64>,
}

impl ModuleMapper for Vary {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let next = self.places.len() as u64;
        let place = *self.places.entry(param.id).or_insert(next);
        let mut state = mix(self.seed.wrapping_mul(GOLDEN)) ^ mix(place);
        let mut factor = move || {
            state = state.wrapping_add(GOLDEN);
            varied(mix(state))
        };
        param.map(|value| {
            let (dtype, value) = (value.dtype(), value.without_autodiff());
            let factors: Vec<f32> = (0..value.shape().num_elements()).map(|_| factor()).collect();
            let data = TensorData::new(factors, value.shape());
            let factors = Tensor::<D>::from_data(data, (&value.device(), DType::F32));
            let wide = widened(value);
            let factors = factors.cast(wide.dtype());
            Tensor::from_inner((wide * factors).cast(dtype)).require_grad()
        })
    }
}

/// Returns the factor on a weight: between `1 − VARIED`, where all bits are 0, and `1 + VARIED`.
fn varied(bits: u64) -> f32 {
    (1.0 + VARIED * (2.0 * unit(bits) - 1.0)) as f32
}

/// Returns an error unless a run was halted by what it computed, because nothing else says anything about a rate.
pub(crate) fn diverged(report: &Report) -> Result<(), Error> {
    match (report.reading.fault, &report.by) {
        (Some(_), _) => Ok(()),
        (None, by) => Err(Error::io("a short run", by.as_deref().unwrap_or("no reason given"))),
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;
    use crate::Reading;
    use crate::optim::Sgd;

    /// Zeros and frozen parameters are unchanged and shared parameters stay shared; everything else moves by at
    /// most a hundredth.
    #[test]
    fn first_weights_are_varied_and_no_more() {
        let device = Device::flex().autodiff();
        let numbers = |model: &Linear| -> Vec<f32> {
            let weight = model.weight.val().inner().into_data();
            weight.iter::<f32>().collect()
        };
        let with = |value: f32| {
            let mut model: Linear = LinearConfig::new(64, 64).with_bias(false).init(&device);
            let data = TensorData::new(vec![value; 4096], [64, 64]);
            model.weight = model
                .weight
                .map(|w| Tensor::from_data(data, (&w.device(), DType::F32)).require_grad());
            model
        };
        let vary = |seed| Vary { seed, places: HashMap::new() };
        let varied = |seed| numbers(&with(2.0).map(&mut vary(seed)));
        let one = varied(1);
        assert!(one.iter().all(|x| (1.98..=2.02).contains(x)));
        // Uniform in between: the mean, and a spread of 0.02/√3.
        let mean = one.iter().sum::<f32>() / 4096.0;
        let spread = (one.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 4096.0).sqrt();
        assert!((mean - 2.0).abs() < 1e-3 && (spread / 0.011_547 - 1.0).abs() < 0.05);
        assert_eq!(one, varied(1));
        assert_ne!(one, varied(2));
        assert_eq!(numbers(&with(0.0).map(&mut vary(1))), vec![0.0; 4096]);
        let frozen = with(2.0).no_grad();
        assert_eq!(numbers(&frozen.map(&mut vary(1))), vec![2.0; 4096]);
        // Two layers that share one weight, and two with a weight each.
        let (model, other) = (with(2.0), with(2.0));
        let shared = vec![model.clone(), model].map(&mut vary(3));
        assert_eq!(numbers(&shared[0]), numbers(&shared[1]));
        let apart = vec![with(2.0), other].map(&mut vary(3));
        assert_ne!(numbers(&apart[0]), numbers(&apart[1]));
    }

    #[test]
    fn a_factor_rises_with_its_bits() {
        assert_eq!([0, 1 << 63, u64::MAX].map(super::varied), [0.99, 1.0, 1.01]);
    }

    /// The number of updates that were made is passed on, and nothing is asked after the last.
    #[test]
    fn a_run_is_asked_whether_to_go_on_between_its_updates() {
        let model: Linear = LinearConfig::new(1, 1).init(&Device::flex().autodiff());
        let loss = |model: &Linear, (): ()| model.weight.val().powi_scalar(2).sum();
        let asked = std::cell::RefCell::new(Vec::new());
        let go_on = |made: u64| {
            asked.borrow_mut().push(made);
            true
        };
        let run = ShortRun { rate: 0.1, over: 3, seed: 0, first: 0, go_on: &go_on };
        assert_eq!(short_run(&model, Sgd::new(), &run, |_| (), loss).unwrap().losses.len(), 3);
        assert_eq!(asked.take(), [1, 2]);
    }

    /// A weight used in two places has one gradient, the sum of both, whichever seed the run has.
    #[test]
    fn what_is_shared_is_trained_as_one() {
        let device = Device::flex().autodiff();
        let layer: Linear = LinearConfig::new(1, 1).with_bias(false).init(&device);
        let model = vec![layer.clone(), layer];
        let loss = |model: &Vec<Linear>, (): ()| {
            let x = Tensor::<2>::ones([1, 1], &device);
            (model[0].forward(x.clone() * 3.0) + model[1].forward(x)).sum()
        };
        for seed in [0, 1] {
            let run = ShortRun { rate: 0.125, over: 3, seed, first: 0, go_on: &|_| true };
            let losses = short_run(&model, Sgd::new(), &run, |_| (), loss).unwrap().losses;
            for pair in losses.windows(2) {
                assert!((pair[0] - pair[1] - 2.0).abs() < 1e-5, "{losses:?}");
            }
        }
    }

    /// Matrices are weights; in a model without any, all trainable parameters are.
    #[test]
    fn weights_are_what_has_two_dimensions() {
        let device = Device::flex().autodiff();
        let model: Linear = LinearConfig::new(2, 2).init(&device);
        assert_eq!(weights(&model), ["weight"]);
        let mut biased: Linear = LinearConfig::new(2, 2).init(&device);
        biased.weight = biased.weight.no_grad();
        assert_eq!(weights(&biased), ["bias"]);
        assert!(weights(&model.no_grad()).is_empty());
    }

    #[test]
    fn a_failing_device_is_no_divergence() {
        let halted = |reading: Reading| {
            let why = "reading the steps' numbers from the device: it is gone".to_string();
            Report::rejected(reading, 1.0, Verdict::Halt, why, 0, Vec::new())
        };
        // The report of a keel when a reading fails, and when one is bad.
        let error = diverged(&halted(Reading::new(3).with_lr(0.1))).unwrap_err();
        assert!(error.is_io() && error.to_string().contains("it is gone"));
        assert!(diverged(&halted(Reading::new(3).with_loss(f64::NAN))).is_ok());
        let mut update = Reading::new(3);
        update.fault = Some(Fault::Update);
        assert!(diverged(&halted(update)).is_ok());
    }
}
