//! Snapshots: states to rewind to, with everything that changes together.

use burn::module::Module;

use super::Keel;
use super::kept::Kept;
use super::policies::Policies;
use crate::checkpoint::State;

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
}
