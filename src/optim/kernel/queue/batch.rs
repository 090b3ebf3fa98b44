//! A few jobs that one core runs, whichever comes first.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::super::{Job, flex};

/// Jobs in progress.
pub(super) struct Batch(Arc<Desk>);

struct Desk {
    stage: Mutex<Stage>,
    done: Condvar,
}

enum Stage {
    Waiting(Vec<Job>),
    Taken,
    Done(Vec<Job>),
    /// The panic of the core that took it.
    Failed(Box<dyn Any + Send>),
}

impl Batch {
    /// Hands the jobs over to another core, if one is free.
    pub(super) fn begin(jobs: Vec<Job>) -> Self {
        let stage = Mutex::new(Stage::Waiting(jobs));
        let desk = Arc::new(Desk { stage, done: Condvar::new() });
        let other = desk.clone();
        rayon::spawn(move || other.work());
        Self(desk)
    }

    /// Returns the finished jobs; unless another core has taken them, this one runs them.
    ///
    /// # Panics
    /// If the other core panicked, with the same payload.
    pub(super) fn done(self) -> Vec<Job> {
        self.0.work();
        let mut stage = self.0.lock();
        loop {
            match std::mem::replace(&mut *stage, Stage::Taken) {
                Stage::Done(jobs) => return jobs,
                Stage::Failed(cause) => resume_unwind(cause),
                Stage::Taken | Stage::Waiting(_) => {
                    stage = self.0.done.wait(stage).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        // Nothing panics while the lock is held.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the jobs, unless another core has taken them.
    fn work(&self) {
        let mut stage = self.lock();
        let mut jobs = match std::mem::replace(&mut *stage, Stage::Taken) {
            Stage::Waiting(jobs) => jobs,
            other => {
                *stage = other;
                return;
            }
        };
        drop(stage);
        let run = catch_unwind(AssertUnwindSafe(|| jobs.iter_mut().for_each(flex::step)));
        *self.lock() = match run {
            Ok(()) => Stage::Done(jobs),
            Err(cause) => Stage::Failed(cause),
        };
        self.done.notify_all();
    }
}
