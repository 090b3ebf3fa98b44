//! Sharpness, critical rates and the governor, where the answer is known.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::clip::GlobalNorm;
use evenkeel::curvature::{CriticalRate, Diagonal, Governor, Lanczos};
use evenkeel::guard::Guard;
use evenkeel::optim::{Adam, Momentum, Sgd};
use evenkeel::{Keel, Reading, Verdict};

use crate::common::{Batch, Net, bits, on_every_device, poke};

/// `½ Σ λᵢ wᵢ²`, over two parameters.
#[derive(Module, Debug)]
struct Bowl {
    one: Param<Tensor<1>>,
    two: Param<Tensor<2>>,
}

const LAMBDA: [f32; 5] = [0.1, 1.0, 2.5, 7.0, 20.0];

impl Bowl {
    fn new(device: &Device) -> Self {
        let one = Tensor::<1>::from_floats([1.0, -0.5], device);
        let two = Tensor::<2>::from_floats([[0.3, 0.8, -0.9]], device);
        Self { one: Param::from_tensor(one), two: Param::from_tensor(two) }
    }

    fn loss(&self, lambda: [f32; 5]) -> Tensor<1> {
        let device = self.one.val().device();
        let a = Tensor::<1>::from_floats([lambda[0], lambda[4]], &device);
        let b = Tensor::<2>::from_floats([[lambda[1], lambda[2], lambda[3]]], &device);
        let one = (self.one.val().powi_scalar(2) * a).sum();
        (one + (self.two.val().powi_scalar(2) * b).sum()) * 0.5
    }
}

fn near(x: f64, y: f64, within: f64) {
    assert!((x / y - 1.0).abs() <= within, "{x} is not {y}");
}

#[test]
fn the_sharpness_of_a_quadratic_is_its_largest_eigenvalue() {
    on_every_device(|device| {
        let bowl = Bowl::new(device);
        let found = Lanczos::new().measure(&bowl, |bowl| bowl.loss(LAMBDA)).unwrap();
        assert!(found.is_converged());
        near(found.value(), 20.0, 0.01);
        near(found.descent().unwrap(), 0.1, 0.01);
        near(found.momentum(0.9).unwrap().unwrap(), 3.8 / 20.0, 0.01);
        near(found.nesterov(0.9).unwrap().unwrap(), 3.8 / 2.8 / 20.0, 0.01);
        near(found.adam(0.9).unwrap().unwrap(), 38.0 / 20.0, 0.01);

        // The largest in size is negative, and is not it.
        let saddle = [0.1, 1.0, 2.5, 7.0, -20.0];
        let found = Lanczos::new().measure(&bowl, |bowl| bowl.loss(saddle)).unwrap();
        near(found.value(), 7.0, 0.01);
        // A dome: nothing bounds the rate.
        let dome = LAMBDA.map(|x| -x);
        let patient = Lanczos::new().steps_at_most(400).unwrap();
        let found = patient.measure(&bowl, |bowl| bowl.loss(dome)).unwrap();
        near(found.value(), -0.1, 0.05);
        assert_eq!(found.descent(), None);
        assert!(found.momentum(1.0).is_err() && found.adam(f64::NAN).is_err());
    });
}

/// Many eigenvalues close below the largest: `λ` hardly moves while it is not yet there.
#[test]
fn close_eigenvalues_are_not_taken_for_the_largest() {
    on_every_device(|device| {
        let count = 400;
        let lambda: Vec<f32> = (0..count)
            .map(|k| if k == 7 { 1.0 } else { 0.85 + 0.1 * k as f32 / count as f32 })
            .collect();
        let lambda = Tensor::<1>::from_floats(lambda.as_slice(), device);
        let model = Param::from_tensor(Tensor::<1>::ones([count], device) * 0.3);
        let loss = |w: &Param<Tensor<1>>| (w.val().powi_scalar(2) * lambda.clone()).sum() * 0.5;
        for seed in 0..3 {
            // Power iteration takes 61 to 86 products for this, and stands still at 0.93 on the way.
            let found = Lanczos::new().seed(seed).measure(&model, loss).unwrap();
            assert!(found.is_converged() && found.steps() < 30, "{found:?}");
            near(found.value(), 1.0, 0.01);
            assert!(found.residual() <= 0.01 * found.value());
            // With too few products it says so, and its residual tells how far off it may be.
            let short = Lanczos::new().seed(seed).steps_at_most(2).unwrap();
            let short = short.measure(&model, loss).unwrap();
            assert!(!short.is_converged());
            assert!(short.value() < 0.98, "{short:?}");
            assert!(short.residual() > 0.01 * short.value() && short.residual() < 0.1, "{short:?}");
        }
    });
}

/// `5w₁w₂`: eigenvalues 5 and −5, between which a power iteration does not choose.
#[test]
fn a_pair_of_eigenvalues_of_either_sign_is_no_obstacle() {
    on_every_device(|device| {
        let model = Param::from_tensor(Tensor::<1>::from_floats([0.4, -0.7, 0.2], device));
        let loss = |w: &Param<Tensor<1>>| {
            let w = w.val();
            let (a, b, c) =
                (w.clone().narrow(0, 0, 1), w.clone().narrow(0, 1, 1), w.narrow(0, 2, 1));
            (a * b * 5.0 + c.powi_scalar(2)).sum()
        };
        let found = Lanczos::new().measure(&model, loss).unwrap();
        assert!(found.is_converged() && found.steps() <= 4, "{found:?}");
        near(found.value(), 5.0, 0.01);
    });
}

/// Linear regression: the Hessian is `2·XᵀX/n`, here with a condition number of 10⁴.
#[test]
fn the_sharpness_of_a_regression_is_that_of_its_columns() {
    on_every_device(|device| {
        let (mut x, mut h) = (Vec::new(), [0.0f64; 3]);
        for k in 0..32 {
            let (a, b) = ((k as f32 * 0.7).sin(), 100.0 * (k as f32 * 1.3).cos());
            x.extend([a, b]);
            let (a, b) = (f64::from(a), f64::from(b));
            h = [h[0] + a * a / 16.0, h[1] + a * b / 16.0, h[2] + b * b / 16.0];
        }
        let mean = 0.5 * (h[0] + h[2]);
        let root = (0.25 * (h[0] - h[2]).powi(2) + h[1] * h[1]).sqrt();
        let x = Tensor::<2>::from_data(TensorData::new(x, [32, 2]), device);
        let model = Param::from_tensor(Tensor::<2>::from_floats([[0.7], [-0.9]], device));
        let loss = |w: &Param<Tensor<2>>| {
            (x.clone().matmul(w.val()) - x.clone().sum_dim(1)).powi_scalar(2).mean()
        };
        let found = Lanczos::new().measure(&model, loss).unwrap();
        assert!(found.is_converged());
        near(found.value(), mean + root, 0.01);
    });
}

/// `P⁻¹H` of a diagonal Hessian is the quotient of the two.
#[test]
fn adams_sharpness_is_that_of_the_scaled_hessian() {
    on_every_device(|device| {
        let bowl = Bowl::new(device);
        let mut diagonal = Diagonal::new(0.999, 1e-8).unwrap();
        let loss = |bowl: &Bowl| bowl.loss(LAMBDA);
        assert!(Lanczos::new().measure_scaled(&bowl, &diagonal, loss).is_err());
        let grads = GradientsParams::from_grads(loss(&bowl).backward(), &bowl);
        diagonal.take(&bowl, &grads);
        // After one gradient P is |g| = λ|w|, so that P⁻¹H is 1/|w|: largest for w = 0.3.
        let found = Lanczos::new().measure_scaled(&bowl, &diagonal, loss).unwrap();
        near(found.value(), 1.0 / 0.3, 0.01);

        // Twice the gradient once more: v̂ = (β·g² + 4g²)(1 − β)/(1 − β²).
        let twice = GradientsParams::from_grads((loss(&bowl) * 2.0).backward(), &bowl);
        diagonal.take(&bowl, &twice);
        let v: f64 = (0.999 + 4.0) / 1.999;
        let found = Lanczos::new().measure_scaled(&bowl, &diagonal, loss).unwrap();
        near(found.value(), 1.0 / (0.3 * v.sqrt()), 0.01);
    });
}

/// Where the rate is below the bound descent converges, and above it it does not.
#[test]
fn the_bounds_are_the_edges_of_stability() {
    let device = Device::flex().autodiff();
    let bowl = Bowl::new(&device);
    let loss = |bowl: &Bowl| bowl.loss(LAMBDA);
    let found = Lanczos::new().measure(&bowl, loss).unwrap();
    let trained = |keel: &dyn Fn() -> Keel<Bowl>, rate: f64| {
        let (mut keel, mut bowl) = (keel(), Bowl::new(&device));
        let (mut highest, mut last) = (0.0, 0.0);
        for k in 0..500 {
            // Adam's first steps are ten times longer than the later ones of which the bound speaks: not
            // before these are over does it move. The others begin with what they have gathered by then.
            let rate = if k < 100 { 0.0 } else { rate };
            let now = loss(&bowl);
            let grads = GradientsParams::from_grads(now.backward(), &bowl);
            match keel.step(rate, bowl, grads, &now) {
                Ok(stepped) => bowl = stepped.model,
                Err(_) => return (f64::INFINITY, f64::INFINITY),
            }
            last = loss(&bowl).into_scalar::<f32>().into();
            highest = f64::max(highest, last);
        }
        (highest, last)
    };
    let start: f64 = loss(&bowl).into_scalar::<f32>().into();
    let sgd = || Keel::wrap(Sgd::new()).build(&Bowl::new(&device)).unwrap();
    let momentum = || Keel::wrap(Momentum::new(0.9).unwrap()).build(&Bowl::new(&device)).unwrap();
    let nesterov = || {
        let rule = Momentum::new(0.9).unwrap().nesterov();
        Keel::wrap(rule).build(&Bowl::new(&device)).unwrap()
    };
    // With an ε far above every gradient P is ε all the time, and what Adam does is descent with an average
    // of gradients: the rule with no other trick in it.
    let epsilon = 1e8;
    let mut diagonal = Diagonal::new(0.999, epsilon).unwrap();
    let grads = GradientsParams::from_grads(loss(&bowl).backward(), &bowl);
    diagonal.take(&bowl, &grads);
    let scaled = Lanczos::new().measure_scaled(&bowl, &diagonal, loss).unwrap();
    near(scaled.value(), 20.0 / epsilon, 0.01);
    near(scaled.adam(0.9).unwrap().unwrap(), 38.0 * epsilon / 20.0, 0.01);
    let adam = || {
        let rule = Adam::new().epsilon(epsilon).unwrap();
        Keel::wrap(rule).build(&Bowl::new(&device)).unwrap()
    };
    let edges: [(&dyn Fn() -> Keel<Bowl>, f64); 4] = [
        (&adam, scaled.adam(0.9).unwrap().unwrap()),
        (&sgd, found.descent().unwrap()),
        (&momentum, found.momentum(0.9).unwrap().unwrap()),
        (&nesterov, found.nesterov(0.9).unwrap().unwrap()),
    ];
    for (at, (keel, edge)) in edges.into_iter().enumerate() {
        let (highest, last) = trained(keel, 0.95 * edge);
        // With so much gathered momentum it overshoots at first.
        assert!(highest < 1e4 * start && last < 0.1 * start, "rule {at} below its edge");
        // What it divides by grows with the gradients, and would bring it back in the end.
        assert!(trained(keel, 1.05 * edge).0 > 1e6 * start, "rule {at} above its edge");
    }
}

/// One step of descent lowers `½Σλw²` up to `2·gᵀg/gᵀHg`.
#[test]
fn the_critical_rate_of_a_quadratic_is_known() {
    on_every_device(|device| {
        let bowl = Bowl::new(device);
        let w = [1.0f64, 0.3, 0.8, 0.9, 0.5];
        let sum = |power: i32| {
            let terms = LAMBDA.iter().zip(w).map(|(l, w)| f64::from(*l).powi(power) * w * w);
            terms.sum::<f64>()
        };
        let expected = 2.0 * sum(2) / sum(3);
        let critical = CriticalRate::measure(&bowl, |bowl| bowl.loss(LAMBDA)).unwrap();
        near(critical.rate().unwrap(), expected, 5e-3);
        assert!(critical.forwards() < 60);
        assert_eq!(critical.warmup(expected / 2.0, 100).unwrap(), 0);
        assert_eq!(critical.warmup(4.0 * critical.rate().unwrap(), 100).unwrap(), 75);

        // The governor finds the same rate along the gradient.
        let grads = GradientsParams::from_grads(bowl.loss(LAMBDA).backward(), &bowl);
        let governor = Governor::new(0.0).unwrap().caution(1.0).unwrap();
        governor.watch(0, &bowl, &grads, |bowl| bowl.loss(LAMBDA)).unwrap();
        near(governor.rate_at_most().unwrap(), expected, 5e-3);
    });
}

/// Rates far above the edge train under it, and end in nothing without it.
#[test]
fn the_governor_holds_absurd_rates() {
    on_every_device(|device| {
        for rate in [1e-3, 1.0, 1e6] {
            let mut bowl = Bowl::new(device);
            let governor = Governor::new(0.9).unwrap();
            let mut keel = Keel::wrap(Momentum::new(0.9).unwrap())
                .bound(governor.clone())
                .clip(GlobalNorm::at_most(5.0).unwrap())
                .build(&bowl)
                .unwrap();
            let start: f64 = bowl.loss(LAMBDA).into_scalar::<f32>().into();
            for _ in 0..200 {
                let loss = bowl.loss(LAMBDA);
                let grads = GradientsParams::from_grads(loss.backward(), &bowl);
                let at = keel.updates();
                governor.watch(at, &bowl, &grads, |bowl| bowl.loss(LAMBDA)).unwrap();
                let bound = governor.rate_at_most().unwrap();
                let stepped = keel.step(rate, bowl, grads, &loss).unwrap();
                // The rate times what the clip leaves of the gradient is held at the bound.
                let clip = (5.0 / stepped.report.reading.grad_norm).min(1.0);
                near(stepped.report.factor, clip, 1e-9);
                near(stepped.report.rate() * clip, (rate * clip).min(bound), 1e-9);
                bowl = stepped.model;
            }
            // A rate far below the bound is not worth a measurement at each update.
            let expected = if rate < 0.01 { 20 } else { 40 + 16 };
            assert_eq!(governor.measurements(), expected);
            let end: f64 = bowl.loss(LAMBDA).into_scalar::<f32>().into();
            assert!(end < if rate < 0.1 { 0.5 } else { 1e-2 } * start, "rate {rate}: {end}");
        }
    });
}

/// A guard that rejects one update.
struct Never(u64);

impl Guard for Never {
    fn judge(&self, now: &Reading) -> Verdict {
        if now.attempt == self.0 { Verdict::Skip } else { Verdict::Apply }
    }
}

/// Measurements change nothing of the caller's, and a rejected batch leaves no trace in the cap.
#[test]
fn nothing_of_the_callers_is_changed() {
    on_every_device(|device| {
        let run = |skipped: Option<u64>| {
            let mut net = Net::new(device);
            let governor = Governor::new(0.9).unwrap();
            let mut keel = Keel::wrap(Momentum::new(0.9).unwrap())
                .bound(governor.clone())
                .guard(Never(skipped.unwrap_or(u64::MAX)))
                .build(&net)
                .unwrap();
            for attempt in 0..6 + u64::from(skipped.is_some()) {
                // The skipped batch is one that the other run does not see.
                let number = match skipped {
                    Some(at) if attempt == at => 99,
                    Some(at) if attempt > at => attempt - 1,
                    _ => attempt,
                };
                let batch = Batch::number(number, device);
                let (loss, grads) = net.backward(batch.clone());
                let update = keel.updates();
                governor.watch(update, &net, &grads, |net| net.loss(batch.clone())).unwrap();
                net = keel.step(0.5, net, grads, &loss).unwrap().model;
            }
            (bits(&net), governor.rate_at_most().unwrap().to_bits())
        };
        assert_eq!(run(None), run(Some(3)));

        let net = Net::new(device);
        let batch = || Batch::number(0, device);
        let before = bits(&net);
        Lanczos::new().steps_at_most(4).unwrap().measure(&net, |net| net.loss(batch())).unwrap();
        CriticalRate::measure(&net, |net| net.loss(batch())).unwrap();
        assert_eq!(before, bits(&net));
    });
}

/// The extra gradient of a measurement is one of a copy: a run that is only looked at is the run that it
/// would have been, running statistics included, and so is one after other runs in the same process.
#[test]
fn looking_leaves_no_trace() {
    on_every_device(|device| {
        let run = |looked_at: bool, governed: bool| {
            let mut net = Net::new(device);
            let governor = Governor::new(0.9).unwrap();
            let keel = Keel::wrap(Momentum::new(0.9).unwrap());
            let mut keel = match governed {
                true => keel.bound(governor.clone()).build(&net).unwrap(),
                false => keel.build(&net).unwrap(),
            };
            for attempt in 0..6 {
                let batch = Batch::number(attempt, device);
                let (loss, grads) = net.backward(batch.clone());
                if looked_at {
                    let update = keel.updates();
                    governor.watch(update, &net, &grads, |net| net.loss(batch.clone())).unwrap();
                }
                net = keel
                    .step(if governed { 100.0 } else { 0.05 }, net, grads, &loss)
                    .unwrap()
                    .model;
            }
            assert_eq!(governor.measurements(), if looked_at { 6 } else { 0 });
            (bits(&net), governor.rate_at_most().map(f64::to_bits))
        };
        let governed = run(true, true);
        assert_eq!(run(false, false).0, run(true, false).0);
        // What ran in between does not matter.
        assert_eq!(governed, run(true, true));
    });
}

/// Running statistics are no part of the point that is moved: however large they are, the difference is taken
/// where it was.
#[test]
fn large_running_statistics_do_not_blur_the_measurement() {
    on_every_device(|device| {
        let batch = || Batch::number(0, device);
        let cap = |net: &Net| {
            let (_, grads) = net.backward(batch());
            let governor = Governor::new(0.9).unwrap();
            governor.watch(0, net, &grads, |net| net.loss(batch())).unwrap();
            governor.rate_at_most().unwrap()
        };
        let net = Net::new(device);
        let expected = cap(&net);
        let large = poke(net.twin(), "norm.running_var", 1e8);
        assert_eq!(cap(&large), expected);
    });
}

#[test]
fn what_is_wrong_is_named() {
    let said = |e: Result<Governor, evenkeel::Error>| e.unwrap_err().to_string();
    assert!(said(Governor::new(1.0)).contains("`momentum` of Governor"));
    let governor = || Governor::new(0.9).unwrap();
    assert!(said(governor().caution(0.0)).contains("`caution` of Governor"));
    assert!(said(governor().every(0)).contains("`every` of Governor must be at least 1, got 0"));
    assert!(said(governor().growth(0.9)).contains("`growth` of Governor"));
    assert!(Diagonal::new(1.0, 1e-8).is_err() && Diagonal::new(0.9, 0.0).is_err());
    assert!(Lanczos::new().steps_at_most(1).is_err());
    assert!(Lanczos::new().within(-1.0).is_err());

    let device = Device::flex().autodiff();
    let bowl = Bowl::new(&device);
    let bad = |bowl: &Bowl| bowl.loss([f32::NAN; 5]);
    assert!(Lanczos::new().measure(&bowl, bad).unwrap_err().is_model());
    assert!(CriticalRate::measure(&bowl, bad).unwrap_err().is_model());
    // A gradient that is not finite is not measured.
    let grads = GradientsParams::from_grads(bad(&bowl).backward(), &bowl);
    let governor = governor();
    governor.watch(0, &bowl, &grads, bad).unwrap();
    assert_eq!((governor.measurements(), governor.rate_at_most()), (0, None));
}
