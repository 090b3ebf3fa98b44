//! Inverse time decay.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;

/// Inverse time decay.
///
/// ```text
/// y(t) = from/(1 + rate·t/every)
/// ```
///
/// `every` is a length in updates, over which the denominator grows by `rate`. With
/// [`staircase`](Self::staircase), `t/every` is rounded down.
///
/// Edges: `at(0) = from`, exactly. There is no end; the value approaches 0.
///
/// Source: Robbins & Monro 1951; agrees with Keras `InverseTimeDecay`.
///
/// ```
/// use evenkeel::schedule::{InverseTime, Schedule};
///
/// let decay = InverseTime::new(1.0, 1.0, 10)?;
/// assert_eq!([0, 10, 30].map(|t| decay.at(t)), [1.0, 0.5, 0.25]);
/// assert_eq!(decay.staircase().at(19), 0.5);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "InverseTimeDecay")]
pub struct InverseTime {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) rate: f64,
    pub(in crate::schedule) every: u64,
    pub(in crate::schedule) staircase: bool,
}

impl InverseTime {
    /// Creates a decay from `from`.
    ///
    /// # Errors
    /// If `from` is not finite, `rate` is negative or not finite, or `every` is 0.
    pub fn new(from: f64, rate: f64, every: u64) -> Result<Self, Error> {
        Ok(Self {
            from: Param("InverseTime", "from").finite(from)?,
            rate: Param("InverseTime", "rate").non_negative(rate)?,
            every: Param("InverseTime", "every").at_least(1, every)?,
            staircase: false,
        })
    }

    /// Changes the value in steps of `every` updates.
    #[must_use]
    pub fn staircase(mut self) -> Self {
        self.staircase = true;
        self
    }
}

impl Schedule for InverseTime {
    fn at(&self, t: u64) -> f64 {
        let rounds = match self.staircase {
            true => (t / self.every) as f64,
            false => t as f64 / self.every as f64,
        };
        // The denominator is at least 1, even if it overflows to infinity, so the quotient is finite.
        self.from / (1.0 + self.rate * rounds)
    }
}
