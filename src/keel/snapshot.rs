//! Snapshots: states to rewind to, with everything that changes together.

use burn::module::Module;

use super::Keel;
use super::kept::Kept;
use super::policies::Policies;
use crate::checkpoint::State;
use crate::rewind::Rewind;
use crate::schedule::Rate;

/// Everything that a rewind restores. Consists of handles: buffers shared with the live run are copied when the run
/// next writes to them.
pub(super) struct Snapshot<M: Module> {
    pub(super) model: M,
    pub(super) kept: Kept<M>,
    /// Position of the schedule; unknown until the first step shows it.
    pub(super) position: Option<u64>,
    /// State of the schedule's feedback; unknown until the first step, and for a plain rate.
    pub(super) schedule: Option<State>,
    /// Index of the next batch.
    pub(super) attempts: u64,
    /// Recent level of the losses; unknown until there is one.
    pub(super) level: Option<f64>,
    pub(super) policies: Policies,
}

impl<M: Module + 'static> Keel<M> {
    pub(super) fn snapshot(
        &self,
        model: &M,
        position: Option<u64>,
        schedule: Option<State>,
    ) -> Snapshot<M> {
        Snapshot {
            model: model.clone(),
            kept: self.kept.taken(),
            position,
            schedule,
            attempts: self.progress.attempts,
            level: self.progress.level(),
            policies: self.policies(),
        }
    }

    /// Completes the first snapshot, which is taken before any step has shown the position of the schedule.
    pub(super) fn note_start(&mut self, rate: &Rate<'_>) {
        if let (Some(at), Some(start)) = (rate.position(), self.ring.oldest_mut()) {
            start.position.get_or_insert(at);
            if start.schedule.is_none() {
                start.schedule = rate.memory();
            }
        }
    }

    /// Completes the first snapshot with its loss.
    pub(super) fn note_first_loss(&mut self, loss: f64) {
        if let Some(start) = self.ring.oldest_mut().filter(|_| loss.is_finite()) {
            start.level.get_or_insert(loss);
        }
    }

    /// Takes a snapshot, if one has fallen due since update `from`.
    pub(super) fn keep_snapshot(
        &mut self,
        from: u64,
        model: &M,
        position: Option<u64>,
        rate: &Rate<'_>,
    ) {
        let updates = self.progress.updates;
        let due = |rewind: Rewind| updates / rewind.every > from / rewind.every;
        if self.limits.rewind.is_some_and(due) {
            self.ring.push(updates, self.snapshot(model, position, rate.memory()));
            if updates > self.progress.frontier {
                (self.progress.rewinds, self.progress.broken) = (0, 0);
            }
        } else if self.limits.rewind.is_some_and(|rewind| rewind.recent_is_due(from, updates)) {
            self.ring.push_recent(updates, self.snapshot(model, position, rate.memory()));
            if updates > self.progress.frontier {
                self.progress.broken = 0;
            }
        }
    }
}
