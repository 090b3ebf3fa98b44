//! A schedule multiplied by a number.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::saturate;

/// A schedule multiplied by a number; see [`Schedule::scale`].
///
/// ```
/// use evenkeel::schedule::{Ramp, Schedule};
///
/// let rate = Ramp::new(0.0, 1.0, 4)?.scale(0.5)?;
/// assert_eq!([0, 2, 4].map(|t| rate.at(t)), [0.0, 0.25, 0.5]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale<S> {
    pub(in crate::schedule) inner: S,
    pub(in crate::schedule) factor: f64,
}

impl<S> Scale<S> {
    pub(in crate::schedule) fn new(inner: S, factor: f64) -> Result<Self, Error> {
        Ok(Self { inner, factor: Param("scale", "factor").finite(factor)? })
    }
}

impl<S: Schedule> Schedule for Scale<S> {
    fn at(&self, t: u64) -> f64 {
        saturate(self.inner.at(t) * self.factor)
    }

    passes_on!(|self, t| t);
}
