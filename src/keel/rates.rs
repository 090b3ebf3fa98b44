//! What became of the rates that were asked for: an account, like the incidents.

use std::fmt;

use crate::schedule::Rate;

/// What bounds have left of one rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Held {
    /// The share of it.
    pub(super) share: f64,
    /// The most that the highest rate could be.
    pub(super) cap: Option<f64>,
    /// The highest rate of any group, before damping by the keel; 0 if nobody bounds it.
    pub(super) asked: f64,
}

/// The rates of a run whose steps are [bounded](crate::bound), in one sentence.
///
/// Counts the updates since the keel was built or resumed, those that a rewind took back included; with
/// [`Decide::OnDevice`](crate::Decide::OnDevice) those that the device dropped too.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RateUse {
    updates: u64,
    held: u64,
    peak: f64,
    /// The sum of logarithms of what the peak was held at.
    logs: f64,
    lowest: Option<f64>,
}

impl RateUse {
    pub(super) fn push(&mut self, peak: f64, held: Held) {
        self.peak = self.peak.max(peak);
        self.updates += 1;
        self.held += u64::from(held.share < 1.0);
        let used = held.share * peak;
        self.lowest = Some(self.lowest.map_or(used, |lowest| lowest.min(used)));
        // A rate of 0 has no logarithm.
        self.logs += used.max(f64::MIN_POSITIVE).ln();
    }

    /// How many updates were made.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// In how many of them a bound held the rate.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// The highest rate that was asked for, or that the schedule would ask for.
    pub fn asked(&self) -> f64 {
        self.peak
    }

    /// What it was held at, the geometric mean over the updates; `None` before the first.
    pub fn used(&self) -> Option<f64> {
        (self.updates > 0).then(|| (self.logs / self.updates as f64).exp())
    }

    /// The lowest that it was held at; `None` before the first update.
    pub fn lowest(&self) -> Option<f64> {
        self.lowest
    }
}

impl fmt::Display for RateUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { updates, held, peak, .. } = self;
        match self.used() {
            Some(used) if *peak == Rate::HIGHEST => write!(
                f,
                "the rate was left to the bounds in {updates} updates, and was {used:.2e} on average: write that if \
                 you want it plain"
            ),
            Some(used) if *held > 0 => write!(
                f,
                "the rate of {peak:.2e} was held in {held} of {updates} updates, at {used:.2e} on average: write \
                 that if you want it plain"
            ),
            _ => write!(f, "the rate of {peak:.2e} was never held in {updates} updates"),
        }
    }
}
