//! Weights in half precision: what small steps come to, with `f32` weights behind them and without.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};
use evenkeel::bound::Direction;
use evenkeel::checkpoint::Checkpoint;
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::{
    Adam, AdamW, Cautious, Lookahead, MasterWeights, Momentum, ScheduleFreeAdamW, Sgd, TrustRatio,
};
use evenkeel::precision::LossScale;
use evenkeel::{Builder, Decide, Keel};

use crate::common::bounds::told;
use crate::common::{bits, on_every_device};

struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let grad = param.is_require_grad();
        param.map(|t| t.detach().cast(self.0).detach().set_require_grad(grad))
    }
}

/// One layer without bias, of two weights.
fn layer(weights: [f32; 2], dtype: DType, device: &Device) -> Linear {
    let mut model: Linear = LinearConfig::new(2, 1).with_bias(false).init(device);
    let data = TensorData::new(weights.to_vec(), [2, 1]);
    model.weight =
        model.weight.map(|_| Tensor::from_data(data, (device, DType::F32)).require_grad());
    model.map(&mut Cast(dtype))
}

fn weights(model: &Linear) -> [f64; 2] {
    let data = model.weight.val().into_data().convert::<f64>();
    let values: Vec<f64> = data.iter().collect();
    [values[0], values[1]]
}

fn gradient(model: &Linear, values: [f32; 2]) -> GradientsParams {
    let device = model.weight.val().inner().device();
    let grad =
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2, 1]), (&device, DType::F32));
    let mut grads = GradientsParams::new();
    grads.register(model.weight.id, grad.cast(model.weight.val().dtype()));
    grads
}

fn one(device: &Device) -> Tensor<1> {
    Tensor::from_floats([1.0], &device.clone().inner())
}

/// Steps along one gradient; the model at the end, and what the keel had to tell.
fn stepped(
    builder: Builder<Linear>,
    mut model: Linear,
    (rate, grad, steps): (f64, [f32; 2], usize),
) -> (Linear, Vec<String>) {
    let mut keel = builder.build(&model).unwrap();
    let loss = one(&model.weight.val().device());
    let mut told = Vec::new();
    for _ in 0..steps {
        let grads = gradient(&model, grad);
        let stepped = keel.step(rate, model, grads, &loss).unwrap();
        assert!(stepped.report.is_applied(), "{}", stepped.report);
        told.extend(stepped.report.notices);
        model = stepped.model;
    }
    (model, told)
}

/// 100 steps of 2⁻¹⁰ each, of which none is seen by a weight of 1 in `bf16`, whose digits are 2⁻⁸ and 2⁻⁷ apart.
#[test]
fn small_steps_add_up_only_with_weights_in_single_precision() {
    on_every_device(|device| {
        if !device.clone().inner().supports_dtype(DType::BF16) {
            return;
        }
        let start = || layer([1.0, -1.0], DType::BF16, device);
        let asked = (f64::powi(2.0, -10), [1.0, -1.0], 128);
        let (stuck, told) = stepped(Keel::wrap(SgdConfig::new().init()), start(), asked);
        assert_eq!(weights(&stuck), [1.0, -1.0]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("updates are lost in the rounding of half precision: 100 %"));
        let (stuck, told) = stepped(Keel::wrap(Sgd::new()), start(), asked);
        assert_eq!((weights(&stuck), told.len()), ([1.0, -1.0], 1));

        let burns = || MasterWeights::new(SgdConfig::new().init());
        let ours = || MasterWeights::new(Sgd::new());
        for builder in [Keel::wrap(burns()), Keel::wrap(ours())] {
            let (moved, told) = stepped(builder, start(), asked);
            assert_eq!((weights(&moved), told.len()), ([0.875, -0.875], 0));
            assert_eq!(moved.weight.val().dtype(), DType::BF16);
            assert!(moved.weight.val().is_require_grad());
        }
    });
}

/// Weights in `f32` are those of a run in `f32`, and the model has them rounded.
#[test]
fn the_model_is_that_of_single_precision_rounded() {
    on_every_device(|device| {
        if !device.clone().inner().supports_dtype(DType::F16) {
            return;
        }
        let start = |dtype| layer([0.3, -0.7], dtype, device);
        let asked = (0.003, [0.25, -0.5], 50);
        // What is in half precision from the start is rounded there.
        let single = start(DType::F16).map(&mut Cast(DType::F32));
        let wrapped: [(Builder<Linear>, Builder<Linear>); 3] = [
            (
                Keel::wrap(MasterWeights::new(AdamConfig::new().init())),
                Keel::wrap(AdamConfig::new().init()),
            ),
            (Keel::wrap(MasterWeights::new(AdamW::new())), Keel::wrap(AdamW::new())),
            (
                Keel::wrap(MasterWeights::new(ModuleOptimizer::from(TrustRatio::new(Adam::new())))),
                Keel::wrap(ModuleOptimizer::from(TrustRatio::new(Adam::new()))),
            ),
        ];
        for (half, full) in wrapped {
            let (half, _) = stepped(half, start(DType::F16), asked);
            let (full, _) = stepped(full, single.clone(), asked);
            assert_eq!(bits(&half), bits(&full.map(&mut Cast(DType::F16))));
        }
    });
}

/// A gradient of 2⁻²⁶ is 0 in `f16`. Scaled it is not, and is not to become so when the scale is divided out.
#[test]
fn what_the_loss_scale_has_kept_reaches_burns_optimizers() {
    on_every_device(|device| {
        if !device.clone().inner().supports_dtype(DType::F16) {
            return;
        }
        let scale = || LossScale::fixed(65536.0).unwrap();
        let scaled = f32::powi(2.0, -10);
        let asked = (f64::powi(2.0, 15), [scaled, -scaled], 1);
        let moved = 1.0 - f64::powi(2.0, -11);
        let start = || layer([1.0, -1.0], DType::F16, device);
        let keel = Keel::wrap(MasterWeights::new(SgdConfig::new().init())).loss_scale(scale());
        assert_eq!(weights(&stepped(keel, start(), asked).0), [moved, -moved]);
        let keel = Keel::wrap(SgdConfig::new().init()).loss_scale(scale());
        assert_eq!(weights(&stepped(keel, start(), asked).0), [1.0, -1.0]);
    });
}

#[test]
fn what_is_changed_from_outside_is_gone_on_with() {
    let device = Device::flex().autodiff();
    let mut model = layer([1.0, -1.0], DType::BF16, &device);
    let mut keel = Keel::wrap(MasterWeights::new(Sgd::new())).build(&model).unwrap();
    let tiny = f64::powi(2.0, -10);
    for _ in 0..3 {
        let grads = gradient(&model, [1.0, -1.0]);
        model = keel.step(tiny, model, grads, &one(&device)).unwrap().model;
    }
    // One of two, between steps; the other keeps what has not yet shown.
    let outside = layer([4.0, weights(&model)[1] as f32], DType::BF16, &device).weight.val();
    model.weight = model.weight.map(|_| outside.detach().require_grad());
    for _ in 0..61 {
        let grads = gradient(&model, [0.0, -1.0]);
        model = keel.step(tiny, model, grads, &one(&device)).unwrap().model;
    }
    assert_eq!(weights(&model), [4.0, -1.0 + 64.0 * tiny]);
}

/// Past its range `f16` stops at the end of it, whatever the optimizer proves of `f32`.
#[test]
fn half_precision_does_not_overflow() {
    let device = Device::flex().autodiff();
    let model = layer([6e4, -6e4], DType::F16, &device);
    for rate in [1e4, 1e29] {
        let keel = Keel::wrap(MasterWeights::new(Sgd::new()));
        let (after, _) = stepped(keel, model.clone(), (rate, [-200.0, 200.0], 3));
        assert_eq!(weights(&after), [65504.0, -65504.0], "{rate}");
    }
}

/// Where the device decides, a dropped step leaves no trace in the weights either.
#[test]
fn dropped_steps_are_taken_back_exactly() {
    on_every_device(|device| {
        if !device.clone().inner().supports_dtype(DType::F16) {
            return;
        }
        let start = layer([0.3, -0.7], DType::F16, device);
        let run = |builder: Builder<Linear>, broken: bool| {
            let mut model = start.clone();
            let mut keel = builder
                .clip(GlobalNorm::at_most(0.25).unwrap())
                .decide(Decide::OnDevice { every: 3 })
                .build(&model)
                .unwrap();
            for step in 0..9 {
                if broken && step % 2 == 1 {
                    let grads = gradient(&model, [f32::NAN, 1.0]);
                    model = keel.step(1e-4, model, grads, &one(device)).unwrap().model;
                }
                let grads = gradient(&model, [0.25 + 0.01 * step as f32, -0.5]);
                model = keel.step(1e-4, model, grads, &one(device)).unwrap().model;
            }
            model = keel.flush(1e-4, model).unwrap().model;
            assert_eq!(keel.updates(), 9);
            (bits(&model), keel.checkpoint(&model).unwrap())
        };
        let adam = || Keel::wrap(MasterWeights::new(Adam::new()));
        let (clean, saved) = run(adam(), false);
        let (dropped, after) = run(adam(), true);
        assert_eq!(clean, dropped);
        let differences = after.differences(&saved);
        assert!(differences.iter().all(|name| !name.contains("optimizer")), "{differences:?}");
        // Descent has no state, so that Burn's is exact too: in the weights of this crate.
        let sgd = || Keel::wrap(MasterWeights::new(SgdConfig::new().init()));
        let (clean, saved) = run(sgd(), false);
        let (dropped, after) = run(sgd(), true);
        assert_eq!(clean, dropped);
        let differences = after.differences(&saved);
        assert!(differences.iter().all(|name| !name.contains("weights")), "{differences:?}");
    });
}

#[test]
fn a_resumed_run_has_what_does_not_show_in_the_model() {
    let device = Device::flex().autodiff();
    for make in [
        || Keel::wrap(MasterWeights::new(AdamW::new())),
        || Keel::wrap(MasterWeights::new(AdamConfig::new().init())),
    ] {
        let mut model = layer([0.3, -0.7], DType::BF16, &device);
        let mut keel = make().build(&model).unwrap();
        let step = |keel: &mut Keel<Linear>, model: Linear, k: usize| {
            let grads = gradient(&model, [0.25, -0.5 + 0.1 * k as f32]);
            keel.step(1e-4, model, grads, &one(&device)).unwrap().model
        };
        for k in 0..5 {
            model = step(&mut keel, model, k);
        }
        let bytes = keel.checkpoint(&model).unwrap().into_bytes().unwrap();
        let saved = Checkpoint::from_bytes(&bytes).unwrap();
        let fresh = layer([9.0, 9.0], DType::BF16, &device);
        let mut again = make().build(&fresh).unwrap();
        let mut resumed = again.resume(&fresh, &saved).unwrap();
        for k in 5..40 {
            model = step(&mut keel, model, k);
            resumed = step(&mut again, resumed, k);
            assert_eq!(bits(&model), bits(&resumed), "step {k}");
        }
        let saved = again.checkpoint(&resumed).unwrap();
        assert!(saved.differences(&keel.checkpoint(&model).unwrap()).is_empty());

        // One of another shape is refused.
        let other: Linear = LinearConfig::new(3, 1).with_bias(false).init(&device);
        let other = other.map(&mut Cast(DType::BF16));
        assert!(make().build(&other).unwrap().resume(&other, &saved).is_err());
    }
}

/// Burn loads what its optimizers have saved in the default type of the device: said, and not gone on with.
#[test]
fn burns_optimizers_are_not_resumed_in_half_precision() {
    let device = Device::flex().autodiff();
    let mut model = layer([0.3, -0.7], DType::BF16, &device);
    let mut keel = Keel::wrap(AdamConfig::new().init()).build(&model).unwrap();
    let grads = gradient(&model, [0.25, -0.5]);
    model = keel.step(1e-2, model, grads, &one(&device)).unwrap().model;
    let saved = keel.checkpoint(&model).unwrap();
    let error = keel.resume(&model, &saved).unwrap_err().to_string();
    assert!(error.contains("with `optim::MasterWeights` around them"), "{error}");
}

#[test]
fn what_is_evaluated_is_in_the_types_of_the_model() {
    let device = Device::flex().autodiff();
    let model = layer([0.3, -0.7], DType::BF16, &device);
    let mut keel = Keel::wrap(MasterWeights::new(ScheduleFreeAdamW::new())).build(&model).unwrap();
    let mut single = Keel::wrap(ScheduleFreeAdamW::new());
    let twin = model.clone().map(&mut Cast(DType::F32));
    let mut single = {
        single = single.skips_at_most(1);
        single.build(&twin).unwrap()
    };
    let (mut model, mut twin) = (model, twin);
    for _ in 0..8 {
        let grads = gradient(&model, [0.25, -0.5]);
        model = keel.step(0.05, model, grads, &one(&device)).unwrap().model;
        let grads = gradient(&twin, [0.25, -0.5]);
        twin = single.step(0.05, twin, grads, &one(&device)).unwrap().model;
    }
    let evaluated = single.eval_model(&twin).map(&mut Cast(DType::BF16));
    assert_eq!(bits(&keel.eval_model(&model)), bits(&evaluated));
    assert_ne!(bits(&keel.eval_model(&model)), bits(&model));
}

/// Steps of 0.01 are nothing to a weight of 100 in `bf16`, and steps of its own size are.
#[test]
fn wrappers_read_steps_that_half_precision_rounds_away() {
    let device = Device::flex().autodiff();
    let start = || layer([100.0, -100.0], DType::BF16, &device);
    let asked = (0.01, [1.0, -1.0], 1);
    let lamb = ModuleOptimizer::from(TrustRatio::new(Adam::new()));
    let (after, _) = stepped(Keel::wrap(lamb), start(), asked);
    assert_eq!(weights(&after), [99.0, -99.0]);
    // Half of the gradient's elements point the other way than the momentum; the rest is doubled.
    let cautious = ModuleOptimizer::from(Cautious::new(Momentum::new(0.9).unwrap()));
    let mut keel = Keel::wrap(cautious).build(&start()).unwrap();
    let mut model = start();
    for grad in [[16.0, -16.0], [-8.0, -16.0]] {
        let grads = gradient(&model, grad);
        model = keel.step(0.0078125, model, grads, &one(&device)).unwrap().model;
    }
    // By 0.125 and 0.2375, of which the latter is doubled: 0.125 alone is less than half of a digit.
    assert_eq!(weights(&model), [100.0, -99.5]);
}

#[test]
fn slow_weights_are_kept_in_single_precision() {
    let device = Device::flex().autodiff();
    let lookahead = Lookahead::new(1, 0.25, Sgd::new()).unwrap();
    let keel = Keel::wrap(ModuleOptimizer::from(lookahead));
    // Each update goes a digit ahead, of which a quarter is taken.
    let asked = (f64::powi(2.0, -8), [1.0, -1.0], 4);
    let (after, _) = stepped(keel, layer([1.0, -1.0], DType::BF16, &device), asked);
    assert_eq!(weights(&after), [1.0 - f64::powi(2.0, -8), -1.0 + f64::powi(2.0, -8)]);
}

/// Burn's optimizers square a gradient in its own type, where 256² overflows: such a step is dropped, wherever it is
/// decided. What counts is the gradient that reaches the optimizer, with the loss scale divided out.
#[test]
fn a_gradient_without_a_square_in_half_precision_is_dropped() {
    on_every_device(|device| {
        if !device.clone().inner().supports_dtype(DType::F16) {
            return;
        }
        for decide in [Decide::Now, Decide::OnDevice { every: 1 }] {
            for (norm, scale, applied) in
                [(200.0, 1.0, true), (300.0, 1.0, false), (800.0, 4.0, true), (1200.0, 4.0, false)]
            {
                let model = layer([0.3, -0.7], DType::F16, device);
                let before = bits(&model);
                let scaled = LossScale::fixed(scale).unwrap();
                let keel = Keel::wrap(AdamConfig::new().init()).loss_scale(scaled).decide(decide);
                let mut keel = keel.build(&model).unwrap();
                let grads = gradient(&model, [norm, 0.0]);
                let loss = one(&model.weight.val().device()) * scale as f32;
                let stepped = keel.step(0.01, model, grads, &loss).unwrap();
                let case = format!("{decide:?}, {norm} at {scale}: {}", stepped.report);
                assert_eq!(stepped.report.is_applied(), applied, "{case}");
                assert_eq!(bits(&stepped.model) != before, applied, "{case}");
            }
        }
    });
}

/// How much is lost is looked at in update 16 for the first time.
#[test]
fn lost_updates_are_told_of_at_once_and_not_before_they_can_be_judged() {
    let device = Device::flex().autodiff();
    // At a rate of 0 nothing is lost.
    for rate in [f64::powi(2.0, -10), 0.0] {
        let mut model = layer([1.0, -1.0], DType::BF16, &device);
        let mut keel = Keel::wrap(SgdConfig::new().init()).build(&model).unwrap();
        for update in 0..20 {
            let grads = gradient(&model, [1.0, -1.0]);
            let stepped = keel.step(rate, model, grads, &one(&device)).unwrap();
            model = stepped.model;
            let told = update == 16 && rate > 0.0;
            assert_eq!(stepped.report.notices.len(), usize::from(told), "{rate} {update}");
        }
    }
}

/// At 5, digits of `bf16` are 2⁻⁵ apart: a step of 0.01 is lost there, and one of 0.1 is not. The weights are taken to
/// be stepped like the bias, which shows both.
#[test]
fn a_step_that_is_lost_in_the_trial_is_like_the_others() {
    let device = Device::flex().autodiff();
    let model: Linear = LinearConfig::new(3, 2).init(&device);
    let fill = |x: f32| move |t: Tensor<2>| (t.detach() * 0.0 + x).detach().require_grad();
    let mut model = Linear { weight: model.weight.map(fill(5.0)), ..model };
    model.bias = model.bias.map(|b| b.map(|t| (t.detach() * 0.0).detach().require_grad()));
    let model = model.map(&mut Cast(DType::BF16));
    for of in told(Keel::wrap(Momentum::new(0.9).unwrap()), &model) {
        assert!(matches!(of.direction, Some(Direction::Gradient { .. })), "{of:?}");
    }
    for of in told(Keel::wrap(Adam::new()), &model) {
        assert!(matches!(of.direction, Some(Direction::Normalized { .. })), "{of:?}");
    }
}
