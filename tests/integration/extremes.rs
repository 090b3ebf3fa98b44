//! Numbers whose squares are no numbers: norms at both ends of the range.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::clip::PNorm;
use evenkeel::optim::{Adam, AdaptiveClip, Lars, Momentum, Sam, Sgd, TrustRatio};
use evenkeel::schedule::{Ramp, Schedule};
use evenkeel::{Keel, Reading, Verdict};

use crate::common::on_every_device;

fn layer(weights: [f32; 2], device: &Device) -> Linear {
    let mut model: Linear = LinearConfig::new(2, 1).with_bias(false).init(device);
    let data = TensorData::new(weights.to_vec(), [2, 1]);
    model.weight = model.weight.map(|_| Tensor::from_data(data, device).require_grad());
    model
}

fn weights(model: &Linear) -> [f64; 2] {
    let data = model.weight.val().into_data().convert::<f64>();
    let values: Vec<f64> = data.iter().collect();
    [values[0], values[1]]
}

fn gradient(model: &Linear, values: [f32; 2]) -> GradientsParams {
    let device = model.weight.val().inner().device();
    let grad = Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2, 1]), &device);
    let mut grads = GradientsParams::new();
    grads.register(model.weight.id, grad);
    grads
}

/// The weights after one step of a whole-model optimizer, without a keel.
fn after(mut optimizer: ModuleOptimizer, model: Linear, rate: f64, grad: [f32; 2]) -> [f64; 2] {
    let grads = gradient(&model, grad);
    weights(&optimizer.step(rate, model, grads))
}

fn close(got: [f64; 2], expected: [f64; 2], what: &str) {
    for (got, expected) in got.into_iter().zip(expected) {
        let off = (got - expected).abs();
        assert!(off <= 1e-5 * expected.abs(), "{what}: {got} for {expected}");
    }
}

/// (3, 4) and (0.6, 0.8), whose lengths are 5 and 1, times these.
const SIZES: [f32; 7] = [1e-38, 1e-30, 1e-22, 1.0, 1e18, 1e25, 1e37];

#[test]
fn a_clipped_unit_is_as_long_as_it_may_be() {
    on_every_device(|device| {
        for size in SIZES.into_iter().filter(|size| *size > 1e-36) {
            // At most a hundredth of the gradient. A rule takes no element as more than 9e18.
            let share = f64::from(size).min(1.0) * 0.05;
            let clip = AdaptiveClip::new(share, Sgd::new()).unwrap();
            let model = layer([0.6, 0.8], device);
            let rate = 0.1 / share;
            let rate = if rate < 1e38 { rate } else { 1e38 };
            let got = after(ModuleOptimizer::from(clip), model, rate, [3.0 * size, 4.0 * size]);
            let step = rate * share;
            close(got, [0.6 - 0.6 * step, 0.8 - 0.8 * step], &format!("{size}"));
        }
    });
}

#[test]
fn ratios_are_those_of_lengths() {
    on_every_device(|device| {
        for size in SIZES {
            // LARS: the gradient becomes a tenth of the weights' length, so that a rate of 1 takes a tenth.
            let lars = ModuleOptimizer::from(Lars::new(0.1, Sgd::new()).unwrap());
            let got = after(lars, layer([6.0, 8.0], device), 1.0, [3.0 * size, 4.0 * size]);
            close(got, [5.4, 7.2], &format!("LARS, {size}"));
        }
        for size in SIZES.into_iter().filter(|size| *size < 1e19 && *size > 1e-36) {
            // LAMB: a step of a tenth of the weights, which are as small or as large as the gradient.
            let lamb = ModuleOptimizer::from(TrustRatio::new(Sgd::new()));
            let model = layer([6.0 * size, 8.0 * size], device);
            let got = after(lamb, model, 0.1, [3.0 * size, 4.0 * size]);
            let size = f64::from(size);
            close(got, [5.4 * size, 7.2 * size], &format!("LAMB, {size}"));
        }
        // Of nothing there is no ratio: the step is as it was.
        let lamb = ModuleOptimizer::from(TrustRatio::new(Sgd::new()));
        close(after(lamb, layer([0.0, 0.0], device), 0.5, [1.0, 2.0]), [-0.5, -1.0], "LAMB at 0");
        let lars = ModuleOptimizer::from(Lars::new(0.1, Sgd::new()).unwrap());
        close(after(lars, layer([0.0, 0.0], device), 0.5, [1.0, 2.0]), [-0.5, -1.0], "LARS at 0");
        let lars = ModuleOptimizer::from(Lars::new(0.1, Sgd::new()).unwrap());
        close(
            after(lars, layer([1.0, 2.0], device), 0.5, [0.0, 0.0]),
            [1.0, 2.0],
            "LARS, no gradient",
        );
    });
}

#[test]
fn the_way_uphill_is_of_one_length() {
    on_every_device(|device| {
        for size in SIZES {
            let model = layer([0.6, 0.8], device);
            let grads = gradient(&model, [3.0 * size, 4.0 * size]);
            let uphill = Sam::new(0.5).unwrap().perturbed(&model, &grads);
            close(weights(&uphill), [0.9, 1.2], &format!("{size}"));
        }
        let model = layer([0.6, 0.8], device);
        let uphill = Sam::new(0.5).unwrap().perturbed(&model, &gradient(&model, [0.0, 0.0]));
        close(weights(&uphill), [0.6, 0.8], "no gradient");
    });
}

/// Of elements that `f32` holds with few digits only the norm has few digits, and is not another.
#[test]
fn other_norms_are_those_of_small_elements_too() {
    let device = Device::flex().autodiff();
    let model = layer([0.6, 0.8], &device);
    for size in [1e-42f32, 1e-39, 1e-30, 1.0, 1e12] {
        let mut keel =
            Keel::wrap(Sgd::new()).clip(PNorm::new(3.0, 1e30).unwrap()).build(&model).unwrap();
        let loss = Tensor::<1>::from_floats([1.0], &device.clone().inner());
        let grads = gradient(&model, [3.0 * size, 4.0 * size]);
        let stepped = keel.step(0.0, model.clone(), grads, &loss).unwrap();
        let got = stepped.report.reading.p_norm(3.0).unwrap();
        let expected = f64::from(size) * (27.0f64 + 64.0).cbrt();
        assert!((got / expected - 1.0).abs() < 2e-3, "{size}: {got} for {expected}");
    }
}

/// A moment that nothing is added to ends at 0, and not at the least number that there is.
#[test]
fn moments_do_not_stay_denormal() {
    let device = Device::flex().autodiff();
    let run = |keel: evenkeel::Builder<Linear>, name: &str| {
        let mut model = layer([0.6, 0.8], &device);
        let mut keel = keel.build(&model).unwrap();
        let loss = Tensor::<1>::from_floats([1.0], &device.clone().inner());
        for step in 0..1200 {
            let grads = gradient(&model, if step == 0 { [1e-3, -1e-3] } else { [0.0, 0.0] });
            model = keel.step(1e-3, model, grads, &loss).unwrap().model;
        }
        let saved = keel.checkpoint(&model).unwrap().into_bytes().unwrap();
        // The least denormal number, which such a moment stays at.
        let least = [1u8, 0, 0, 0, 1, 0, 0, 128];
        let negative = [1u8, 0, 0, 128, 1, 0, 0, 0];
        let found = saved.windows(8).any(|bytes| bytes == least || bytes == negative);
        assert!(!found, "{name}");
    };
    run(Keel::wrap(Adam::new()), "Adam");
    run(Keel::wrap(Momentum::new(0.9).unwrap()), "Momentum");
}

/// A curve of a user's may fail; what the optimizer has learned is not lost by it.
#[test]
fn a_curve_that_panics_costs_nothing() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    let device = Device::flex().autodiff();
    let broken = Arc::new(AtomicBool::new(false));
    let switch = broken.clone();
    let ramp = Ramp::new(0.5, 0.9, 10).unwrap();
    let adam = Adam::new()
        .beta_1(move |update: u64| {
            assert!(!switch.load(Relaxed), "a curve that fails");
            ramp.at(update)
        })
        .unwrap();
    let start = vec![layer([0.6, 0.8], &device), layer([0.1, 0.2], &device)];
    let gradients = |model: &Vec<Linear>, k: usize| {
        let x = Tensor::<2>::full([1, 2], 1.0 + k as f64, &device);
        let loss = (model[0].forward(x.clone()) * 3.0 + model[1].forward(x)).powi_scalar(2).mean();
        (GradientsParams::from_grads(loss.backward(), model), loss)
    };
    let mut optimizer = evenkeel::optim::ParamGroups::new(adam);
    let mut model = start;
    for k in 0..3 {
        let grads = gradients(&model, k).0;
        model = optimizer.step(0.01, model, grads);
    }
    use evenkeel::optim::ModelOptimizer;
    let state = |optimizer: &evenkeel::optim::ParamGroups| {
        ModelOptimizer::<Vec<Linear>>::state(optimizer).unwrap()
    };
    let before = state(&optimizer);
    broken.store(true, Relaxed);
    let grads = gradients(&model, 3).0;
    let failed = catch_unwind(AssertUnwindSafe(|| {
        let args = evenkeel::optim::StepArgs::new(0.01, 1.0, 100.0);
        ModelOptimizer::update(&mut optimizer, args, model.clone(), grads)
    }));
    assert!(failed.is_err());
    assert_eq!(state(&optimizer), before);
    broken.store(false, Relaxed);
    let grads = gradients(&model, 3).0;
    let _ = optimizer.step(0.01, model, grads);
}

#[test]
fn readings_of_nothing_and_of_everything_are_no_faults() {
    let now = Reading::new(0).with_grad_norm(0.0);
    use evenkeel::clip::Clip;
    let mut clip = evenkeel::clip::ZScore::default().warmup(2).unwrap();
    for norm in [0.0, 0.0, 0.0] {
        clip.record(&Reading::new(0).with_grad_norm(norm), Verdict::Apply);
    }
    assert_eq!(clip.factor(&now), 1.0);
    assert!(clip.factor(&Reading::new(0).with_grad_norm(1e-12)).is_finite());
    let _ = layer([0.0, 0.0], &Device::flex().autodiff()).valid();
}
