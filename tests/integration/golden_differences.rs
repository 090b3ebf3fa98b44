//! Where ours are meant to differ from other libraries, and that they do so there and nowhere else: the
//! table of `src/docs/schedules.md`, from the values that `golden/schedules.py` has written.

use evenkeel::Error;
use evenkeel::schedule::recipe::Transformers;
use evenkeel::schedule::{
    Boxed, Cosine, MultiStep, OneCycle, PiecewiseConstant, Plateau, Polynomial, Ramp, Schedule,
    WarmRestarts,
};

/// One call of another library.
#[derive(serde::Deserialize)]
struct Case {
    name: String,
    at: Vec<u64>,
    value: Vec<f64>,
    /// What a schedule that learns was told before each value; `None` is a NaN.
    metrics: Option<Vec<Option<f64>>>,
}

fn cases() -> Vec<Case> {
    #[derive(serde::Deserialize)]
    struct Golden {
        differences: Vec<Case>,
    }
    let golden: Golden = serde_json::from_str(include_str!("../golden/schedules.json")).unwrap();
    golden.differences
}

fn case(name: &str) -> Case {
    cases().into_iter().find(|case| case.name == name).unwrap()
}

/// The updates at which ours differ.
fn differences(case: &Case, ours: impl Fn(u64) -> f64) -> Vec<u64> {
    let pairs = case.at.iter().zip(&case.value);
    let differs = |(&t, &theirs): (&u64, &f64)| {
        ((ours(t) - theirs).abs() > 1e-12 * theirs.abs().max(1e-5)).then_some(t)
    };
    pairs.filter_map(differs).collect()
}

/// A case, ours, and the updates at which they are meant to differ.
type Row = (&'static str, Boxed, Vec<u64>);

fn curves() -> Result<Vec<Row>, Error> {
    let everywhere = || vec![0, 1, 2, 3, 7, 1000];
    Ok(vec![
        // A phase of no length is over at once.
        ("torch/linear_of_none", Ramp::new(0.025, 0.1, 0)?.boxed(), everywhere()),
        ("optax/linear_of_none", Ramp::new(0.0, 0.1, 0)?.boxed(), everywhere()),
        ("optax/polynomial_of_none", Polynomial::new(1.0, 0.01, 0)?.boxed(), everywhere()),
        // The end is held.
        ("torch/cosine", Cosine::new(0.1, 0.01, 10)?.boxed(), vec![11, 12, 13, 107, 1000]),
        (
            "transformers/cosine",
            Transformers::new(0.1, 5, 20)?.cosine()?.boxed(),
            vec![21, 22, 23, 207, 1000],
        ),
        // The fifth restart is one.
        (
            "torch/restarts_by_epoch",
            WarmRestarts::new(0.1, 0.001, 1)?.period_factor(3.0)?.boxed(),
            vec![121],
        ),
        (
            "timm/restarts_tripled",
            WarmRestarts::new(0.1, 0.01, 1)?.period_factor(3.0)?.cycles(9).boxed(),
            vec![121],
        ),
        // A value changes at its boundary.
        ("timm/multi_step", MultiStep::new(0.1, 0.5, [4, 9])?.boxed(), vec![3, 8]),
        ("keras/piecewise", PiecewiseConstant::new(1.0, [(4, 0.5), (9, 0.1)])?.boxed(), vec![4, 9]),
    ])
}

#[test]
fn curves_differ_where_the_table_says_and_nowhere_else() {
    for (name, curve, at) in curves().unwrap() {
        assert_eq!(differences(&case(name), |t| curve.at(t)), at, "{name}");
    }
}

#[test]
fn the_peak_is_on_a_whole_update() {
    let theirs = case("torch/one_cycle").value.into_iter().fold(0.0, f64::max);
    let ours = OneCycle::new(1.0, 19).unwrap().peak_at(6).unwrap();
    assert!(theirs < 0.998, "{theirs}");
    assert_eq!(ours.at(6), 1.0);
}

/// What a plateau makes of the metrics of a case, and whether it has refused one.
fn told(case: &Case, rate: f64, plateau: Plateau) -> (Vec<f64>, bool) {
    let mut refused = false;
    let mut tell = |metric: &Option<f64>| {
        refused |= plateau.record(metric.unwrap_or(f64::NAN)).is_err();
        rate * plateau.at(0)
    };
    let rates = case.metrics.as_ref().unwrap().iter().map(&mut tell).collect();
    (rates, refused)
}

#[test]
fn patience_is_how_many_bad_metrics_are_borne() {
    let case = case("optax/plateau");
    let plateau = Plateau::minimizing().factor(0.5).unwrap().patience(4);
    let (ours, _) = told(&case, 1.0, plateau);
    let first = |values: &[f64]| values.iter().position(|value| *value < 1.0).unwrap();
    assert_eq!(first(&ours), first(&case.value) + 1);
}

#[test]
fn a_metric_below_0_that_gets_worse_is_a_bad_one() {
    let case = case("torch/plateau_below_0");
    let plateau = Plateau::minimizing().factor(0.5).unwrap().patience(2);
    let (ours, _) = told(&case, 0.1, plateau);
    assert!(case.value.iter().all(|rate| *rate == 0.1), "torch finds every one of them better");
    assert_eq!(ours, [0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025]);
}

#[test]
fn a_metric_that_is_none_is_an_error_and_not_a_bad_one() {
    let case = case("torch/plateau_nan");
    let plateau = Plateau::minimizing().factor(0.5).unwrap().patience(1);
    let (ours, refused) = told(&case, 0.1, plateau);
    assert_eq!(case.value, [0.1, 0.1, 0.1, 0.05, 0.05, 0.025]);
    assert_eq!((ours, refused), (vec![0.1; 6], true));
}

#[test]
fn no_difference_is_left_out() {
    assert_eq!(cases().len(), 13);
}
