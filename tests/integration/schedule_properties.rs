//! What holds for every schedule, whatever its parameters are.

use crate::common::catalogue;
use evenkeel::Error;
use evenkeel::checkpoint::Persist;
use evenkeel::schedule::recipe::{self, Transformers};
use evenkeel::schedule::{
    Anneal, Constant, Cooldown, Cosine, Cyclic, Exponential, ExponentialWarmup, Geometric, Greedy,
    InverseSqrt, InverseTime, Logarithmic, MultiStep, Noam, Noise, OneCycle, Past,
    PiecewiseConstant, PiecewiseCosine, PiecewiseLinear, Plateau, Polynomial, Ramp, RangeSweep,
    Rex, Schedule, Sequence, Step, TanhDecay, WarmRestarts, Wsd,
};
use proptest::prelude::*;

/// Usual numbers, extreme ones, and what is none.
fn number() -> impl Strategy<Value = f64> {
    let edges = [0.0, -0.0, 1.0, 0.5, -1.0, 1e-320, f64::MIN_POSITIVE, f64::MAX, f64::MIN];
    let none = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    prop_oneof![
        6 => 0.0..2.0,
        2 => -1e3..1e3,
        2 => prop::sample::select(edges.to_vec()),
        1 => prop::num::f64::NORMAL,
        1 => prop::sample::select(none.to_vec()),
    ]
}

/// Usual lengths, 0, and the longest.
fn length() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0u64..200, 1 => Just(u64::MAX), 1 => any::<u64>()]
}

fn shape() -> impl Strategy<Value = Anneal> {
    prop_oneof![
        Just(Anneal::Linear),
        Just(Anneal::Cosine),
        Just(Anneal::OneMinusSqrt),
        number().prop_map(Anneal::OneMinusPower),
        number().prop_map(Anneal::Polynomial),
        number().prop_map(Anneal::Exponential),
    ]
}

/// The start, every power of two, the end of counting, and what is around the given updates.
fn probes(near: &[u64]) -> impl Iterator<Item = u64> {
    let around = near.iter().flat_map(|t| [t.saturating_sub(1), *t, t.saturating_add(1)]);
    let around: Vec<u64> = around.collect();
    (0..20).chain((0..64).map(|bit| 1u64 << bit)).chain([u64::MAX - 1, u64::MAX]).chain(around)
}

/// An error that names a parameter, or a curve that is finite for ever.
fn check<S: Schedule>(built: Result<S, Error>, near: &[u64]) -> Result<(), TestCaseError> {
    match built {
        Err(error) => prop_assert!(error.is_parameter(), "{error}"),
        Ok(curve) => {
            for t in probes(near) {
                prop_assert!(curve.at(t).is_finite(), "{} at {t}", curve.at(t));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn curves_are_refused_or_finite(
        a in number(), b in number(), c in number(), d in number(),
        n in length(), m in length(), k in length(),
        shape in shape(), yes in any::<bool>(),
    ) {
        check(Constant::new(a), &[n])?;
        check(Ramp::new(a, b, n), &[n])?;
        check(Logarithmic::new(a, b, n), &[n])?;
        check(ExponentialWarmup::new(a, b, c), &[n])?;
        check(Geometric::new(a, b, n), &[n])?;
        check(Cosine::new(a, b, n).and_then(|s| s.exponent(c)?.k_decay(d)), &[n])?;
        let polynomial = Polynomial::new(a, b, n).and_then(|s| s.power(c)?.k_decay(d));
        check(polynomial.map(|s| if yes { s.cycle() } else { s }), &[n])?;
        check(Rex::new(a, b, n), &[n])?;
        check(TanhDecay::new(a, b, n).and_then(|s| s.bounds((c, d))), &[n])?;
        check(Cooldown::new(a, b, n).and_then(|s| s.shape(shape)), &[n])?;
        let exponential = Exponential::new(a, b, n);
        let exponential = exponential.map(|s| if yes { s.staircase() } else { s });
        check(exponential.and_then(|s| s.floor(c)?.ceiling(d)), &[n])?;
        check(Exponential::new(a, b, n), &[n])?;
        let inverse = InverseTime::new(a, b, n);
        check(inverse.map(|s| if yes { s.staircase() } else { s }), &[n])?;
        check(InverseSqrt::new(a, n), &[n])?;
        check(Noam::new(n, m).and_then(|s| s.factor(a)), &[m])?;
        check(Step::new(a, b, n), &[n])?;
        check(MultiStep::new(a, b, [n, m, k]), &[n, m, k])?;
        check(PiecewiseConstant::new(a, [(n, b), (m, c)]), &[n, m])?;
        check(PiecewiseLinear::new([(n, a), (m, b), (k, c)]), &[n, m, k])?;
        check(PiecewiseCosine::new([(n, a), (m, b), (k, c)]), &[n, m, k])?;
        check(RangeSweep::exponential(a, b, n).and_then(|s| s.staircase(m)), &[n])?;
        check(RangeSweep::linear(a, b, n).and_then(|s| s.staircase(m)), &[n])?;
        let cyclic = Cyclic::new(a, b, n).and_then(|s| s.down(m));
        check(cyclic.clone(), &[n, m])?;
        check(cyclic.clone().map(Cyclic::triangular2), &[n, m])?;
        check(cyclic.and_then(|s| s.exp_range(c)), &[n, m])?;
        let restarts = WarmRestarts::new(a, b, n).and_then(|s| s.period_factor(c)?.peak_factor(d));
        check(restarts.map(|s| if yes { s.cycles(m % 20) } else { s }), &[n])?;
        let cycle = OneCycle::new(a, n).and_then(|s| s.from(b)?.to(c)?.peak_at(m)?.shape(shape));
        check(cycle.clone(), &[n, m])?;
        check(cycle.clone().map(OneCycle::three_phase), &[n, m])?;
        check(cycle.clone().and_then(|s| s.back_at(k)), &[n, m, k])?;
        check(cycle.and_then(|s| s.with_momentum(d, 0.5)).map(|(_, momentum)| momentum), &[n, m])?;
        check(OneCycle::new(a, n).and_then(|s| s.div_factors(b, c)), &[n])?;
        let wsd = Wsd::new(a, n).and_then(|s| s.warmup(m)?.decay(k)?.from(b)?.to(c)?.shape(shape));
        check(wsd.clone(), &[n, m])?;
        check(wsd.and_then(|s| s.power_law(k, d)?.warmup_shape(shape)), &[n, m])?;
    }

    #[test]
    fn compositions_are_refused_or_finite(
        a in number(), b in number(), c in number(),
        n in length(), m in length(), k in length(), seed in any::<u64>(),
    ) {
        let (Ok(one), Ok(two)) = (Ramp::new(a, b, n), Cosine::new(b, c, m)) else {
            return Ok(());
        };
        let near = [n, m, k];
        check(Ok(one.then(k, two)), &near)?;
        check(Ok(one.times(two)), &near)?;
        check(Ok(one.plus(two)), &near)?;
        check(Ok(one.mean(two)), &near)?;
        check(Ok(Schedule::min(one, two)), &near)?;
        check(Ok(Schedule::max(one, two)), &near)?;
        check(Schedule::clamp(one, a, c), &near)?;
        check(one.scale(c), &near)?;
        check(Ok(one.shift(k)), &near)?;
        check(Ok(two.advance(k)), &near)?;
        check(one.until(k, Past::Hold), &near)?;
        check(two.repeat(k), &near)?;
        check(Ok(two.stretch(n, k)), &near)?;
        check(two.stretch(n, k).since(m), &near)?;
        check(Noise::uniform(a.abs()).map(|noise| two.noise(noise.seed(seed).during(0..k))), &near)?;
        let noise = Noise::normal(a.abs()).and_then(|noise| noise.limit(b));
        check(noise.map(|noise| two.noise(noise.seed(seed))), &near)?;
        let phases = || [(n, one.boxed()), (m, two.boxed()), (k, one.boxed())];
        check(Sequence::of(phases()), &near)?;
        check(Sequence::of(phases()).and_then(|s| s.past(Past::Cycle)), &near)?;
        check(Sequence::of([(n, Sequence::of(phases()))])
            .and_then(|_| Ok(Sequence::of([(k, Sequence::of(phases())?)])?.times(two))), &near)?;
    }

    #[test]
    fn recipes_are_refused_or_finite(a in number(), n in length(), m in length(), b in number()) {
        check(recipe::warmup_constant(a, n), &[n])?;
        check(recipe::warmup_linear(a, n, m), &[n, m])?;
        check(recipe::warmup_cosine(a, n, m), &[n, m])?;
        check(recipe::warmup_inverse_sqrt(a, n), &[n])?;
        check(recipe::noam(n, m), &[m])?;
        check(recipe::wsd(a, n, m), &[n, m])?;
        check(recipe::trapezoid(a, n, m), &[n, m])?;
        check(recipe::one_cycle(a, n), &[n])?;
        check(recipe::one_cycle_with_momentum(a, n).map(|(_, momentum)| momentum), &[n])?;
        check(recipe::flat_cosine(a, n), &[n])?;
        check(recipe::sgdr(a, n, b), &[n])?;
        check(recipe::poly(a, n), &[n])?;
        check(recipe::swa(a, b, n), &[n])?;
        for name in ["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts",
            "polynomial", "inverse_sqrt", "warmup_stable_decay"] {
            check(Transformers::new(a, n, m).and_then(|all| all.by_name(name)), &[n, m])?;
        }
    }

    #[test]
    fn feedback_stays_in_its_range(
        metrics in prop::collection::vec(number(), 0..60),
        factor in number(), low in number(), high in number(),
        patience in 0u64..4, cooldown in 0u64..4, average in 0u64..4,
    ) {
        let plateau = Plateau::minimizing().factor(factor)
            .and_then(|p| p.floor(low)?.average(average));
        if let Ok(plateau) = plateau.map(|p| p.patience(patience).cooldown(cooldown)) {
            for metric in &metrics {
                let before = plateau.at(0);
                match plateau.record(*metric) {
                    Ok(now) => prop_assert!(now <= before && now >= low.min(before)),
                    Err(_) => prop_assert!(!metric.is_finite() && plateau.at(0) == before),
                }
            }
        }
        let greedy = Greedy::maximizing().factor(factor)
            .and_then(|g| g.between(low, high)?.average(average));
        if let Ok(greedy) = greedy.map(|g| g.patience(patience).cooldown(cooldown)) {
            for metric in &metrics {
                let before = greedy.at(0);
                match greedy.record(*metric) {
                    Ok(now) => prop_assert!((low..=high).contains(&now)),
                    Err(_) => prop_assert!(!metric.is_finite() && greedy.at(0) == before),
                }
            }
        }
    }

    #[test]
    fn seeking_is_stepping_and_records_go_round(which in any::<prop::sample::Index>(), n in 0u64..300) {
        let all = catalogue::all();
        let (name, curve) = which.get(&all);
        let (mut stepped, mut sought) = (curve.clone().start(), curve.clone().start());
        for _ in 0..n {
            let _ = stepped.step();
        }
        sought.seek(n);
        let mut resumed = curve.clone().start();
        resumed.restore(&stepped.state()).unwrap();
        for _ in 0..3 {
            let next = stepped.step().value();
            prop_assert_eq!(next, sought.step().value(), "{}", name);
            prop_assert_eq!(next, resumed.step().value(), "{}", name);
        }
    }

    #[test]
    fn curves_are_continuous_where_they_promise_it(
        a in 0.01..1.0, b in 0.0..1.0, warm in 1u64..50, rest in 2u64..100,
    ) {
        is_continuous(a, b, warm, rest).unwrap();
    }
}

/// No jump is larger than the steepest part of the curve.
fn is_continuous(a: f64, b: f64, warm: u64, rest: u64) -> Result<(), Error> {
    let over = warm + rest;
    let steep = |over: u64| (a + b) * std::f64::consts::FRAC_PI_2 / over as f64 * (1.0 + 1e-9);
    let holds = |curve: &dyn Schedule, bound: f64| {
        let jump = |t| (curve.at(t + 1) - curve.at(t)).abs();
        assert!((0..over + 5).all(|t| jump(t) <= bound));
    };
    let bound = steep(warm.min(rest));
    holds(&Ramp::new(a, b, over)?, steep(over));
    holds(&Cosine::new(a, b, over)?, steep(over));
    holds(&recipe::warmup_linear(a, warm, over)?, bound);
    holds(&recipe::warmup_cosine(a, warm, over)?, bound);
    holds(&OneCycle::new(a, over)?.from(b)?.peak_at(warm)?, bound);
    let knots = [(0, b), (warm, a), (over, b)];
    holds(&PiecewiseLinear::new(knots)?, bound);
    holds(&PiecewiseCosine::new(knots)?, bound);
    let decay = rest / 2;
    let wsd = Wsd::new(a, over)?.warmup(warm)?.decay(decay)?.shape(Anneal::Linear)?;
    holds(&wsd, steep(decay.min(warm)));
    // The stable phase falls under the decay, by at most half of its value in its first update.
    holds(&wsd.inverse_sqrt(warm)?, 2.0 * steep(decay.min(warm)));
    // At a restart there is the one jump that it is for.
    let restarts = WarmRestarts::new(a, 0.0, warm)?;
    assert!((0..warm - 1).all(|t| (restarts.at(t + 1) - restarts.at(t)).abs() <= steep(warm)));
    assert_eq!(restarts.at(warm), a);
    Ok(())
}
