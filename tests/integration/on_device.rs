//! Deciding on the device: the weights are as safe as ever, the numbers come late, and between them
//! nothing is read.

use crate::common::{Batch, Net, bits, id_of, is_finite, on_every_device, with_first};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor};
use evenkeel::average::Ema;
use evenkeel::checkpoint::{Checkpoint, Persist};
use evenkeel::clip::GlobalNorm;
use evenkeel::guard::{LossSpike, UpdateRatio};
use evenkeel::optim::{
    AdaBelief, Adam, AdamW, Adamax, Adopt, ModelOptimizer, Momentum, NAdam, RAdam, ScheduleFreeSgd,
    Sgd, Spam, StepArgs,
};
use evenkeel::precision::LossScale;
use evenkeel::schedule::{Ramp, Schedule};
use evenkeel::{Builder, Decide, Fault, Keel, Reading, Rewind, Verdict};

const LATE: Decide = Decide::OnDevice { every: 5 };

fn sgd() -> ModuleOptimizer {
    SgdConfig::new().init()
}

fn adam() -> ModuleOptimizer {
    AdamConfig::new().init()
}

fn build(builder: Builder<Net>, net: &Net) -> Keel<Net> {
    builder.build(net).unwrap()
}

/// One step's gradients, spoilt in one place.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Loss,
    Gradient,
    Statistic,
}

fn spoilt(place: Place, kind: f32, net: &Net, batch: Batch) -> (Tensor<1>, GradientsParams) {
    let (loss, mut grads) = net.backward(batch);
    match place {
        Place::Loss => return (with_first(loss, kind), grads),
        Place::Gradient => {
            let id = id_of(net, "first.weight");
            let grad = grads.remove::<2>(id).unwrap();
            grads.register(id, with_first(grad, kind));
        }
        Place::Statistic => {
            // As a forward pass leaves it there: not yet settled.
            let mean = &net.norm.running_mean;
            mean.update(with_first(mean.value_sync(), kind));
        }
    }
    (loss, grads)
}

#[test]
fn a_sound_run_is_the_one_that_the_host_decides_bit_by_bit() {
    on_every_device(|device| {
        for optimizer in [sgd, adam] {
            let start = Net::new(device);
            let (mut net, mut twin) = (start.twin(), start.twin());
            let mut keel = build(Keel::wrap(optimizer()).decide(LATE), &net);
            let mut host = build(Keel::wrap(optimizer()), &twin);
            let (mut late, mut now) = (Vec::new(), Vec::new());
            for k in 0..10 {
                let (loss, grads) = net.backward(Batch::number(k, device));
                let stepped = keel.step(0.05, net, grads, &loss).unwrap();
                assert_eq!(stepped.report.pending, k % 5 != 4);
                net = stepped.model;
                late.extend(stepped.late);
                let (loss, grads) = twin.backward(Batch::number(k, device));
                let stepped = host.step(0.05, twin, grads, &loss).unwrap();
                twin = stepped.model;
                now.push(stepped.report);
                assert_eq!(bits(&net), bits(&twin), "update {k}");
            }
            assert_eq!(late.len(), now.len());
            for (late, now) in late.iter().zip(&now) {
                assert_eq!((late.verdict, late.factor), (now.verdict, now.factor));
                let (a, b) = (&late.reading, &now.reading);
                assert_eq!(
                    (a.attempt, a.update, a.loss, a.lr),
                    (b.attempt, b.update, b.loss, b.lr)
                );
                assert!((a.grad_norm - b.grad_norm).abs() < 1e-5 * b.grad_norm);
                for ((path, norm), (twin, other)) in a.layers.iter().zip(b.layers.iter()) {
                    assert_eq!(path, twin);
                    assert!((norm - other).abs() <= 1e-5 * other);
                }
            }
            assert_eq!(keel.updates(), 10);
        }
    });
}

#[test]
fn nothing_is_read_but_once_in_so_many_steps() {
    on_every_device(|device| {
        let readbacks = |decide| {
            let mut net = Net::new(device);
            let mut keel = build(
                Keel::wrap(adam())
                    .clip(GlobalNorm::at_most(0.1).unwrap())
                    .guard(LossSpike::default())
                    .average(Ema::new(0.9).unwrap())
                    .check_parameters_every(1)
                    .decide(decide),
                &net,
            );
            let mut counts = Vec::new();
            for k in 0..20 {
                let (loss, grads) = net.backward(Batch::number(k, device));
                net = keel.step(0.01, net, grads, &loss).unwrap().model;
                counts.push(keel.readbacks());
            }
            counts
        };
        let late: Vec<u64> = (1..=20).map(|step| step / 5).collect();
        assert_eq!(readbacks(LATE), late);
        assert_eq!(readbacks(Decide::Now).last(), Some(&40));
    });
}

#[test]
fn a_clip_is_the_hosts_to_rounding() {
    on_every_device(|device| {
        let start = Net::new(device);
        let (mut net, mut twin) = (start.twin(), start.twin());
        let clipped = || Keel::wrap(sgd()).clip(GlobalNorm::at_most(0.2).unwrap());
        let mut keel = build(clipped().clip(GlobalNorm::at_most(0.3).unwrap()).decide(LATE), &net);
        let mut host = build(clipped(), &twin);
        let (mut late, mut now) = (Vec::new(), Vec::new());
        for k in 0..10 {
            let (loss, grads) = net.backward(Batch::number(k, device));
            let stepped = keel.step(0.1, net, grads, &loss).unwrap();
            (net, late) = (stepped.model, [late, stepped.late].concat());
            let (loss, grads) = twin.backward(Batch::number(k, device));
            let stepped = host.step(0.1, twin, grads, &loss).unwrap();
            twin = stepped.model;
            now.push(stepped.report);
        }
        assert!(now.iter().any(|report| report.is_clipped()));
        for (late, now) in late.iter().zip(&now) {
            assert!((late.factor - now.factor).abs() < 1e-5 * now.factor);
        }
        for ((_, a), (_, b)) in bits(&net).iter().zip(&bits(&twin)) {
            for (a, b) in a.iter().zip(b) {
                let (a, b) = (f64::from_bits(*a), f64::from_bits(*b));
                assert!((a - b).abs() < 1e-5, "{a} is not {b}");
            }
        }
    });
}

/// Plain SGD has no memory, so the whole run must be that of a twin that never saw the batches.
#[test]
fn a_dropped_batch_leaves_no_trace() {
    on_every_device(|device| {
        for place in [Place::Loss, Place::Gradient, Place::Statistic] {
            for kind in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38] {
                if (place, kind) == (Place::Loss, 3e38) {
                    continue;
                }
                let start = Net::new(device);
                let (mut net, mut twin) = (start.twin(), start.twin());
                let clip = GlobalNorm::at_most(0.2).unwrap();
                let average = Ema::new(0.9).unwrap();
                let builder = || Keel::wrap(sgd()).clip(clip).average(average).decide(LATE);
                let mut keel = build(builder(), &net);
                let mut unseen = build(builder(), &twin);
                let mut late = Vec::new();
                for k in 0..10 {
                    let batch = Batch::number(k, device);
                    if k == 2 || k == 7 {
                        let (loss, grads) = spoilt(place, kind, &net, batch);
                        let stepped = keel.step(0.1, net, grads, &loss).unwrap();
                        (net, late) = (stepped.model, [late, stepped.late].concat());
                    } else {
                        let (loss, grads) = net.backward(batch.clone());
                        let stepped = keel.step(0.1, net, grads, &loss).unwrap();
                        (net, late) = (stepped.model, [late, stepped.late].concat());
                        let (loss, grads) = twin.backward(batch);
                        twin = unseen.step(0.1, twin, grads, &loss).unwrap().model;
                    }
                    assert_eq!(bits(&net), bits(&twin), "{place:?} {kind} after batch {k}");
                    let averages = (keel.averaged(&net).unwrap(), unseen.averaged(&twin).unwrap());
                    assert_eq!(bits(&averages.0), bits(&averages.1), "{place:?} {kind}: {k}");
                }
                let fault = match place {
                    Place::Loss => Fault::Loss,
                    Place::Gradient => Fault::Gradient,
                    Place::Statistic => Fault::Statistic,
                };
                let skipped: Vec<u64> = late
                    .iter()
                    .filter(|report| report.verdict == Verdict::Skip)
                    .map(|report| report.reading.attempt)
                    .collect();
                assert_eq!(skipped, [2, 7], "{place:?} {kind}");
                assert_eq!(late[2].reading.fault, Some(fault));
                let updates: Vec<u64> = late.iter().map(|report| report.reading.update).collect();
                assert_eq!(updates, [0, 1, 2, 2, 3, 4, 5, 6, 6, 7]);
                assert_eq!((keel.updates(), keel.incidents().count(Verdict::Skip)), (8, 2));
            }
        }
    });
}

/// How an average weighs depends on how many weights it has taken in; a dropped step is none of them.
#[test]
fn an_average_does_not_count_what_was_dropped() {
    on_every_device(|device| {
        let start = Net::new(device);
        let (mut net, mut twin) = (start.twin(), start.twin());
        let warm = Ema::new(0.99).unwrap().warmup();
        let builder = || Keel::wrap(sgd()).average(warm).decide(Decide::OnDevice { every: 1 });
        let mut keel = build(builder(), &net);
        let mut unseen = build(builder(), &twin);
        for k in 0..6 {
            let batch = Batch::number(k, device);
            if k % 2 == 0 {
                let (loss, grads) = spoilt(Place::Gradient, f32::NAN, &net, batch);
                net = keel.step(0.1, net, grads, &loss).unwrap().model;
            } else {
                let (loss, grads) = net.backward(batch.clone());
                net = keel.step(0.1, net, grads, &loss).unwrap().model;
                let (loss, grads) = twin.backward(batch);
                twin = unseen.step(0.1, twin, grads, &loss).unwrap().model;
            }
            let averages = (keel.averaged(&net), unseen.averaged(&twin));
            assert_eq!(averages.0.is_some(), k > 0);
            assert_eq!(averages.0.as_ref().map(bits), averages.1.as_ref().map(bits), "batch {k}");
        }
    });
}

/// What a wrapped optimizer with moments keeps: the parameters, to the bit, at the dropped step.
#[test]
fn momentum_is_no_way_round_the_verdict() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let mut keel = build(Keel::wrap(adam()).decide(LATE), &net);
        for k in 0..5 {
            let before = bits(&net);
            let (loss, grads) = match k {
                3 => spoilt(Place::Gradient, f32::NAN, &net, Batch::number(k, device)),
                _ => net.backward(Batch::number(k, device)),
            };
            net = keel.step(0.1, net, grads, &loss).unwrap().model;
            assert_eq!(bits(&net) == before, k == 3, "batch {k}");
        }
    });
}

type Wrap = fn() -> Builder<Net>;

/// Every kind of plan: with and without moments, with corrections of bias that depend on how many
/// updates have counted, and with all that begins at the first.
const OURS: [(&str, Wrap); 12] = [
    ("Sgd", || Keel::wrap(Sgd::new().weight_decay(0.1).unwrap())),
    ("Momentum", || Keel::wrap(Momentum::new(0.9).unwrap().nesterov().dampening(0.1).unwrap())),
    ("Adam", || Keel::wrap(Adam::new().amsgrad())),
    ("AdamW", || Keel::wrap(AdamW::new().weight_decay(0.1).unwrap())),
    // With moments this long nobody vouches for the outcome: it is checked, and taken back if need be.
    ("AdamW long", || Keel::wrap(AdamW::new().beta_2(1.0 - 1e-7).unwrap())),
    ("AdamW scaled", || Keel::wrap(AdamW::new().update_rms_at_most(0.5).unwrap().cautious())),
    ("AdamW spam", || {
        let spam = Spam::default().reset_every(4).unwrap().warmup(2);
        Keel::wrap(AdamW::new().spam(spam).gradient_start())
    }),
    ("NAdam", || Keel::wrap(NAdam::new())),
    ("RAdam", || Keel::wrap(RAdam::new())),
    ("AdaBelief", || Keel::wrap(AdaBelief::new())),
    ("Adamax", || Keel::wrap(Adamax::new())),
    ("Adopt", || Keel::wrap(Adopt::new())),
];

/// This crate's own optimizers are taken back too: moments, and the counts that correct them.
#[test]
fn our_own_optimizers_leave_no_trace_of_a_dropped_batch() {
    on_every_device(|device| {
        for (rule, wrap) in OURS {
            let start = Net::new(device);
            let (mut net, mut twin) = (start.twin(), start.twin());
            let clip = GlobalNorm::at_most(0.5).unwrap();
            let mut keel = build(wrap().clip(clip).decide(LATE), &net);
            let mut unseen = build(wrap().clip(clip).decide(LATE), &twin);
            for k in 0..17 {
                let batch = Batch::number(k, device);
                if [0, 3, 4, 8, 11].contains(&k) {
                    let (loss, grads) = spoilt(Place::Gradient, f32::NAN, &net, batch);
                    net = keel.step(0.02, net, grads, &loss).unwrap().model;
                } else {
                    let (loss, grads) = net.backward(batch.clone());
                    net = keel.step(0.02, net, grads, &loss).unwrap().model;
                    let (loss, grads) = twin.backward(batch);
                    twin = unseen.step(0.02, twin, grads, &loss).unwrap().model;
                }
                assert_eq!(bits(&net), bits(&twin), "{rule} after batch {k}");
            }
            assert_ne!(bits(&net), bits(&start));
        }
    });
}

/// Deciding on the device is another way through the same arithmetic.
#[test]
fn our_own_optimizers_step_as_they_do_under_the_host() {
    on_every_device(|device| {
        for (rule, wrap) in OURS {
            let start = Net::new(device);
            let (mut net, mut twin) = (start.twin(), start.twin());
            let mut keel = build(wrap().decide(LATE), &net);
            let mut host = build(wrap(), &twin);
            for k in 0..12 {
                let (loss, grads) = net.backward(Batch::number(k, device));
                net = keel.step(0.02, net, grads, &loss).unwrap().model;
                let (loss, grads) = twin.backward(Batch::number(k, device));
                twin = host.step(0.02, twin, grads, &loss).unwrap().model;
            }
            // The bias before a BatchNorm has no gradient but what rounding leaves, and Adam makes steps
            // of full length of that. The running mean goes with it.
            let counts = |(path, _): &(String, _)| {
                !["first.bias", "norm.running_mean"].contains(&path.as_str())
            };
            let after = bits(&net).into_iter().zip(bits(&twin)).filter(|(a, _)| counts(a));
            for ((path, a), (_, b)) in after {
                for (a, b) in a.into_iter().zip(b) {
                    let (a, b) = (f64::from_bits(a), f64::from_bits(b));
                    assert!((a - b).abs() < 1e-4, "{rule}: {path} is {a}, not {b}");
                }
            }
        }
    });
}

/// A saved run goes on as if nothing had been dropped: the counts in the state are the settled ones.
#[test]
fn what_was_dropped_is_not_in_a_checkpoint() {
    let device = Device::flex().autodiff();
    let start = Net::new(&device);
    let (mut net, mut twin) = (start.twin(), start.twin());
    let mut keel = build(Keel::wrap(AdamW::new()).decide(LATE), &net);
    let mut unseen = build(Keel::wrap(AdamW::new()).decide(LATE), &twin);
    for k in 0..7 {
        let batch = Batch::number(k, &device);
        if k == 2 || k == 5 {
            let (loss, grads) = spoilt(Place::Loss, f32::NAN, &net, batch);
            net = keel.step(0.02, net, grads, &loss).unwrap().model;
        } else {
            let (loss, grads) = net.backward(batch.clone());
            net = keel.step(0.02, net, grads, &loss).unwrap().model;
            let (loss, grads) = twin.backward(batch);
            twin = unseen.step(0.02, twin, grads, &loss).unwrap().model;
        }
    }
    net = keel.flush(0.02, net).unwrap().model;
    twin = unseen.flush(0.02, twin).unwrap().model;
    let saved = |keel: &Keel<Net>, net: &Net| keel.checkpoint(net).unwrap();
    let differences = saved(&keel, &net).differences(&saved(&unseen, &twin));
    let only_counters = |name: &String| name.contains("progress") || name.contains("running");
    assert!(differences.iter().all(only_counters), "{differences:?}");
}

#[test]
fn the_schedule_lags_by_what_was_dropped() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut keel = build(Keel::wrap(sgd()).decide(LATE), &net);
    let mut schedule = Ramp::new(0.0, 0.1, 20).unwrap().start();
    let mut positions = Vec::new();
    for k in 0..10 {
        let (loss, grads) = match k {
            1 | 4 | 7 => spoilt(Place::Loss, f32::NAN, &net, Batch::number(k, &device)),
            _ => net.backward(Batch::number(k, &device)),
        };
        net = keel.step(schedule.step(), net, grads, &loss).unwrap().model;
        positions.push((schedule.position(), keel.updates()));
    }
    let at: Vec<u64> = positions.iter().map(|p| p.0).collect();
    assert_eq!(at, [1, 2, 3, 4, 3, 4, 5, 6, 7, 7]);
    assert!(positions.iter().all(|(at, updates)| at == updates));
}

/// A guard that looks at the loss sees a step when it is in the weights already.
#[test]
fn a_late_rejection_rewinds() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let guard = |now: &Reading| match now.attempt == 12 {
        true => Verdict::Skip,
        false => Verdict::Apply,
    };
    let builder = Keel::wrap(adam()).guard(guard).decide(LATE).average(Ema::new(0.5).unwrap());
    let mut keel = build(builder.rewind(Rewind::every(4).unwrap()), &net);
    let mut schedule = Ramp::new(0.0, 0.1, 40).unwrap().start();
    let mut snapshot = None;
    for k in 0..15 {
        let (loss, grads) = net.backward(Batch::number(k, &device));
        let stepped = keel.step(schedule.step(), net, grads, &loss).unwrap();
        net = stepped.model;
        if k == 9 {
            // The numbers of update 8 have arrived, and with them the snapshot that was due.
            snapshot = Some((bits(&net), bits(&keel.averaged(&net).unwrap())));
        }
        if k == 14 {
            let rewound = stepped.report.rewound.unwrap();
            assert_eq!((rewound.to, rewound.updates, rewound.batches), (10, 5, 5));
            let verdicts: Vec<Verdict> = stepped.late.iter().map(|r| r.verdict).collect();
            assert_eq!(verdicts, [Verdict::Apply, Verdict::Apply, Verdict::Rewind]);
        }
    }
    let averaged = bits(&keel.averaged(&net).unwrap());
    assert_eq!((bits(&net), averaged), snapshot.unwrap());
    assert_eq!((schedule.position(), schedule.gain(), keel.updates()), (10, 0.5, 10));
}

#[test]
fn a_late_rejection_halts_where_there_is_no_way_back() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let guard = |now: &Reading| match now.attempt == 1 {
        true => Verdict::Skip,
        false => Verdict::Apply,
    };
    let mut keel = build(Keel::wrap(sgd()).guard(guard).decide(LATE), &net);
    for k in 0..5 {
        let (loss, grads) = net.backward(Batch::number(k, &device));
        match keel.step(0.1, net, grads, &loss) {
            Ok(stepped) => net = stepped.model,
            Err(halted) => {
                assert_eq!(k, 4);
                assert_eq!(halted.report().reading.attempt, 1);
                assert!(is_finite(halted.model()));
                return;
            }
        }
    }
    panic!("it went on");
}

#[test]
fn drops_in_a_row_are_bounded() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let start = bits(&net);
        let mut keel = build(Keel::wrap(sgd()).skips_at_most(6).decide(LATE), &net);
        for k in 0..10 {
            let (loss, grads) = spoilt(Place::Gradient, f32::NAN, &net, Batch::number(k, device));
            match keel.step(0.1, net, grads, &loss) {
                Ok(stepped) => net = stepped.model,
                Err(halted) => {
                    assert_eq!((k, halted.report().reading.attempt), (9, 6));
                    assert_eq!(bits(halted.model()), start);
                    return;
                }
            }
        }
        panic!("it went on");
    });
}

/// Everything finite but the update: the old parameters stay, and the optimizer is not trusted again.
#[test]
fn an_update_that_overflows_is_dropped_and_halts() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let mut keel = build(Keel::wrap(sgd()).decide(LATE), &net);
        for k in 0..5 {
            let (loss, grads) = net.backward(Batch::number(k, device));
            match keel.step(3e38, net, grads, &loss) {
                Ok(stepped) => {
                    net = stepped.model;
                    assert!(is_finite(&net));
                }
                Err(halted) => {
                    assert_eq!(k, 4);
                    assert_eq!(halted.report().reading.fault, Some(Fault::Update));
                    let net = halted.into_model();
                    let (loss, grads) = net.backward(Batch::number(k, device));
                    assert!(keel.step(0.1, net, grads, &loss).is_err());
                    return;
                }
            }
        }
        panic!("it went on");
    });
}

/// An update that was good until it was made is taken back from our own optimizers, and they go on.
#[test]
fn an_update_of_our_own_that_overflows_leaves_no_trace() {
    on_every_device(|device| {
        for (rule, wrap) in OURS {
            let start = Net::new(device);
            let (mut net, mut twin) = (start.twin(), start.twin());
            let mut keel = build(wrap().decide(LATE), &net);
            let mut unseen = build(wrap().decide(LATE), &twin);
            let mut dropped = 0;
            for k in 0..8 {
                let batch = Batch::number(k, device);
                if k == 2 || k == 3 {
                    let before = bits(&net);
                    let (loss, mut grads) = net.backward(batch);
                    let id = id_of(&net, "first.weight");
                    let grad = grads.remove::<2>(id).unwrap();
                    grads.register(id, grad.mul_scalar(1e6));
                    net = keel.step(3e38, net, grads, &loss).unwrap().model;
                    assert!(is_finite(&net), "{rule}");
                    dropped += usize::from(bits(&net) == before);
                } else {
                    let (loss, grads) = net.backward(batch.clone());
                    net = keel.step(0.02, net, grads, &loss).unwrap().model;
                    let (loss, grads) = twin.backward(batch);
                    twin = unseen.step(0.02, twin, grads, &loss).unwrap().model;
                }
                if dropped == 2 || k < 2 {
                    assert_eq!(bits(&net), bits(&twin), "{rule} after batch {k}");
                }
            }
            // Adam's steps are of the rate's size, which is finite.
            if ["Sgd", "Momentum"].contains(&rule) {
                assert_eq!(dropped, 2, "{rule}");
            }
        }
    });
}

#[test]
fn an_overflow_lowers_the_loss_scale_once_for_each_scale() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let scale = LossScale::dynamic().start(f64::powi(2.0, 70)).unwrap();
    let mut keel = build(Keel::wrap(sgd()).loss_scale(scale).skips_at_most(0).decide(LATE), &net);
    let mut scales = Vec::new();
    for k in 0..60 {
        let loss = net.loss(Batch::number(k, &device));
        let backward = (loss.clone() * keel.loss_scale()).backward();
        let grads = GradientsParams::from_grads(backward, &net);
        net = keel.step(0.01, net, grads, &loss).unwrap().model;
        scales.push(keel.loss_scale().log2());
    }
    assert_eq!(&scales[..10], &[70.0, 70.0, 70.0, 70.0, 69.0, 69.0, 69.0, 69.0, 69.0, 68.0]);
    assert!(keel.updates() > 0, "{scales:?}");
}

#[test]
fn an_unscaled_clip_sees_through_the_loss_scale() {
    on_every_device(|device| {
        let start = Net::new(device);
        let (mut net, mut twin) = (start.twin(), start.twin());
        let clipped = || Keel::wrap(sgd()).clip(GlobalNorm::at_most(0.2).unwrap()).decide(LATE);
        let scale = LossScale::dynamic().start(1024.0).unwrap();
        let mut keel = build(clipped().loss_scale(scale), &net);
        let mut plain = build(clipped(), &twin);
        for k in 0..5 {
            let loss = net.loss(Batch::number(k, device));
            let backward = (loss.clone() * keel.loss_scale()).backward();
            let grads = GradientsParams::from_grads(backward, &net);
            net = keel.step(0.1, net, grads, &loss).unwrap().model;
            let (loss, grads) = twin.backward(Batch::number(k, device));
            twin = plain.step(0.1, twin, grads, &loss).unwrap().model;
        }
        for ((_, a), (_, b)) in bits(&net).iter().zip(&bits(&twin)) {
            for (a, b) in a.iter().zip(b) {
                let (a, b) = (f64::from_bits(*a), f64::from_bits(*b));
                assert!((a - b).abs() < 1e-6, "{a} is not {b}");
            }
        }
    });
}

#[test]
fn a_rate_that_is_no_number_is_refused_at_once() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let start = bits(&net);
    let mut keel = build(Keel::wrap(sgd()).decide(LATE), &net);
    let (loss, grads) = spoilt(Place::Loss, f32::NAN, &net, Batch::number(0, &device));
    let net = keel.step(0.1, net, grads, &loss).unwrap().model;
    let (loss, grads) = net.backward(Batch::number(1, &device));
    let stepped = keel.step(f64::NAN, net, grads, &loss).unwrap();
    assert_eq!(bits(&stepped.model), start);
    let faults: Vec<_> = stepped.late.iter().map(|report| report.reading.fault).collect();
    assert_eq!(faults, [Some(Fault::Loss), Some(Fault::Rate)]);
    assert_eq!((stepped.report.verdict, keel.pending()), (Verdict::Skip, 0));
}

#[test]
fn a_checkpoint_waits_for_what_is_pending() {
    let device = Device::flex().autodiff();
    let wraps: [Wrap; 2] = [|| Keel::wrap(adam()), || Keel::wrap(AdamW::new())];
    for wrap in wraps {
        a_checkpoint_waits(&device, || wrap().decide(LATE).rewind(Rewind::every(3).unwrap()));
    }
}

fn a_checkpoint_waits(device: &Device, builder: impl Fn() -> Builder<Net>) {
    let mut net = Net::new(device);
    let mut keel = build(builder(), &net);
    let mut schedule = Ramp::new(0.0, 0.1, 40).unwrap().start();
    let run = |net: Net, keel: &mut Keel<Net>, schedule: &mut _, batches: std::ops::Range<u64>| {
        batches.fold(net, |net, k| {
            let schedule: &mut evenkeel::schedule::Scheduler<Ramp> = schedule;
            let (loss, grads) = match k {
                1 => spoilt(Place::Loss, f32::NAN, &net, Batch::number(k, device)),
                _ => net.backward(Batch::number(k, device)),
            };
            keel.step(schedule.step(), net, grads, &loss).unwrap().model
        })
    };
    net = run(net, &mut keel, &mut schedule, 0..7);
    assert_eq!(keel.pending(), 2);
    let refused = keel.checkpoint(&net).unwrap_err().to_string();
    assert!(refused.contains("2 steps have not been read"), "{refused}");

    let flushed = keel.flush(schedule.step(), net).unwrap();
    assert_eq!((flushed.late.len(), schedule.position(), keel.updates()), (2, 6, 6));
    net = flushed.model;
    let again = keel.flush(schedule.step(), net).unwrap();
    assert_eq!((again.late.len(), schedule.position()), (0, 6));
    net = again.model;

    let saved = keel.checkpoint(&net).unwrap().with("schedule", &schedule).unwrap();
    let saved = Checkpoint::from_bytes(&saved.into_bytes().unwrap()).unwrap();
    net = run(net, &mut keel, &mut schedule, 7..12);

    let other = Net::new(device);
    let mut resumed = build(builder(), &other);
    let mut continued = Ramp::new(0.0, 0.1, 40).unwrap().start();
    let beside: &mut [(&str, &mut dyn Persist)] = &mut [("schedule", &mut continued)];
    let model = resumed.resume_with(&other, &saved, beside).unwrap();
    let model = run(model, &mut resumed, &mut continued, 7..12);
    assert_eq!(bits(&model), bits(&net));
}

#[test]
fn accumulated_gradients_are_decided_on_the_device_too() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let mut keel = build(Keel::wrap(sgd()).decide(Decide::OnDevice { every: 2 }), &net);
        let before = bits(&net);
        for k in 0..4 {
            let (loss, grads) = net.backward(Batch::number(k, device));
            assert!(keel.accumulate(&net, grads, &loss).unwrap().is_applied());
            if k % 2 == 1 {
                let stepped = keel.step_accumulated(0.1, net).unwrap();
                assert_eq!(stepped.report.pending, k == 1);
                net = stepped.model;
            }
        }
        assert_ne!(bits(&net), before);
        assert_eq!((keel.updates(), keel.pending()), (2, 0));
    });
}

/// It is known on the host to be bad, and what is pending before it is settled first: a rewind under
/// steps that are pending would take back updates that are then counted twice.
#[test]
fn a_window_of_nothing_settles_what_is_pending() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let builder = Keel::wrap(sgd()).decide(Decide::OnDevice { every: 6 });
        let rewind = Rewind::every(1).unwrap().backoff(1.0).unwrap();
        let mut keel = build(builder.skips_at_most(0).rewind(rewind), &net);
        let start = bits(&net);
        for k in 0..3 {
            let (loss, grads) = net.backward(Batch::number(k, device));
            assert!(keel.accumulate(&net, grads, &loss).unwrap().is_applied());
            net = keel.step_accumulated(0.1, net).unwrap().model;
        }
        assert_eq!((keel.updates(), keel.pending()), (3, 3));
        let (loss, grads) = spoilt(Place::Loss, f32::NAN, &net, Batch::number(3, device));
        assert!(!keel.accumulate(&net, grads, &loss).unwrap().is_applied());
        let stepped = keel.step_accumulated(0.1, net).unwrap();
        let verdicts: Vec<Verdict> = stepped.late.iter().map(|report| report.verdict).collect();
        use Verdict::Apply;
        assert_eq!(verdicts, [Apply, Apply, Apply, Verdict::Rewind]);
        assert_eq!((keel.updates(), keel.pending()), (0, 0));
        assert_eq!(bits(&stepped.model), start);
    });
}

#[test]
fn what_the_device_cannot_decide_is_refused() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let said = |builder: Builder<Net>| builder.build(&net).unwrap_err().to_string();
    let late = || Keel::wrap(sgd()).decide(LATE);
    assert_eq!(
        said(late().guard(UpdateRatio::at_most(0.1).unwrap())),
        "`guard` of Keel must be one that does not look at updates with Decide::OnDevice, got \
         UpdateRatio"
    );
    assert_eq!(
        said(late().clip(|now: &Reading| 1.0 / (1.0 + now.grad_norm))),
        "`clip` of Keel must be a bound on the global norm with Decide::OnDevice, got clip"
    );
    assert_eq!(
        said(late().check_optimizer_every(7)),
        "`check_optimizer_every` of Keel must be left out with Decide::OnDevice, got 7"
    );
    assert_eq!(
        said(Keel::wrap(sgd()).decide(Decide::OnDevice { every: 0 })),
        "`every` of Decide::OnDevice must be at least 1, got 0"
    );
}

/// A bound of 0 and a gradient of 0 make 0/0, which is NaN.
#[test]
fn a_bound_of_nothing_on_a_gradient_of_nothing_is_a_step_of_nothing() {
    on_every_device(|device| {
        for builder in [Keel::wrap(sgd()), Keel::wrap(Sgd::new()), Keel::wrap(Adam::new())] {
            let net = Net::new(device);
            let before = bits(&net);
            let nothing = GlobalNorm::following(|_| 0.0);
            let mut keel = build(builder.clip(nothing).decide(Decide::OnDevice { every: 1 }), &net);
            let loss = (net.first.weight.val() * 0.0).sum();
            let grads = GradientsParams::from_grads(loss.backward(), &net);
            let stepped = keel.step(0.1, net, grads, &loss).unwrap();
            assert_eq!(stepped.report.verdict, Verdict::Apply);
            assert_eq!(bits(&stepped.model), before);
        }
    });
}

/// A guard that is late halts, and it comes to light when the next step is refused or nothing is left to do:
/// what the next batch has written into the model is not handed back.
#[test]
fn a_halt_that_comes_late_hands_back_no_statistics_of_a_bad_batch() {
    on_every_device(|device| {
        for refused in [true, false] {
            let net = Net::new(device);
            let halts = |now: &Reading| match now.loss > 100.0 {
                true => Verdict::Halt,
                false => Verdict::Apply,
            };
            let mut keel = build(Keel::wrap(sgd()).guard(halts).decide(LATE), &net);
            let (loss, grads) = net.backward(Batch::number(0, device));
            let net = keel.step(1e-3, net, grads, &(loss * 1e6)).unwrap().model;
            let sound = bits(&net);
            let (loss, grads) = net.backward(Batch::number(1, device).scaled(f64::NAN));
            let halted = match refused {
                true => keel.step(f64::NAN, net, grads, &loss).unwrap_err(),
                false => keel.flush(1e-3, net).unwrap_err(),
            };
            assert!(is_finite(halted.model()), "refused {refused}");
            assert_eq!(bits(halted.model()), sound, "refused {refused}");
        }
    });
}

/// A step that is refused by its rate reads what is pending: a snapshot that falls due then is taken.
#[test]
fn a_snapshot_that_falls_due_while_a_step_is_refused_is_taken() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let rewinds = |now: &Reading| match now.loss > 1e3 {
            true => Verdict::Rewind,
            false => Verdict::Apply,
        };
        let builder = Keel::wrap(sgd()).guard(rewinds).decide(LATE);
        let mut keel = build(builder.rewind(Rewind::every(3).unwrap()), &net);
        let step = |keel: &mut Keel<Net>, net: Net, k: u64, rate: f64, times: f64| {
            let (loss, grads) = net.backward(Batch::number(k, device));
            keel.step(rate, net, grads, &(loss * times)).unwrap().model
        };
        for k in 0..4 {
            net = step(&mut keel, net, k, 1e-3, 1.0);
        }
        net = step(&mut keel, net, 4, f64::NAN, 1.0);
        assert_eq!(keel.updates(), 4);
        let sound = bits(&net);
        net = step(&mut keel, net, 5, 1e-3, 1e6);
        let stepped = keel.flush(1e-3, net).unwrap();
        assert_eq!(stepped.report.rewound.unwrap().to, 4);
        assert_eq!(bits(&stepped.model), sound);
    });
}

/// What is evaluated, and a copy of the optimizer, know of steps that have not been read.
#[test]
fn pending_steps_are_in_what_is_handed_out() {
    on_every_device(|device| {
        let start = Net::new(device);
        let build = |decide: Decide| {
            Keel::wrap(ScheduleFreeSgd::new()).decide(decide).build(&start).unwrap()
        };
        let (mut late, mut host) = (build(LATE), build(Decide::Now));
        let (mut net, mut twin) = (start.twin(), start.twin());
        for k in 0..3 {
            let (loss, grads) = net.backward(Batch::number(k, device));
            net = late.step(0.05, net, grads, &loss).unwrap().model;
            let (loss, grads) = twin.backward(Batch::number(k, device));
            twin = host.step(0.05, twin, grads, &loss).unwrap().model;
        }
        assert_eq!(late.pending(), 3);
        let near = |a: &Net, b: &Net| {
            let numbers = |net: &Net| -> Vec<f64> {
                bits(net)
                    .iter()
                    .flat_map(|(_, bits)| bits.iter().map(|x| f64::from_bits(*x)))
                    .collect()
            };
            let pairs = numbers(a).into_iter().zip(numbers(b));
            pairs.map(|(x, y)| (x - y).abs()).fold(0.0, f64::max) < 1e-5
        };
        let averaged = late.eval_model(&net);
        assert!(!near(&averaged, &net), "the weights that are trained are others");
        assert!(near(&averaged, &host.eval_model(&twin)));
        // One more update by the copies.
        let args = || StepArgs::new(0.05, 1.0, 1e3);
        let next = |mut optimizer: Box<dyn ModelOptimizer<Net>>, net: &Net| {
            let (_, grads) = net.backward(Batch::number(9, device));
            optimizer.update(args(), net.clone(), grads)
        };
        assert!(near(&next(late.optimizer(), &net), &next(host.optimizer(), &twin)));
    });
}

/// The numbers of a late report are unscaled, and it says what the bounds have left of the rate if the step is in the
/// weights, applied or not.
#[test]
fn late_reports_have_the_numbers_of_early_ones() {
    on_every_device(|device| {
        let start = Net::new(device);
        let run = |decide: Decide| {
            let mut net = start.twin();
            let mut keel = Keel::wrap(Sgd::new())
                .loss_scale(LossScale::fixed(16.0).unwrap())
                .bound(|_: &Reading| 0.01)
                .guard(|now: &Reading| match now.update {
                    2 => Verdict::Skip,
                    _ => Verdict::Apply,
                })
                .rewind(Rewind::every(1).unwrap().at_most(1).unwrap())
                .decide(decide)
                .build(&net)
                .unwrap();
            let mut reports = Vec::new();
            for k in 0..4 {
                let loss = net.loss(Batch::number(k, device));
                let scaled = if k == 1 { loss.clone() * f32::NAN } else { loss.clone() * 16.0 };
                let grads = GradientsParams::from_grads(scaled.backward(), &net);
                let stepped = keel.step(1.0, net, grads, &loss).unwrap();
                net = stepped.model;
                reports.push(stepped.late.first().unwrap_or(&stepped.report).clone());
            }
            reports
        };
        let (early, late) = (run(Decide::Now), run(Decide::OnDevice { every: 1 }));
        for (at, (early, late)) in early.iter().zip(&late).enumerate() {
            assert_eq!(late.cap, if at == 1 { None } else { Some(0.01) }, "{at}");
            // What the guard rejects is in the weights already, and cannot be skipped any more.
            let verdict = if at == 3 { Verdict::Rewind } else { early.verdict };
            assert_eq!(late.verdict, verdict, "{at}");
            for ((path, norm), (other, expected)) in
                late.reading.layers.iter().zip(early.reading.layers.iter())
            {
                assert_eq!(path, other);
                assert!(at == 1 || (norm / expected - 1.0).abs() < 1e-4, "{path}: {norm}");
            }
            assert!(
                at == 1 || (late.reading.grad_norm / early.reading.grad_norm - 1.0).abs() < 1e-4
            );
        }
    });
}

/// An update that overflows at the weights of the only snapshot is rewound, because the rate is lower afterwards.
#[test]
fn an_overflowing_update_is_rewound_to_the_same_weights() {
    on_every_device(|device| {
        let net = Net::new(device);
        let before = bits(&net);
        let mut keel = Keel::wrap(Sgd::new())
            .skips_at_most(0)
            .rewind(Rewind::every(10).unwrap())
            .decide(Decide::OnDevice { every: 1 })
            .build(&net)
            .unwrap();
        let loss = net.loss(Batch::number(0, device));
        let grads = GradientsParams::from_grads((loss.clone() * 1e6).backward(), &net);
        let stepped = keel.step(3e38, net, grads, &loss).unwrap();
        let report = &stepped.late[0];
        assert_eq!((report.verdict, report.reading.fault), (Verdict::Rewind, Some(Fault::Update)));
        assert_eq!(bits(&stepped.model), before);
    });
}
