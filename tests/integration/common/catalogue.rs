//! Every schedule, by name, for the tests that hold for all of them.
#![allow(dead_code)]

use evenkeel::Error;
use evenkeel::schedule::recipe::{self, Transformers};
use evenkeel::schedule::{
    Anneal, Backoff, Boxed, Constant, Cooldown, Cosine, Cyclic, Exponential, ExponentialWarmup,
    Geometric, Greedy, InverseSqrt, InverseTime, Logarithmic, MultiStep, Noam, Noise, OneCycle,
    Past, PiecewiseConstant, PiecewiseCosine, PiecewiseLinear, Plateau, Polynomial, Ramp,
    RangeSweep, Rex, Schedule, Sequence, Step, TanhDecay, WarmRestarts, Wsd,
};

pub type Named = Vec<(&'static str, Boxed)>;

/// One of each, and its edges; a new schedule is added here.
pub fn all() -> Named {
    [curves(), compositions(), feedback(), recipes()].into_iter().flat_map(Result::unwrap).collect()
}

fn curves() -> Result<Named, Error> {
    let one_cycle = OneCycle::new(0.5, 30)?;
    let wsd = Wsd::new(0.5, 30)?.warmup(5)?;
    let knots = [(3, 0.1), (9, 0.7), (20, -0.2)];
    let (low, high) = (f64::MIN, f64::MAX);
    let ever = u64::MAX;
    Ok(vec![
        ("constant", Constant::new(0.1)?.boxed()),
        ("ramp", Ramp::new(0.0, 0.3, 7)?.boxed()),
        ("ramp down from 30", Ramp::new(30.0, 0.0, 3)?.boxed()),
        ("ramp of no length", Ramp::new(5.0, 1.0, 0)?.boxed()),
        ("ramp between extremes", Ramp::new(low, high, 5)?.boxed()),
        ("logarithmic", Logarithmic::new(0.0, 0.3, 7)?.boxed()),
        ("logarithmic of no length", Logarithmic::new(0.1, 0.3, 0)?.boxed()),
        ("logarithmic for ever", Logarithmic::new(low, high, ever)?.boxed()),
        ("exponential warmup", ExponentialWarmup::new(0.0, 0.3, 7.5)?.boxed()),
        ("geometric", Geometric::new(1e-3, 0.3, 7)?.boxed()),
        ("geometric of no length", Geometric::new(1.0, 0.3, 0)?.boxed()),
        ("geometric between extremes", Geometric::new(1e-300, high, 9)?.boxed()),
        ("cosine", Cosine::new(0.3, 0.01, 11)?.boxed()),
        ("cosine of no length", Cosine::new(1.0, 0.5, 0)?.boxed()),
        ("cosine for ever", Cosine::new(1.0, 0.0, ever)?.boxed()),
        ("cosine between extremes", Cosine::new(high, low, 9)?.boxed()),
        ("cosine with powers", Cosine::new(0.3, 0.1, 11)?.exponent(7.5)?.k_decay(0.2)?.boxed()),
        ("polynomial", Polynomial::new(0.3, 0.1, 11)?.power(2.5)?.boxed()),
        ("polynomial that cycles", Polynomial::new(0.3, 0.1, 11)?.cycle().boxed()),
        ("polynomial that cycles over 1", Polynomial::new(0.3, 0.1, 1)?.cycle().boxed()),
        ("polynomial of no length", Polynomial::new(0.3, 0.1, 0)?.cycle().boxed()),
        ("rex", Rex::new(0.3, 0.1, 11)?.boxed()),
        ("rex of no length", Rex::new(0.3, 0.1, 0)?.boxed()),
        ("tanh", TanhDecay::new(0.3, 0.1, 11)?.boxed()),
        ("tanh between far bounds", TanhDecay::new(0.3, 0.1, 11)?.bounds((-1e9, 1e9))?.boxed()),
        ("exponential", Exponential::new(0.3, 0.5, 11)?.boxed()),
        ("exponential growth", Exponential::new(0.3, 9.0, 1)?.boxed()),
        ("exponential growth below 0", Exponential::new(-0.3, 9.0, 1)?.ceiling(1.0)?.boxed()),
        ("exponential to a floor", Exponential::new(0.3, 0.5, 3)?.staircase().floor(0.1)?.boxed()),
        ("exponential to nothing", Exponential::new(0.3, 0.0, 3)?.boxed()),
        ("inverse time", InverseTime::new(0.3, 0.5, 3)?.boxed()),
        ("inverse time in stairs", InverseTime::new(0.3, 1e300, 3)?.staircase().boxed()),
        ("inverse sqrt", InverseSqrt::new(0.3, 5)?.boxed()),
        ("noam", Noam::new(512, 7)?.factor(2.0)?.boxed()),
        ("step", Step::new(1.0, 0.1, 5)?.boxed()),
        ("growing step", Step::new(1.0, 1e10, 1)?.boxed()),
        ("growing step from 0", Step::new(0.0, 1e10, 1)?.boxed()),
        ("step to nothing", Step::new(1.0, 0.0, 3)?.boxed()),
        ("multi-step", MultiStep::new(1.0, 0.5, [0, 3, 3, 12])?.boxed()),
        ("multi-step without any", MultiStep::new(1.0, 0.5, [])?.boxed()),
        ("piecewise constant", PiecewiseConstant::new(0.5, knots)?.boxed()),
        ("piecewise linear", PiecewiseLinear::new(knots)?.boxed()),
        ("piecewise linear, one point", PiecewiseLinear::new([(4, 0.5)])?.boxed()),
        ("piecewise cosine", PiecewiseCosine::new(knots)?.boxed()),
        ("sweep", RangeSweep::exponential(1e-4, 1.0, 20)?.boxed()),
        ("sweep in stairs", RangeSweep::linear(0.0, 1.0, 20)?.staircase(3)?.boxed()),
        ("cyclic", Cyclic::new(0.01, 0.2, 4)?.boxed()),
        ("cyclic saw", Cyclic::new(0.01, 0.2, 4)?.down(0)?.triangular2().boxed()),
        ("cyclic that shrinks", Cyclic::new(0.01, 0.2, 4)?.down(7)?.exp_range(0.9)?.boxed()),
        ("cyclic that grows", Cyclic::new(0.01, 0.2, 4)?.exp_range(1e10)?.boxed()),
        ("restarts", WarmRestarts::new(0.3, 0.1, 5)?.boxed()),
        ("restarts, tripled", WarmRestarts::new(0.3, 0.1, 3)?.period_factor(3.0)?.boxed()),
        ("restarts × 1.5", WarmRestarts::new(0.3, 0.1, 3)?.period_factor(1.5)?.boxed()),
        ("restarts, higher", WarmRestarts::new(0.3, 0.1, 1)?.peak_factor(1e9)?.boxed()),
        ("restarts, ending", WarmRestarts::new(0.3, 0.1, 5)?.peak_factor(0.5)?.cycles(3).boxed()),
        ("one cycle", one_cycle.boxed()),
        ("one cycle of no length", OneCycle::new(0.5, 0)?.boxed()),
        ("one cycle from its peak", one_cycle.peak_at(0)?.boxed()),
        ("one cycle to its peak", one_cycle.peak_at(30)?.boxed()),
        ("one cycle, three phases", one_cycle.three_phase().shape(Anneal::Linear)?.boxed()),
        ("one cycle's momentum", one_cycle.with_momentum(0.95, 0.85)?.1.boxed()),
        ("wsd", wsd.boxed()),
        ("wsd of no length", Wsd::new(0.5, 0)?.boxed()),
        ("wsd without a stable phase", wsd.decay(25)?.shape(Anneal::Exponential(0.1))?.boxed()),
        ("wsd with inverse sqrt", wsd.inverse_sqrt(4)?.to(0.01)?.boxed()),
        ("cooldown", Cooldown::new(0.3, 0.1, 11)?.boxed()),
        ("cooldown of no length", Cooldown::new(0.3, 0.1, 0)?.boxed()),
        ("closure", (|t: u64| 1.0 / (1.0 + t as f64)).boxed()),
    ])
}

fn compositions() -> Result<Named, Error> {
    let ramp = Ramp::new(0.0, 0.3, 7)?;
    let cosine = Cosine::new(0.3, 0.01, 11)?;
    let phases = || [(4, ramp.boxed()), (0, cosine.boxed()), (6, cosine.boxed())];
    Ok(vec![
        ("then", ramp.then(7, cosine).boxed()),
        ("then at once", ramp.then(0, cosine).boxed()),
        ("then, three deep", ramp.then(7, cosine.then(11, Constant::new(1.0)?)).boxed()),
        ("sequence", Sequence::of(phases())?.boxed()),
        ("sequence that cycles", Sequence::of(phases())?.past(Past::Cycle)?.boxed()),
        ("sequence of nothing", Sequence::of([(0, ramp)])?.boxed()),
        ("times", ramp.times(cosine).boxed()),
        ("times beyond range", Step::new(2.0, 9.0, 1)?.times(|_| 1e300).boxed()),
        ("plus", ramp.plus(cosine).boxed()),
        ("plus beyond range", (|_| f64::MAX).plus(|_| f64::MAX).boxed()),
        ("mean", ramp.mean(cosine).boxed()),
        ("mean of extremes", (|_| f64::MAX).mean(|_| f64::MAX).boxed()),
        ("min", Schedule::min(ramp, cosine).boxed()),
        ("max", Schedule::max(ramp, cosine).boxed()),
        ("clamp", Schedule::clamp(cosine, 0.1, 0.2)?.boxed()),
        ("scale", cosine.scale(-2.0)?.boxed()),
        ("scale beyond range", (|_| 1e300).scale(1e300)?.boxed()),
        ("shift", cosine.shift(4).boxed()),
        ("advance", cosine.advance(4).boxed()),
        ("advance for ever", cosine.advance(u64::MAX).boxed()),
        ("until", cosine.until(5, Past::Hold)?.boxed()),
        ("until at once", cosine.until(0, Past::Hold)?.boxed()),
        ("repeat", cosine.repeat(5)?.boxed()),
        ("stretch", cosine.stretch(11, 25).boxed()),
        ("stretch shorter", cosine.stretch(11, 4).since(2)?.boxed()),
        ("stretch to nothing", cosine.stretch(11, 0).boxed()),
        ("stretch from nothing", cosine.stretch(0, 11).boxed()),
        ("stretch for ever", cosine.stretch(u64::MAX, u64::MAX - 1).boxed()),
        ("noise", cosine.noise(Noise::uniform(0.1)?.seed(3)).boxed()),
        ("normal noise", cosine.noise(Noise::normal(9.0)?.limit(0.5)?.during(2..9)).boxed()),
        (
            "nested",
            Schedule::clamp(ramp.then(3, cosine.times(ramp).shift(2).repeat(9)?), 0.0, 1.0)?
                .boxed(),
        ),
    ])
}

/// Each has learned something.
fn feedback() -> Result<Named, Error> {
    let rate = Cosine::new(0.3, 0.01, 11)?;
    let plateau = Plateau::minimizing().factor(0.5)?.patience(0);
    let greedy = Greedy::maximizing().factor(0.5)?.patience(0).average(2)?;
    for _ in 0..3 {
        plateau.record(1.0)?;
        greedy.record(1.0)?;
    }
    let backoff = Backoff::recovering(20)?;
    backoff.back_off(3, 0.5)?;
    Ok(vec![
        ("plateau", rate.times(plateau.clone()).boxed()),
        ("greedy", rate.times(greedy).boxed()),
        ("backoff", rate.times(backoff.clone()).boxed()),
        (
            "feedback in a sequence",
            Sequence::of([(5, rate.times(plateau).boxed()), (9, backoff.boxed())])?.boxed(),
        ),
    ])
}

fn recipes() -> Result<Named, Error> {
    let run = Transformers::new(0.1, 5, 30)?;
    let mut all = vec![
        ("recipe warmup_constant", recipe::warmup_constant(0.1, 5)?.boxed()),
        ("recipe warmup_linear", recipe::warmup_linear(0.1, 5, 30)?.boxed()),
        ("recipe warmup_cosine", recipe::warmup_cosine(0.1, 5, 30)?.boxed()),
        ("recipe warmup_cosine, all of it", recipe::warmup_cosine(0.1, 30, 30)?.boxed()),
        ("recipe warmup_inverse_sqrt", recipe::warmup_inverse_sqrt(0.1, 5)?.boxed()),
        ("recipe noam", recipe::noam(512, 5)?.boxed()),
        ("recipe wsd", recipe::wsd(0.1, 5, 30)?.boxed()),
        ("recipe trapezoid", recipe::trapezoid(0.1, 5, 30)?.boxed()),
        ("recipe one_cycle", recipe::one_cycle(0.1, 30)?.boxed()),
        ("recipe flat_cosine", recipe::flat_cosine(0.1, 30)?.boxed()),
        ("recipe sgdr", recipe::sgdr(0.1, 5, 2.0)?.boxed()),
        ("recipe poly", recipe::poly(0.1, 30)?.boxed()),
        ("recipe swa", recipe::swa(0.1, 0.01, 30)?.boxed()),
    ];
    for (name, theirs) in [
        ("transformers constant", "constant"),
        ("transformers linear", "linear"),
        ("transformers cosine", "cosine"),
        ("transformers restarts", "cosine_with_restarts"),
        ("transformers polynomial", "polynomial"),
        ("transformers inverse_sqrt", "inverse_sqrt"),
        ("transformers wsd", "warmup_stable_decay"),
    ] {
        all.push((name, run.by_name(theirs)?));
    }
    Ok(all)
}
