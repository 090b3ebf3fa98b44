//! The schedule, which Burn's learner asks and the keel moves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};

use crate::checkpoint::Persist;
use crate::schedule::{GroupScheduler, Rate, Schedule, Scheduler};

/// A schedule that a [`KeelTrainer`](super::KeelTrainer) takes: a [`Scheduler`], or a [`GroupScheduler`].
pub trait Rates: Persist + Send {
    /// The rate of the next update; moves the schedule on.
    fn rate(&mut self) -> Rate<'_>;

    /// That rate, or the base rate of several, and the schedule as it is.
    fn base(&self) -> f64;

    /// Of how many updates it has given the rate.
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

    fn position(&self) -> u64 {
        GroupScheduler::position(self)
    }
}

/// One schedule for the learner and the keel.
#[derive(Clone)]
pub(super) struct SharedRates(Arc<Mutex<dyn Rates>>);

impl SharedRates {
    pub(super) fn new(rates: impl Rates + 'static) -> Self {
        Self(Arc::new(Mutex::new(rates)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, dyn Rates + 'static> {
        // A curve of the user's that panics leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The learner steps its schedule before each update, whatever becomes of it: here it only looks.
impl LrScheduler for SharedRates {
    fn step(&mut self) -> f64 {
        self.lock().base()
    }

    fn to_record(&self) -> LrSchedulerRecord {
        self.lock().state().to_lr_record()
    }

    /// The state comes back with the keel's own file, which knows what belongs together.
    fn load_record(&mut self, _: LrSchedulerRecord) {}
}
