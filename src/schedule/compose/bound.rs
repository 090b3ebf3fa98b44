//! A schedule clamped to a range.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;

/// A schedule clamped between two bounds; see [`Schedule::clamp`].
///
/// ```
/// use evenkeel::schedule::{Ramp, Schedule};
///
/// let rate = Ramp::new(0.0, 1.0, 4)?.clamp(0.25, 0.5)?;
/// assert_eq!([0, 1, 2, 3].map(|t| rate.at(t)), [0.25, 0.25, 0.5, 0.5]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clamp<S> {
    pub(in crate::schedule) inner: S,
    pub(in crate::schedule) low: f64,
    pub(in crate::schedule) high: f64,
}

impl<S> Clamp<S> {
    pub(in crate::schedule) fn new(inner: S, low: f64, high: f64) -> Result<Self, Error> {
        let low = Param("clamp", "low").finite(low)?;
        let high = Param("clamp", "high").finite(high)?;
        Param("clamp", "high").must(low <= high, format_args!("at least `low` = {low}"), high)?;
        Ok(Self { inner, low, high })
    }
}

impl<S: Schedule> Schedule for Clamp<S> {
    fn at(&self, t: u64) -> f64 {
        self.inner.at(t).clamp(self.low, self.high)
    }

    passes_on!(|self, t| t);
}
