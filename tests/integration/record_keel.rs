//! What a keel does, in a log.

use crate::common::{Batch, Net, with_first};
use burn::optim::SgdConfig;
use burn::tensor::Device;
use evenkeel::clip::GlobalNorm;
use evenkeel::monitor::Watch;
use evenkeel::record::{Entry, History, Logbook, Sink};
use evenkeel::{Decide, Error, Keel, Report, Rewind, Verdict};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

/// Everything that is written, as it is.
#[derive(Clone, Default)]
struct All(Arc<Mutex<Vec<Entry>>>);

impl Sink for All {
    fn write(&mut self, entry: &Entry) -> Result<(), Error> {
        self.0.lock().unwrap().push(entry.clone());
        Ok(())
    }
}

/// Trains with faults, and returns what was logged, the reports that are not pending, and how often there
/// was a readback.
fn train(decide: Decide) -> (Vec<Entry>, Vec<Report>, u64) {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut keel = Keel::wrap(SgdConfig::new().init())
        .clip(GlobalNorm::at_most(0.5).unwrap())
        .decide(decide)
        .skips_at_most(1)
        .rewind(Rewind::every(4).unwrap())
        .build(&net)
        .unwrap();
    let mut watch = Watch::every(3).unwrap();
    let all = All::default();
    let mut log = Logbook::to(all.clone()).keep(History::default()).open(0).unwrap();
    let mut reports = Vec::new();
    for k in 0..30 {
        let mut batch = Batch::number(k, &device);
        if matches!(k, 7 | 14 | 15) {
            batch.x = with_first(batch.x, f32::NAN);
        }
        let (loss, grads) = net.backward(batch);
        watch.look(&net, &grads);
        let stepped = keel.step(0.1, net, grads, &loss).unwrap();
        let seen = watch.observe(&stepped.model, &stepped.report).unwrap();
        assert_eq!(seen.is_some(), k % 3 == 0);
        log.step(&stepped, seen).unwrap();
        match stepped.late.is_empty() {
            true => reports.extend((!stepped.report.pending).then_some(stepped.report)),
            false => reports.extend(stepped.late),
        }
        net = stepped.model;
    }
    let stepped = keel.flush(0.1, net).unwrap();
    log.step(&stepped, None).unwrap();
    reports.extend(stepped.late);
    let kept = log.history();
    log.close().unwrap();
    let all = std::mem::take(&mut *all.0.lock().unwrap());
    assert!(kept.entries().eq(&all), "memory and sink");
    (all, reports, keel.readbacks())
}

#[test]
fn every_step_is_recorded_once_with_what_was_seen_of_it() {
    let (entries, reports, _) = train(Decide::Now);
    assert_eq!(entries.len(), 30);
    assert_eq!(entries.len(), reports.len());
    let verdicts: Vec<Verdict> = entries.iter().map(|entry| entry.verdict).collect();
    assert_eq!(verdicts.iter().filter(|v| **v == Verdict::Skip).count(), 2);
    assert_eq!(verdicts.iter().filter(|v| **v == Verdict::Rewind).count(), 1);
    for (k, (entry, report)) in entries.iter().zip(&reports).enumerate() {
        assert_eq!((entry.attempt, entry.update), (k as u64, report.reading.update));
        assert_eq!(entry.verdict, report.verdict);
        assert_eq!(entry.why.is_some(), report.verdict != Verdict::Apply);
        let same = |name, value: f64| {
            assert_eq!(entry.get(name).map(f64::to_bits), Some(value.to_bits()), "{name} at {k}");
        };
        same("lr", report.reading.lr);
        same("factor", report.factor);
        same("effective_lr", report.reading.lr * report.factor);
        if report.reading.loss.is_finite() {
            same("loss", report.reading.loss);
            same("grad_norm", report.reading.grad_norm);
        }
        match report.is_clipped() {
            true => assert!((entry.get("clip_bound").unwrap() - 0.5).abs() < 1e-6),
            false => assert_eq!(entry.get("clip_bound"), None),
        }
        for (path, norm) in report.reading.layers.iter() {
            let logged = entry.get(&format!("grad_norm/{path}")).unwrap();
            // The watch measures it too, in another order of summing.
            assert!(logged.is_nan() && norm.is_nan() || (logged - norm).abs() <= 1e-5 * norm);
        }
        let applied = entry.verdict == Verdict::Apply;
        assert_eq!(entry.get("update_norm").is_some(), k % 3 == 0 && applied, "at {k}");
        assert_eq!(entry.get("skip_rate").is_some(), k % 3 == 0);
    }
    assert!(reports.iter().any(Report::is_clipped), "nothing was clipped");
    assert!(reports.iter().any(|report| !report.is_clipped()), "everything was clipped");
    let rewound = entries.iter().find(|entry| entry.verdict == Verdict::Rewind).unwrap();
    assert!(rewound.why.as_ref().unwrap().contains("back to update"), "{rewound:?}");
}

#[test]
fn steps_that_the_device_decides_are_recorded_when_they_are_read() {
    for every in [1, 4, 7] {
        let (entries, reports, readbacks) = train(Decide::OnDevice { every });
        assert_eq!(entries.len(), reports.len());
        assert!(readbacks < 30 || every == 1, "recording reads nothing");
        for (entry, report) in entries.iter().zip(&reports) {
            assert_eq!(entry.attempt, report.reading.attempt);
            assert_eq!(entry.verdict, report.verdict);
            assert!(entry.get("loss").is_some());
            if report.reading.loss.is_finite() {
                assert_eq!(entry.get("loss"), Some(report.reading.loss));
            }
            // What was seen goes with its own step, though the report came later.
            let sampled = entry.attempt.is_multiple_of(3);
            assert_eq!(entry.get("param_norm").is_some(), sampled, "at {}", entry.attempt);
        }
        assert!(entries.iter().any(|entry| entry.verdict == Verdict::Skip));
    }
}

#[test]
fn a_halt_is_recorded_with_the_steps_that_were_read_with_it() {
    for decide in [Decide::Now, Decide::OnDevice { every: 4 }] {
        let device = Device::flex().autodiff();
        let mut net = Net::new(&device);
        let sgd = SgdConfig::new().init();
        let keel = Keel::wrap(sgd).decide(decide).skips_at_most(0);
        let mut keel = keel.build(&net).unwrap();
        let mut log = Logbook::keep(History::default()).open(0).unwrap();
        for k in 0.. {
            let mut batch = Batch::number(k, &device);
            if k == 6 {
                batch.x = with_first(batch.x, f32::NAN);
            }
            let (loss, grads) = net.backward(batch);
            match keel.step(0.1, net, grads, &loss) {
                Ok(stepped) => {
                    log.step(&stepped, None).unwrap();
                    net = stepped.model;
                }
                Err(halted) => {
                    log.halted(&halted).unwrap();
                    break;
                }
            }
        }
        let history = log.history();
        let attempts: Vec<u64> = history.entries().map(|entry| entry.attempt).collect();
        assert_eq!(attempts, [0, 1, 2, 3, 4, 5, 6]);
        let last = history.incidents().collect::<Vec<_>>();
        assert_eq!(last.len(), 1);
        assert_eq!((last[0].attempt, last[0].verdict), (6, Verdict::Halt));
    }
}

/// Waits with each step until it is let go on.
struct Slow(Arc<Barrier>);

impl Sink for Slow {
    fn write(&mut self, _: &Entry) -> Result<(), Error> {
        self.0.wait();
        Ok(())
    }
}

#[test]
fn training_goes_on_while_a_sink_hangs_and_a_full_queue_is_an_error() {
    let (barrier, all) = (Arc::new(Barrier::new(2)), All::default());
    let log = Logbook::to(Slow(barrier.clone())).to(all.clone()).queue(4).unwrap();
    let mut log = log.patience(Duration::ZERO).open(0).unwrap();
    // The writer takes some and hangs; four more wait, and then there is no place.
    let mut recorded = Vec::new();
    let mut refused = 0;
    for k in 0..1000 {
        match log.push(Entry::new(k, k)) {
            Ok(()) => recorded.push(k),
            Err(error) => {
                assert!(error.is_io() && error.to_string().contains("queue is full"), "{error}");
                refused += 1;
            }
        }
    }
    assert!((4..=8).contains(&recorded.len()), "{recorded:?}");
    assert_eq!(refused, 1000 - recorded.len());
    for _ in &recorded {
        barrier.wait();
    }
    log.close().unwrap();
    let written: Vec<u64> = all.0.lock().unwrap().iter().map(|entry| entry.attempt).collect();
    assert_eq!(written, recorded, "whatever was taken is written");
}

#[test]
fn with_patience_nothing_is_left_out() {
    let all = All::default();
    let mut log = Logbook::to(all.clone()).queue(1).unwrap().open(0).unwrap();
    for k in 0..50 {
        log.push(Entry::new(k, k)).unwrap();
    }
    drop(log);
    assert_eq!(all.0.lock().unwrap().len(), 50, "dropping writes the rest");
}

/// Fails, or panics, at one step.
struct Breaks(u64, bool);

impl Sink for Breaks {
    fn write(&mut self, entry: &Entry) -> Result<(), Error> {
        assert!(entry.attempt != self.0 || !self.1, "on purpose");
        match entry.attempt == self.0 {
            true => Err(History::new(0).unwrap_err()),
            false => Ok(()),
        }
    }
}

#[test]
fn a_sink_that_fails_is_told_of_and_the_others_go_on() {
    let all = All::default();
    let mut log = Logbook::to(Breaks(3, false)).to(all.clone()).open(0).unwrap();
    let mut told: Vec<_> = (0..4).map(|k| log.push(Entry::new(k, k))).collect();
    told.push(log.flush());
    let [error] = told.into_iter().filter_map(Result::err).collect::<Vec<_>>().try_into().unwrap();
    log.push(Entry::new(4, 4)).unwrap();
    log.flush().unwrap();
    assert_eq!(all.0.lock().unwrap().len(), 5);
    assert_eq!(log.close(), Err(error));
}

#[test]
fn a_sink_that_panics_blocks_nobody() {
    let mut log = Logbook::to(Breaks(0, true)).keep(History::default()).open(0).unwrap();
    log.push(Entry::new(0, 0)).unwrap();
    let _ = log.flush();
    let error = log.push(Entry::new(1, 1)).unwrap_err();
    assert!(error.is_io() && error.to_string().contains("panicked"), "{error}");
    assert!(log.history().is_empty());
    assert!(log.close().is_err());
}

#[test]
fn layers_are_told_of_as_often_as_is_asked_for() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut keel = Keel::wrap(SgdConfig::new().init()).build(&net).unwrap();
    let log = Logbook::keep(History::default()).layers_every(4).unwrap();
    let mut log = log.open(0).unwrap();
    for k in 0..10 {
        let mut batch = Batch::number(k, &device);
        if k == 6 {
            batch.x = with_first(batch.x, f32::NAN);
        }
        let (loss, grads) = net.backward(batch);
        let stepped = keel.step(0.1, net, grads, &loss).unwrap();
        log.step(&stepped, None).unwrap();
        net = stepped.model;
    }
    let history = log.history();
    let layers = history.series("grad_norm/first.weight");
    let attempts: Vec<u64> = layers.into_iter().map(|(attempt, _)| attempt).collect();
    assert_eq!(attempts, [0, 4, 6, 8], "and of what was skipped");
    assert_eq!(history.series("grad_norm").len(), 10);
}

#[test]
fn attempts_never_go_back() {
    let mut log = Logbook::keep(History::default()).open(5).unwrap();
    assert!(log.push(Entry::new(4, 4)).unwrap_err().is_parameter(), "before the log begins");
    log.push(Entry::new(5, 5)).unwrap();
    // A batch that an accumulation leaves out, and the step that it belongs to.
    log.push(Entry::new(5, 5)).unwrap();
    log.push(Entry::new(9, 2)).unwrap();
    assert!(log.push(Entry::new(8, 3)).unwrap_err().is_parameter(), "before the last one");
    assert_eq!(log.history().steps(), 3);
}

#[test]
fn wrong_settings_are_errors() {
    for capacity in [0, 31] {
        let error = History::new(capacity).unwrap_err();
        assert!(error.is_parameter() && error.to_string().contains("at least 32"), "{error}");
    }
    assert!(Logbook::keep(History::default()).queue(0).unwrap_err().is_parameter());
    assert!(Logbook::keep(History::default()).layers_every(0).unwrap_err().is_parameter());
}

#[test]
fn an_entry_of_a_pending_report_has_only_a_rate() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let keel = Keel::wrap(SgdConfig::new().init()).decide(Decide::OnDevice { every: 2 });
    let mut keel = keel.build(&net).unwrap();
    let (loss, grads) = net.backward(Batch::number(0, &device));
    let stepped = keel.step(0.1, net, grads, &loss).unwrap();
    let entry = Entry::of(&stepped.report);
    assert!(entry.iter().eq([("lr", 0.1)]), "{entry:?}");
}

/// Tells when its sink has failed.
struct Tells(Breaks, Arc<AtomicBool>);

impl Sink for Tells {
    fn write(&mut self, entry: &Entry) -> Result<(), Error> {
        let written = self.0.write(entry);
        self.1.fetch_or(written.is_err(), Ordering::SeqCst);
        written
    }
}

/// A sink has failed before: that is told, and the halt is written down all the same.
#[test]
fn a_halt_is_recorded_whatever_became_of_the_lines_before() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let keel = Keel::wrap(SgdConfig::new().init()).decide(Decide::OnDevice { every: 4 });
    let mut keel = keel.skips_at_most(0).build(&net).unwrap();
    let failed = Arc::new(AtomicBool::new(false));
    let sink = Tells(Breaks(3, false), failed.clone());
    let mut log = Logbook::to(sink).keep(History::default()).open(0).unwrap();
    for k in 0.. {
        let mut batch = Batch::number(k, &device);
        if k == 6 {
            batch.x = with_first(batch.x, f32::NAN);
        }
        let (loss, grads) = net.backward(batch);
        match keel.step(0.1, net, grads, &loss) {
            Ok(stepped) => {
                if k == 3 {
                    log.step(&stepped, None).unwrap();
                    // Until the sink has failed, and nobody has been told.
                    while !failed.load(Ordering::SeqCst) {
                        std::thread::yield_now();
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
                net = stepped.model;
            }
            Err(halted) => {
                assert!(log.halted(&halted).is_err());
                break;
            }
        }
    }
    let last: Vec<(u64, Verdict)> =
        log.history().incidents().map(|entry| (entry.attempt, entry.verdict)).collect();
    assert_eq!(last, [(6, Verdict::Halt)]);
}
