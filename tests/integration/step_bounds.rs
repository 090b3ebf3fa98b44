//! Bounds on steps: any rate trains, the shape of the schedule is kept, and bounds are part of all that moves
//! together.

use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::ParamGroup;
use burn::optim::{AdaGradConfig, AdamConfig, LionConfig, ModuleOptimizer, MuonConfig, SgdConfig};
use burn::tensor::Device;
use evenkeel::bound::{DeepRelativeTrust, Direction, StepBound};
use evenkeel::clip::GlobalNorm;
use evenkeel::guard::{Guard, UpdateRatio};
use evenkeel::optim::{Adam, AdamW, Momentum, Sgd, biases_and_norms};
use evenkeel::schedule::{Constant, Cosine, GroupScheduler, Ramp, Rate, Schedule};
use evenkeel::{Builder, Decide, Keel, Layers, Parameter, Reading, Report, Rewind, Verdict};

use crate::common::{Batch, Net, bits, bounds, filled, is_finite, on_every_device};

fn bounded() -> Builder<Net> {
    Keel::wrap(Adam::new()).bound(DeepRelativeTrust::default())
}

/// One step along batch `k`.
fn step<'s>(
    keel: &mut Keel<Net>,
    rate: impl Into<Rate<'s>>,
    net: Net,
    k: u64,
    device: &Device,
) -> (Net, Report) {
    let (loss, grads) = net.backward(Batch::number(k, device));
    let stepped = keel.step(rate, net, grads, &loss).unwrap();
    (stepped.model, stepped.report)
}

/// Frobenius norms of the matrices, in order.
fn matrices(net: &Net) -> Vec<Vec<f64>> {
    let all = bits(net).into_iter().filter(|(path, _)| path.ends_with("weight"));
    all.map(|(_, bits)| bits.into_iter().map(f64::from_bits).collect()).collect()
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

/// A snapshot and a guard of updates read the sizes of the weights too, at other updates. A bound that saw them would be
/// another one with them than without.
#[test]
fn what_others_look_at_does_not_change_a_bound() {
    on_every_device(|device| {
        let start = Net::new(device);
        let run = |keel: Builder<Net>| {
            let (mut net, mut keel) = (start.twin(), keel.build(&start).unwrap());
            for k in 0..30 {
                let (after, report) = step(&mut keel, 1.0, net, k, device);
                assert!(report.is_applied() && report.is_held());
                net = after;
            }
            bits(&net)
        };
        let alone = run(bounded());
        assert_eq!(run(bounded().rewind(Rewind::every(3).unwrap())), alone);
        assert_eq!(run(bounded().guard(UpdateRatio::at_most(1e9).unwrap())), alone);
    });
}

/// Above the bound every rate is the same one, and the sum of the relative changes is what it is to be.
#[test]
fn any_rate_will_do() {
    on_every_device(|device| {
        let start = Net::new(device);
        let run = |rate: f64| {
            let mut net = start.twin();
            let mut keel = bounded().build(&net).unwrap();
            let mut sums = Vec::new();
            for k in 0..30 {
                let before = matrices(&net);
                let (after, report) = step(&mut keel, rate, net, k, device);
                net = after;
                assert!(report.is_held() && !report.is_clipped());
                assert_eq!(report.reading.lr, rate);
                assert!((report.rate() / report.cap.unwrap() - 1.0).abs() < 1e-12);
                let change = before.iter().zip(matrices(&net)).map(|(before, after)| {
                    let moved = before.iter().zip(&after).map(|(a, b)| a - b);
                    norm(moved) / norm(before.iter().copied())
                });
                sums.push(change.sum::<f64>());
            }
            assert_eq!(keel.rates().held(), 30);
            let used = keel.rates().used().unwrap();
            assert!(used < 1.0 && keel.rates().asked() == rate);
            (bits(&net), sums, used)
        };
        let (net, sums, _) = run(1.0);
        // Adam's first step is the rate in every element, and no later one is much more.
        assert!((sums[0] / 0.3 - 1.0).abs() < 1e-2, "{sums:?}");
        assert!(sums.iter().all(|sum| *sum < 0.33), "{sums:?}");
        for rate in [1e3, 1e9, Rate::HIGHEST] {
            // To the rounding of the product of rate and share.
            let (other, ..) = run(rate);
            for ((_, a), (_, b)) in net.iter().zip(&other) {
                let near =
                    |a: &u64, b: &u64| (f64::from_bits(*a) - f64::from_bits(*b)).abs() < 1e-4;
                assert!(a.iter().zip(b).all(|(a, b)| near(a, b)), "rate {rate}");
            }
        }
        // A rate below the bound is not touched.
        let (mut net, mut keel) = (start.twin(), bounded().build(&start).unwrap());
        let (mut twin, mut bare) = (start.twin(), Keel::wrap(Adam::new()).build(&start).unwrap());
        for k in 0..5 {
            net = step(&mut keel, 1e-3, net, k, device).0;
            twin = step(&mut bare, 1e-3, twin, k, device).0;
        }
        assert_eq!(bits(&net), bits(&twin));
        assert_eq!((keel.rates().held(), keel.rates().updates()), (0, 5));
        assert!(keel.rates().to_string().contains("was never held in 5 updates"));
    });
}

/// A schedule multiplies what is bounded: warmup and decay are its own, however far above the bound it is.
#[test]
fn the_shape_of_the_schedule_is_kept() {
    let device = Device::flex().autodiff();
    let shape = || Ramp::new(0.0, 1.0, 5).unwrap().then(5, Cosine::new(1.0, 0.0, 20).unwrap());
    for peak in [0.5, 1.0, 1e9] {
        let mut schedule = shape().scale(peak).unwrap().start();
        let mut net = Net::new(&device);
        let mut keel = bounded().build(&net).unwrap();
        for t in 0..25 {
            let (after, report) = step(&mut keel, schedule.step(), net, t, &device);
            net = after;
            let expected = report.cap.unwrap() * shape().at(t);
            assert!((report.rate() - expected).abs() <= 1e-12 * expected, "{peak}: {t}");
        }
    }
    // Of a curve that rises without end there is no peak but the highest so far.
    for endless in [(|t: u64| 1.0 + t as f64) as fn(u64) -> f64, |t: u64| 1.5f64.powf(t as f64)] {
        let mut schedule = endless.start();
        let mut net = Net::new(&device);
        let mut keel = bounded().build(&net).unwrap();
        for t in 0..5 {
            let (after, report) = step(&mut keel, schedule.step(), net, t, &device);
            net = after;
            assert!((report.rate() / report.cap.unwrap() - 1.0).abs() < 1e-12);
        }
    }
}

/// Plain rates have no schedule: the highest so far is their peak. A backoff of the keel's is on top.
#[test]
fn plain_rates_fall_from_the_highest() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut keel = bounded().build(&net).unwrap();
    for (k, (rate, share)) in
        [(2.0, 1.0), (8.0, 1.0), (4.0, 0.5), (0.8, 0.1)].into_iter().enumerate()
    {
        let (after, report) = step(&mut keel, rate, net, k as u64, &device);
        net = after;
        let expected = share * report.cap.unwrap();
        assert!((report.rate() / expected - 1.0).abs() < 1e-12, "{rate}");
    }
    // Another schedule is allowed, and begins at its own height.
    keel.allow_other_schedule();
    let (_, report) = step(&mut keel, 0.8, net, 9, &device);
    assert!((report.rate() / report.cap.unwrap() - 1.0).abs() < 1e-12);
}

/// All groups are lowered in proportion: the highest is at the bound.
#[test]
fn groups_are_held_in_proportion() {
    let device = Device::flex().autodiff();
    let head = || ParamGroup::from_predicate("last");
    let start = Net::new(&device);
    let mut net = start.twin();
    let mut keel = bounded().build(&net).unwrap();
    let mut schedule = GroupScheduler::new(Constant::new(1.0).unwrap())
        .with_group(head(), Constant::new(4.0).unwrap());
    let (after, report) = step(&mut keel, schedule.step(), net, 0, &device);
    let cap = report.cap.unwrap();
    assert!((report.share - cap / 4.0).abs() < 1e-15 && (report.rate() - cap / 4.0).abs() < 1e-15);
    // What Burn's rates by group make of the same numbers.
    net = start.twin();
    let mut bare = Keel::wrap(Adam::new()).build(&net).unwrap();
    let rates = ModuleLrScheduler::new(cap / 4.0).with_group(head(), cap).step();
    let (twin, _) = step(&mut bare, rates, net, 0, &device);
    assert_eq!(bits(&after), bits(&twin));
}

/// Optimizers of Burn's are bounded alike, with what else there is around them.
#[test]
fn burns_optimizers_are_bounded() {
    on_every_device(|device| {
        let keels: [fn() -> Builder<Net>; 2] =
            [|| Keel::wrap(AdamConfig::new().init()), || Keel::wrap(LionConfig::new().init())];
        for keel in keels {
            let mut net = Net::new(device);
            let first: f64 = net.loss(Batch::number(0, device)).into_scalar::<f32>().into();
            let keel = keel().clip(GlobalNorm::at_most(1.0).unwrap());
            let mut keel = keel.bound(DeepRelativeTrust::default()).build(&net).unwrap();
            let mut schedule = Cosine::new(100.0, 0.0, 60).unwrap().start();
            for _ in 0..60 {
                net = step(&mut keel, schedule.step(), net, 0, device).0;
            }
            assert!(is_finite(&net));
            let last: f64 = net.loss(Batch::number(0, device)).into_scalar::<f32>().into();
            assert!(last < 0.1 * first, "{first} to {last}");
        }
    });
}

/// Rejects one step.
struct Never(u64, Verdict);

impl Guard for Never {
    fn judge(&self, now: &Reading) -> Verdict {
        if now.attempt == self.0 { self.1 } else { Verdict::Apply }
    }
}

/// What is seen of a step that is skipped is not remembered, in the bound or in the highest rate.
#[test]
fn a_skipped_step_leaves_no_trace() {
    let device = Device::flex().autodiff();
    let start = Net::new(&device);
    let run = |skipped: Option<u64>| {
        let mut net = start.twin();
        let keel = bounded().guard(Never(skipped.unwrap_or(99), Verdict::Skip));
        let mut keel = keel.build(&net).unwrap();
        for attempt in 0..8 + u64::from(skipped.is_some()) {
            let (k, rate) = match skipped {
                Some(at) if attempt == at => (77, 1e6),
                Some(at) if attempt > at => (attempt - 1, 0.5),
                _ => (attempt, 0.5),
            };
            net = step(&mut keel, rate, net, k, &device).0;
        }
        (bits(&net), keel.rates().clone())
    };
    for at in [0, 3] {
        assert_eq!(run(None), run(Some(at)));
    }
}

/// Back at older weights the bound is theirs, and a lowered rate is lowered below the bound too.
#[test]
fn a_rewind_takes_the_bound_along() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let rewind = Rewind::every(4).unwrap().backoff(0.5).unwrap();
    let keel = bounded().rewind(rewind).guard(Never(10, Verdict::Rewind));
    let mut keel = keel.build(&net).unwrap();
    let mut schedule = Constant::new(1.0).unwrap().start();
    let (mut caps, mut shares) = (Vec::new(), Vec::new());
    for k in 0..13 {
        let (after, report) = step(&mut keel, schedule.step(), net, k, &device);
        net = after;
        if report.verdict == Verdict::Apply {
            caps.push(report.cap.unwrap());
            shares.push(report.rate() / report.cap.unwrap());
        }
    }
    // Of the updates 0 to 9, and from 8 on anew.
    assert_eq!(caps[10], caps[8]);
    assert!(shares[..10].iter().all(|share| (share - 1.0).abs() < 1e-12));
    assert!(shares[10..].iter().all(|share| (share - 0.5).abs() < 1e-12), "{shares:?}");
}

#[test]
fn a_resumed_run_is_bounded_as_it_would_have_been() {
    let device = Device::flex().autodiff();
    // Where a run is resumed the weights are others, until it is.
    let (start, elsewhere) = (Net::new(&device), Net::new(&device));
    for stop in [0, 3, 11, 14] {
        let mut net = start.twin();
        let mut keel = bounded().build(&net).unwrap();
        let rate = |k: u64| if k < 8 { 3.0 } else { 0.3 };
        for k in 0..stop {
            net = step(&mut keel, rate(k), net, k, &device).0;
        }
        let saved = keel.checkpoint(&net).unwrap();
        let mut other = bounded().build(&elsewhere).unwrap();
        let mut twin = other.resume(&elsewhere, &saved).unwrap();
        for k in stop..25 {
            net = step(&mut keel, rate(k), net, k, &device).0;
            let (after, report) = step(&mut other, rate(k), twin, k, &device);
            twin = after;
            assert!(report.is_held());
            assert_eq!(bits(&net), bits(&twin), "stopped at {stop}, update {k}");
        }
        // The bound is part of what was saved.
        let mut bare = Keel::wrap(Adam::new()).build(&start).unwrap();
        let said = bare.resume(&start, &saved).unwrap_err().to_string();
        assert!(said.contains("bounds DeepRelativeTrust, and this keel"), "{said}");
    }
}

/// With the decision on the device nothing more is read, and the weights are seen when the numbers arrive.
#[test]
fn the_device_decides_bounded_steps_too() {
    on_every_device(|device| {
        let start = Net::new(device);
        let mut net = start.twin();
        let late = Decide::OnDevice { every: 5 };
        let mut keel = bounded().decide(late).build(&net).unwrap();
        let mut schedule = Cosine::new(100.0, 0.0, 40).unwrap().start();
        let mut caps = Vec::new();
        for k in 0..40 {
            let (loss, grads) = net.backward(Batch::number(k % 3, device));
            let stepped = keel.step(schedule.step(), net, grads, &loss).unwrap();
            net = stepped.model;
            let caps_of = stepped.late.iter().map(|report| (report.cap.unwrap(), report.is_held()));
            caps.extend(caps_of);
        }
        assert_eq!((keel.readbacks(), caps.len()), (8, 40));
        assert!(caps.iter().all(|(cap, held)| *held && *cap < 1.0));
        assert!(caps[..5].iter().all(|(cap, _)| *cap == caps[0].0), "nothing was seen before");
        assert_ne!(caps[5].0, caps[0].0);
        assert!(is_finite(&net));
        let end: f64 = net.loss(Batch::number(0, device)).into_scalar::<f32>().into();
        let first: f64 = start.loss(Batch::number(0, device)).into_scalar::<f32>().into();
        assert!(end < 0.2 * first, "{first} to {end}");
    });
}

/// Several bounds: the smallest counts, what lets nothing through lets nothing through, and a closure is one.
#[test]
fn the_smallest_bound_counts() {
    let device = Device::flex().autodiff();
    let start = Net::new(&device);
    let used = |keel: Builder<Net>| {
        let net = start.twin();
        let mut keel = keel.build(&net).unwrap();
        step(&mut keel, 1.0, net, 0, &device).1.rate()
    };
    assert_eq!(used(Keel::wrap(AdamW::new()).bound(|_: &Reading| 0.25)), 0.25);
    assert_eq!(used(bounded().bound(|_: &Reading| 1e-5)), 1e-5);
    assert_eq!(used(bounded().bound(|_: &Reading| f64::NAN)), 0.0);
    assert_eq!(used(bounded().bound(|_: &Reading| -1.0)), 0.0);
    assert!(used(bounded()) > 1e-5);
}

#[test]
fn no_rate_at_all_needs_a_bound() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut keel = bounded().build(&net).unwrap();
    for k in 0..3 {
        net = step(&mut keel, Rate::highest(), net, k, &device).0;
    }
    let said = keel.rates().to_string();
    assert!(said.starts_with("the rate was left to the bounds in 3 updates, and was "), "{said}");

    let mut bare = Keel::wrap(Adam::new()).build(&net).unwrap();
    let (loss, grads) = net.backward(Batch::number(0, &device));
    let halted = bare.step(Rate::highest(), net, grads, &loss).unwrap_err();
    assert!(halted.to_string().contains("`Rate::highest` needs a bound"), "{halted}");
}

/// A bound of the user's own, which sees the sizes that it asks for.
struct Sized;

impl StepBound for Sized {
    fn looks_at_sizes(&self, update: u64) -> bool {
        update == 1
    }

    fn rate_at_most(&self, now: &Reading, _: f64) -> Option<f64> {
        (now.update == 1).then(|| 1.0 / now.sizes.get("first.weight").unwrap())
    }
}

#[test]
fn sizes_are_in_the_readings_that_ask_for_them() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut keel = Keel::wrap(Adam::new()).bound(Sized).build(&net).unwrap();
    for k in 0..3 {
        let size = norm(matrices(&net)[0].iter().copied());
        let (after, report) = step(&mut keel, 100.0, net, k, &device);
        net = after;
        match k {
            1 => {
                assert_eq!(report.reading.sizes.len(), report.reading.layers.len());
                assert!((report.cap.unwrap() * size - 1.0).abs() < 1e-5);
            }
            _ => assert_eq!((report.reading.sizes, report.cap), (Layers::default(), None)),
        }
    }
}

fn told(keel: Builder<Net>, net: &Net) -> Vec<Parameter> {
    let mut told = bounds::told(keel, net);
    told.retain(|parameter| parameter.trainable || parameter.direction.is_some());
    assert!(told.len() > 3);
    told
}

/// What a keel finds out about an optimizer by trying it is what is known of it.
#[test]
fn the_direction_of_an_optimizer_is_found() {
    on_every_device(|device| {
        let net = Net::new(device);
        let before = bits(&net);
        let near = |x: f64, y: f64| assert!((x / y - 1.0).abs() < 0.02, "{x} is not {y}");
        let normalized = [
            (Keel::wrap(Adam::new()), true),
            (Keel::wrap(AdamW::new()), true),
            (Keel::wrap(AdamConfig::new().init()), true),
            // Its sum of squares grows, which is little at first.
            (Keel::wrap(AdaGradConfig::new().init()), true),
            // Without an average.
            (Keel::wrap(Adam::new().beta_1(0.0).unwrap()), false),
            (Keel::wrap(LionConfig::new().init()), false),
        ];
        for (keel, expected) in normalized {
            for found in told(keel, &net) {
                match found.direction {
                    Some(Direction::Normalized { size, fades }) => {
                        near(size, 1.0);
                        assert_eq!(fades, expected, "{found:?}");
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        let gradient = [
            (Keel::wrap(Sgd::new()), 0.0),
            (Keel::wrap(SgdConfig::new().init()), 0.0),
            (Keel::wrap(Momentum::new(0.9).unwrap()), 0.9),
            (Keel::wrap(Momentum::new(0.5).unwrap()), 0.5),
        ];
        for (keel, expected) in gradient {
            for found in told(keel, &net) {
                match found.direction {
                    Some(Direction::Gradient { size, momentum }) => {
                        near(size, 1.0);
                        near(1.0 + momentum, 1.0 + expected);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(before, bits(&net), "the model is as it was");
    });
}

/// Muon makes matrices of which all singular values are about 1, and descent has the biases: each parameter has its
/// own.
#[test]
fn each_parameter_has_its_own_direction() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let muon = |net: &Net| {
        let muon = ModuleOptimizer::from(MuonConfig::new().build());
        muon.with_group(biases_and_norms(net), SgdConfig::new().build(), None)
    };
    for parameter in told(Keel::wrap(muon(&net)), &net) {
        match (parameter.shape.as_slice(), parameter.direction) {
            ([_], Some(Direction::Gradient { size, momentum: 0.0 })) => {
                assert!((size - 1.0).abs() < 0.02, "{parameter:?}");
            }
            ([a, b], Some(Direction::Normalized { size, fades: false })) => {
                // All singular values between 0.7 and 1.2: √(their number over that of the elements), and Burn's
                // factor for the shape.
                let (a, b) = (*a as f64, *b as f64);
                let expected = (a.min(b) / (a * b)).sqrt() * (a / b).max(1.0).sqrt();
                assert!((0.6..1.3).contains(&(size / expected)), "{parameter:?}, not {expected}");
            }
            _ => panic!("{parameter:?}"),
        }
    }
    // Any rate will do, for the mixture too.
    let mut net = net;
    let start: f64 = net.loss(Batch::number(0, &device)).into_scalar::<f32>().into();
    let mut keel = Keel::wrap(muon(&net)).bound(DeepRelativeTrust::default()).build(&net).unwrap();
    let mut schedule = Cosine::new(1e6, 0.0, 100).unwrap().start();
    for _ in 0..100 {
        let (after, report) = step(&mut keel, schedule.step(), net, 0, &device);
        assert!(report.is_held() && report.is_applied());
        net = after;
    }
    let end: f64 = net.loss(Batch::number(0, &device)).into_scalar::<f32>().into();
    assert!(end < 0.2 * start, "{start} to {end}");
}

/// Descent and momentum at any rate, on features of any scale.
#[test]
fn descent_and_momentum_are_bounded_too() {
    let device = Device::flex().autodiff();
    for scale in [1.0, 1e3] {
        for momentum in [0.0, 0.9] {
            let mut net = Net::new(&device);
            let batch = |k| Batch::number(k, &device).scaled(scale);
            let start: f64 = net.loss(batch(0)).into_scalar::<f32>().into();
            let keel = Keel::wrap(Momentum::new(momentum).unwrap());
            let mut keel = keel.bound(DeepRelativeTrust::default()).build(&net).unwrap();
            let mut schedule = Cosine::new(1e6, 0.0, 100).unwrap().start();
            for _ in 0..100 {
                let loss = net.loss(batch(0));
                let grads = burn::optim::GradientsParams::from_grads(loss.backward(), &net);
                let stepped = keel.step(schedule.step(), net, grads, &loss).unwrap();
                assert!(stepped.report.is_held() && stepped.report.is_applied());
                net = stepped.model;
            }
            let end: f64 = net.loss(batch(0)).into_scalar::<f32>().into();
            assert!(end < 0.2 * start, "{scale}, {momentum}: {start} to {end}");
        }
    }
    // Without a gradient in time there is no bound.
    let net = Net::new(&device);
    let keel = Keel::<Net>::wrap(Sgd::new()).bound(DeepRelativeTrust::default());
    let error = keel.decide(Decide::OnDevice { every: 5 }).build(&net).unwrap_err().to_string();
    assert!(error.contains("does not look at gradients with Decide::OnDevice"), "{error}");
}

/// Looks at the parameters at every so many attempts are checks, and nothing that a bound learns from: a skipped step
/// moves them to other updates.
#[test]
fn checks_of_parameters_teach_a_bound_nothing() {
    let device = Device::flex().autodiff();
    let start = Net::new(&device);
    for decide in [Decide::Now, Decide::OnDevice { every: 1 }] {
        let run = |every: Option<u64>| {
            let mut net = start.twin();
            let builder = bounded().decide(decide);
            let builder = match every {
                Some(every) => builder.check_parameters_every(every),
                None => builder,
            };
            let mut keel = builder.build(&net).unwrap();
            for k in 0..12 {
                net = step(&mut keel, 0.5, net, k, &device).0;
            }
            (bits(&net), keel.checkpoint(&net).unwrap())
        };
        let (unchecked, saved) = run(None);
        for every in [1, 3] {
            let (checked, after) = run(Some(every));
            assert_eq!(checked, unchecked, "{every}");
            assert_eq!(after.differences(&saved), Vec::<String>::new(), "{every}");
        }
    }
}

/// How the optimizer steps was found by trying it on the weights of the start, which are not those of whoever resumes.
#[test]
fn a_bound_resumes_exactly_whatever_the_weights_of_the_model_it_is_built_for() {
    let device = Device::flex().autodiff();
    for make in [|| Keel::wrap(Adam::new()), || Keel::wrap(Momentum::new(0.9).unwrap())] {
        let build = |net: &Net| make().bound(DeepRelativeTrust::default()).build(net).unwrap();
        let mut net = Net::new(&device);
        let mut keel = build(&net);
        for k in 0..3 {
            net = step(&mut keel, 0.5, net, k, &device).0;
        }
        let saved = keel.checkpoint(&net).unwrap();
        for seed in 1..4 {
            let fresh = filled(Net::new(&device), seed);
            let mut again = build(&fresh);
            let mut resumed = again.resume(&fresh, &saved).unwrap();
            let (mut keel, mut net) = (build(&net), net.twin());
            net = keel.resume(&net, &saved).unwrap();
            for k in 3..8 {
                net = step(&mut keel, 0.5, net, k, &device).0;
                resumed = step(&mut again, 0.5, resumed, k, &device).0;
                assert_eq!(bits(&net), bits(&resumed), "{seed}, {k}");
            }
        }
        // Of an optimizer that steps in another way it is not taken.
        let other = Keel::wrap(Sgd::new()).bound(DeepRelativeTrust::default());
        assert!(other.build(&net).unwrap().resume(&net, &saved).is_err());
    }
}
