//! Half a cosine, then level.

use std::f64::consts::PI;

use crate::Error;
use crate::error::check::Param;
use crate::schedule::{Schedule, lerp};

/// Cosine decay from one value to another, which is then held.
///
/// ```text
/// y(t) = to + (from − to)·(1 + cos(π·t/over))/2   for t < over
///      = to                                       for t ≥ over
/// ```
///
/// `over` is a length in updates. The curve is flat at both ends and steepest in the middle. It
/// rises just as well as it falls.
///
/// Edges: `at(0) = from` and `at(over) = to`, exactly; `to` is held past the end. With `over = 0`
/// the value is `to` from the start.
///
/// Source: Loshchilov & Hutter 2017 (arXiv 1608.03983), equation 5, one period. Agrees with optax
/// `cosine_decay_schedule`. Burn's and torch's cosine climb back to the start past their end.
///
/// ```
/// use evenkeel::schedule::{Cosine, Schedule};
///
/// let decay = Cosine::new(1.0, 0.0, 4)?;
/// assert_eq!(decay.at(0), 1.0);
/// assert!((decay.at(1) - (1.0 + 0.5f64.sqrt()) / 2.0).abs() < 1e-15);
/// assert!((decay.at(2) - 0.5).abs() < 1e-15);
/// assert_eq!((decay.at(4), decay.at(8), decay.at(u64::MAX)), (0.0, 0.0, 0.0));
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cosine {
    from: f64,
    to: f64,
    over: u64,
}

impl Cosine {
    /// Half a cosine from `from` to `to`, `over` updates long.
    ///
    /// # Errors
    /// If `from` or `to` is not finite.
    pub fn new(from: f64, to: f64, over: u64) -> Result<Self, Error> {
        Ok(Self {
            from: Param("Cosine", "from").finite(from)?,
            to: Param("Cosine", "to").finite(to)?,
            over,
        })
    }
}

impl Schedule for Cosine {
    fn at(&self, t: u64) -> f64 {
        let Self { from, to, over } = *self;
        if t >= over {
            return to;
        }
        lerp(to, from, (1.0 + (PI * (t as f64 / over as f64)).cos()) / 2.0)
    }
}
