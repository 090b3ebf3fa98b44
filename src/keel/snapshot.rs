//! A state to go back to: everything that moves together.

use burn::module::Module;

use super::Keel;
use super::kept::Kept;
use super::policies::Policies;
use crate::checkpoint::State;

/// Everything that a rewind restores. Made of handles: what they share with the live run is copied
/// when the run next writes to it.
pub(super) struct Snapshot<M: Module> {
    pub(super) model: M,
    pub(super) kept: Kept<M>,
    /// Where the schedule goes on; unknown until the first step shows it.
    pub(super) position: Option<u64>,
    /// What feedback in the schedule had learnt; unknown until the first step, and of a plain rate.
    pub(super) schedule: Option<State>,
    /// The batch that came next.
    pub(super) attempts: u64,
    /// What the losses were here; unknown until there was one.
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
