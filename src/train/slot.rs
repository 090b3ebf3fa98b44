//! The keel's file in Burn's checkpoints.

use std::path::PathBuf;
use std::sync::Arc;

use burn::lr_scheduler::LrSchedulerRecord;
use burn::module::Module;
use burn::train::checkpoint::{Checkpointer, CheckpointerError, FileCheckpointer};

use super::inner::Shared;
use crate::checkpoint::Checkpoint;

/// The file name for a run that halted.
pub(super) const HALTED: &str = "halted.keel";

/// Saves Burn's record of the schedule, and the keel next to it.
pub(super) struct Slot<M: Module> {
    pub(super) scheduler: FileCheckpointer,
    pub(super) directory: PathBuf,
    pub(super) shared: Arc<Shared<M>>,
}

impl<M: Module> Slot<M> {
    fn path(&self, epoch: usize) -> PathBuf {
        self.directory.join(format!("keel-{epoch}.keel"))
    }
}

fn unknown(error: impl ToString) -> CheckpointerError {
    CheckpointerError::Unknown(error.to_string())
}

impl<M: Module + 'static> Checkpointer<LrSchedulerRecord> for Slot<M> {
    fn save(&self, epoch: usize, record: LrSchedulerRecord) -> Result<(), CheckpointerError> {
        let saved = self.shared.captured().ok_or_else(|| unknown("there is no keel to save"))?;
        saved.and_then(|saved| saved.save(self.path(epoch))).map_err(unknown)?;
        self.scheduler.save(epoch, record)
    }

    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        match std::fs::remove_file(self.path(epoch)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(CheckpointerError::IOError(error));
            }
            _ => {}
        }
        Checkpointer::<LrSchedulerRecord>::delete(&self.scheduler, epoch)
    }

    fn restore(&self, epoch: usize) -> Result<LrSchedulerRecord, CheckpointerError> {
        let saved = Checkpoint::load(self.path(epoch)).map_err(unknown)?;
        self.shared.go_on_from(saved);
        self.scheduler.restore(epoch)
    }
}
