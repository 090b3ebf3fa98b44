//! Reflected exponential decay.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::{lerp, progress};

/// Reflected exponential decay (REX): above a straight line throughout, and steepest at its end.
///
/// ```text
/// y(t) = to + (from − to)·(1 − p)/(½ + ½·(1 − p))   for t < over, with p = t/over
///      = to                                         for t ≥ over
/// ```
///
/// `over` is a length in updates.
///
/// Edges: `at(0) = from` and `at(over) = to`, exactly. With `over = 0` the value is `to` from the
/// start.
///
/// Source: Chen et al. 2021 (arXiv 2107.04197), section 3: the best of the schedules compared there,
/// over long and short budgets.
///
/// ```
/// use evenkeel::schedule::{Rex, Schedule};
///
/// let decay = Rex::new(1.0, 0.0, 4)?;
/// assert_eq!([0, 2, 4, 5].map(|t| decay.at(t)), [1.0, 2.0 / 3.0, 0.0, 0.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rex {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) to: f64,
    pub(in crate::schedule) over: u64,
}

impl Rex {
    /// Creates a decay from `from` to `to`, `over` updates long.
    ///
    /// # Errors
    /// If `from` or `to` is not finite.
    pub fn new(from: f64, to: f64, over: u64) -> Result<Self, Error> {
        Ok(Self {
            from: Param("Rex", "from").finite(from)?,
            to: Param("Rex", "to").finite(to)?,
            over,
        })
    }
}

impl Schedule for Rex {
    fn at(&self, t: u64) -> f64 {
        let Self { from, to, over } = *self;
        if t >= over {
            return to;
        }
        let left = 1.0 - progress(t, over);
        lerp(to, from, left / (0.5 + 0.5 * left))
    }
}
