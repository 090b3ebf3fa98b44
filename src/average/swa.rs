//! Stochastic weight averaging.

use super::Average;
use crate::Error;
use crate::error::check::Param;

/// Stochastic weight averaging: the plain mean of the weights at regular updates, from a given update on.
///
/// ```text
/// a ← a + (p − a)/(n + 1)       after updates at, at + every, at + 2·every, …     n = updates taken
/// ```
///
/// Meant for the last part of a run, at a rate that stays high, constant or cyclic. The statistics of BatchNorm belong
/// to the last weights and not to their mean; refresh them with [`refresh_statistics`](super::refresh_statistics)
/// before using the average.
///
/// Source: Izmailov et al. 2018 (arXiv 1803.05407), algorithm 1. Agrees with torch's `AveragedModel`.
///
/// ```
/// use evenkeel::average::{Average, Swa};
///
/// let swa = Swa::from(1000).every(100)?;
/// assert_eq!(swa.weight(999, 0), None);
/// assert_eq!(swa.weight(1000, 0), Some(1.0));
/// assert_eq!(swa.weight(1050, 1), None);
/// assert_eq!(swa.weight(1300, 3), Some(0.25));
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "StochasticWeightAveraging")]
pub struct Swa {
    at: u64,
    every: u64,
}

impl Swa {
    /// Creates a mean over all updates from update `at` on.
    #[must_use]
    pub fn from(at: u64) -> Self {
        Self { at, every: 1 }
    }

    /// Takes only every `updates`-th update.
    ///
    /// # Errors
    /// If `updates` is 0.
    pub fn every(mut self, updates: u64) -> Result<Self, Error> {
        self.every = Param("Swa", "every").at_least(1, updates)?;
        Ok(self)
    }
}

impl Average for Swa {
    fn weight(&self, update: u64, taken: u64) -> Option<f64> {
        let since = update.checked_sub(self.at)?;
        since.is_multiple_of(self.every).then(|| 1.0 / (taken as f64 + 1.0))
    }
}
