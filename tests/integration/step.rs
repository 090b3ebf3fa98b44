//! A healthy step: what Burn's own optimizer does, and nothing else.

use crate::common::{Batch, Net, bits, id_of, on_every_device};
use burn::grad_clipping::GradientClippingConfig;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::{Module, ParamGroup};
use burn::nn::LinearConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::clip::GlobalNorm;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::{Fault, Keel, Reading, Verdict, monitor};

fn optimizers() -> Vec<ModuleOptimizer> {
    let grouped: ModuleOptimizer = AdamWConfig::new().init();
    vec![
        SgdConfig::new().init(),
        SgdConfig::new().with_momentum(Some(MomentumConfig::new())).init(),
        AdamConfig::new().init(),
        AdamWConfig::new().with_grad_clipping(Some(GradientClippingConfig::Norm(0.1))).init(),
        grouped.with_group(ParamGroup::from_predicate("last"), SgdConfig::new().build(), None),
    ]
}

#[test]
fn an_unguarded_loop_and_a_keel_without_policies_are_the_same_bit_by_bit() {
    on_every_device(|device| {
        for optimizer in optimizers() {
            let start = Net::new(device);
            let (mut bare, mut bare_optimizer) = (start.twin(), optimizer.clone());
            let mut kept = start.twin();
            let mut keel = Keel::wrap(optimizer).build(&kept).unwrap();
            let mut schedule = Ramp::new(0.0, 0.1, 3).unwrap().start();

            for k in 0..6 {
                let rate = schedule.peek();
                let (_, grads) = bare.backward(Batch::number(k, device));
                bare = bare_optimizer.step(rate, bare, grads);

                let (loss, grads) = kept.backward(Batch::number(k, device));
                let stepped = keel.step(schedule.step(), kept, grads, &loss).unwrap();
                assert!(stepped.report.is_applied());
                assert_eq!(stepped.report.reading.lr, rate);
                kept = stepped.model;
                assert_eq!(bits(&bare), bits(&kept), "update {k}");
            }
        }
    });
}

/// The readings are those of an independent sum in f64, tensor by tensor.
#[test]
fn a_reading_has_the_loss_and_every_norm() {
    on_every_device(|device| {
        let net = Net::new(device);
        let (loss, grads) = net.backward(Batch::number(7, device));
        let by_hand = |path: &str| {
            let id = id_of(&net, path);
            let data = match path.ends_with("last.weight") || path.ends_with("first.weight") {
                true => grads.get::<2>(id).unwrap().into_data(),
                false => grads.get::<1>(id).unwrap().into_data(),
            };
            data.convert::<f64>().iter::<f64>().map(|g| g * g).sum::<f64>()
        };
        let paths =
            ["first.weight", "first.bias", "norm.gamma", "norm.beta", "last.weight", "last.bias"];
        let reading = monitor::measure(&net, &grads, &loss).unwrap();
        assert_eq!(reading.layers.iter().map(|(path, _)| path).collect::<Vec<_>>(), paths);
        let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-6 * b.abs(), "{a} is not {b}");
        for path in paths {
            // BatchNorm cancels the first bias: its gradient is rounding, of no fixed size.
            if path != "first.bias" {
                close(reading.layers.get(path).unwrap(), by_hand(path).sqrt());
            }
        }
        close(reading.grad_norm, paths.map(by_hand).iter().sum::<f64>().sqrt());
        close(reading.loss, loss.into_data().convert::<f64>().iter::<f64>().next().unwrap());
        assert_eq!(reading.fault, None);
    });
}

#[test]
fn the_global_norm_is_over_all_parameters_and_reported_before_clipping() {
    on_every_device(|device| {
        let mut kept = Net::new(device);
        let mut twin = kept.twin();
        let mut keel = Keel::wrap(SgdConfig::new().init())
            .clip(GlobalNorm::at_most(0.01).unwrap())
            .build(&kept)
            .unwrap();
        let (loss, grads) = kept.backward(Batch::number(0, device));
        let before = monitor::measure(&kept, &grads, &loss).unwrap();
        assert!(before.grad_norm > 0.05);

        let stepped = keel.step(1.0, kept, grads, &loss).unwrap();
        assert_eq!(stepped.report.reading.grad_norm, before.grad_norm);
        assert_eq!(stepped.report.factor, 0.01 / before.grad_norm);
        assert!(stepped.report.is_clipped());

        // With rate 1, plain SGD moves by exactly the clipped gradient.
        kept = stepped.model;
        let (_, grads) = twin.backward(Batch::number(0, device));
        twin = SgdConfig::new().init().step(1.0, twin, grads);
        let moved = |a: &Net, b: &Net| {
            let square = |(x, y): (u64, u64)| (f64::from_bits(x) - f64::from_bits(y)).powi(2);
            bits(a)
                .into_iter()
                .zip(bits(b))
                .filter(|((path, _), _)| !path.contains("running"))
                .flat_map(|((_, x), (_, y))| x.into_iter().zip(y))
                .map(square)
                .sum::<f64>()
                .sqrt()
        };
        let start = Net::new(device);
        assert!((moved(&start, &twin) - before.grad_norm).abs() < 1e-5);
        assert!((moved(&start, &kept) - 0.01).abs() < 1e-5);
    });
}

/// A sum of squares beyond `f32` is an overflow on every device, also where it is summed in `f64`.
#[test]
fn squares_that_overflow_together_read_as_infinity() {
    on_every_device(|device| {
        let model = LinearConfig::new(2048, 1).with_bias(false).init(device);
        let loss = Tensor::<1>::from_floats([1.0], device);
        let mut values = vec![0f32; 2048];
        // Far apart, so that no short run of them overflows.
        (values[0], values[1500]) = (1.5e19, 1.5e19);
        let norm = |values: Vec<f32>| {
            let data = TensorData::new(values, [2048, 1]);
            let mut grads = GradientsParams::new();
            let grad = Tensor::<2>::from_data(data, &device.clone().inner());
            grads.register(model.weight.id, grad);
            monitor::measure(&model, &grads, &loss).unwrap()
        };
        assert_eq!(norm(values.clone()).fault, Some(Fault::Gradient));
        values[1500] = 0.0;
        let finite = norm(values);
        assert_eq!(finite.fault, None);
        assert!((finite.grad_norm / 1.5e19 - 1.0).abs() < 1e-6);
    });
}

/// The order of clips cannot matter, and no answer of theirs can enlarge or turn a gradient.
#[test]
fn clips_combine_by_the_smallest_factor_in_the_unit_interval() {
    let device = Device::flex().autodiff();
    type C = fn(&Reading) -> f64;
    let clips: [(C, f64); 5] =
        [(|_| 0.5, 0.5), (|_| 2.0, 1.0), (|_| -1.0, 0.0), (|_| f64::NAN, 0.0), (|_| 0.25, 0.25)];
    for (a, keep_a) in clips {
        for (b, keep_b) in clips {
            let net = Net::new(&device);
            let mut keel = Keel::wrap(SgdConfig::new().init()).clip(a).clip(b).build(&net).unwrap();
            let (loss, grads) = net.backward(Batch::number(0, &device));
            let stepped = keel.step(0.1, net, grads, &loss).unwrap();
            assert_eq!(stepped.report.factor, f64::min(keep_a, keep_b));
        }
    }
}

#[test]
fn guards_combine_by_the_most_severe_verdict_in_any_order() {
    let device = Device::flex().autodiff();
    let verdicts = [Verdict::Apply, Verdict::Skip, Verdict::Halt];
    for a in verdicts {
        for b in verdicts {
            let net = Net::new(&device);
            let mut keel = Keel::wrap(SgdConfig::new().init())
                .guard(move |_: &Reading| a)
                .guard(move |_: &Reading| b)
                .build(&net)
                .unwrap();
            let (loss, grads) = net.backward(Batch::number(0, &device));
            let verdict = match keel.step(0.1, net, grads, &loss) {
                Ok(stepped) => stepped.report.verdict,
                Err(halted) => halted.report().verdict,
            };
            assert_eq!(verdict, a.max(b));
        }
    }
}

/// Rates by parameter group, from Burn's own scheduler.
#[test]
fn rates_by_group_reach_the_optimizer() {
    on_every_device(|device| {
        let (mut bare, mut optimizer) = (Net::new(device), SgdConfig::new().init());
        let kept = bare.twin();
        let mut keel = Keel::wrap(SgdConfig::new().init()).build(&kept).unwrap();
        let mut rates = ModuleLrScheduler::new(Cosine::new(0.1, 0.0, 10).unwrap().start())
            .with_group(ParamGroup::from_predicate("last"), 0.0);
        let rate = rates.step();
        let (_, grads) = bare.backward(Batch::number(0, device));
        bare = optimizer.step(rate.clone(), bare, grads);
        let (loss, grads) = kept.backward(Batch::number(0, device));
        let stepped = keel.step(rate, kept, grads, &loss).unwrap();
        assert_eq!(bits(&bare), bits(&stepped.model));
        assert_eq!(stepped.report.reading.lr, 0.1);
    });
}

#[test]
fn frozen_parameters_stay_and_are_not_measured() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        net.first = net.first.no_grad();
        let frozen = bits(&net.first);
        let mut keel = Keel::wrap(SgdConfig::new().init()).build(&net).unwrap();
        let (loss, grads) = net.backward(Batch::number(0, device));
        let stepped = keel.step(0.1, net, grads, &loss).unwrap();
        assert!(stepped.report.is_applied());
        assert!(stepped.report.reading.layers.get("first.weight").is_none());
        assert_eq!(bits(&stepped.model.first), frozen);
    });
}

/// A parameter used in two places is measured and clipped once.
#[test]
fn a_shared_parameter_counts_once() {
    #[derive(Module, Debug)]
    struct Tied {
        a: burn::nn::Linear,
        b: burn::nn::Linear,
    }
    on_every_device(|device| {
        let a = LinearConfig::new(3, 3).with_bias(false).init(device);
        let tied = Tied { b: a.clone(), a };
        let loss = || {
            let x = Tensor::<2>::ones([2, 3], device);
            tied.b.forward(tied.a.forward(x)).powi_scalar(2).mean()
        };
        let first = loss();
        let grads = GradientsParams::from_grads(first.backward(), &tied);
        let grad = grads.get::<2>(tied.a.weight.id).unwrap().into_data().convert::<f64>();
        let norm = grad.iter::<f64>().map(|g| g * g).sum::<f64>().sqrt();

        let reading = monitor::measure(&tied, &grads, &first).unwrap();
        assert_eq!(reading.layers.len(), 1);
        assert!((reading.grad_norm - norm).abs() <= 1e-6 * norm);

        let scaled = evenkeel::clip::scale(grads, &tied, 0.5);
        let half = scaled.get::<2>(tied.a.weight.id).unwrap().into_data().convert::<f64>();
        for (half, whole) in half.iter::<f64>().zip(grad.iter::<f64>()) {
            assert!((half - 0.5 * whole).abs() <= 1e-6 * whole.abs());
        }
    });
}

#[test]
fn what_cannot_be_trained_is_refused_with_the_reason() {
    let device = Device::flex();
    let plain = Net::new(&device);
    let error = Keel::wrap(SgdConfig::new().init()).build(&plain).unwrap_err();
    assert!(error.is_model());
    assert!(error.to_string().contains("`.autodiff()`"), "{error}");

    let device = device.autodiff();
    for (path, tensor) in [("last.bias", "parameter"), ("norm.running_var", "statistic")] {
        let broken = crate::common::poke(Net::new(&device), path, f32::NAN);
        let error = Keel::wrap(SgdConfig::new().init()).build(&broken).unwrap_err();
        assert!(error.is_model());
        assert!(error.to_string().contains(&format!("{tensor} `{path}`: 1 of")), "{error}");
    }

    let net = Net::new(&device);
    let error =
        Keel::wrap(SgdConfig::new().init()).on_non_finite(Verdict::Apply).build(&net).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`on_non_finite` of Keel must be Skip, Rewind or Halt, got Apply"
    );
    let error =
        Keel::wrap(SgdConfig::new().init()).check_parameters_every(0).build(&net).unwrap_err();
    assert_eq!(error.to_string(), "`check_parameters_every` of Keel must be at least 1, got 0");
}

/// Building must not change the model, which it probes for running statistics.
#[test]
fn building_leaves_the_model_as_it_was() {
    on_every_device(|device| {
        let net = Net::new(device);
        let _ = net.forward(Batch::number(0, device).x);
        let before = bits(&net);
        let _ = Keel::wrap(SgdConfig::new().init()).build(&net).unwrap();
        assert_eq!(bits(&net), before);
    });
}

/// A model in a field: the same steps bit by bit, and after a halt the best there is.
#[test]
fn a_step_in_place_is_the_same_step() {
    on_every_device(|device| {
        let start = Net::new(device);
        let build =
            |net: &Net| Keel::wrap(AdamConfig::new().init()).skips_at_most(1).build(net).unwrap();
        let (mut field, mut net) = (start.twin(), start.twin());
        let (mut keel, mut twin) = (build(&field), build(&net));
        for k in 0..6 {
            let factor = if k == 2 { f64::NAN } else { 1.0 };
            let (loss, grads) = field.backward(Batch::number(k, device).scaled(factor));
            let stepped = keel.step_in_place(0.1, &mut field, grads, &loss).unwrap();
            let (loss, grads) = net.backward(Batch::number(k, device).scaled(factor));
            let expected = twin.step(0.1, net, grads, &loss).unwrap();
            assert_eq!(stepped.report.verdict, expected.report.verdict);
            net = expected.model;
            assert_eq!(bits(&field), bits(&net), "update {k}");
        }
        let before = bits(&field);
        for k in 0..2 {
            let (loss, grads) = field.backward(Batch::number(k, device).scaled(f64::NAN));
            let halted = keel.step_in_place(0.1, &mut field, grads, &loss);
            assert_eq!(halted.is_err(), k == 1);
            assert_eq!(bits(&field), before, "what was held is sound");
        }
        let mut never =
            Keel::wrap(AdamConfig::new().init()).skips_without_end().build(&field).unwrap();
        for k in 0..30 {
            let (loss, grads) = field.backward(Batch::number(k, device).scaled(f64::NAN));
            let stepped = never.step_in_place(0.1, &mut field, grads, &loss).unwrap();
            assert_eq!(stepped.report.verdict, Verdict::Skip);
        }
    });
}
