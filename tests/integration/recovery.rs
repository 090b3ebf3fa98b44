//! Going back: how far, at what rate, with what left out, and what is written down.

use crate::common::{Batch, Net, bits, on_every_device, with_first};
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor};
use evenkeel::checkpoint::{CheckpointDir, Persist};
use evenkeel::guard::{Divergence, Guard, LossSpike, NonFinite, UpdateRatio};
use evenkeel::precision::LossScale;
use evenkeel::schedule::{Backoff, Constant, Plateau, Ramp, Schedule};
use evenkeel::{Fault, Halted, Keel, Reading, Rewind, Verdict};

pub fn step(keel: &mut Keel<Net>, rate: f64, net: Net, batch: Batch) -> (Net, evenkeel::Report) {
    let (loss, grads) = net.backward(batch);
    let stepped = keel.step(rate, net, grads, &loss).unwrap();
    (stepped.model, stepped.report)
}

fn bad(device: &Device) -> Batch {
    let mut batch = Batch::number(0, device);
    batch.x = with_first(batch.x, f32::NAN);
    batch
}

#[test]
fn a_rewind_goes_back_to_before_the_cause() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let rewind = Rewind::every(5).unwrap().keep(5).unwrap().age(8);
        let mut keel = Keel::wrap(SgdConfig::new().init())
            .on_non_finite(Verdict::Rewind)
            .rewind(rewind)
            .build(&net)
            .unwrap();
        let mut seen = vec![bits(&net)];
        for k in 0..17 {
            net = step(&mut keel, 0.1, net, Batch::number(k, device)).0;
            seen.push(bits(&net));
        }
        // Snapshots at 0, 5, 10, 15; the newest that is 8 updates old at update 17 is that of 5.
        let (net, report) = step(&mut keel, 0.1, net, bad(device));
        let rewound = report.rewound.unwrap();
        assert_eq!((rewound.to, rewound.updates, rewound.batches), (5, 12, 13));
        assert_eq!(bits(&net), seen[5]);
        assert_eq!(keel.attempts(), 18, "batches are counted on");
        assert_eq!(
            report.to_string().split(", back").nth(1).unwrap(),
            " to update 5: 12 updates taken back, 13 batches left out"
        );
    });
}

/// Lowered, and climbing to the lowered level: of a schedule, and of a plain rate.
#[test]
fn after_a_rewind_the_rate_climbs_to_its_lowered_level() {
    let device = Device::flex().autodiff();
    let build = |net: &Net| {
        let rewind = Rewind::every(2).unwrap().backoff(0.5).unwrap().warmup(3);
        Keel::wrap(SgdConfig::new().init())
            .on_non_finite(Verdict::Rewind)
            .rewind(rewind)
            .build(net)
            .unwrap()
    };
    let expected = [0.125, 0.25, 0.375, 0.5, 0.5];

    let mut net = Net::new(&device);
    let mut keel = build(&net);
    for k in 0..3 {
        net = step(&mut keel, 1.0, net, Batch::number(k, &device)).0;
    }
    net = step(&mut keel, 1.0, net, bad(&device)).0;
    let mut plain = Vec::new();
    for k in 0..5 {
        let (model, report) = step(&mut keel, 1.0, net, Batch::number(k, &device));
        net = model;
        plain.push(report.reading.lr);
    }
    assert_eq!(plain, expected);

    let mut net = Net::new(&device);
    let mut keel = build(&net);
    let mut schedule = Constant::new(1.0).unwrap().start();
    let mut rates = Vec::new();
    for k in 0..9 {
        let batch = if k == 3 { bad(&device) } else { Batch::number(k, &device) };
        let (loss, grads) = net.backward(batch);
        let stepped = keel.step(schedule.step(), net, grads, &loss).unwrap();
        net = stepped.model;
        if k > 3 {
            rates.push(stepped.report.reading.lr);
        }
    }
    assert_eq!(rates, expected);
    // And it is saved in the middle of the climb.
    let mut schedule = Constant::new(1.0).unwrap().start();
    let mut keel = build(&net);
    for k in 0..4 {
        let batch = if k == 3 { bad(&device) } else { Batch::number(k, &device) };
        let (loss, grads) = net.backward(batch);
        net = keel.step(schedule.step(), net, grads, &loss).unwrap().model;
    }
    let mut fresh = Constant::new(1.0).unwrap().start();
    fresh.restore(&schedule.state()).unwrap();
    assert_eq!(fresh.peek(), 0.125);
}

#[test]
fn every_incident_is_logged_with_what_was_done() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut keel = Keel::wrap(SgdConfig::new().init())
        .skips_at_most(1)
        .rewind(Rewind::every(1).unwrap().at_most(1).unwrap())
        .build(&net)
        .unwrap();
    net = step(&mut keel, 0.1, net, Batch::number(0, &device)).0;
    net = step(&mut keel, 0.1, net, bad(&device)).0;
    net = step(&mut keel, 0.1, net, bad(&device)).0;
    net = step(&mut keel, 0.1, net, bad(&device)).0;
    let (loss, grads) = net.backward(bad(&device));
    assert!(keel.step(0.1, net, grads, &loss).is_err());

    let log = keel.incidents();
    let told: Vec<(u64, u64, Verdict)> =
        log.iter().map(|i| (i.attempt, i.update, i.verdict)).collect();
    use Verdict::{Halt, Skip};
    assert_eq!(told, [(1, 1, Skip), (2, 1, Verdict::Rewind), (3, 0, Skip), (4, 0, Halt)]);
    let counts = [Verdict::Apply, Skip, Verdict::Rewind, Halt].map(|v| log.count(v));
    assert_eq!(counts, [0, 2, 1, 1]);
    let text = log.to_string();
    assert!(
        text.contains("batch 2: update 1 rewound (non-finite loss, 2 steps in a row)"),
        "{text}"
    );
    assert!(text.ends_with("2 skips, 1 rewinds, 1 halts"), "{text}");
}

#[cfg(feature = "serde")]
#[test]
fn incidents_can_be_written_down_and_read() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut keel = Keel::wrap(SgdConfig::new().init())
        .on_non_finite(Verdict::Rewind)
        .rewind(Rewind::every(1).unwrap())
        .build(&net)
        .unwrap();
    net = step(&mut keel, 0.1, net, Batch::number(1, &device)).0;
    net = step(&mut keel, 0.1, net, bad(&device)).0;
    let net = crate::common::poke(net, "last.weight", f32::INFINITY);
    let (net, _) = step(&mut keel, 0.1, net, Batch::number(0, &device));
    drop(net);
    assert_eq!(keel.incidents().iter().len(), 2);
    for incident in keel.incidents().iter() {
        let line = serde_json::to_string(incident).unwrap();
        let read: evenkeel::Incident = serde_json::from_str(&line).unwrap();
        // NaN is not like itself; its text is.
        assert_eq!(format!("{read:?}"), format!("{incident:?}"), "{line}");
    }
}

/// The wall looks at the update itself, and what it rejects leaves no trace, optimizer included.
#[test]
fn an_update_that_moves_too_far_is_put_back_exactly() {
    on_every_device(|device| {
        let start = Net::new(device);
        let (mut net, mut twin) = (start.twin(), start.twin());
        let build = |net: &Net| {
            Keel::wrap(AdamConfig::new().init())
                .guard(UpdateRatio::at_most(0.2).unwrap())
                .build(net)
                .unwrap()
        };
        let (mut keel, mut twin_keel) = (build(&net), build(&twin));
        for k in 0..6 {
            if k % 2 == 1 {
                let before = bits(&net);
                let (model, report) = step(&mut keel, 10.0, net, Batch::number(50 + k, device));
                net = model;
                assert_eq!(report.verdict, Verdict::Skip);
                assert_eq!(report.by.as_deref(), Some("UpdateRatio"));
                let moved = report.reading.updates.get("first.weight").unwrap();
                let size = report.reading.sizes.get("first.weight").unwrap();
                assert!(moved > 0.2 * size, "{moved} of {size}");
                assert_eq!(bits(&net), before);
            }
            let (model, report) = step(&mut keel, 0.005, net, Batch::number(k, device));
            net = model;
            assert!(report.is_applied(), "{report}");
            twin = step(&mut twin_keel, 0.005, twin, Batch::number(k, device)).0;
            assert_eq!(bits(&net), bits(&twin), "update {k}");
        }
        let saved = keel.checkpoint(&net).unwrap();
        let differences = saved.differences(&twin_keel.checkpoint(&twin).unwrap());
        assert!(differences.iter().all(|name| name.ends_with("attempts")), "{differences:?}");
    });
}

/// Plain SGD moves by the rate times the gradient: the numbers that a wall sees are known.
#[test]
fn updates_and_sizes_are_measured() {
    on_every_device(|device| {
        let net = Net::new(device);
        let before = net.twin();
        let mut keel = Keel::wrap(SgdConfig::new().init())
            .guard(UpdateRatio::at_most(1e9).unwrap())
            .build(&net)
            .unwrap();
        let (net, report) = step(&mut keel, 0.5, net, Batch::number(0, device));
        let now = &report.reading;
        assert_eq!(now.updates.len(), 6);
        for ((path, moved), (_, norm)) in now.updates.iter().zip(now.layers.iter()) {
            assert!((moved - 0.5 * norm).abs() <= 1e-5 * norm.max(1e-3), "{path}: {moved} {norm}");
        }
        let norm = |net: &Net, path: &str| {
            let all = bits(net);
            let (_, bits) = all.iter().find(|(p, _)| p == path).unwrap();
            bits.iter().map(|b| f64::from_bits(*b).powi(2)).sum::<f64>().sqrt()
        };
        for (path, size) in now.sizes.iter() {
            assert!((size - norm(&before, path)).abs() <= 1e-6, "{path}");
        }
        drop(net);
    });
}

/// A state that is broken from outside is found on request, and only another one cures it.
#[test]
fn a_broken_optimizer_state_rewinds_or_halts() {
    on_every_device(|device| {
        // Momentum's first state is the gradient itself; a huge finite one, twice, overflows it.
        let optimizer = || {
            let momentum = burn::optim::momentum::MomentumConfig::new()
                .with_momentum(1e30)
                .with_dampening(0.0);
            SgdConfig::new().with_momentum(Some(momentum)).init()
        };
        let run = |rewind: bool| {
            let mut net = Net::new(device);
            let mut keel = Keel::wrap(optimizer()).check_optimizer_every(1);
            if rewind {
                keel =
                    keel.rewind(Rewind::every(1).unwrap().keep(9).unwrap().backoff(1.0).unwrap());
            }
            let mut keel = keel.build(&net).unwrap();
            for k in 0..8 {
                let (loss, grads) = net.backward(Batch::number(k, device));
                // A rate of 0 keeps the parameters out of it.
                match keel.step(0.0, net, grads, &loss) {
                    Ok(stepped) => {
                        net = stepped.model;
                        if !stepped.report.is_applied() {
                            return stepped.report;
                        }
                    }
                    Err(halted) => return halted.report().clone(),
                }
            }
            panic!("the state never broke");
        };
        let rewound = run(true);
        assert_eq!(rewound.verdict, Verdict::Rewind, "{rewound}");
        let fault = rewound.reading.fault;
        assert!(matches!(fault, Some(Fault::Optimizer | Fault::Update)), "{fault:?}");
        assert_eq!(run(false).verdict, Verdict::Halt);
    });
}

#[test]
fn a_guard_of_its_own_patience_escalates_inside_a_keel() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let high = |now: &Reading| if now.loss > 1e3 { Verdict::Skip } else { Verdict::Apply };
    let mut keel = Keel::wrap(SgdConfig::new().init())
        .guard(high.escalating(1, 1))
        .rewind(Rewind::every(1).unwrap().at_most(10).unwrap())
        .build(&net)
        .unwrap();
    let mut verdicts = Vec::new();
    for k in 0..6 {
        let mut batch = Batch::number(k, &device);
        if k > 0 {
            batch.y = batch.y + 1e3;
        }
        let (loss, grads) = net.backward(batch);
        match keel.step(0.01, net, grads, &loss) {
            Ok(stepped) => {
                verdicts.push(stepped.report.verdict);
                net = stepped.model;
            }
            Err(halted) => {
                verdicts.push(halted.report().verdict);
                break;
            }
        }
    }
    use Verdict::{Apply, Halt, Skip};
    assert_eq!(verdicts, [Apply, Skip, Verdict::Rewind, Skip, Halt]);
    let _ = NonFinite.name();
}

/// Save into a folder, damage the newest, go on from the one before: bit by bit the same run.
#[test]
fn a_folder_resumes_a_run_with_its_schedule() {
    let device = Device::flex().autodiff();
    let path = std::env::temp_dir().join(format!("evenkeel-recovery-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    let folder = CheckpointDir::new(&path);
    let build = |net: &Net| {
        let keel = Keel::wrap(AdamConfig::new().init());
        keel.rewind(Rewind::every(2).unwrap()).build(net).unwrap()
    };
    let rates = || Ramp::new(0.0, 0.1, 10).unwrap().start();
    let advance =
        |keel: &mut Keel<Net>, schedule: &mut evenkeel::schedule::Scheduler<Ramp>, net: Net| {
            let (loss, grads) = net.backward(Batch::number(keel.attempts(), &device));
            keel.step(schedule.step(), net, grads, &loss).unwrap().model
        };

    let (mut net, mut schedule) = (Net::new(&device), rates());
    let mut keel = build(&net);
    assert!(keel.load(&folder, &net, &mut [("rate", &mut schedule)]).unwrap().is_none());
    let mut last = path.clone();
    for _ in 0..6 {
        net = advance(&mut keel, &mut schedule, net);
        last = keel.save(&folder, &net, &[("rate", &schedule)]).unwrap();
    }
    std::fs::write(&last, b"not a checkpoint").unwrap();
    for _ in 0..4 {
        net = advance(&mut keel, &mut schedule, net);
    }

    let (fresh, mut resumed_schedule) = (Net::new(&device), rates());
    let mut resumed = build(&fresh);
    let beside: &mut [(&str, &mut dyn Persist)] = &mut [("rate", &mut resumed_schedule)];
    let mut twin = resumed.load(&folder, &fresh, beside).unwrap().unwrap();
    assert_eq!(resumed.attempts(), 5);
    // The damaged one is not passed over without a word.
    let (loss, grads) = twin.backward(Batch::number(resumed.attempts(), &device));
    let stepped = resumed.step(resumed_schedule.step(), twin, grads, &loss).unwrap();
    let [notice] = stepped.report.notices.as_slice() else { panic!("{:?}", stepped.report) };
    let said = format!("{} was passed over: ", last.display());
    assert!(notice.starts_with(&said) && notice.contains("goes on from"), "{notice}");
    assert_eq!(resumed.incidents().notices().map(|(_, text)| text).collect::<Vec<_>>(), [notice]);
    twin = stepped.model;
    while resumed.attempts() < keel.attempts() {
        twin = advance(&mut resumed, &mut resumed_schedule, twin);
    }
    assert_eq!(bits(&net), bits(&twin));

    // What does not fit changes nothing, the schedule included.
    let mut other = Ramp::new(0.0, 0.2, 10).unwrap().start();
    other.seek(3);
    let before = bits(&fresh);
    assert!(resumed.load(&folder, &fresh, &mut [("rate", &mut other)]).unwrap_err().is_record());
    let mut plain = Keel::wrap(SgdConfig::new().init()).build(&fresh).unwrap();
    let mut schedule = rates();
    schedule.seek(7);
    assert!(plain.load(&folder, &fresh, &mut [("rate", &mut schedule)]).unwrap_err().is_record());
    assert_eq!((other.position(), schedule.position(), bits(&fresh)), (3, 7, before));
    std::fs::remove_dir_all(&path).unwrap();
    let _ = fresh.num_params();
}

/// What a rewind was for must not be what leads to the next one: the losses of the way that was abandoned.
#[test]
fn a_rewind_is_not_the_cause_of_the_next() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut keel = Keel::wrap(SgdConfig::new().init())
        .guard(LossSpike::default().by_loss_alone().warmup(3).unwrap().start_floor(0.0).unwrap())
        .guard(Divergence::above(2.0).unwrap().patience(3).start_floor(0.0).unwrap())
        .rewind(Rewind::every(20).unwrap().age(30).backoff(1.0).unwrap())
        .build(&net)
        .unwrap();
    // The same batch again and again, until its loss is far below what it was.
    let batch = || Batch::number(0, &device);
    for _ in 0..75 {
        net = step(&mut keel, 0.05, net, batch()).0;
    }
    let mut reports = Vec::new();
    for k in 0..130 {
        // A stretch of bad batches, longer than skips are borne.
        let Batch { x, y } = batch();
        let batch = if k < 11 { Batch { x, y: y.mul_scalar(100.0) } } else { Batch { x, y } };
        let (loss, grads) = net.backward(batch);
        let stepped = keel.step(0.05, net, grads, &loss).unwrap();
        net = stepped.model;
        reports.push(stepped.report);
    }
    let count = |verdict| reports.iter().filter(|report| report.verdict == verdict).count();
    assert_eq!([Verdict::Skip, Verdict::Rewind].map(count), [10, 1]);
    assert_eq!(reports[10].rewound.map(|back| back.to), Some(40));
    assert!(reports[11].reading.loss > 1.2 * reports[118].reading.loss, "it was worth rewinding");
    assert!(reports[11..].iter().all(evenkeel::Report::is_applied));
}

/// A halt that follows from weights that have exploded hands back those from before.
#[test]
fn a_halt_hands_back_the_best_it_has() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut schedule = Constant::new(0.05).unwrap().start();
    let mut keel = Keel::wrap(SgdConfig::new().init())
        .guard(LossSpike::default().by_loss_alone().warmup(3).unwrap())
        .skips_at_most(2)
        .rewind(Rewind::every(10).unwrap().at_most(1).unwrap())
        .build(&net)
        .unwrap();
    for k in 0..25 {
        let (loss, grads) = net.backward(Batch::number(k, &device));
        net = keel.step(schedule.step(), net, grads, &loss).unwrap().model;
    }
    let at_snapshot = |model: &Net| model.loss(Batch::number(0, &device)).into_scalar::<f32>();
    // Weights ruined between two steps, again and again: the rewinds are used up.
    let halted = loop {
        let ruined = crate::common::poke(net, "last.weight", 1e6);
        let (loss, grads) = ruined.backward(Batch::number(99, &device));
        match keel.step(schedule.step(), ruined, grads, &loss) {
            Ok(stepped) => net = stepped.model,
            Err(halted) => break halted,
        }
    };
    let text = halted.to_string();
    assert!(text.contains("after 1 rewinds; the model is handed back as of update 10"), "{text}");
    let ruined = at_snapshot(halted.abandoned().unwrap());
    let sound = at_snapshot(halted.model());
    assert!(sound < 10.0 && ruined > 1e6, "{sound} and {ruined}");
    // Everything else is there too, so that training may go on.
    assert_eq!(schedule.position(), keel.updates());
    let (mut net, abandoned) = halted.into_models();
    assert!(abandoned.is_some());
    for k in 0..5 {
        let (loss, grads) = net.backward(Batch::number(k, &device));
        net = keel.step(schedule.step(), net, grads, &loss).unwrap().model;
    }
}

/// What feedback has learned of weights that were abandoned is forgotten; what a rewind has lowered is not, and a
/// resumed run knows both.
#[test]
fn feedback_goes_back_with_the_weights() {
    let device = Device::flex().autodiff();
    let plateau = || Plateau::minimizing().factor(0.5).unwrap().patience(0);
    let keel = || {
        Keel::wrap(SgdConfig::new().init())
            .on_non_finite(Verdict::Rewind)
            .rewind(Rewind::every(4).unwrap().keep(1).unwrap().backoff(0.5).unwrap())
    };
    let curve = |plateau: &Plateau, backoff: &Backoff| {
        Constant::new(1e-3).unwrap().times(plateau.clone()).times(backoff.clone())
    };
    for stop in [None, Some(6)] {
        let (mut told, mut backoff) = (plateau(), Backoff::default());
        let mut schedule = curve(&told, &backoff).start();
        let mut net = Net::new(&device);
        let mut run = keel().build(&net).unwrap();
        let mut rates = Vec::new();
        for k in 0..12 {
            if stop == Some(k) {
                let saved = run.checkpoint(&net).unwrap().with("schedule", &schedule).unwrap();
                (told, backoff) = (plateau(), Backoff::default());
                schedule = curve(&told, &backoff).start();
                run = keel().build(&net).unwrap();
                net = run.resume_with(&net, &saved, &mut [("schedule", &mut schedule)]).unwrap();
            }
            let batch = if k == 6 || k == 9 { bad(&device) } else { Batch::number(k, &device) };
            let (loss, grads) = net.backward(batch);
            let stepped = run.step(schedule.step(), net, grads, &loss).unwrap();
            net = stepped.model;
            rates.push(stepped.report.reading.lr / 1e-3);
            // The first is the best, and each after it a disappointment.
            told.record(1.0).unwrap();
        }
        // Twice back to update 4, at whose snapshot the plateau had been told three times: at a quarter, told once
        // more before the next step, and lowered once and twice.
        let before = [1.0, 1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125];
        let after = [0.0625, 0.03125, 0.015625, 0.03125, 0.015625];
        let expected = [before.as_slice(), &after].concat();
        assert_eq!(rates, expected, "stopped at {stop:?}");
    }
}

/// Steps with these losses, the last of which halts the run.
fn halted_by(
    losses: impl IntoIterator<Item = f32>,
    keel: &mut Keel<Net>,
    mut net: Net,
) -> Halted<Net> {
    let device = Device::flex().autodiff();
    for loss in losses {
        let (_, grads) = net.backward(Batch::number(0, &device));
        let loss = Tensor::<1>::from_floats([loss], &device);
        match keel.step(0.01, net, grads, &loss) {
            Ok(stepped) => net = stepped.model,
            Err(halted) => return halted,
        }
    }
    panic!("it was not halted");
}

/// The first snapshot is of weights whose first loss that was applied is their level, and not one that was rejected.
#[test]
fn a_halt_hands_back_the_start_if_it_was_better() {
    let device = Device::flex().autodiff();
    for first in [None, Some(1e7)] {
        let net = Net::new(&device);
        let verdict = |now: &Reading| match now.loss {
            loss if loss > 1e6 => Verdict::Skip,
            loss if loss > 100.0 => Verdict::Halt,
            _ => Verdict::Apply,
        };
        let mut keel = Keel::wrap(SgdConfig::new().init())
            .guard(verdict)
            .rewind(Rewind::every(1000).unwrap())
            .build(&net)
            .unwrap();
        let start = bits(&net);
        let losses = first.into_iter().chain([1.0; 25]).chain([5e3]);
        let halted = halted_by(losses, &mut keel, net);
        assert!(halted.abandoned().is_some(), "{first:?}: {halted}");
        assert_eq!(bits(halted.model()), start, "{first:?}");
    }
}

/// One or two losses that are not finite are the batches' fault, three in a row the weights'.
#[test]
fn three_losses_that_are_not_finite_are_the_weights_fault() {
    let device = Device::flex().autodiff();
    for row in [2, 3] {
        let net = Net::new(&device);
        let mut keel = Keel::wrap(SgdConfig::new().init())
            .skips_at_most(row - 1)
            .rewind(Rewind::every(1000).unwrap().at_most(1).unwrap())
            .guard(|now: &Reading| if now.loss > 10.0 { Verdict::Halt } else { Verdict::Apply })
            .build(&net)
            .unwrap();
        let nan = std::iter::repeat_n(f32::NAN, row as usize - 1);
        // The last one halts, whatever may be rewound.
        let losses = [1.0; 25].into_iter().chain(nan).chain([f32::INFINITY]);
        let halted = halted_by(losses, &mut keel, net);
        assert_eq!(halted.abandoned().is_some(), row == 3, "{row}");
    }
}

/// Of two guards with the same verdict the first is named, and an overflow is what it is unless a guard wants more.
#[test]
fn the_first_of_equals_is_named() {
    struct Named(&'static str, Verdict);
    impl Guard for Named {
        fn judge(&self, now: &Reading) -> Verdict {
            if now.update == 1 { self.1 } else { Verdict::Apply }
        }
        fn name(&self) -> &str {
            self.0
        }
    }
    let device = Device::flex().autodiff();
    for (overflow, second, by, rejected) in
        [(false, Verdict::Skip, "first", 1), (true, Verdict::Skip, "overflow at loss scale 8", 0)]
    {
        let mut net = Net::new(&device);
        let mut keel = Keel::wrap(SgdConfig::new().init())
            .loss_scale(LossScale::dynamic().start(8.0).unwrap())
            .guard(Named("first", Verdict::Skip))
            .guard(Named("second", second))
            .build(&net)
            .unwrap();
        for update in 0..2 {
            let loss = net.loss(Batch::number(0, &device));
            let scale = if overflow && update == 1 { f64::INFINITY } else { 8.0 };
            let grads = GradientsParams::from_grads((loss.clone() * scale).backward(), &net);
            let stepped = keel.step(0.01, net, grads, &loss).unwrap();
            net = stepped.model;
            if update == 1 {
                assert_eq!(stepped.report.by.as_deref(), Some(by));
                assert_eq!(stepped.report.rejected, rejected);
            }
        }
    }
}

/// A guard that asks for a rewind where this says so.
fn rewinding(at: impl Fn(&Reading) -> bool + Send) -> impl Fn(&Reading) -> Verdict + Send {
    move |now| if at(now) { Verdict::Rewind } else { Verdict::Apply }
}

/// Runs with snapshots at every tenth update, back to one of this age: where it was rewound to, and whether it was
/// halted.
fn rewound(at: impl Fn(&Reading) -> bool + Send + 'static, age: u64) -> (Vec<u64>, bool) {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut keel = Keel::wrap(SgdConfig::new().init())
        .guard(rewinding(at))
        .rewind(Rewind::every(10).unwrap().at_most(1).unwrap().age(age))
        .build(&net)
        .unwrap();
    let mut to = Vec::new();
    for k in 0..90 {
        let (loss, grads) = net.backward(Batch::number(k, &device));
        match keel.step(0.01, net, grads, &loss) {
            Ok(stepped) => {
                net = stepped.model;
                to.extend(stepped.report.rewound.map(|back| back.to));
            }
            Err(_) => return (to, true),
        }
    }
    (to, false)
}

/// Rewinds are counted anew once a snapshot lies beyond the update that failed, and not before.
#[test]
fn rewinds_are_counted_up_to_a_snapshot_beyond_the_failure() {
    // On the way from 10 a snapshot is taken at 20, which is not beyond the failure at 25.
    assert_eq!(rewound(|now| now.update == 25, 10), (vec![10], true));
    // One at the very update that fails is not beyond it either.
    assert_eq!(rewound(|now| now.update == 30, 10), (vec![20], true));
    // The snapshot at 20 is beyond the first failure, so that there is another rewind.
    assert_eq!(rewound(|now| [15, 35].contains(&now.attempt), 0), (vec![10, 20], false));
}

/// Twice the level of the start is no harm yet: two rejected losses of 1.5 and 2.5.
#[test]
fn losses_up_to_twice_the_level_are_no_harm() {
    let device = Device::flex().autodiff();
    for (last, harmed) in [(2.5, false), (2.75, true)] {
        let net = Net::new(&device);
        let mut keel = Keel::wrap(SgdConfig::new().init())
            .guard(|now: &Reading| match now.loss {
                1.0 => Verdict::Apply,
                1.5 => Verdict::Skip,
                _ => Verdict::Halt,
            })
            .rewind(Rewind::every(1000).unwrap())
            .build(&net)
            .unwrap();
        let halted = halted_by([1.0; 25].into_iter().chain([1.5, last]), &mut keel, net);
        assert_eq!(halted.abandoned().is_some(), harmed, "{last}");
    }
}
