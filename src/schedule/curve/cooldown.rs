//! Cooldown at the end of a run, in a chosen shape.

use super::Anneal;
use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::{lerp, progress};

/// Cooldown from one value to another in any [shape](Anneal); the final value is then held.
///
/// ```text
/// y(t) = to + (from − to)·w(t/over)   for t < over
///      = to                          for t ≥ over
/// ```
///
/// `over` is a length in updates; `w` is `1 − √p` unless a [shape](Self::shape) is set.
///
/// Edges: `at(0) = from` and `at(over) = to`, exactly. With `over = 0` the value is `to` from the
/// start.
///
/// Source: Hägele et al. 2024 (arXiv 2405.18392), section 3: a constant rate with a short cooldown
/// does as well as a cosine, and the cooldown can start at any time. With the linear, cosine and polynomial
/// shapes it also covers torch's `SWALR` and `PolynomialLR`.
///
/// ```
/// use evenkeel::schedule::{Anneal, Cooldown, Schedule};
///
/// let end = Cooldown::new(1.0, 0.0, 4)?;
/// assert_eq!([0, 1, 4, 5].map(|t| end.at(t)), [1.0, 0.5, 0.0, 0.0]);
/// let line = end.shape(Anneal::Linear)?;
/// assert_eq!(line.at(1), 0.75);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cooldown {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) to: f64,
    pub(in crate::schedule) over: u64,
    pub(in crate::schedule) shape: Anneal,
}

impl Cooldown {
    /// Creates a cooldown from `from` to `to`, `over` updates long.
    ///
    /// # Errors
    /// If `from` or `to` is not finite.
    pub fn new(from: f64, to: f64, over: u64) -> Result<Self, Error> {
        Ok(Self {
            from: Param("Cooldown", "from").finite(from)?,
            to: Param("Cooldown", "to").finite(to)?,
            over,
            shape: Anneal::OneMinusSqrt,
        })
    }

    /// Sets the shape.
    ///
    /// # Errors
    /// If the shape's parameter is out of range.
    pub fn shape(mut self, shape: Anneal) -> Result<Self, Error> {
        self.shape = shape.checked("Cooldown")?;
        Ok(self)
    }
}

impl Schedule for Cooldown {
    fn at(&self, t: u64) -> f64 {
        let Self { from, to, over, shape } = *self;
        match t < over {
            true => lerp(to, from, shape.weight(progress(t, over))),
            false => to,
        }
    }
}
