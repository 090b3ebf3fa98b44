//! The backoff of a rate by rewinds, as a schedule.

use super::Setback;
use super::level::BackoffLevel;
use crate::Error;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::shared::Shared;

/// The guard's backoff of the rate, as a factor.
///
/// It starts at 1. When [`Keel`](crate::Keel) rewinds training, it lowers the rate of the schedule. Without a `Backoff`
/// in the schedule, the [`Scheduler`](crate::schedule::Scheduler) multiplies the whole curve by a gain, permanently.
/// With one, the backoff is applied there instead: under a floor, on one phase of a sequence, or with a recovery.
///
/// ```text
/// y(t) = g                                        for t ≤ b, or without recovery
///      = g + (1 − g)·min((t − b)/recover, 1)      for t > b
/// ```
///
/// where `g` is the factor that is left, and `b` the update of the last backoff. Further backoff multiplies the value
/// to which the factor has recovered by then. If a rewind asks for a new warmup of `W` updates
/// ([`Rewind::warmup`](crate::Rewind::warmup)), this is multiplied by `min(1, (t − b + 1)/(W + 1))`.
///
/// Clones share their memory, and may be used in several places of a schedule and in several parameter groups. In a
/// sequence, the phase in force takes the backoff, if it contains a `Backoff`.
///
/// ```
/// use evenkeel::schedule::{Constant, Backoff, Schedule};
///
/// let backoff = Backoff::recovering(10)?;
/// let mut schedule = Constant::new(1.0)?.times(backoff.clone()).start();
/// schedule.seek(100);
/// schedule.back_off(0.5)?;
/// assert_eq!([100, 105, 110, 200].map(|t| schedule.curve().at(t)), [0.5, 0.75, 1.0, 1.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Backoff(Shared<BackoffLevel>);

impl Backoff {
    /// Creates a backoff that recovers linearly over `over` updates.
    ///
    /// # Errors
    /// If `over` is 0.
    pub fn recovering(over: u64) -> Result<Self, Error> {
        let recover = Param("Backoff", "over").at_least(1, over)?;
        Ok(Self(Shared::new(BackoffLevel::recovering(recover))))
    }

    /// Multiplies the factor by `factor`, from update `at` on: manually, what a rewind does.
    ///
    /// # Errors
    /// If `factor` is not above 0 and at most 1. The factor is then unchanged.
    pub fn back_off(&self, at: u64, factor: f64) -> Result<(), Error> {
        let factor = Param("Backoff", "factor").fraction(factor)?;
        self.set_back(at, &mut Setback::new(factor));
        Ok(())
    }

    /// Returns the number of updates over which it recovers; 0 for never.
    #[cfg(feature = "serde")]
    pub(in crate::schedule) fn recover(&self) -> u64 {
        self.0.with(|level| level.recover())
    }
}

impl Schedule for Backoff {
    fn at(&self, t: u64) -> f64 {
        self.0.with(|level| level.at(t))
    }

    fn state(&self) -> State {
        self.0.with(|level| level.state())
    }

    fn restore(&self, state: &State) -> Result<(), Error> {
        self.0.with(|level| {
            *level = level.restored(state)?;
            Ok(())
        })
    }

    /// Keeps the backoff: a rewind must not undo it.
    fn rewound(&self, _: &State) -> Result<(), Error> {
        Ok(())
    }

    fn set_back(&self, t: u64, setback: &mut Setback) -> bool {
        if setback.is_new_to(self.0.address()) {
            self.0.with(|level| setback.apply(level, t));
        }
        true
    }
}
