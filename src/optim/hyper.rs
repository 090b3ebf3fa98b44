//! Optimizer settings that may change from update to update.

use std::fmt;
use std::sync::Arc;

use crate::Error;
use crate::error::check::Param;
#[cfg(feature = "serde")]
use crate::schedule::{Schedule, ScheduleConfig};

/// A setting of an optimizer: a number, or a curve over the updates.
///
/// A curve is evaluated at the number of updates that the tensor has seen before, which is 0 at its first. Any schedule
/// of this crate can serve as one, in a closure.
///
/// ```
/// use evenkeel::optim::Momentum;
/// use evenkeel::schedule::{Ramp, Schedule};
///
/// let rising = Ramp::new(0.85, 0.95, 1_000)?;
/// let optimizer = Momentum::new(move |update| rising.at(update))?.weight_decay(1e-4)?;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Edges
/// A number out of range is refused when it is set. A curve is only evaluated during an update, which cannot return an
/// error: a value out of range is replaced by the nearer end of the range, and NaN by the lower end. So no curve can
/// put anything non-finite into a parameter.
///
/// A curve that panics does so before any of the optimizer's state is touched, in [`ParamGroups`](super::ParamGroups)
/// and in rules that are given directly to a [`Keel`](crate::Keel). In Burn's `ModuleOptimizer`, the state of a tensor
/// is lost.
#[derive(Clone)]
pub struct HyperParam {
    source: Source,
    range: Range,
}

#[derive(Clone)]
pub(super) enum Source {
    Number(f64),
    Curve(Arc<dyn Fn(u64) -> f64 + Send + Sync>),
    /// A curve that can be serialized.
    #[cfg(feature = "serde")]
    Written(Box<ScheduleConfig>),
}

/// The allowed range of a setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Range {
    /// `[0, 1)`: the share of an average that is kept.
    Share,
    /// `[0, ∞)`
    NonNegative,
    /// `(0, ∞)`
    Positive,
}

impl HyperParam {
    /// Returns the setting with this range, if its number is in range.
    pub(crate) fn checked(self, range: Range, param: Param) -> Result<Self, Error> {
        if let Source::Number(x) = self.source {
            match range {
                Range::Share => param.below_one(x)?,
                Range::NonNegative => param.non_negative(x)?,
                Range::Positive => param.positive(x)?,
            };
        }
        Ok(Self { range, ..self })
    }

    /// Creates a setting from a number that is known to be in range.
    pub(crate) const fn number(x: f64, range: Range) -> Self {
        Self { source: Source::Number(x), range }
    }

    /// Returns the value for a tensor that has seen `update` updates; always in range.
    pub(crate) fn at(&self, update: u64) -> f64 {
        match &self.source {
            Source::Number(x) => *x,
            Source::Curve(curve) => self.range.nearest(curve(update)),
            #[cfg(feature = "serde")]
            Source::Written(schedule) => self.range.nearest(schedule.at(update)),
        }
    }

    /// Returns the smallest value for tensors that have seen these numbers of updates.
    pub(crate) fn least(&self, times: &[u64]) -> f64 {
        times.iter().map(|t| self.at(*t)).fold(f64::INFINITY, f64::min)
    }

    /// Returns the largest value for tensors that have seen these numbers of updates.
    pub(crate) fn most(&self, times: &[u64]) -> f64 {
        times.iter().map(|t| self.at(*t)).fold(0.0, f64::max)
    }

    /// Returns the number, or `None` if it is a curve.
    pub(crate) fn constant(&self) -> Option<f64> {
        match self.source {
            Source::Number(x) => Some(x),
            _ => None,
        }
    }

    #[cfg(feature = "serde")]
    pub(super) fn source(&self) -> &Source {
        &self.source
    }
}

impl Range {
    fn nearest(self, x: f64) -> f64 {
        let (low, high) = match self {
            Self::Share => (0.0, 1.0 - f64::EPSILON),
            Self::NonNegative => (0.0, f64::MAX),
            Self::Positive => (f64::MIN_POSITIVE, f64::MAX),
        };
        // `max` comes first, because it turns NaN into the lower end.
        x.max(low).min(high)
    }
}

impl From<f64> for HyperParam {
    fn from(x: f64) -> Self {
        Self { source: Source::Number(x), range: Range::NonNegative }
    }
}

impl<F: Fn(u64) -> f64 + Send + Sync + 'static> From<F> for HyperParam {
    fn from(curve: F) -> Self {
        Self { source: Source::Curve(Arc::new(curve)), range: Range::NonNegative }
    }
}

#[cfg(feature = "serde")]
impl From<ScheduleConfig> for HyperParam {
    fn from(schedule: ScheduleConfig) -> Self {
        Self { source: Source::Written(Box::new(schedule)), range: Range::NonNegative }
    }
}

impl fmt::Debug for HyperParam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Number(x) => write!(f, "{x}"),
            _ => f.write_str("curve"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Param = Param("Thing", "beta");

    #[test]
    fn numbers_out_of_range_are_refused() {
        let said = |x: f64, range| HyperParam::from(x).checked(range, P).unwrap_err().to_string();
        assert_eq!(
            said(1.0, Range::Share),
            "`beta` of Thing must be at least 0 and below 1, got 1"
        );
        assert_eq!(
            said(-0.1, Range::NonNegative),
            "`beta` of Thing must be a finite number of at least 0, got -0.1"
        );
        assert_eq!(
            said(0.0, Range::Positive),
            "`beta` of Thing must be a positive finite number, got 0"
        );
        for range in [Range::Share, Range::NonNegative, Range::Positive] {
            assert!(HyperParam::from(f64::NAN).checked(range, P).is_err());
            assert!(HyperParam::from(f64::INFINITY).checked(range, P).is_err());
        }
    }

    #[test]
    fn curves_are_kept_in_range() {
        let wild = |update: u64| match update {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            _ => 0.5,
        };
        let at = |range| {
            let hyper = HyperParam::from(wild).checked(range, P).unwrap();
            [0, 1, 2, 3].map(|t| hyper.at(t))
        };
        assert_eq!(at(Range::Share), [0.0, 1.0 - f64::EPSILON, 0.0, 0.5]);
        assert_eq!(at(Range::NonNegative), [0.0, f64::MAX, 0.0, 0.5]);
        assert_eq!(at(Range::Positive), [f64::MIN_POSITIVE, f64::MAX, f64::MIN_POSITIVE, 0.5]);
    }
}
