//! Exponential warmup.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::lerp;

/// Exponential warmup: the distance to the target value shrinks by a factor of `e` every `timescale`
/// updates.
///
/// ```text
/// y(t) = to + (from − to)·exp(−t/timescale)
/// ```
///
/// `timescale` is in updates, and need not be a whole number.
///
/// Edges: `at(0) = from`, exactly. There is no end; after 5 timescales the value is within 0.7 % of `to`, and
/// after 37 it equals `to` to the last digit.
///
/// Source: Ma & Yarats 2019 (arXiv 1910.04209): with `timescale = 1/(1 − β₂)` it does for Adam what
/// RAdam's rectification does. The paper counts updates from 1, so that the first update already has an effect;
/// that corresponds to this curve one update later, `|t| curve.at(t + 1)`.
///
/// ```
/// use evenkeel::schedule::{ExponentialWarmup, Schedule};
///
/// let warmup = ExponentialWarmup::new(0.0, 1.0, 1.0 / (1.0 - 0.999))?;
/// assert_eq!((warmup.at(0), warmup.at(u64::MAX)), (0.0, 1.0));
/// assert!((warmup.at(1000) - 0.632_120_558_8).abs() < 1e-10);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExponentialWarmup {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) to: f64,
    pub(in crate::schedule) timescale: f64,
}

impl ExponentialWarmup {
    /// Creates a warmup from `from` towards `to`.
    ///
    /// # Errors
    /// If `from` or `to` is not finite, or `timescale` is not positive and finite.
    pub fn new(from: f64, to: f64, timescale: f64) -> Result<Self, Error> {
        Ok(Self {
            from: Param("ExponentialWarmup", "from").finite(from)?,
            to: Param("ExponentialWarmup", "to").finite(to)?,
            timescale: Param("ExponentialWarmup", "timescale").positive(timescale)?,
        })
    }
}

impl Schedule for ExponentialWarmup {
    fn at(&self, t: u64) -> f64 {
        let Self { from, to, timescale } = *self;
        // 1 − exp(−x) without the cancellation near 0, where the warmup is most sensitive.
        lerp(from, to, -(-(t as f64) / timescale).exp_m1())
    }
}
