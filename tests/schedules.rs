//! The battery that every schedule passes.

use burn::lr_scheduler::LrScheduler;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::ParamGroup;
use evenkeel::schedule::{Constant, Cosine, Ramp, Schedule, Scheduler, Step};

type Any = std::sync::Arc<dyn Schedule + Send + Sync>;

/// One of each, named; a new schedule is added here.
fn all() -> Vec<(&'static str, Any)> {
    let ramp = || Ramp::new(0.0, 0.3, 7).unwrap();
    let cosine = || Cosine::new(0.3, 0.01, 11).unwrap();
    vec![
        ("constant", Constant::new(0.1).unwrap().boxed()),
        ("ramp", ramp().boxed()),
        ("ramp down from 30", Ramp::new(30.0, 0.0, 3).unwrap().boxed()),
        ("ramp of no length", Ramp::new(5.0, 1.0, 0).unwrap().boxed()),
        ("ramp between extremes", Ramp::new(f64::MIN, f64::MAX, 5).unwrap().boxed()),
        ("cosine", cosine().boxed()),
        ("cosine of no length", Cosine::new(1.0, 0.5, 0).unwrap().boxed()),
        ("cosine for ever", Cosine::new(1.0, 0.0, u64::MAX).unwrap().boxed()),
        ("cosine between extremes", Cosine::new(f64::MAX, f64::MIN, 9).unwrap().boxed()),
        ("step", Step::new(1.0, 0.1, 5).unwrap().boxed()),
        ("growing step", Step::new(1.0, 1e10, 1).unwrap().boxed()),
        ("growing step from 0", Step::new(0.0, 1e10, 1).unwrap().boxed()),
        ("step to nothing", Step::new(1.0, 0.0, 3).unwrap().boxed()),
        ("then", ramp().then(7, cosine()).boxed()),
        ("then at once", ramp().then(0, cosine()).boxed()),
        (
            "then, three deep",
            ramp().then(7, cosine().then(11, Constant::new(1.0).unwrap())).boxed(),
        ),
        ("times", ramp().times(cosine()).boxed()),
        ("times beyond range", Step::new(2.0, 9.0, 1).unwrap().times(|_| 1e300).boxed()),
        ("plus", ramp().plus(cosine()).boxed()),
        ("min", ramp().min(cosine()).boxed()),
        ("max", ramp().max(cosine()).boxed()),
        ("clamp", cosine().clamp(0.1, 0.2).unwrap().boxed()),
        ("scale", cosine().scale(-2.0).unwrap().boxed()),
        ("shift", cosine().shift(4).boxed()),
        ("closure", (|t: u64| 1.0 / (1.0 + t as f64)).boxed()),
        (
            "nested",
            ramp().then(3, cosine().times(ramp()).shift(2)).clamp(0.0, 1.0).unwrap().boxed(),
        ),
    ]
}

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
    for (name, curve) in all() {
        let mut schedule = curve.clone().start();
        schedule.dampen(0.5).unwrap();
        schedule.dampen(0.5).unwrap();
        for t in 0..10 {
            assert_eq!(schedule.step(), 0.25 * curve.at(t), "{name}");
        }
        for bad in [0.0, -1.0, 1.1, f64::NAN] {
            assert!(schedule.dampen(bad).unwrap_err().is_parameter());
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
        schedule.dampen(0.5).unwrap();
        let bytes = schedule.to_record().into_bytes().unwrap();
        let record = burn::lr_scheduler::LrSchedulerRecord::from_bytes(bytes).unwrap();
        let mut fresh = curve.start();
        fresh.load_record(record);
        for _ in 0..10 {
            assert_eq!(fresh.step().value(), schedule.step().value(), "{name}");
        }
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
#[should_panic(expected = "there is no scalar `curve.len` in it")]
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
