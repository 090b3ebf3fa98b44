//! An end to a schedule, and its values past that end.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;

/// What a schedule does past its end; see [`Schedule::until`].
///
/// ```
/// use evenkeel::schedule::{Constant, Past, Ramp, Schedule};
///
/// let rate = Constant::new(0.1)?.until(100, Past::Error)?;
/// assert!(rate.at(99) == 0.1 && rate.at(100).is_nan());
/// let sawtooth = Ramp::new(0.0, 1.0, 4)?.until(4, Past::Cycle)?;
/// assert_eq!([3, 4, 5].map(|t| sawtooth.at(t)), [0.75, 0.0, 0.25]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Past {
    /// It holds the value that it has at its end.
    #[default]
    Hold,
    /// It starts again from 0.
    Cycle,
    /// Its value is NaN, which [`Keel`](crate::Keel) treats as a
    /// [`Fault::Rate`](crate::Fault::Rate): no update is made with it. For a run that must not
    /// continue unnoticed past its planned length.
    Error,
}

/// A schedule with an end; see [`Schedule::until`].
///
/// ```text
/// y(t) = inner(t)          for t < at
///      = inner(at)         for t ≥ at   if it holds
///      = inner(t mod at)                if it cycles
///      = NaN               for t ≥ at   if going on is an error
/// ```
///
/// Edges: an end at 0 is allowed if the schedule holds, and the value is then always `inner(0)`.
///
/// ```
/// use evenkeel::schedule::{Past, Ramp, Schedule};
///
/// let ramp = Ramp::new(0.0, 1.0, 4)?;
/// let at = |past| ramp.until(2, past).map(|curve| [1, 2, 3].map(|t| curve.at(t)));
/// assert_eq!(at(Past::Hold)?, [0.25, 0.5, 0.5]);
/// assert_eq!(at(Past::Cycle)?, [0.25, 0.0, 0.25]);
/// assert!(at(Past::Error)?[1].is_nan());
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Until<S> {
    pub(in crate::schedule) inner: S,
    pub(in crate::schedule) at: u64,
    pub(in crate::schedule) past: Past,
}

impl<S> Until<S> {
    pub(in crate::schedule) fn new(inner: S, at: u64, past: Past) -> Result<Self, Error> {
        if past == Past::Cycle {
            Param("Until", "at").at_least(1, at)?;
        }
        Ok(Self { inner, at, past })
    }

    /// Returns the update at which the inner schedule is read; `None` if there is none.
    fn inner_update(&self, t: u64) -> Option<u64> {
        match self.past {
            _ if t < self.at => Some(t),
            Past::Hold => Some(self.at),
            // Not 0: the constructor has checked it.
            Past::Cycle => t.checked_rem(self.at),
            Past::Error => None,
        }
    }
}

impl<S: Schedule> Schedule for Until<S> {
    fn at(&self, t: u64) -> f64 {
        self.inner_update(t).map_or(f64::NAN, |t| self.inner.at(t))
    }

    passes_on!(|self, t| self.inner_update(t).unwrap_or(t));
}
