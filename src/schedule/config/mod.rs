//! Schedules in configuration files.

/// Defines how a type is written and read: by the names and types of its fields. Those after the semicolon may be left
/// out, and are, if they have the value given here. A value that is read goes through the type's own constructor, so
/// that a file is checked like a program.
macro_rules! form {
    (
        $type:ident $(<$S:ident>)? {
            $($(#[$meta:meta])* $field:ident: $kind:ty),*
            $(; $($option:ident: $option_kind:ty = $default:expr),*)?
        } => $build:expr
    ) => {
        const _: () = {
            #[derive(serde::Serialize, serde::Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Form $(<$S>)? {
                $($(#[$meta])* $field: $kind,)*
                $($(
                    #[serde(default, skip_serializing_if = "Option::is_none")]
                    $option: Option<$option_kind>,
                )*)?
            }

            impl $(<$S: Clone + serde::Serialize>)? serde::Serialize for $type $(<$S>)? {
                fn serialize<Z: serde::Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
                    let form = Form {
                        $($field: self.$field.clone(),)*
                        $($($option: Some(self.$option).filter(|value| *value != $default),)*)?
                    };
                    serde::Serialize::serialize(&form, to)
                }
            }

            impl<'de $(, $S: serde::Deserialize<'de>)?> serde::Deserialize<'de>
                for $type $(<$S>)?
            {
                fn deserialize<Z: serde::Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
                    let build = |form: Form $(<$S>)?| -> Result<Self, $crate::Error> {
                        $(let $field = form.$field;)*
                        $($(let $option = form.$option.unwrap_or($default);)*)?
                        $build
                    };
                    build(serde::Deserialize::deserialize(from)?).map_err(serde::de::Error::custom)
                }
            }
        };
    };
}

mod compose;
mod curves;
mod feedback;
mod into;

use serde::{Deserialize, Serialize};

use super::{
    Advance, Backoff, Clamp, Constant, Cooldown, Cosine, Cyclic, Exponential, ExponentialWarmup,
    Geometric, Greedy, InverseSqrt, InverseTime, Logarithmic, Max, Mean, Min, MultiStep, Noam,
    Noisy, OneCycle, PiecewiseConstant, PiecewiseCosine, PiecewiseLinear, Plateau, Plus,
    Polynomial, Ramp, RangeSweep, Rex, Scale, Schedule, Sequence, Setback, Shift, Step, Stretch,
    TanhDecay, Then, Times, Until, WarmRestarts, Wsd,
};
use crate::Error;
use crate::checkpoint::State;

/// Applies a setter, if there is something to set.
fn set<T, V>(
    curve: T,
    value: Option<V>,
    setter: impl FnOnce(T, V) -> Result<T, Error>,
) -> Result<T, Error> {
    match value {
        Some(value) => setter(curve, value),
        None => Ok(curve),
    }
}

/// Lists what can be written, each with its name in a file.
macro_rules! config {
    ($($(#[$doc:meta])* $name:ident($type:ty),)*) => {
        /// A schedule that can be read from a configuration file and written back, in any format that
        /// has a serde crate.
        ///
        /// It is itself a schedule; [`boxed`](Schedule::boxed) turns it into one like any other. Any curve and any
        /// composition of curves [converts](From) into one, except for closures: they cannot be written, and converting
        /// one is a compile error.
        ///
        /// In a file, every schedule is a table under its name, in lower case with underscores. The table has the
        /// parameters of the constructor, and those of the setters, which may be left out. So
        /// `Cosine::new(1.0, 0.0, 10)?.exponent(2.0)?` is
        /// `cosine = { from = 1.0, to = 0.0, over = 10, exponent = 2.0 }`. These are written differently:
        ///
        /// | schedule | in a file |
        /// |---|---|
        /// | `Constant` | its number: `constant = 0.1` |
        /// | one schedule inside | as `of`: `scale = { of.constant = 0.1, factor = 2.0 }` |
        /// | `Times`, `Plus`, `Mean`, `Min`, `Max` | a list of two: `times = [{ … }, { … }]` |
        /// | `Then` | `then = { first = { … }, at = 10, next = { … } }` |
        /// | `Sequence` | `sequence = { past = "hold", phases = [{ over = 10, curve = { … } }, …] }` |
        /// | `Noisy` | `noise = { of = { … }, uniform = 0.1, seed = 7 }`, or `normal` with a `limit`; `from` and `until` |
        /// | `RangeSweep` | `scale = "exponential"` or `"linear"`; its stairs are `every` |
        /// | `Cyclic` | `amplitude = "triangular2"`, or `{ exp_range = 0.99 }` |
        /// | `Wsd`'s power law | `power_law = [timescale, power]` |
        /// | shapes | `"linear"`, `"one_minus_sqrt"`, `{ polynomial = 2.0 }` |
        /// | `Plateau`, `Greedy` | `mode = "min"` or `"max"`; `threshold = { relative = 1e-4 }` or `{ absolute = … }` |
        /// | `Backoff` | `recover`, or nothing |
        ///
        /// ```
        /// use evenkeel::schedule::{Cosine, Ramp, Schedule, ScheduleConfig};
        ///
        /// let text = r#"
        ///     [then]
        ///     at = 500
        ///     first.ramp = { from = 0.0, to = 3e-3, over = 500 }
        ///     next.cosine = { from = 3e-3, to = 3e-5, over = 9500 }
        /// "#;
        /// let config: ScheduleConfig = toml::from_str(text)?;
        /// let schedule = config.boxed().start();
        /// assert_eq!(schedule.peek(), 0.0);
        ///
        /// let same = Ramp::new(0.0, 3e-3, 500)?.then(500, Cosine::new(3e-3, 3e-5, 9_500)?);
        /// assert_eq!(toml::from_str::<ScheduleConfig>(text)?, same.into());
        ///
        /// let wrong = text.replace("from = 0.0", "from = nan");
        /// let error = toml::from_str::<ScheduleConfig>(&wrong).unwrap_err().to_string();
        /// assert!(error.contains("line 4"), "{error}");
        /// assert!(error.contains("`from` of Ramp must be a finite number, got NaN"));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// Errors name the parameter. Reporting where it is in the file is up to the format: `toml` gives the line, and
        /// the crate `serde_path_to_error` gives the path in any format.
        ///
        /// Feedback is read with its settings and without memory. [`plateaus`](Self::plateaus) and
        /// [`greedies`](Self::greedies) return the handles to record metrics with.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum ScheduleConfig {
            $($(#[$doc])* $name($type),)*
        }

        impl Schedule for ScheduleConfig {
            fn at(&self, update: u64) -> f64 {
                match self {
                    $(Self::$name(curve) => curve.at(update),)*
                }
            }

            fn state(&self) -> State {
                match self {
                    $(Self::$name(curve) => curve.state(),)*
                }
            }

            fn restore(&self, state: &State) -> Result<(), Error> {
                match self {
                    $(Self::$name(curve) => curve.restore(state),)*
                }
            }

            fn rewound(&self, then: &State) -> Result<(), Error> {
                match self {
                    $(Self::$name(curve) => curve.rewound(then),)*
                }
            }

            fn set_back(&self, update: u64, setback: &mut Setback) -> bool {
                match self {
                    $(Self::$name(curve) => curve.set_back(update, setback),)*
                }
            }
        }
    };
}

config! {
    /// [`Constant`], written as its number.
    Constant(Constant),
    /// [`Ramp`].
    Ramp(Ramp),
    /// [`Logarithmic`].
    Logarithmic(Logarithmic),
    /// [`ExponentialWarmup`].
    ExponentialWarmup(ExponentialWarmup),
    /// [`Geometric`].
    Geometric(Geometric),
    /// [`Cosine`].
    Cosine(Cosine),
    /// [`Polynomial`].
    Polynomial(Polynomial),
    /// [`Rex`].
    Rex(Rex),
    /// [`TanhDecay`].
    TanhDecay(TanhDecay),
    /// [`Cooldown`].
    Cooldown(Cooldown),
    /// [`Exponential`].
    Exponential(Exponential),
    /// [`InverseTime`].
    InverseTime(InverseTime),
    /// [`InverseSqrt`].
    InverseSqrt(InverseSqrt),
    /// [`Noam`].
    Noam(Noam),
    /// [`Step`].
    Step(Step),
    /// [`MultiStep`].
    MultiStep(MultiStep),
    /// [`PiecewiseConstant`].
    PiecewiseConstant(PiecewiseConstant),
    /// [`PiecewiseLinear`].
    PiecewiseLinear(PiecewiseLinear),
    /// [`PiecewiseCosine`].
    PiecewiseCosine(PiecewiseCosine),
    /// [`RangeSweep`].
    RangeSweep(RangeSweep),
    /// [`Cyclic`].
    Cyclic(Cyclic),
    /// [`WarmRestarts`].
    WarmRestarts(WarmRestarts),
    /// [`OneCycle`].
    OneCycle(OneCycle),
    /// [`Wsd`].
    Wsd(Wsd),
    /// [`Plateau`].
    Plateau(Plateau),
    /// [`Greedy`].
    Greedy(Greedy),
    /// [`Backoff`].
    Backoff(Backoff),
    /// [`Then`].
    Then(Box<Then<Self, Self>>),
    /// [`Sequence`].
    Sequence(Sequence<Self>),
    /// [`Times`], a list of two.
    Times(Box<Times<Self, Self>>),
    /// [`Plus`], a list of two.
    Plus(Box<Plus<Self, Self>>),
    /// [`Mean`], a list of two.
    Mean(Box<Mean<Self, Self>>),
    /// [`Min`], a list of two.
    Min(Box<Min<Self, Self>>),
    /// [`Max`], a list of two.
    Max(Box<Max<Self, Self>>),
    /// [`Clamp`].
    Clamp(Box<Clamp<Self>>),
    /// [`Scale`].
    Scale(Box<Scale<Self>>),
    /// [`Shift`].
    Shift(Box<Shift<Self>>),
    /// [`Advance`].
    Advance(Box<Advance<Self>>),
    /// [`Until`].
    Until(Box<Until<Self>>),
    /// [`Stretch`].
    Stretch(Box<Stretch<Self>>),
    /// [`Noisy`].
    Noise(Box<Noisy<Self>>),
}

impl ScheduleConfig {
    /// Returns a handle to each plateau in the schedule, in the order of the file.
    #[must_use]
    pub fn plateaus(&self) -> Vec<Plateau> {
        let mut found = Vec::new();
        self.visit(&mut |part| {
            if let Self::Plateau(plateau) = part {
                found.push(plateau.clone());
            }
        });
        found
    }

    /// Returns a handle to each greedy factor in the schedule, in the order of the file.
    #[must_use]
    pub fn greedies(&self) -> Vec<Greedy> {
        let mut found = Vec::new();
        self.visit(&mut |part| {
            if let Self::Greedy(greedy) = part {
                found.push(greedy.clone());
            }
        });
        found
    }

    /// Calls `look` with this schedule, and with all schedules in it.
    fn visit(&self, look: &mut dyn FnMut(&Self)) {
        look(self);
        self.parts().into_iter().for_each(|part| part.visit(look));
    }

    /// Returns the schedules that this one contains.
    fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Then(of) => vec![&of.first, &of.next],
            Self::Sequence(of) => of.phases.iter().map(|(_, phase)| phase).collect(),
            Self::Times(of) => vec![&of.0, &of.1],
            Self::Plus(of) => vec![&of.0, &of.1],
            Self::Mean(of) => vec![&of.0, &of.1],
            Self::Min(of) => vec![&of.0, &of.1],
            Self::Max(of) => vec![&of.0, &of.1],
            Self::Clamp(of) => vec![&of.inner],
            Self::Scale(of) => vec![&of.inner],
            Self::Shift(of) => vec![&of.inner],
            Self::Advance(of) => vec![&of.inner],
            Self::Until(of) => vec![&of.inner],
            Self::Stretch(of) => vec![&of.inner],
            Self::Noise(of) => vec![&of.inner],
            _ => Vec::new(),
        }
    }
}
