//! Loss scaling: invisible where it is not needed, and in half precision the difference between
//! learning and not.

use crate::common::{Batch, Net, bits, noise, on_every_device};
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, SgdConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};
use evenkeel::bound::DeepRelativeTrust;
use evenkeel::clip::GlobalNorm;
use evenkeel::guard::LossSpike;
use evenkeel::precision::LossScale;
use evenkeel::{Fault, Keel, Verdict};

/// Gradients of the scaled loss, as a loop makes them.
fn scaled(keel: &Keel<Net>, net: &Net, batch: Batch) -> (Tensor<1>, GradientsParams) {
    let loss = net.loss(batch);
    let backward = (loss.clone() * keel.loss_scale()).backward();
    let grads = GradientsParams::from_grads(backward, net);
    (loss, grads)
}

/// A power of two changes no digit of a float: readings, clipping and updates are the same bits.
#[test]
fn a_scaled_run_is_the_unscaled_one_bit_by_bit() {
    on_every_device(|device| {
        let start = Net::new(device);
        let (mut net, mut twin) = (start.twin(), start.twin());
        let build = |net: &Net| {
            Keel::wrap(AdamConfig::new().init())
                .clip(GlobalNorm::at_most(0.2).unwrap())
                .guard(LossSpike::default())
                .loss_scale(LossScale::dynamic().start(1.0).unwrap().growth(4.0, 2).unwrap())
                .build(net)
                .unwrap()
        };
        let mut keel = build(&net);
        let mut plain = Keel::wrap(AdamConfig::new().init())
            .clip(GlobalNorm::at_most(0.2).unwrap())
            .guard(LossSpike::default())
            .build(&twin)
            .unwrap();
        for k in 0..10 {
            let (loss, grads) = scaled(&keel, &net, Batch::number(k, device));
            let stepped = keel.step(0.1, net, grads, &loss).unwrap();
            let (loss, grads) = twin.backward(Batch::number(k, device));
            let unscaled = plain.step(0.1, twin, grads, &loss).unwrap();
            assert_eq!(stepped.report.reading, unscaled.report.reading);
            assert_eq!(stepped.report.factor, unscaled.report.factor);
            assert!(stepped.report.is_clipped());
            (net, twin) = (stepped.model, unscaled.model);
            assert_eq!(bits(&net), bits(&twin), "update {k}");
        }
        assert_eq!(keel.loss_scale(), 1024.0);
    });
}

#[test]
fn overflows_lower_the_scale_and_are_not_held_against_the_run() {
    on_every_device(|device| {
        let start = Net::new(device);
        let (mut net, mut twin) = (start.twin(), start.twin());
        let mut keel = Keel::wrap(SgdConfig::new().init())
            .loss_scale(LossScale::dynamic().start(f64::powi(2.0, 120)).unwrap())
            .skips_at_most(0)
            .build(&net)
            .unwrap();
        let mut plain = Keel::wrap(SgdConfig::new().init()).build(&twin).unwrap();
        let mut skips = 0;
        for k in 0..5 {
            loop {
                let before = bits(&net);
                let (loss, grads) = scaled(&keel, &net, Batch::number(k, device));
                let stepped = keel.step(0.1, net, grads, &loss).unwrap();
                net = stepped.model;
                if stepped.report.is_applied() {
                    break;
                }
                assert_eq!(stepped.report.rejected, 0);
                assert!(stepped.report.by.unwrap().starts_with("overflow at loss scale"));
                assert_eq!(bits(&net), before);
                skips += 1;
            }
            let (loss, grads) = twin.backward(Batch::number(k, device));
            twin = plain.step(0.1, twin, grads, &loss).unwrap().model;
            assert_eq!(bits(&net), bits(&twin), "update {k}");
        }
        // Norms near 1 and squares below 2^128: the scale comes down to about 2^63.
        assert!((40..70).contains(&skips), "{skips}");
    });
}

#[test]
fn an_overflow_that_no_scale_cures_ends_in_a_halt_with_the_culprits() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let scale = LossScale::dynamic().start(8.0).unwrap().floor(2.0).unwrap();
    let mut keel =
        Keel::wrap(SgdConfig::new().init()).loss_scale(scale).skips_at_most(3).build(&net).unwrap();
    let mut excused = 0;
    let halted = loop {
        let (loss, mut grads) = scaled(&keel, &net, Batch::number(0, &device));
        let id = net.last.bias.as_ref().unwrap().id;
        grads.register(id, Tensor::<1>::from_floats([f32::INFINITY], &Device::flex()));
        match keel.step(0.1, net, grads, &loss) {
            Ok(stepped) => {
                excused += u64::from(stepped.report.rejected == 0);
                net = stepped.model;
            }
            Err(halted) => break halted,
        }
    };
    assert_eq!((excused, keel.loss_scale()), (2, 2.0));
    assert_eq!(halted.report().reading.fault, Some(Fault::Gradient));
    assert_eq!(
        halted.to_string(),
        "training halted at update 0: non-finite gradient, 4 steps in a row, in the gradient of \
         `last.bias`: 1 of 1 infinite"
    );
}

/// A NaN in the loss is no overflow, and lowers nothing.
#[test]
fn a_broken_loss_is_not_the_scales_fault() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let mut keel =
        Keel::wrap(SgdConfig::new().init()).loss_scale(LossScale::dynamic()).build(&net).unwrap();
    let mut batch = Batch::number(0, &device);
    batch.y = batch.y * f32::NAN;
    let (loss, grads) = scaled(&keel, &net, batch);
    let stepped = keel.step(0.1, net, grads, &loss).unwrap();
    assert_eq!((stepped.report.verdict, stepped.report.rejected), (Verdict::Skip, 1));
    assert_eq!(keel.loss_scale(), 65536.0);
}

/// Under accumulation each small batch may overflow, and the others are kept.
#[test]
fn small_batches_are_unscaled_one_by_one() {
    let device = Device::flex().autodiff();
    let start = Net::new(&device);
    let (mut net, mut twin) = (start.twin(), start.twin());
    let mut keel = Keel::wrap(SgdConfig::new().init())
        .loss_scale(LossScale::dynamic().start(f64::powi(2.0, 70)).unwrap())
        .build(&net)
        .unwrap();
    let mut plain = Keel::wrap(SgdConfig::new().init()).build(&twin).unwrap();
    let (mut taken, mut k) = (0, 0);
    while taken < 4 {
        let (loss, grads) = scaled(&keel, &net, Batch::number(k, &device));
        let applied = keel.accumulate(&net, grads, &loss).unwrap().is_applied();
        if applied {
            let (loss, grads) = twin.backward(Batch::number(k, &device));
            assert!(plain.accumulate(&twin, grads, &loss).unwrap().is_applied());
            taken += 1;
            k += 1;
        }
    }
    assert!(keel.incidents().count(Verdict::Skip) > 0);
    net = keel.step_accumulated(0.1, net).unwrap().model;
    twin = plain.step_accumulated(0.1, twin).unwrap().model;
    assert_eq!(bits(&net), bits(&twin));
}

struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let grad = param.is_require_grad();
        param.map(|t| t.detach().cast(self.0).detach().set_require_grad(grad))
    }
}

/// A line fitted to a line, with a loss so small that what one row of 512 adds to a gradient is below
/// what half precision can hold, and the sum is not.
fn fit(device: &Device, dtype: DType, scale: Option<LossScale>) -> [f64; 2] {
    const SMALL: f64 = 1e-5;
    let mut model: Linear = LinearConfig::new(2, 1).init(device);
    model = model.map(&mut Cast(DType::F32));
    let weight = Tensor::<2>::from_floats([[0.0], [0.0]], device);
    model.weight = model.weight.map(|_| weight.require_grad());
    let mut model = model.map(&mut Cast(dtype));
    let x = Tensor::<2>::from_data(TensorData::new(noise(1, 1024), [512, 2]), device).cast(dtype);
    let y = x.clone().sum_dim(1);
    let mut keel = Keel::wrap(SgdConfig::new().init());
    if let Some(scale) = scale {
        keel = keel.loss_scale(scale);
    }
    let mut keel = keel.build(&model).unwrap();
    let error = |model: &Linear| {
        let residual = (model.forward(x.clone()) - y.clone()).cast(DType::F32);
        let data = residual.powi_scalar(2).mean().into_data().convert::<f64>();
        data.iter::<f64>().next().unwrap()
    };
    let start = error(&model);
    for _ in 0..60 {
        let residual = model.forward(x.clone()) - y.clone();
        let loss = residual.powi_scalar(2).mean() * SMALL;
        let backward = (loss.clone() * keel.loss_scale()).backward();
        let grads = GradientsParams::from_grads(backward, &model);
        let stepped = keel.step(0.5 / SMALL, model, grads, &loss).unwrap();
        model = stepped.model;
    }
    [start, error(&model)]
}

/// The demonstration of the method: in half precision the gradients are all 0, and nothing is learned,
/// without any NaN; scaled, it learns as in single precision.
#[test]
fn half_precision_learns_only_with_scaling() {
    on_every_device(|device| {
        if !device.clone().inner().supports_dtype(DType::F16) {
            eprintln!("no f16 on {device:?}");
            return;
        }
        let [start, unscaled] = fit(device, DType::F16, None);
        let [_, scaled] = fit(device, DType::F16, Some(LossScale::dynamic()));
        let [_, single] = fit(device, DType::F32, None);
        assert!(unscaled > 0.9 * start, "{unscaled} of {start}: it learned without scaling?");
        assert!(single < 1e-3 * start, "{single} of {start}");
        assert!(scaled < 0.02 * start, "{scaled} of {start}");
    });
}

#[test]
fn other_float_types_are_guarded_alike() {
    on_every_device(|device| {
        for dtype in [DType::F16, DType::BF16, DType::F64] {
            if !device.clone().inner().supports_dtype(dtype) {
                eprintln!("no {dtype:?} on {device:?}");
                continue;
            }
            let model: Linear = LinearConfig::new(2, 1).init(device);
            let mut model = model.map(&mut Cast(dtype));
            let mut keel = Keel::wrap(SgdConfig::new().init())
                .clip(GlobalNorm::at_most(1.0).unwrap())
                .build(&model)
                .unwrap();
            // How an optimizer steps is found in any type.
            for optimizer in [SgdConfig::new().init(), AdamConfig::new().init()] {
                let bounded = Keel::wrap(optimizer).bound(DeepRelativeTrust::default());
                bounded.build(&model).unwrap_or_else(|error| panic!("{dtype:?}: {error}"));
            }
            let x = Tensor::<2>::ones([4, 2], device).cast(dtype);
            for (scale, applied) in [(1.0, true), (f32::NAN, false), (1.0, true)] {
                let loss = (model.forward(x.clone()) * scale).powi_scalar(2).mean();
                let grads = GradientsParams::from_grads(loss.backward(), &model);
                let stepped = keel.step(0.1, model, grads, &loss).unwrap();
                assert_eq!(stepped.report.is_applied(), applied, "{dtype:?}");
                model = stepped.model;
                assert_eq!(model.weight.val().dtype(), dtype);
            }
            assert!(crate::common::is_finite(&model));
            // The norm of half precision is taken in single: 300² is above what f16 can hold.
            let id = model.weight.id;
            let mut grads = GradientsParams::new();
            let device = device.clone().inner();
            let large = Tensor::<2>::from_floats([[300.0], [400.0]], &device).cast(dtype);
            grads.register(id, large);
            let loss = Tensor::<1>::from_floats([1.0], &device);
            let reading = evenkeel::monitor::measure(&model, &grads, &loss).unwrap();
            assert!((reading.grad_norm - 500.0).abs() < 1.0, "{dtype:?}: {}", reading.grad_norm);
        }
    });
}

/// Adam squares gradients; in half precision the square of 300 is infinite, and stays in its state.
#[test]
fn gradients_whose_squares_overflow_half_precision_are_not_shown_to_the_optimizer() {
    on_every_device(|device| {
        if !device.clone().inner().supports_dtype(DType::F16) {
            return;
        }
        for (clip, applied) in [(None, false), (Some(1.0), true)] {
            let model: Linear = LinearConfig::new(2, 1).init(device);
            let model = model.map(&mut Cast(DType::F16));
            let mut keel = Keel::wrap(AdamConfig::new().init());
            if let Some(clip) = clip {
                keel = keel.clip(GlobalNorm::at_most(clip).unwrap());
            }
            let mut keel = keel.check_optimizer_every(1).build(&model).unwrap();
            let inner = device.clone().inner();
            let loss = Tensor::<1>::from_floats([1.0], &inner);
            let grads = |value: f32| {
                let grad = Tensor::<2>::from_floats([[value], [value]], &inner);
                let mut grads = GradientsParams::new();
                grads.register(model.weight.id, grad.cast(DType::F16));
                grads
            };
            let stepped = keel.step(0.1, model.clone(), grads(300.0), &loss).unwrap();
            assert_eq!(stepped.report.is_applied(), applied);
            if !applied {
                assert_eq!(stepped.report.reading.fault, Some(Fault::Gradient));
            }
            // The optimizer's state is checked before this one.
            let stepped = keel.step(0.1, stepped.model, grads(1.0), &loss).unwrap();
            assert!(stepped.report.is_applied(), "{}", stepped.report);
        }
    });
}
