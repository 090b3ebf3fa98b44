//! Step decay.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::saturate;

/// Step decay: the value is multiplied by `factor` every `every` updates.
///
/// `y(t) = from · factor^⌊t/every⌋`
///
/// `every` is a length in updates.
///
/// Edges: `at(0) = from`; the first change is *at* update `every`. There is no end; a factor above
/// 1 grows up to the largest finite number and stays there.
///
/// Agrees with torch `StepLR` and optax `exponential_decay(staircase=True)`.
///
/// ```
/// use evenkeel::schedule::{Schedule, Step};
///
/// let halving = Step::new(8.0, 0.5, 10)?;
/// assert_eq!([0, 9, 10, 19, 20].map(|t| halving.at(t)), [8.0, 8.0, 4.0, 4.0, 2.0]);
/// assert_eq!(Step::new(0.1, 0.5, 0).unwrap_err().to_string(), "`every` of Step must be at least 1, got 0");
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "StepLR")]
pub struct Step {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) factor: f64,
    pub(in crate::schedule) every: u64,
}

impl Step {
    /// Creates a staircase from `from`, each step `factor` times the one before and `every` updates long.
    ///
    /// # Errors
    /// If `from` is not finite, `factor` is negative or not finite, or `every` is 0.
    pub fn new(from: f64, factor: f64, every: u64) -> Result<Self, Error> {
        Ok(Self {
            from: Param("Step", "from").finite(from)?,
            factor: Param("Step", "factor").non_negative(factor)?,
            every: Param("Step", "every").at_least(1, every)?,
        })
    }
}

impl Schedule for Step {
    fn at(&self, t: u64) -> f64 {
        let stairs = (t / self.every) as f64;
        // The power is kept finite before it is multiplied by `from`, which may be 0.
        saturate(self.from * saturate(self.factor.powf(stairs)))
    }
}
