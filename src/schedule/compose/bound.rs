//! A schedule kept between two values.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;

/// A schedule between two bounds: see [`Schedule::clamp`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clamp<S> {
    inner: S,
    low: f64,
    high: f64,
}

impl<S> Clamp<S> {
    pub(in crate::schedule) fn new(inner: S, low: f64, high: f64) -> Result<Self, Error> {
        let low = Param("clamp", "low").finite(low)?;
        let high = Param("clamp", "high").finite(high)?;
        if low > high {
            let must = format_args!("at least `low` = {low}").to_string();
            return Err(Error::parameter("clamp", "high", must, high));
        }
        Ok(Self { inner, low, high })
    }
}

impl<S: Schedule> Schedule for Clamp<S> {
    fn at(&self, t: u64) -> f64 {
        self.inner.at(t).clamp(self.low, self.high)
    }
}
