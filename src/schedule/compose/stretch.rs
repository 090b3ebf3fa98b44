//! A schedule at a different pace.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::lerp;

/// A schedule whose first `from` updates take `to` updates; see [`Schedule::stretch`].
///
/// ```text
/// y(t) = inner(x(t))
/// x(t) = t                                              for t ≤ since
///      = since + (t − since)·(from − since)/(to − since)  for since < t < to
///      = from + (t − to)                                for t ≥ to
/// ```
///
/// `since`, `from` and `to` are updates; `since` is 0 unless [set](Self::since). Between two updates of the inner
/// schedule, its values are interpolated. `x` is exact, so the values at 0, `since` and `to` are the inner schedule's
/// own.
///
/// Edges: past `to`, the original pace resumes. A jump of the inner schedule is spread over the updates that one of its
/// updates now takes, `(to − since)/(from − since)` of them. If `from = to`, this is the inner schedule.
///
/// Source: Composer's scale schedule ratio, which multiplies all times in a schedule; this does the same for any
/// schedule, closures included.
///
/// ```
/// use evenkeel::schedule::{Ramp, Schedule};
///
/// let decay = Ramp::new(1.0, 0.0, 4)?;
/// let longer = decay.stretch(4, 8);
/// assert_eq!([0, 1, 2, 8, 9].map(|t| longer.at(t)), [1.0, 0.875, 0.75, 0.0, 0.0]);
///
/// // The first two updates were made already, and stay as they were.
/// let longer = decay.stretch(4, 8).since(2)?;
/// assert_eq!([1, 2, 5, 8].map(|t| longer.at(t)), [0.75, 0.5, 0.25, 0.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch<S> {
    pub(in crate::schedule) inner: S,
    pub(in crate::schedule) from: u64,
    pub(in crate::schedule) to: u64,
    pub(in crate::schedule) since: u64,
}

impl<S> Stretch<S> {
    pub(in crate::schedule) fn new(inner: S, from: u64, to: u64) -> Self {
        Self { inner, from, to, since: 0 }
    }

    /// Leaves the first `since` updates unchanged, and stretches only the rest.
    ///
    /// # Errors
    /// If `since` is past `from` or `to`.
    pub fn since(mut self, since: u64) -> Result<Self, Error> {
        let least = self.from.min(self.to);
        let must = format_args!("at most {least}, where the shorter run ends");
        self.since = Param("Stretch", "since").must(since <= least, must, since)?;
        Ok(self)
    }

    /// Returns `x(t)`, as whole updates and the fraction of one.
    fn inner_time(&self, t: u64) -> (u64, f64) {
        let Self { from, to, since, .. } = *self;
        if t >= to {
            return (from.saturating_add(t - to), 0.0);
        }
        if t <= since {
            return (t, 0.0);
        }
        // Here since < t < to, so that nothing is divided by 0. The product of two `u64` fits.
        let old = u128::from(t - since) * u128::from(from - since);
        let new = u128::from(to - since);
        let whole = u64::try_from(old / new).unwrap_or(u64::MAX);
        (since.saturating_add(whole), (old % new) as f64 / new as f64)
    }
}

impl<S: Schedule> Schedule for Stretch<S> {
    fn at(&self, t: u64) -> f64 {
        match self.inner_time(t) {
            (x, 0.0) => self.inner.at(x),
            (x, fraction) => lerp(self.inner.at(x), self.inner.at(x.saturating_add(1)), fraction),
        }
    }

    passes_on!(|self, t| self.inner_time(t).0);
}
