//! Our schedules against those of PyTorch, optax, timm, transformers and Keras, value by value.
//!
//! `golden/schedules.py` has called them, and written what they gave to `golden/schedules.json`.
//! Where ours are meant to differ, the case says from which update on, and the test makes sure that
//! they do; the reasons are in the table of `src/docs/schedules.md`.

use std::collections::BTreeMap;

use evenkeel::Error;
use evenkeel::schedule::recipe::{self, Transformers};
use evenkeel::schedule::{
    Anneal, Boxed, Constant, Cooldown, Cosine, Cyclic, Exponential, Greedy, InverseTime, MultiStep,
    OneCycle, PiecewiseConstant, PiecewiseCosine, PiecewiseLinear, Plateau, Polynomial, Ramp, Rex,
    Schedule, Sequence, Step, TanhDecay, WarmRestarts, Wsd,
};

/// One call of another library.
#[derive(serde::Deserialize)]
struct Case {
    name: String,
    call: String,
    at: Vec<u64>,
    value: Vec<f64>,
    /// For schedules that learn: what they were told before each value.
    metrics: Option<Vec<f64>>,
}

#[derive(serde::Deserialize)]
struct Golden {
    header: BTreeMap<String, String>,
    cases: Vec<Case>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/schedules.json")).unwrap()
}

/// Ours, and how far it is meant to agree.
enum Ours {
    /// Everywhere.
    Same(Boxed),
    /// Up to this update; past it, on purpose not.
    Until(u64, Boxed),
    /// Everywhere, to fewer digits: Keras has its π in `f32`.
    Roughly(Boxed),
    /// For factors with a memory: the rate that they are multiplied with, and the factor.
    Plateau(f64, Plateau),
    Greedy(f64, Greedy),
}

use Ours::{Roughly, Same, Until};

fn of_torch(name: &str) -> Result<Ours, Error> {
    let one_cycle = OneCycle::new(1.0, 19)?.peak_at(5)?;
    let cyclic = Cyclic::new(0.01, 0.2, 4)?;
    Ok(match name {
        "constant" => Same(PiecewiseConstant::new(0.05, [(5, 0.1)])?.boxed()),
        "linear_up" => Same(Ramp::new(0.025, 0.1, 8)?.boxed()),
        "linear_down" => Same(Ramp::new(0.1, 0.01, 5)?.boxed()),
        "linear_to_zero" => Same(Ramp::new(0.1, 0.0, 7)?.boxed()),
        "linear_of_one" => Same(Ramp::new(0.01, 0.1, 1)?.boxed()),
        "step" => Same(Step::new(0.1, 0.3, 4)?.boxed()),
        "step_every_update" => Same(Step::new(0.1, 0.9, 1)?.boxed()),
        "multi_step" => Same(MultiStep::new(0.1, 0.5, [3, 7, 12])?.boxed()),
        "multi_step_twice_at_once" => Same(MultiStep::new(0.1, 0.5, [7, 3, 7])?.boxed()),
        "exponential" => Same(Exponential::new(0.1, 0.9, 1)?.boxed()),
        "exponential_growth" => Same(Exponential::new(0.1, 1.01, 1)?.boxed()),
        "exponential_to_nothing" => Same(Exponential::new(0.1, 0.0, 1)?.boxed()),
        "multiplicative" => Same(Exponential::new(0.1, 0.95, 1)?.boxed()),
        "lambda" => Same((|t: u64| 0.1 * 0.5f64.powf((t / 3) as f64)).boxed()),
        "polynomial" => Same(Polynomial::new(0.1, 0.0, 9)?.power(2.0)?.boxed()),
        "polynomial_root" => Same(Polynomial::new(0.1, 0.0, 9)?.power(0.5)?.boxed()),
        "polynomial_of_one" => Same(Polynomial::new(0.1, 0.0, 1)?.boxed()),
        "cosine" => Until(10, Cosine::new(0.1, 0.01, 10)?.boxed()),
        "cosine_to_zero" => Until(7, Cosine::new(0.1, 0.0, 7)?.boxed()),
        "cosine_of_one" => Until(1, Cosine::new(0.1, 0.02, 1)?.boxed()),
        "restarts" => Same(WarmRestarts::new(0.1, 0.001, 5)?.boxed()),
        "restarts_doubled" => Same(WarmRestarts::new(0.1, 0.001, 4)?.period_factor(2.0)?.boxed()),
        "restarts_tripled" => Same(WarmRestarts::new(0.1, 0.001, 3)?.period_factor(3.0)?.boxed()),
        "cyclic" => Same(cyclic.boxed()),
        "cyclic_skewed" => Same(Cyclic::new(0.01, 0.2, 3)?.down(7)?.boxed()),
        "cyclic_triangular2" => Same(cyclic.triangular2().boxed()),
        "cyclic_exp_range" => Same(Cyclic::new(0.01, 0.2, 5)?.down(3)?.exp_range(0.97)?.boxed()),
        "cyclic_momentum" => Same(cyclic.triangular2().with_momentum(0.9, 0.8)?.1.boxed()),
        "one_cycle" => Same(one_cycle.boxed()),
        "one_cycle_linear" => Same(one_cycle.shape(Anneal::Linear)?.boxed()),
        "one_cycle_three_phases" => Same(one_cycle.three_phase().boxed()),
        "one_cycle_three_phases_linear" => {
            Same(one_cycle.three_phase().shape(Anneal::Linear)?.boxed())
        }
        "one_cycle_momentum" => Same(one_cycle.with_momentum(0.95, 0.85)?.1.boxed()),
        "one_cycle_three_phases_momentum" => {
            let linear = one_cycle.three_phase().shape(Anneal::Linear)?;
            Same(linear.with_momentum(0.95, 0.85)?.1.boxed())
        }
        "one_cycle_divisors" => {
            Same(OneCycle::new(0.5, 39)?.peak_at(9)?.div_factors(10.0, 100.0)?.boxed())
        }
        "sequential" => Same(Ramp::new(0.01, 0.1, 5)?.then(5, Cosine::new(0.1, 0.0, 10)?).boxed()),
        "sequential_of_three" => {
            let rest = Constant::new(0.1)?.then(5, Exponential::new(0.1, 0.8, 1)?);
            Same(Ramp::new(0.01, 0.1, 4)?.then(4, rest).boxed())
        }
        "chained" => {
            let half = PiecewiseConstant::new(0.5, [(6, 1.0)])?;
            Same(half.times(Exponential::new(0.1, 0.9, 1)?).boxed())
        }
        "swa_linear" => Same(Cooldown::new(0.1, 0.02, 8)?.shape(Anneal::Linear)?.boxed()),
        "swa_cosine" => Same(recipe::swa(0.1, 0.02, 8)?.boxed()),
        "plateau" => Ours::Plateau(0.1, Plateau::minimizing().factor(0.5)?.patience(3)),
        "plateau_impatient" => {
            let plateau = Plateau::minimizing().factor(0.7)?.patience(0).relative(0.05)?;
            Ours::Plateau(0.1, plateau.cooldown(2))
        }
        "plateau_absolute" => {
            let plateau = Plateau::minimizing().factor(0.5)?.patience(2).absolute(0.01)?;
            Ours::Plateau(0.1, plateau.cooldown(3))
        }
        "plateau_floor" => Ours::Plateau(0.1, Plateau::minimizing().patience(1).floor(0.02)?),
        "plateau_max" => {
            let plateau = Plateau::maximizing().factor(0.5)?.patience(3).relative(1e-3)?;
            Ours::Plateau(0.1, plateau.cooldown(1))
        }
        "plateau_max_absolute" => {
            let plateau = Plateau::maximizing().factor(0.5)?.patience(3).absolute(1e-3)?;
            Ours::Plateau(0.1, plateau.cooldown(1))
        }
        other => panic!("nothing of ours for torch/{other}"),
    })
}

fn of_optax(name: &str) -> Result<Ours, Error> {
    Ok(match name {
        "constant" => Same(Constant::new(0.3)?.boxed()),
        "linear" => Same(Ramp::new(0.0, 0.1, 8)?.boxed()),
        "linear_begun_late" => Same(Ramp::new(0.3, 0.1, 8)?.shift(5).boxed()),
        "polynomial" => Same(Polynomial::new(1.0, 0.01, 10)?.power(3.0)?.boxed()),
        "polynomial_begun_late" => {
            Same(Polynomial::new(1.0, 0.01, 10)?.power(0.5)?.shift(4).boxed())
        }
        "piecewise_constant" => {
            Same(PiecewiseConstant::new(1.0, [(4, 0.1), (9, 0.05), (12, 0.15)])?.boxed())
        }
        "exponential" => Same(Exponential::new(0.1, 0.5, 6)?.boxed()),
        "exponential_floor" => Same(Exponential::new(0.1, 0.5, 6)?.floor(0.02)?.boxed()),
        "exponential_stairs" => {
            Same(Exponential::new(0.1, 0.5, 6)?.staircase().floor(0.02)?.shift(4).boxed())
        }
        "exponential_ceiling" => Same(Exponential::new(0.1, 1.5, 3)?.ceiling(0.9)?.boxed()),
        "cosine" => Same(Cosine::new(0.1, 0.0, 10)?.boxed()),
        "cosine_alpha" => Same(Cosine::new(0.1, 0.02, 13)?.boxed()),
        "cosine_exponent" => Same(Cosine::new(0.1, 0.02, 13)?.exponent(2.5)?.boxed()),
        "piecewise_linear" => {
            Same(PiecewiseLinear::new([(0, 1.0), (4, 0.1), (9, 0.5), (12, 0.25)])?.boxed())
        }
        "piecewise_cosine" => {
            Same(PiecewiseCosine::new([(0, 1.0), (4, 0.1), (9, 0.5), (12, 0.25)])?.boxed())
        }
        "one_cycle" => Same(recipe::one_cycle(1.0, 20)?.boxed()),
        "one_cycle_options" => {
            Same(OneCycle::new(0.5, 33)?.div_factors(10.0, 100.0)?.peak_at(13)?.boxed())
        }
        "one_cycle_linear" => {
            Same(OneCycle::new(1.0, 20)?.back_at(17)?.shape(Anneal::Linear)?.boxed())
        }
        "warmup_constant" => Same(Ramp::new(0.01, 0.1, 6)?.boxed()),
        "warmup_cosine" => {
            Same(Ramp::new(0.0, 0.1, 5)?.then(5, Cosine::new(0.1, 0.001, 15)?).boxed())
        }
        "warmup_cosine_without_warmup" => Same(recipe::warmup_cosine(0.1, 0, 15)?.boxed()),
        "warmup_exponential" => {
            Same(Ramp::new(0.0, 0.1, 5)?.then(5, Exponential::new(0.1, 0.5, 4)?).boxed())
        }
        "restarts" => {
            let cycle = |peak, over| {
                let cosine = Cosine::new(peak, 0.01, over - 2)?;
                Ok::<_, Error>((over, Ramp::new(0.0, peak, 2)?.then(2, cosine)))
            };
            Same(Sequence::of([cycle(0.1, 8)?, cycle(0.05, 12)?, cycle(0.025, 20)?])?.boxed())
        }
        "joined" => Same(
            Sequence::of([
                (5, Ramp::new(0.0, 1.0, 5)?.boxed()),
                (6, Constant::new(1.0)?.boxed()),
                (u64::MAX - 11, Exponential::new(1.0, 0.5, 3)?.boxed()),
            ])?
            .boxed(),
        ),
        "joined_with_a_phase_of_no_length" => {
            let rest = Constant::new(9.0)?.then(0, Exponential::new(1.0, 0.5, 3)?);
            Same(Ramp::new(0.0, 1.0, 5)?.then(5, rest).boxed())
        }
        // optax acts at the patience-th bad metric, torch and we past it.
        "plateau" => Ours::Plateau(1.0, Plateau::minimizing().factor(0.5)?.patience(3)),
        "plateau_averaged" => {
            let plateau = Plateau::minimizing().factor(0.5)?.patience(1).absolute(1e-3)?;
            Ours::Plateau(1.0, plateau.cooldown(1).average(4)?.floor(0.1)?)
        }
        other => panic!("nothing of ours for optax/{other}"),
    })
}

fn of_timm(name: &str) -> Result<Ours, Error> {
    let warmed = |curve: Boxed| Ramp::new(0.001, 0.1, 5).map(|up| Same(up.then(5, curve).boxed()));
    let wsd = Wsd::new(0.1, 25)?.warmup(5)?.decay(8)?.from(0.001)?.to(0.01)?;
    let exponential = Anneal::Exponential(0.1);
    Ok(match name {
        "cosine" => warmed(Cosine::new(0.1, 0.01, 12)?.boxed())?,
        "cosine_k_decay" => Same(Cosine::new(0.1, 0.01, 12)?.k_decay(1.7)?.boxed()),
        "cosine_cycles" => Same(WarmRestarts::new(0.1, 0.01, 6)?.cycles(3).boxed()),
        "cosine_cycles_doubled" => {
            Same(WarmRestarts::new(0.1, 0.01, 5)?.period_factor(2.0)?.cycles(5).boxed())
        }
        "cosine_cycles_lower" => {
            let cycles = WarmRestarts::new(0.1, 0.0, 5)?.period_factor(2.0)?.cycles(4);
            Same(cycles.peak_factor(0.5)?.boxed())
        }
        "polynomial" => warmed(Polynomial::new(0.1, 0.01, 12)?.power(2.0)?.k_decay(1.5)?.boxed())?,
        "tanh" => warmed(TanhDecay::new(0.1, 0.01, 12)?.boxed())?,
        "tanh_bounds" => Same(TanhDecay::new(0.1, 0.01, 12)?.bounds((-4.0, 2.0))?.boxed()),
        "step" => warmed(Step::new(0.1, 0.5, 4)?.boxed())?,
        // timm changes one update early, and says that it always will.
        "multi_step" => warmed(MultiStep::new(0.1, 0.5, [3, 8])?.boxed())?,
        "wsd" => Same(wsd.boxed()),
        "wsd_linear" => Same(wsd.shape(Anneal::Linear)?.boxed()),
        "wsd_cosine" => Same(wsd.shape(Anneal::Cosine)?.boxed()),
        "wsd_power" => Same(wsd.shape(Anneal::OneMinusPower(2.0))?.boxed()),
        "wsd_exponential" => Same(wsd.shape(exponential)?.boxed()),
        "wsd_inverse_sqrt" => Same(wsd.inverse_sqrt(5)?.shape(Anneal::Linear)?.boxed()),
        "wsd_power_law" => Same(wsd.power_law(3, 0.8)?.shape(exponential)?.boxed()),
        "wsd_down_to_its_floor" => {
            Same(Wsd::new(0.1, 20)?.decay(8)?.to(0.09)?.inverse_sqrt(2)?.boxed())
        }
        other => panic!("nothing of ours for timm/{other}"),
    })
}

fn of_transformers(name: &str) -> Result<Ours, Error> {
    let run = Transformers::new(0.1, 5, 20)?;
    let long = Transformers::new(0.1, 5, 30)?;
    let rate = Transformers::new(0.1, 8, 40)?;
    let greedy = Greedy::minimizing().patience(2).between(0.01, 10.0)?;
    Ok(match name {
        "constant" => Same(run.constant()?.boxed()),
        "constant_with_warmup" => {
            Same(Transformers::new(0.1, 6, 6)?.constant_with_warmup()?.boxed())
        }
        "linear" => Same(run.by_name("linear")?),
        "linear_without_warmup" => Same(Transformers::new(0.1, 0, 12)?.linear()?.boxed()),
        "cosine" => Until(20, run.by_name("cosine")?),
        "cosine_with_restarts" => {
            Same(Transformers::new(0.1, 4, 24)?.cosine_with_restarts(4)?.boxed())
        }
        "polynomial" => Same(run.polynomial(0.001, 2.0)?.boxed()),
        "inverse_sqrt" => Same(rate.inverse_sqrt()?.boxed()),
        "inverse_sqrt_timescale" => {
            let decay = evenkeel::schedule::InverseSqrt::new(0.1, 20)?;
            Same(Ramp::new(0.0, 0.1, 8)?.then(8, decay).boxed())
        }
        "cosine_with_min_lr" => Until(20, run.cosine_with_min_lr(0.01)?.boxed()),
        "cosine_warmup_with_min_lr" => Until(19, run.cosine_warmup_with_min_lr(0.01)?.boxed()),
        // Four updates of warmup after the first one, and the cosine one ahead.
        "cosine_warmup_with_min_lr_rate" => {
            Until(19, Ramp::new(0.02, 0.1, 4)?.then(4, Cosine::new(0.1, 0.01, 15)?).boxed())
        }
        "wsd" => Same(long.warmup_stable_decay(10)?.boxed()),
        "wsd_linear" => {
            let wsd = long.warmup_stable_decay(10)?.from(0.01)?.to(0.01)?;
            Same(wsd.shape(Anneal::Linear)?.boxed())
        }
        "wsd_sqrt" => {
            let wsd = long.warmup_stable_decay(10)?.from(0.01)?.to(0.01)?;
            let shape = Anneal::OneMinusSqrt;
            Same(wsd.shape(shape)?.warmup_shape(shape)?.boxed())
        }
        "wsd_cosine_warmup" => {
            Same(long.warmup_stable_decay(10)?.warmup_shape(Anneal::Cosine)?.boxed())
        }
        "wsd_without_stable" => {
            Same(Transformers::new(0.1, 5, 15)?.warmup_stable_decay(10)?.boxed())
        }
        "greedy" => Ours::Greedy(0.1, greedy.factor(0.5)?),
        "greedy_waiting" => {
            Ours::Greedy(0.1, greedy.factor(0.7)?.patience(1).warmup(3).cooldown(2))
        }
        "greedy_smoothed" => Ours::Greedy(0.1, greedy.factor(0.8)?.average(5)?),
        "greedy_reset" => {
            let greedy = greedy.factor(0.2)?.patience(0).reset_after(3)?;
            Ours::Greedy(0.1, greedy.between(0.1, 2.0)?)
        }
        "greedy_max" => {
            let greedy = Greedy::maximizing().factor(0.5)?.patience(2).relative(1e-3)?;
            Ours::Greedy(0.1, greedy.between(0.01, 10.0)?)
        }
        other => panic!("nothing of ours for transformers/{other}"),
    })
}

fn of_keras(name: &str) -> Result<Ours, Error> {
    let polynomial = Polynomial::new(0.1, 0.01, 10)?.power(2.0)?;
    let inverse_time = InverseTime::new(0.1, 0.5, 4)?;
    Ok(match name {
        "polynomial" => Same(polynomial.boxed()),
        "polynomial_cycle" => Same(polynomial.cycle().boxed()),
        "inverse_time" => Same(inverse_time.boxed()),
        "inverse_time_stairs" => Same(inverse_time.staircase().boxed()),
        // Keras still has the old value at a boundary.
        "piecewise" => Same(PiecewiseConstant::new(1.0, [(5, 0.5), (10, 0.1)])?.boxed()),
        "cosine_with_warmup" => {
            Roughly(Ramp::new(0.01, 0.1, 5)?.then(5, Cosine::new(0.1, 0.01, 15)?).boxed())
        }
        "restarts" => {
            let restarts = WarmRestarts::new(0.1, 0.01, 5)?.period_factor(2.0)?;
            Roughly(restarts.peak_factor(0.5)?.boxed())
        }
        other => panic!("nothing of ours for keras/{other}"),
    })
}

fn ours(name: &str) -> Ours {
    let (peer, name) = name.split_once('/').unwrap();
    match peer {
        "torch" => of_torch(name),
        "optax" => of_optax(name),
        "timm" => of_timm(name),
        "transformers" => of_transformers(name),
        "keras" => of_keras(name),
        "pytorch_optimizer" => Rex::new(0.1, 0.002, 14).map(|curve| Same(curve.boxed())),
        other => panic!("nothing of ours for {other}"),
    }
    .unwrap()
}

/// Relative, and nearly exact where the other value is 0.
fn agrees(ours: f64, theirs: f64, tolerance: f64) -> bool {
    (ours - theirs).abs() <= tolerance * theirs.abs().max(1e-5)
}

#[test]
fn every_value_is_theirs_to_twelve_digits() {
    let golden = golden();
    assert!(golden.header["torch"].starts_with("2."), "{:?}", golden.header);
    assert!(golden.cases.len() >= 120);
    let mut values = 0;
    for Case { name, call, at, value, metrics } in golden.cases {
        let (curve, until, tolerance): (Boxed, u64, f64) = match ours(&name) {
            Same(curve) => (curve, u64::MAX, 1e-12),
            Until(until, curve) => (curve, until, 1e-12),
            Roughly(curve) => (curve, u64::MAX, 1e-6),
            Ours::Plateau(rate, factor) => (plateau(rate, factor, metrics), u64::MAX, 1e-12),
            Ours::Greedy(rate, factor) => (greedy(rate, factor, metrics), u64::MAX, 1e-12),
        };
        for (&t, &theirs) in at.iter().zip(&value).filter(|(t, _)| **t <= until) {
            let own = curve.at(t);
            assert!(agrees(own, theirs, tolerance), "{name} ({call}) at {t}: {own}, not {theirs}");
            values += 1;
        }
        // A difference that is listed must be one.
        let past: Vec<_> = at.iter().zip(&value).filter(|(t, _)| **t > until).collect();
        let differs = past.iter().any(|(t, theirs)| !agrees(curve.at(**t), **theirs, 1e-3));
        assert!(past.is_empty() || differs, "{name} ({call}) agrees past {until}, too");
    }
    assert!(values > 4000, "{values} values compared");
}

/// The rates that a factor leads to, metric by metric, as a curve.
fn plateau(rate: f64, factor: Plateau, metrics: Option<Vec<f64>>) -> Boxed {
    let curve = Constant::new(rate).unwrap().times(factor.clone());
    told(&curve, metrics, |metric| factor.record(metric))
}

fn greedy(rate: f64, factor: Greedy, metrics: Option<Vec<f64>>) -> Boxed {
    let curve = Constant::new(rate).unwrap().times(factor.clone());
    told(&curve, metrics, |metric| factor.record(metric))
}

fn told(
    curve: &dyn Schedule,
    metrics: Option<Vec<f64>>,
    record: impl Fn(f64) -> Result<f64, Error>,
) -> Boxed {
    let rate = |metric| {
        record(metric).unwrap();
        curve.at(0)
    };
    let rates: Vec<f64> = metrics.unwrap().into_iter().map(rate).collect();
    (move |t: u64| rates[t as usize]).boxed()
}
