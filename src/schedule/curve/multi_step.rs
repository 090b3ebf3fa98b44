//! Step decay at chosen updates.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::{power, saturate};

/// Step decay at milestones: the value is multiplied by `factor` at each update in a list.
///
/// `y(t) = from · factor^(number of milestones ≤ t)`
///
/// Edges: the value changes *at* the milestone. A milestone that is given twice counts twice; the
/// order doesn't matter. A milestone at 0 applies from the start. The last value is held.
///
/// Agrees with torch `MultiStepLR`. timm's `multistep` changes one update earlier.
///
/// ```
/// use evenkeel::schedule::{MultiStep, Schedule};
///
/// let rate = MultiStep::new(1.0, 0.5, [10, 20])?;
/// assert_eq!([0, 9, 10, 19, 20, 99].map(|t| rate.at(t)), [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[doc(alias = "MultiStepLR")]
pub struct MultiStep {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) factor: f64,
    pub(in crate::schedule) milestones: Vec<u64>,
}

impl MultiStep {
    /// Creates a schedule that starts at `from` and is multiplied by `factor` at each of `milestones`.
    ///
    /// # Errors
    /// If `from` is not finite, or `factor` is negative or not finite.
    pub fn new(
        from: f64,
        factor: f64,
        milestones: impl IntoIterator<Item = u64>,
    ) -> Result<Self, Error> {
        let mut milestones: Vec<u64> = milestones.into_iter().collect();
        milestones.sort_unstable();
        Ok(Self {
            from: Param("MultiStep", "from").finite(from)?,
            factor: Param("MultiStep", "factor").non_negative(factor)?,
            milestones,
        })
    }
}

impl Schedule for MultiStep {
    fn at(&self, t: u64) -> f64 {
        let passed = self.milestones.partition_point(|at| *at <= t);
        saturate(self.from * power(self.factor, passed as f64))
    }
}
