//! Draws every schedule of the catalogue into one picture, and prints a line for each.
//!
//!     cargo run --example schedule_gallery
//!
//! The picture is written next to this file, unless a path is given.

use std::error::Error;

use evenkeel::schedule::recipe;
use evenkeel::schedule::{
    Anneal, Backoff, Boxed, Constant, Cooldown, Cosine, Cyclic, Exponential, ExponentialWarmup,
    Geometric, Greedy, InverseSqrt, InverseTime, Logarithmic, MultiStep, Noam, Noise, OneCycle,
    Past, PiecewiseConstant, PiecewiseCosine, PiecewiseLinear, Plateau, Plot, Polynomial, Ramp,
    RangeSweep, Rex, Schedule, Sequence, Step, TanhDecay, WarmRestarts, Wsd,
};

/// The length of every panel, in updates.
const OVER: u64 = 100;

fn curves() -> Result<Vec<(&'static str, Boxed)>, Box<dyn Error>> {
    let cosine = Cosine::new(1.0, 0.0, 100)?;
    let warm = Ramp::new(0.0, 1.0, 20)?;
    let knots = [(0, 0.1), (25, 1.0), (60, 0.4), (100, 0.2)];
    let wsd = Wsd::new(1.0, 100)?.warmup(15)?.decay(30)?;
    let one_cycle = OneCycle::new(1.0, 100)?;
    Ok(vec![
        ("Constant", Constant::new(1.0)?.boxed()),
        ("Ramp", Ramp::new(0.0, 1.0, 60)?.boxed()),
        ("Logarithmic", Logarithmic::new(0.0, 1.0, 60)?.boxed()),
        ("ExponentialWarmup", ExponentialWarmup::new(0.0, 1.0, 20.0)?.boxed()),
        ("Geometric", Geometric::new(1e-3, 1.0, 60)?.boxed()),
        ("Cosine, rising", Cosine::new(0.0, 1.0, 60)?.boxed()),
        ("Cosine", cosine.boxed()),
        ("Cosine, exponent 3", cosine.exponent(3.0)?.boxed()),
        ("Cosine, k-decay 2", cosine.k_decay(2.0)?.boxed()),
        ("Polynomial, power 2", Polynomial::new(1.0, 0.0, 100)?.power(2.0)?.boxed()),
        ("Polynomial, cycle", Polynomial::new(1.0, 0.0, 25)?.power(2.0)?.cycle().boxed()),
        ("Rex", Rex::new(1.0, 0.0, 100)?.boxed()),
        ("TanhDecay", TanhDecay::new(1.0, 0.0, 100)?.boxed()),
        ("Exponential", Exponential::new(1.0, 0.5, 20)?.boxed()),
        ("Exponential, floor", Exponential::new(1.0, 0.5, 20)?.floor(0.2)?.boxed()),
        ("InverseTime", InverseTime::new(1.0, 1.0, 20)?.boxed()),
        ("InverseSqrt", InverseSqrt::new(1.0, 10)?.boxed()),
        ("Noam", Noam::new(1, 20)?.boxed()),
        ("Step", Step::new(1.0, 0.6, 20)?.boxed()),
        ("MultiStep", MultiStep::new(1.0, 0.4, [30, 60, 80])?.boxed()),
        ("PiecewiseConstant", PiecewiseConstant::new(0.5, [(25, 1.0), (70, 0.2)])?.boxed()),
        ("PiecewiseLinear", PiecewiseLinear::new(knots)?.boxed()),
        ("PiecewiseCosine", PiecewiseCosine::new(knots)?.boxed()),
        ("RangeSweep", RangeSweep::exponential(1e-3, 1.0, 90)?.staircase(10)?.boxed()),
        ("Cyclic", Cyclic::new(0.1, 1.0, 10)?.down(15)?.boxed()),
        ("Cyclic, triangular2", Cyclic::new(0.1, 1.0, 12)?.triangular2().boxed()),
        ("Cyclic, exp_range", Cyclic::new(0.1, 1.0, 12)?.exp_range(0.98)?.boxed()),
        ("WarmRestarts", WarmRestarts::new(1.0, 0.0, 25)?.boxed()),
        ("WarmRestarts × 2", WarmRestarts::new(1.0, 0.0, 7)?.period_factor(2.0)?.boxed()),
        ("WarmRestarts, lower", WarmRestarts::new(1.0, 0.0, 25)?.peak_factor(0.6)?.boxed()),
        ("OneCycle", one_cycle.boxed()),
        ("OneCycle, linear, 3-phase", one_cycle.shape(Anneal::Linear)?.three_phase().boxed()),
        ("OneCycle, momentum", one_cycle.with_momentum(0.95, 0.85)?.1.boxed()),
        ("Wsd", wsd.boxed()),
        ("Wsd, linear", wsd.shape(Anneal::Linear)?.boxed()),
        ("Wsd, inverse sqrt", wsd.inverse_sqrt(15)?.shape(Anneal::Linear)?.boxed()),
        ("Cooldown, 1 − √p", Cooldown::new(1.0, 0.0, 100)?.boxed()),
        (
            "Cooldown, exponential",
            Cooldown::new(1.0, 0.0, 100)?.shape(Anneal::Exponential(0.05))?.boxed(),
        ),
        ("warmup, then cosine", warm.then(20, Cosine::new(1.0, 0.0, 80)?).boxed()),
        (
            "Sequence, cycling",
            Sequence::of([
                (10, warm.boxed()),
                (20, cosine.boxed()),
                (10, Constant::new(0.3)?.boxed()),
            ])?
            .past(Past::Cycle)?
            .boxed(),
        ),
        ("times", cosine.times(Step::new(1.0, 0.7, 10)?).boxed()),
        ("plus", Cyclic::new(0.0, 0.2, 5)?.plus(Cosine::new(0.8, 0.0, 100)?).boxed()),
        ("mean", warm.mean(cosine).boxed()),
        ("min", warm.min(cosine).boxed()),
        ("max", warm.scale(0.5)?.max(cosine).boxed()),
        ("clamp", cosine.clamp(0.2, 0.8)?.boxed()),
        ("repeat", Ramp::new(1.0, 0.0, 25)?.repeat(25)?.boxed()),
        ("shift", Cosine::new(1.0, 0.0, 50)?.shift(40).boxed()),
        ("stretch, since 30", Cosine::new(1.0, 0.0, 50)?.stretch(50, 100).since(30)?.boxed()),
        ("noise", cosine.noise(Noise::uniform(0.15)?.during(20..80)).boxed()),
        ("closure", (|t: u64| 0.5 + 0.5 * (t as f64 / 8.0).sin()).boxed()),
        ("recipe: warmup_constant", recipe::warmup_constant(1.0, 20)?.boxed()),
        ("recipe: warmup_linear", recipe::warmup_linear(1.0, 20, OVER)?.boxed()),
        ("recipe: warmup_cosine", recipe::warmup_cosine(1.0, 20, OVER)?.boxed()),
        ("recipe: inverse_sqrt", recipe::warmup_inverse_sqrt(1.0, 20)?.boxed()),
        ("recipe: flat_cosine", recipe::flat_cosine(1.0, OVER)?.boxed()),
        ("recipe: trapezoid", recipe::trapezoid(1.0, 20, OVER)?.boxed()),
        ("× Plateau", plateau()?),
        ("× Greedy", greedy()?),
        ("× Backoff", backoff()?),
    ])
}

/// A validation loss that falls, then stays constant; reported every five updates.
fn metric(t: u64) -> f64 {
    1.0 / (1.0 + t.min(40) as f64 / 10.0)
}

/// The history of a factor at each update, with a metric reported every five updates.
fn history(told: impl Fn(u64) -> Result<f64, evenkeel::Error>) -> Result<Boxed, evenkeel::Error> {
    let mut all = Vec::new();
    let mut now = 1.0;
    for t in 0..OVER {
        if t % 5 == 0 {
            now = told(t)?;
        }
        all.push(now);
    }
    Ok((move |t: u64| all.get(t as usize).copied().unwrap_or(now)).boxed())
}

fn plateau() -> Result<Boxed, Box<dyn Error>> {
    let plateau = Plateau::minimizing().factor(0.5)?.patience(2);
    Ok(history(|t| plateau.record(metric(t)))?)
}

fn greedy() -> Result<Boxed, Box<dyn Error>> {
    let greedy = Greedy::minimizing().factor(0.8)?.patience(1);
    Ok(history(|t| greedy.record(metric(t)))?)
}

fn backoff() -> Result<Boxed, Box<dyn Error>> {
    let backoff = Backoff::recovering(40)?;
    backoff.back_off(30, 0.3)?;
    // Before its update the factor was 1, which can no longer be queried.
    let before = Constant::new(1.0)?.then(30, backoff.advance(30));
    Ok(before.boxed())
}

/// Draws one panel; panels with values from 0 to 1 share a scale, so that they can be compared.
fn panel(name: &str, curve: &Boxed) -> Result<Plot, evenkeel::Error> {
    let plot = Plot::over(0..OVER).title(name).size(220, 132).curve(name, curve);
    let values = || curve.preview(0..OVER).values();
    let high = values().fold(f64::MIN, f64::max);
    let spread = high - values().fold(f64::MAX, f64::min);
    match high <= 1.0 && (spread == 0.0 || spread > 0.3) {
        true => plot.between(0.0..1.1),
        false => Ok(plot),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/schedule_gallery.svg");
    let path = std::env::args().nth(1).unwrap_or_else(|| beside.into());
    let mut plots = Vec::new();
    for (name, curve) in curves()? {
        println!("{name:<28} {:50}", curve.preview(0..OVER));
        plots.push(panel(name, &curve)?);
    }
    std::fs::write(&path, Plot::grid(6, &plots)?)?;
    println!("{} panels in {path}", plots.len());
    Ok(())
}
