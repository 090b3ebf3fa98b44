//! Learning-rate range sweeps.

use super::{Geometric, Ramp};
use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;

/// Sweep through a range of learning rates, to find the highest one that still trains.
///
/// ```text
/// y(t) = from · (to/from)^(s/over)        exponential
///      = from + (to − from)·s/over        linear
/// ```
///
/// with `s = t`, or the first update of the current step if the sweep is a
/// [`staircase`](Self::staircase). `over` is a length in updates.
///
/// Edges: `at(0) = from` and `at(over) = to`, exactly; `to` is held past the end. For a run that should
/// not continue there, use [`until(over, Past::Error)`](Schedule::until).
///
/// Source: Smith 2017 (arXiv 1506.01186), section 3.3, where it is linear; fastai and
/// pytorch-lr-finder made it exponential. DeepSpeed's `LRRangeTest` is the linear sweep without an
/// end.
///
/// ```
/// use evenkeel::schedule::{RangeSweep, Schedule};
///
/// let sweep = RangeSweep::exponential(1e-8, 1.0, 80)?;
/// assert!((sweep.at(40) - 1e-4).abs() < 1e-18);
/// let stairs = RangeSweep::linear(0.0, 1.0, 10)?.staircase(5)?;
/// assert_eq!([0, 4, 5, 9, 10].map(|t| stairs.at(t)), [0.0, 0.0, 0.5, 0.5, 1.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "LRRangeTest")]
pub struct RangeSweep {
    pub(in crate::schedule) kind: SweepKind,
    pub(in crate::schedule) every: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::schedule) enum SweepKind {
    Exponential(Geometric),
    Linear(Ramp),
}

impl RangeSweep {
    /// Creates an exponential sweep: equal ratios in equal times.
    ///
    /// # Errors
    /// If `from` or `to` is not positive and finite.
    pub fn exponential(from: f64, to: f64, over: u64) -> Result<Self, Error> {
        let from = Param("RangeSweep", "from").positive(from)?;
        let to = Param("RangeSweep", "to").positive(to)?;
        Ok(Self { kind: SweepKind::Exponential(Geometric::new(from, to, over)?), every: 1 })
    }

    /// Creates a linear sweep: equal differences in equal times.
    ///
    /// # Errors
    /// If `from` or `to` is not finite.
    pub fn linear(from: f64, to: f64, over: u64) -> Result<Self, Error> {
        let from = Param("RangeSweep", "from").finite(from)?;
        let to = Param("RangeSweep", "to").finite(to)?;
        Ok(Self { kind: SweepKind::Linear(Ramp::new(from, to, over)?), every: 1 })
    }

    /// Stays at each rate for `every` updates, so that its effect can show.
    ///
    /// # Errors
    /// If `every` is 0.
    pub fn staircase(mut self, every: u64) -> Result<Self, Error> {
        self.every = Param("RangeSweep", "staircase").at_least(1, every)?;
        Ok(self)
    }

    /// Returns the length of the sweep, in updates.
    #[must_use]
    pub fn over(&self) -> u64 {
        match self.kind {
            SweepKind::Exponential(curve) => curve.over,
            SweepKind::Linear(curve) => curve.over,
        }
    }
}

impl Schedule for RangeSweep {
    fn at(&self, t: u64) -> f64 {
        let t = match t < self.over() {
            true => t - t % self.every,
            false => t,
        };
        match self.kind {
            SweepKind::Exponential(curve) => curve.at(t),
            SweepKind::Linear(curve) => curve.at(t),
        }
    }
}
