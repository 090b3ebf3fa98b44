//! Logarithmic warmup.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::lerp;

/// Logarithmic curve from one value to another, which is then held: a warmup that covers most of the
/// distance in its first updates.
///
/// ```text
/// y(t) = from + (to − from)·ln(1 + t)/ln(1 + over)   for t < over
///      = to                                          for t ≥ over
/// ```
///
/// `over` is a length in updates.
///
/// Edges: `at(0) = from` and `at(over) = to`, exactly. With `over = 0` the value is `to` from the
/// start.
///
/// Source: DeepSpeed `WarmupLR`, where it is the default. The denominator there is `ln(over)`, so that
/// the end is reached one update too early, and a length of 1 has to be forbidden.
///
/// ```
/// use evenkeel::schedule::{Logarithmic, Schedule};
///
/// let warmup = Logarithmic::new(0.0, 1.0, 15)?;
/// let at = [0, 1, 3, 7, 15, 16].map(|t| warmup.at(t));
/// for (got, expected) in at.into_iter().zip([0.0, 0.25, 0.5, 0.75, 1.0, 1.0]) {
///     assert!((got - expected).abs() < 1e-15);
/// }
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "WarmupLR")]
pub struct Logarithmic {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) to: f64,
    pub(in crate::schedule) over: u64,
}

impl Logarithmic {
    /// Creates a logarithmic curve from `from` to `to`, `over` updates long.
    ///
    /// # Errors
    /// If `from` or `to` is not finite.
    pub fn new(from: f64, to: f64, over: u64) -> Result<Self, Error> {
        Ok(Self {
            from: Param("Logarithmic", "from").finite(from)?,
            to: Param("Logarithmic", "to").finite(to)?,
            over,
        })
    }
}

impl Schedule for Logarithmic {
    fn at(&self, t: u64) -> f64 {
        let Self { from, to, over } = *self;
        match t < over {
            true => lerp(from, to, (t as f64).ln_1p() / (over as f64).ln_1p()),
            false => to,
        }
    }
}
