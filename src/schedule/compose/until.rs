//! An end, and what comes past it.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;

/// What a schedule does past its end: see [`Schedule::until`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Past {
    /// It stays at the value that it has at its end.
    #[default]
    Hold,
    /// It starts again from 0.
    Cycle,
    /// Its value is NaN, which [`Keel`](crate::Keel) rules to be a
    /// [`Fault::Rate`](crate::Fault::Rate): no update is made at it. For a run that must not go on
    /// unnoticed past the length that was planned for it.
    Error,
}

/// A schedule with an end: see [`Schedule::until`].
///
/// ```text
/// y(t) = inner(t)          for t < at
///      = inner(at)         for t ≥ at   if it holds
///      = inner(t mod at)                if it cycles
///      = NaN               for t ≥ at   if going on is an error
/// ```
///
/// Edges: an end at 0 is legal where it holds, and then the value is `inner(0)` for ever.
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

    /// The update that the inner schedule is asked at; `None` where there is none.
    fn inner_update(&self, t: u64) -> Option<u64> {
        match self.past {
            _ if t < self.at => Some(t),
            Past::Hold => Some(self.at),
            // Not 0: the constructor saw to it.
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
