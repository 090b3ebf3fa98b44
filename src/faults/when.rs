//! At which steps harm is done.

use std::collections::BTreeSet;
use std::ops::Range;

use super::draw;
use crate::Error;
use crate::error::check::Param;

/// When a harm begins, and for how many steps it lasts.
///
/// Steps are counted by the loop, which passes them to the [`Injector`](super::Injector); the first
/// is 0.
///
/// ```
/// use evenkeel::faults::When;
///
/// let chosen = When::at([3, 10]);
/// let random = When::chance(0.01)?.within(100..1000).over(5)?;
/// # let _ = (chosen, random);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct When {
    begins: Begins,
    over: u64,
}

#[derive(Debug, Clone, PartialEq)]
enum Begins {
    At(BTreeSet<u64>),
    Chance { p: f64, within: Range<u64> },
}

impl When {
    /// Begins at these steps.
    pub fn at(steps: impl IntoIterator<Item = u64>) -> Self {
        Self { begins: Begins::At(steps.into_iter().collect()), over: 1 }
    }

    /// Begins at every step with probability `p`, drawn from the injector's seed and the step.
    ///
    /// # Errors
    /// If `p` is not above 0 and at most 1.
    pub fn chance(p: f64) -> Result<Self, Error> {
        let p = Param("When", "chance").fraction(p)?;
        Ok(Self { begins: Begins::Chance { p, within: 0..u64::MAX }, over: 1 })
    }

    /// Restricts the steps at which it may begin to these.
    #[must_use]
    pub fn within(mut self, steps: Range<u64>) -> Self {
        match &mut self.begins {
            Begins::At(at) => at.retain(|step| steps.contains(step)),
            Begins::Chance { within, .. } => *within = steps,
        }
        self
    }

    /// Sets how many steps it lasts, including the one at which it begins. The default is 1.
    ///
    /// # Errors
    /// If it is 0.
    pub fn over(mut self, steps: u64) -> Result<Self, Error> {
        self.over = Param("When", "over").at_least(1, steps)?;
        Ok(self)
    }

    /// Returns the latest step at or before `at` at which it began, if it still lasts.
    pub(super) fn began(&self, seed: u64, rule: u64, at: u64) -> Option<u64> {
        let first = at.saturating_sub(self.over - 1);
        match &self.begins {
            Begins::At(steps) => steps.range(first..=at).next_back().copied(),
            Begins::Chance { p, within } => (first..=at)
                .rev()
                .find(|step| within.contains(step) && draw::unit(seed, rule, *step) < *p),
        }
    }
}
