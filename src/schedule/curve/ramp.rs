//! Linear warmup or decay.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::{lerp, progress};

/// Straight line from one value to another, which is then held: linear warmup or linear decay.
///
/// ```text
/// y(t) = from + (to − from)·t/over   for t < over
///      = to                          for t ≥ over
/// ```
///
/// `over` is a length in updates.
///
/// Edges: `at(0) = from` and `at(over) = to`, exactly. Starting from 0 is legal; the first update then
/// changes nothing. With `over = 0` the value is `to` from the start.
///
/// Agrees with optax `linear_schedule` and torch `LinearLR`; torch refuses a start of 0, and stays
/// at its start value indefinitely if the length is 0.
///
/// ```
/// use evenkeel::schedule::{Ramp, Schedule};
///
/// let warmup = Ramp::new(0.0, 1.0, 4)?;
/// assert_eq!([0, 1, 3, 4, 5, u64::MAX].map(|t| warmup.at(t)), [0.0, 0.25, 0.75, 1.0, 1.0, 1.0]);
/// assert_eq!(Ramp::new(0.5, 1.0, 0)?.at(0), 1.0);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "LinearLR")]
#[doc(alias = "warmup")]
#[doc(alias = "linear_schedule")]
pub struct Ramp {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) to: f64,
    pub(in crate::schedule) over: u64,
}

impl Ramp {
    /// Creates a line from `from` to `to`, `over` updates long.
    ///
    /// # Errors
    /// If `from` or `to` is not finite.
    pub fn new(from: f64, to: f64, over: u64) -> Result<Self, Error> {
        Ok(Self {
            from: Param("Ramp", "from").finite(from)?,
            to: Param("Ramp", "to").finite(to)?,
            over,
        })
    }
}

impl Schedule for Ramp {
    fn at(&self, t: u64) -> f64 {
        let Self { from, to, over } = *self;
        if t >= over {
            return to;
        }
        lerp(from, to, progress(t, over))
    }
}
