//! The schedule, which Burn's learner reads and the keel advances.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};

use crate::checkpoint::Persist;
use crate::schedule::{GroupScheduler, Rate, Schedule, Scheduler};

/// A schedule that a [`KeelTrainer`](super::KeelTrainer) accepts: a [`Scheduler`] or a [`GroupScheduler`].
pub trait Rates: Persist + Send {
    /// Returns the rate of the next update, and advances the schedule.
    fn rate(&mut self) -> Rate<'_>;

    /// Returns the rate of the next update, or the base rate if there are several, without advancing the schedule.
    fn base(&self) -> f64;

    /// Returns the rates of the next update that are not the base rate, one per parameter group; empty by default.
    /// There are always as many.
    fn groups(&self) -> Vec<f64> {
        Vec::new()
    }

    /// Returns how many updates it has given a rate for.
    fn position(&self) -> u64;
}

impl<S: Schedule + Send> Rates for Scheduler<S> {
    fn rate(&mut self) -> Rate<'_> {
        self.step()
    }

    fn base(&self) -> f64 {
        self.peek()
    }

    fn position(&self) -> u64 {
        Scheduler::position(self)
    }
}

impl Rates for GroupScheduler {
    fn rate(&mut self) -> Rate<'_> {
        self.step()
    }

    fn base(&self) -> f64 {
        self.peek().base()
    }

    fn groups(&self) -> Vec<f64> {
        self.peek_groups()
    }

    fn position(&self) -> u64 {
        GroupScheduler::position(self)
    }
}

/// The schedule shared by the learner and the keel.
#[derive(Clone)]
pub(super) struct SharedRates(Arc<Mutex<dyn Rates>>);

impl SharedRates {
    pub(super) fn new(rates: impl Rates + 'static) -> Self {
        Self(Arc::new(Mutex::new(rates)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, dyn Rates + 'static> {
        // A panic in a user's curve leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The learner steps its schedule before each update, whether or not the update is applied; so this step only reads the
/// rate.
impl LrScheduler for SharedRates {
    fn step(&mut self) -> f64 {
        self.lock().base()
    }

    fn to_record(&self) -> LrSchedulerRecord {
        self.lock().state().to_lr_record()
    }

    /// Does nothing: the state is restored from the keel's own file, together with everything that belongs to it.
    fn load_record(&mut self, _: LrSchedulerRecord) {}
}
