//! Checkpoints in a folder, with the keel and everything saved with it.

use std::path::PathBuf;

use burn::module::Module;

use super::Keel;
use crate::Error;
use crate::checkpoint::{Checkpoint, CheckpointDir, Persist, State};

impl<M: Module + 'static> Keel<M> {
    /// Writes a [checkpoint](Self::checkpoint) into `folder`, with the state of everything else that belongs to the
    /// run: schedules, the position of a loader, anything that is [`Persist`].
    ///
    /// ```no_run
    /// # use evenkeel::{Keel, checkpoint::CheckpointDir, schedule::{Constant, Scheduler}};
    /// # use burn::nn::Linear;
    /// # fn f(mut keel: Keel<Linear>, mut model: Linear, mut schedule: Scheduler<Constant>) -> Result<(), evenkeel::Error> {
    /// let folder = CheckpointDir::new("checkpoints");
    /// // At the start, whether this is a new run or the continuation of one:
    /// if let Some(saved) = keel.load(&folder, &model, &mut [("schedule", &mut schedule)])? {
    ///     model = saved;
    /// }
    /// // Now and then:
    /// keel.save(&folder, &model, &[("schedule", &schedule)])?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the device cannot be read, a name is taken, or the file cannot be written; earlier checkpoints are then still
    /// there.
    pub fn save(
        &self,
        folder: &CheckpointDir,
        model: &M,
        beside: &[(&str, &dyn Persist)],
    ) -> Result<PathBuf, Error> {
        folder.save(self.checkpoint_with(model, beside)?)
    }

    /// Writes a checkpoint that replaces the best one in `folder`. Call it when your metric is the best so far, as
    /// [`EarlyStopping`](crate::metric::EarlyStopping) reports.
    ///
    /// # Errors
    /// Same as [`save`](Self::save); the best so far is then still there.
    pub fn save_best(
        &self,
        folder: &CheckpointDir,
        model: &M,
        beside: &[(&str, &dyn Persist)],
    ) -> Result<PathBuf, Error> {
        folder.save_best(self.checkpoint_with(model, beside)?)
    }

    fn checkpoint_with(
        &self,
        model: &M,
        beside: &[(&str, &dyn Persist)],
    ) -> Result<Checkpoint, Error> {
        let own = self.checkpoint(model)?;
        beside.iter().try_fold(own, |all, (name, thing)| all.with(name, *thing))
    }

    /// Resumes from the newest complete checkpoint in `folder`; returns `None` if there is none at all. If newer ones
    /// are damaged and were passed over, the [notices](crate::Report::notices) of the first report and the
    /// [incidents](Self::incidents) say so.
    ///
    /// # Errors
    /// If the checkpoint does not fit, if it holds something that `beside` does not name, or if there are checkpoints
    /// but none is complete. The keel, the model and everything in `beside` are then unchanged. For saved state that is
    /// no longer wanted, use [`Discard`](crate::checkpoint::Discard).
    pub fn load(
        &mut self,
        folder: &CheckpointDir,
        model: &M,
        beside: &mut [(&str, &mut dyn Persist)],
    ) -> Result<Option<M>, Error> {
        let Some(found) = folder.load()? else { return Ok(None) };
        let model = self.resume_with(model, &found.checkpoint, beside)?;
        for (path, cause) in &found.passed_over {
            self.unsaid.push(format!(
                "{} was passed over: {cause}; training goes on from {}",
                path.display(),
                found.path.display()
            ));
        }
        Ok(Some(model))
    }

    /// Goes back to the best checkpoint in `folder`; returns `None` if none was saved as the best. Model, optimizer,
    /// counters and everything in `beside` are restored together, so training can continue from there.
    ///
    /// # Errors
    /// Same as [`load`](Self::load).
    #[doc(alias = "restore_best_weights")]
    pub fn load_best(
        &mut self,
        folder: &CheckpointDir,
        model: &M,
        beside: &mut [(&str, &mut dyn Persist)],
    ) -> Result<Option<M>, Error> {
        let Some(best) = folder.best()? else { return Ok(None) };
        self.resume_with(model, &best, beside).map(Some)
    }

    /// Restores everything in a checkpoint: the keel as [`resume`](Self::resume) does, and everything saved with it, by
    /// name.
    ///
    /// # Errors
    /// The errors of [`resume`](Self::resume); also if something was saved that `beside` does not name, or the other
    /// way round. The keel, the model and everything in `beside` are then unchanged.
    pub fn resume_with(
        &mut self,
        model: &M,
        saved: &Checkpoint,
        beside: &mut [(&str, &mut dyn Persist)],
    ) -> Result<M, Error> {
        saved.all_taken(&beside.iter().map(|(name, _)| *name).collect::<Vec<_>>())?;
        let before: Vec<State> = beside.iter().map(|(_, thing)| thing.state()).collect();
        let restored = beside
            .iter_mut()
            .try_for_each(|(name, thing)| saved.restore(name, *thing))
            .and_then(|()| self.resume_own(model, saved));
        if restored.is_err() {
            for ((_, thing), state) in beside.iter_mut().zip(before) {
                // It accepts a state that it has just returned.
                let _ = thing.restore(&state);
            }
        }
        restored
    }
}
