//! Curves in files.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::set;
use crate::schedule::curve::{Amplitude, Knots, SweepKind};
use crate::schedule::{
    Anneal, Constant, Cooldown, Cosine, Cyclic, Exponential, ExponentialWarmup, Geometric,
    InverseSqrt, InverseTime, Logarithmic, MultiStep, Noam, OneCycle, PiecewiseConstant,
    PiecewiseCosine, PiecewiseLinear, Polynomial, Ramp, RangeSweep, Rex, Step, TanhDecay,
    WarmRestarts, Wsd,
};

form!(Ramp { from: f64, to: f64, over: u64 } => Ramp::new(from, to, over));
form!(Logarithmic { from: f64, to: f64, over: u64 } => Logarithmic::new(from, to, over));
form!(Geometric { from: f64, to: f64, over: u64 } => Geometric::new(from, to, over));
form!(Rex { from: f64, to: f64, over: u64 } => Rex::new(from, to, over));
form!(
    ExponentialWarmup { from: f64, to: f64, timescale: f64 }
    => ExponentialWarmup::new(from, to, timescale)
);
form!(
    Cosine { from: f64, to: f64, over: u64; exponent: f64 = 1.0, k_decay: f64 = 1.0 }
    => Cosine::new(from, to, over)?.exponent(exponent)?.k_decay(k_decay)
);
form!(
    Polynomial {
        from: f64, to: f64, over: u64; power: f64 = 1.0, k_decay: f64 = 1.0, cycle: bool = false
    }
    => {
        let curve = Polynomial::new(from, to, over)?.power(power)?.k_decay(k_decay)?;
        Ok(if cycle { curve.cycle() } else { curve })
    }
);
form!(
    TanhDecay { from: f64, to: f64, over: u64; bounds: (f64, f64) = (-7.0, 3.0) }
    => TanhDecay::new(from, to, over)?.bounds(bounds)
);
form!(
    Cooldown { from: f64, to: f64, over: u64; shape: Anneal = Anneal::OneMinusSqrt }
    => Cooldown::new(from, to, over)?.shape(shape)
);
form!(
    Exponential {
        from: f64, factor: f64, every: u64;
        staircase: bool = false, floor: Option<f64> = None, ceiling: Option<f64> = None
    }
    => {
        let curve = Exponential::new(from, factor, every)?;
        let curve = if staircase { curve.staircase() } else { curve };
        set(set(curve, floor, Exponential::floor)?, ceiling, Exponential::ceiling)
    }
);
form!(
    InverseTime { from: f64, rate: f64, every: u64; staircase: bool = false }
    => InverseTime::new(from, rate, every)
        .map(|curve| if staircase { curve.staircase() } else { curve })
);
form!(InverseSqrt { from: f64, timescale: u64 } => InverseSqrt::new(from, timescale));
form!(
    Noam { model_size: u64, warmup: u64; factor: f64 = 1.0 }
    => Noam::new(model_size, warmup)?.factor(factor)
);
form!(Step { from: f64, factor: f64, every: u64 } => Step::new(from, factor, every));
form!(
    MultiStep { from: f64, factor: f64, milestones: Vec<u64> }
    => MultiStep::new(from, factor, milestones)
);
form!(
    PiecewiseConstant { first: f64, knots: Knots } => PiecewiseConstant::new(first, knots.into_pairs())
);
form!(PiecewiseLinear { knots: Knots } => PiecewiseLinear::new(knots.into_pairs()));
form!(PiecewiseCosine { knots: Knots } => PiecewiseCosine::new(knots.into_pairs()));
form!(
    Cyclic { low: f64, high: f64, up: u64, down: u64; amplitude: Amplitude = Amplitude::Triangular }
    => {
        let curve = Cyclic::new(low, high, up)?.down(down)?;
        match amplitude {
            Amplitude::Triangular => Ok(curve),
            Amplitude::Triangular2 => Ok(curve.triangular2()),
            Amplitude::ExpRange(gamma) => curve.exp_range(gamma),
        }
    }
);
form!(
    WarmRestarts {
        from: f64, to: f64, first: u64;
        period_factor: f64 = 1.0, peak_factor: f64 = 1.0, cycles: Option<u64> = None
    }
    => {
        let curve = WarmRestarts::new(from, to, first)?.period_factor(period_factor)?;
        set(curve.peak_factor(peak_factor)?, cycles, |curve, count| Ok(curve.cycles(count)))
    }
);
form!(
    Wsd {
        peak: f64, over: u64;
        warmup: u64 = 0, decay: Option<u64> = None, from: f64 = 0.0, to: f64 = 0.0,
        power_law: Option<(u64, f64)> = None, shape: Anneal = Anneal::OneMinusSqrt,
        warmup_shape: Anneal = Anneal::Linear
    }
    => {
        let curve = Wsd::new(peak, over)?.warmup(warmup)?.from(from)?.to(to)?;
        let curve = curve.shape(shape)?.warmup_shape(warmup_shape)?;
        let curve = set(curve, decay, Wsd::decay)?;
        set(curve, power_law, |curve, (timescale, power)| curve.power_law(timescale, power))
    }
);

/// Written with all its values, including those that follow from the defaults; read with those that are present.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cycle {
    peak: f64,
    over: u64,
    from: Option<f64>,
    to: Option<f64>,
    peak_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    back_at: Option<u64>,
    #[serde(default = "cosine")]
    shape: Anneal,
}

fn cosine() -> Anneal {
    Anneal::Cosine
}

impl Serialize for OneCycle {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        let Self { from, peak, to: end, over, peak_at, back_at, shape } = *self;
        let (from, end, peak_at) = (Some(from), Some(end), Some(peak_at));
        Cycle { peak, over, from, to: end, peak_at, back_at, shape }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for OneCycle {
    fn deserialize<Z: Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
        let build = |form: Cycle| {
            let curve = Self::new(form.peak, form.over)?.shape(form.shape)?;
            let curve = set(curve, form.from, Self::from)?;
            let curve = set(curve, form.to, Self::to)?;
            let curve = set(curve, form.peak_at, Self::peak_at)?;
            set(curve, form.back_at, Self::back_at)
        };
        build(Cycle::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sweep {
    scale: Scale,
    from: f64,
    to: f64,
    over: u64,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    every: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Scale {
    Exponential,
    Linear,
}

fn one() -> u64 {
    1
}

fn is_one(count: &u64) -> bool {
    *count == 1
}

impl Serialize for RangeSweep {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        let (scale, from, end, over) = match self.kind {
            SweepKind::Exponential(curve) => (Scale::Exponential, curve.from, curve.to, curve.over),
            SweepKind::Linear(curve) => (Scale::Linear, curve.from, curve.to, curve.over),
        };
        Sweep { scale, from, to: end, over, every: self.every }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for RangeSweep {
    fn deserialize<Z: Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
        let Sweep { scale, from, to, over, every } = Sweep::deserialize(from)?;
        let sweep = match scale {
            Scale::Exponential => Self::exponential(from, to, over),
            Scale::Linear => Self::linear(from, to, over),
        };
        sweep.and_then(|sweep| sweep.staircase(every)).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Constant {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Constant {
    fn deserialize<Z: Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
        Self::new(f64::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}
