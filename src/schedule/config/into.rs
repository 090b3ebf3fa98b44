//! Conversions into [`ScheduleConfig`] from schedules built in a program.

use super::ScheduleConfig;
use crate::schedule::{
    Advance, Backoff, Clamp, Constant, Cooldown, Cosine, Cyclic, Exponential, ExponentialWarmup,
    Geometric, Greedy, InverseSqrt, InverseTime, Logarithmic, Max, Mean, Min, MultiStep, Noam,
    Noisy, OneCycle, PiecewiseConstant, PiecewiseCosine, PiecewiseLinear, Plateau, Plus,
    Polynomial, Ramp, RangeSweep, Rex, Scale, Sequence, Shift, Step, Stretch, TanhDecay, Then,
    Times, Until, WarmRestarts, Wsd,
};

macro_rules! as_they_are {
    ($($type:ident),*) => {
        $(impl From<$type> for ScheduleConfig {
            fn from(curve: $type) -> Self {
                Self::$type(curve)
            }
        })*
    };
}

as_they_are!(
    Constant,
    Ramp,
    Logarithmic,
    ExponentialWarmup,
    Geometric,
    Cosine,
    Polynomial,
    Rex,
    TanhDecay,
    Cooldown,
    Exponential,
    InverseTime,
    InverseSqrt,
    Noam,
    Step,
    MultiStep,
    PiecewiseConstant,
    PiecewiseLinear,
    PiecewiseCosine,
    RangeSweep,
    Cyclic,
    WarmRestarts,
    OneCycle,
    Wsd,
    Plateau,
    Greedy,
    Backoff
);

macro_rules! with_one_inside {
    ($($type:ident { $($field:ident),* } => $name:ident),*) => {
        $(impl<S: Into<Self>> From<$type<S>> for ScheduleConfig {
            fn from(of: $type<S>) -> Self {
                Self::$name(Box::new($type { inner: of.inner.into(), $($field: of.$field),* }))
            }
        })*
    };
}

with_one_inside!(
    Clamp { low, high } => Clamp,
    Scale { factor } => Scale,
    Shift { by } => Shift,
    Advance { by } => Advance,
    Until { at, past } => Until,
    Stretch { from, to, since } => Stretch,
    Noisy { noise } => Noise
);

macro_rules! with_two_inside {
    ($($type:ident),*) => {
        $(impl<A: Into<Self>, B: Into<Self>> From<$type<A, B>> for ScheduleConfig {
            fn from(of: $type<A, B>) -> Self {
                Self::$type(Box::new($type::new(of.0.into(), of.1.into())))
            }
        })*
    };
}

with_two_inside!(Times, Plus, Mean, Min, Max);

impl<A: Into<Self>, B: Into<Self>> From<Then<A, B>> for ScheduleConfig {
    fn from(of: Then<A, B>) -> Self {
        Self::Then(Box::new(Then::new(of.first.into(), of.at, of.next.into())))
    }
}

impl<S: Into<Self>> From<Sequence<S>> for ScheduleConfig {
    fn from(of: Sequence<S>) -> Self {
        let phases = of.phases.into_iter().map(|(end, phase)| (end, phase.into())).collect();
        Self::Sequence(Sequence { phases, past: of.past })
    }
}
