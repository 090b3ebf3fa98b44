//! The battery that every schedule passes.

use crate::common::catalogue;
use burn::lr_scheduler::LrScheduler;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::ParamGroup;
use catalogue::all;
use evenkeel::checkpoint::Persist;
use evenkeel::schedule::{Constant, Cosine, OneCycle, Past, Ramp, Schedule, Scheduler, Step};

fn probes() -> impl Iterator<Item = u64> {
    (0..40).chain((0..64).map(|bit| 1u64 << bit)).chain([u64::MAX - 1, u64::MAX])
}

#[test]
fn each_is_finite_for_ever() {
    for (name, schedule) in all() {
        for t in probes() {
            assert!(schedule.at(t).is_finite(), "{name} at {t}: {}", schedule.at(t));
        }
    }
}

#[test]
fn stepping_reads_the_curve_and_seeking_is_stepping() {
    for (name, curve) in all() {
        let mut stepped = curve.clone().start();
        for t in 0..40 {
            assert_eq!(stepped.position(), t, "{name}");
            assert_eq!(stepped.peek(), curve.at(t), "{name}");
            let mut sought = curve.clone().start();
            sought.seek(t);
            assert_eq!(sought.step(), curve.at(t), "{name}");
            assert_eq!(stepped.step(), curve.at(t), "{name}");
        }
        stepped.seek(u64::MAX);
        assert_eq!(stepped.step(), curve.at(u64::MAX));
        assert_eq!(stepped.position(), u64::MAX, "{name}: the end of counting is not an overflow");
    }
}

#[test]
fn dampening_multiplies_and_accumulates() {
    // Where there is a `Backoff`, that takes it.
    for (name, curve) in all().into_iter().filter(|(name, _)| *name != "backoff") {
        let mut schedule = curve.clone().start();
        schedule.back_off(0.5).unwrap();
        schedule.back_off(0.5).unwrap();
        for t in 0..10 {
            assert_eq!(schedule.step(), 0.25 * curve.at(t), "{name}");
        }
        for bad in [0.0, -1.0, 1.1, f64::NAN] {
            assert!(schedule.back_off(bad).unwrap_err().is_parameter());
        }
        assert_eq!(schedule.gain(), 0.25, "{name}");
    }
}

/// Through Burn's own record and its bytes, by the next rate rather than by comparing records.
#[test]
fn burns_records_resume_each() {
    for (name, curve) in all() {
        let mut schedule = curve.clone().start();
        schedule.seek(5);
        schedule.back_off(0.5).unwrap();
        let bytes = schedule.to_record().into_bytes().unwrap();
        let record = burn::lr_scheduler::LrSchedulerRecord::from_bytes(bytes).unwrap();
        let mut fresh = curve.start();
        fresh.load_record(record);
        for _ in 0..10 {
            assert_eq!(fresh.step().value(), schedule.step().value(), "{name}");
        }
    }
}

/// No record of one is taken by another; and a refused one changes nothing.
#[test]
fn no_record_fits_another_schedule() {
    let probe = |curve: &dyn Schedule| probes().map(|t| curve.at(t).to_bits()).collect::<Vec<_>>();
    for (name, curve) in all() {
        let mut saved = curve.clone().start();
        saved.seek(5);
        for (other, own) in all() {
            let mut fresh = own.clone().start();
            let before = probe(&own);
            match fresh.restore(&saved.state()) {
                Ok(()) => {
                    // One that is the same, by another name.
                    for t in probes() {
                        let (a, b) = (own.at(t), curve.at(t));
                        assert!((a - b).abs() <= 1e-9 * a.abs().max(b.abs()), "{name}, {other}");
                    }
                }
                Err(error) => {
                    assert!(error.is_record());
                    assert_ne!(name, other, "{error}");
                    assert_eq!(fresh.position(), 0);
                    assert_eq!(probe(&own), before, "{other} after a record of {name}");
                }
            }
        }
    }
}

#[test]
fn damaged_records_are_refused() {
    let curve = Cosine::new(1.0, 0.0, 10).unwrap();
    let mut schedule = curve.start();
    schedule.seek(3);
    let good = schedule.state();
    assert!(schedule.restore(&good).is_ok());
    for bad in [
        evenkeel::checkpoint::State::new(),
        good.clone().with_count("more", 1),
        good.clone().with_list("curve", vec![1.0]),
        good.clone().with_count("remembers", 3),
        good.clone().with_part("feedback", good.clone()),
    ] {
        assert!(schedule.restore(&bad).unwrap_err().is_record(), "{bad:?}");
        assert_eq!(schedule.position(), 3);
    }
}

/// A run on the way is made longer, and shorter; and the longer one is resumed.
#[test]
fn a_run_gets_another_length_on_resume() {
    let curve = Cosine::new(1.0, 0.0, 100).unwrap();
    let mut first = curve.start();
    first.seek(40);
    let saved = first.state();
    for to in [400, 60, 40] {
        let mut resumed = curve.start();
        resumed.restore(&saved).unwrap();
        let mut changed = resumed.extend_to(100, to).unwrap();
        assert_eq!(changed.position(), 40);
        assert_eq!(changed.curve().at(39), curve.at(39), "what was passed stays");
        assert_eq!(changed.curve().at(to), 0.0);
        changed.seek(50);
        let mut again = curve.stretch(100, to).since(40).unwrap().start();
        again.restore(&changed.state()).unwrap();
        assert_eq!(again.step().value(), changed.step().value());
        assert!(curve.start().restore(&changed.state()).unwrap_err().is_record());
    }
    let error = first.extend_to(100, 39).unwrap_err().to_string();
    assert!(error.starts_with("`since` of Stretch must be at most 39"), "{error}");
}

/// Going on past an end where that is an error gives no number, and nothing hides it.
#[test]
fn past_an_end_that_is_an_error_there_is_no_number() {
    let ended = Ramp::new(0.0, 1.0, 4).unwrap().until(5, Past::Error).unwrap();
    assert_eq!(ended.at(4), 1.0);
    let level = Constant::new(0.5).unwrap();
    let around = [
        ended.boxed(),
        ended.times(level).boxed(),
        Schedule::min(ended, level).boxed(),
        Schedule::max(level, ended).boxed(),
        Schedule::clamp(ended, 0.0, 1.0).unwrap().boxed(),
        ended.scale(2.0).unwrap().plus(level).boxed(),
        level.mean(ended).boxed(),
        level.then(1, ended).boxed(),
    ];
    for curve in around {
        assert!(curve.at(4).is_finite() && curve.at(6).is_nan());
    }
}

/// Burn's `load_record` cannot return an error, so it is loud.
#[test]
#[should_panic(
    expected = "it is another schedule's: at update 0 that one gave 0, this one gives 1"
)]
fn a_record_of_another_schedule_is_not_taken_silently() {
    let record = Ramp::new(0.0, 1.0, 5).unwrap().start().to_record();
    Constant::new(1.0).unwrap().start().load_record(record);
}

#[test]
#[should_panic(expected = "there is no scalar `backoff.at` in it")]
fn an_empty_record_is_not_a_new_start() {
    Constant::new(1.0).unwrap().start().load_record(Default::default());
}

/// As the type that `Learner::new` and parameter groups take.
#[test]
fn each_runs_inside_burns_scheduler_and_its_groups() {
    for (name, curve) in all() {
        let base = Ramp::new(0.0, 1.0, 10).unwrap();
        let mut rates = ModuleLrScheduler::new(base.start())
            .with_group(ParamGroup::from_predicate("head"), curve.clone().start());
        for t in 0..20 {
            let rate = rates.step();
            let id = burn::module::ParamId::new();
            assert_eq!(rate.lr_from_param(id, Some("body.weight")), base.at(t));
            assert_eq!(rate.lr_from_param(id, Some("head.weight")), curve.at(t), "{name}");
        }
        let learner: ModuleLrScheduler = curve.start().into();
        let mut learner = learner;
        assert!(learner.step().base().is_finite());
    }
}

#[test]
fn wrong_arguments_are_named() {
    fn said<T: std::fmt::Debug>(result: Result<T, evenkeel::Error>) -> String {
        result.unwrap_err().to_string()
    }
    let finite = |owner: &str, name: &str, got: &str| {
        format!("`{name}` of {owner} must be a finite number, got {got}")
    };
    let nan = f64::NAN;
    assert_eq!(said(Constant::new(nan)), finite("Constant", "value", "NaN"));
    assert_eq!(said(Ramp::new(nan, 1.0, 1)), finite("Ramp", "from", "NaN"));
    assert_eq!(said(Ramp::new(0.0, f64::INFINITY, 1)), finite("Ramp", "to", "inf"));
    assert_eq!(said(Cosine::new(nan, 1.0, 1)), finite("Cosine", "from", "NaN"));
    assert_eq!(said(Cosine::new(0.0, f64::NEG_INFINITY, 1)), finite("Cosine", "to", "-inf"));
    assert_eq!(said(Step::new(nan, 0.5, 1)), finite("Step", "from", "NaN"));
    assert_eq!(
        said(Step::new(1.0, -0.5, 1)),
        "`factor` of Step must be a finite number of at least 0, got -0.5"
    );
    assert_eq!(said(Step::new(1.0, 0.5, 0)), "`every` of Step must be at least 1, got 0");
    let ramp = Ramp::new(0.0, 1.0, 1).unwrap();
    assert_eq!(said(ramp.clamp(nan, 1.0)), finite("clamp", "low", "NaN"));
    assert_eq!(said(ramp.clamp(1.0, 0.0)), "`high` of clamp must be at least `low` = 1, got 0");
    assert_eq!(said(ramp.scale(nan)), finite("scale", "factor", "NaN"));
}

/// Curves known in closed form by others: literals from the definitions.
#[test]
fn literals_at_the_edges() {
    let cosine = Cosine::new(0.1, 0.0, 4).unwrap();
    let expected = [0.1, 0.085_355_339_059_327_38, 0.05, 0.014_644_660_940_672_63, 0.0, 0.0, 0.0];
    for (t, expected) in expected.into_iter().enumerate() {
        assert!((cosine.at(t as u64) - expected).abs() <= 1e-12 * expected.max(1e-3), "{t}");
    }
    let warm = Ramp::new(0.0, 0.1, 4).unwrap().then(4, cosine);
    assert_eq!((warm.at(0), warm.at(4), warm.at(8), warm.at(9)), (0.0, 0.1, 0.0, 0.0));
    assert_eq!(Scheduler::new(warm).peek(), 0.0);
}

/// The peak is reached wherever it is, at the first update too.
#[test]
fn one_cycle_reaches_its_peak_in_runs_of_a_few_updates() {
    for over in 1..12 {
        let cycle = OneCycle::new(1.0, over).unwrap();
        for cycle in [cycle, cycle.three_phase()] {
            let highest = (0..=over).map(|t| cycle.at(t)).fold(0.0, f64::max);
            assert_eq!(highest, 1.0, "{over}");
        }
    }
}
