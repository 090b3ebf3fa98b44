//! Schedules that begin late, or in their middle.

use crate::schedule::Schedule;

/// A schedule that begins late; see [`Schedule::shift`].
///
/// ```
/// use evenkeel::schedule::{Ramp, Schedule};
///
/// let rate = Ramp::new(0.0, 1.0, 4)?.shift(2);
/// assert_eq!([0, 2, 3, 6].map(|t| rate.at(t)), [0.0, 0.0, 0.25, 1.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift<S> {
    pub(in crate::schedule) inner: S,
    pub(in crate::schedule) by: u64,
}

impl<S> Shift<S> {
    pub(in crate::schedule) fn new(inner: S, by: u64) -> Self {
        Self { inner, by }
    }
}

impl<S: Schedule> Schedule for Shift<S> {
    fn at(&self, t: u64) -> f64 {
        self.inner.at(t.saturating_sub(self.by))
    }

    passes_on!(|self, t| t.saturating_sub(self.by));
}

/// A schedule that begins in its middle; see [`Schedule::advance`].
///
/// ```
/// use evenkeel::schedule::{Ramp, Schedule};
///
/// let rate = Ramp::new(0.0, 1.0, 4)?.advance(1);
/// assert_eq!([0, 1, 2, 3].map(|t| rate.at(t)), [0.25, 0.5, 0.75, 1.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Advance<S> {
    pub(in crate::schedule) inner: S,
    pub(in crate::schedule) by: u64,
}

impl<S> Advance<S> {
    pub(in crate::schedule) fn new(inner: S, by: u64) -> Self {
        Self { inner, by }
    }
}

impl<S: Schedule> Schedule for Advance<S> {
    fn at(&self, t: u64) -> f64 {
        self.inner.at(t.saturating_add(self.by))
    }

    passes_on!(|self, t| t.saturating_add(self.by));
}
