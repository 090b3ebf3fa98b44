//! Exponential interpolation between two values.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::{lerp, progress};

/// Exponential curve from one value to another, which is then held: a straight line on a logarithmic
/// scale. It serves as an exponential warmup, an exponential decay with a known end, or a sweep of rates.
///
/// ```text
/// y(t) = from · (to/from)^(t/over)   for t < over
///      = to                          for t ≥ over
/// ```
///
/// `over` is a length in updates.
///
/// Edges: `at(0) = from` and `at(over) = to`, exactly. With `over = 0` the value is `to` from the
/// start. Neither value may be 0.
///
/// Agrees with fastai `SchedExp`, and up to its end with [`Exponential`](super::Exponential) with a factor of
/// `to/from`.
///
/// ```
/// use evenkeel::schedule::{Geometric, Schedule};
///
/// let warmup = Geometric::new(1e-6, 1e-2, 4)?;
/// assert_eq!((warmup.at(0), warmup.at(4), warmup.at(5)), (1e-6, 1e-2, 1e-2));
/// assert!((warmup.at(2) - 1e-4).abs() < 1e-18);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometric {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) to: f64,
    pub(in crate::schedule) over: u64,
}

impl Geometric {
    /// Creates an exponential curve from `from` to `to`, `over` updates long.
    ///
    /// # Errors
    /// If `from` or `to` is not positive and finite.
    pub fn new(from: f64, to: f64, over: u64) -> Result<Self, Error> {
        Ok(Self {
            from: Param("Geometric", "from").positive(from)?,
            to: Param("Geometric", "to").positive(to)?,
            over,
        })
    }
}

impl Schedule for Geometric {
    fn at(&self, t: u64) -> f64 {
        let Self { from, to, over } = *self;
        match t {
            _ if t >= over => to,
            0 => from,
            // Not as a power of the ratio, which may not be finite.
            _ => lerp(from.ln(), to.ln(), progress(t, over)).exp(),
        }
    }
}
