//! A state to go back to.

use burn::module::Module;

use super::Keel;
use crate::average::Shadow;
use crate::optim::Update;
use crate::running::Running;

/// Everything that a rewind restores. Made of handles: what they share with the live run is copied
/// when the run next writes to it.
pub(super) struct Snapshot<M: Module> {
    pub(super) model: M,
    pub(super) running: Running,
    pub(super) update: Box<dyn Update<M>>,
    pub(super) average: Option<Shadow>,
    /// Where the schedule goes on; unknown until the first step shows it.
    pub(super) position: Option<u64>,
    /// The batch that came next.
    pub(super) attempts: u64,
}

impl<M: Module + 'static> Keel<M> {
    pub(super) fn snapshot(&self, model: &M, position: Option<u64>) -> Snapshot<M> {
        Snapshot {
            model: model.clone(),
            running: self.running.clone(),
            update: self.update.boxed(),
            average: self.average.clone(),
            position,
            attempts: self.progress.attempts,
        }
    }
}
