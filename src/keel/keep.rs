//! Checkpoints in a folder, with whatever lives beside the keel.

use std::path::PathBuf;

use burn::module::Module;

use super::Keel;
use crate::Error;
use crate::checkpoint::{Checkpoint, Folder, Persist, State};

impl<M: Module + 'static> Keel<M> {
    /// Writes a [checkpoint](Self::checkpoint) into `folder`, with the state of whatever lives beside
    /// the keel: schedules, the position of a loader, anything that is [`Persist`].
    ///
    /// ```no_run
    /// # use evenkeel::{Keel, checkpoint::Folder, schedule::{Constant, Scheduler}};
    /// # use burn::nn::Linear;
    /// # fn f(mut keel: Keel<Linear>, mut model: Linear, mut schedule: Scheduler<Constant>) -> Result<(), evenkeel::Error> {
    /// let folder = Folder::new("checkpoints");
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
    /// If the device cannot be read, a name is taken, or the file cannot be written; earlier
    /// checkpoints are then still there.
    pub fn save(
        &self,
        folder: &Folder,
        model: &M,
        beside: &[(&str, &dyn Persist)],
    ) -> Result<PathBuf, Error> {
        folder.save(self.checkpoint_with(model, beside)?)
    }

    /// Writes a checkpoint in the place of the best one in `folder`: call it when a metric of yours is the best
    /// so far, as [`EarlyStopping`](crate::metric::EarlyStopping) tells.
    ///
    /// # Errors
    /// As [`save`](Self::save); the best so far is then still there.
    pub fn save_best(
        &self,
        folder: &Folder,
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

    /// Goes on from the newest whole checkpoint in `folder`; `None` if there is none at all. If newer ones are damaged
    /// and were passed over, the first report has it among its [notices](crate::Report::notices), and so have the
    /// [incidents](Self::incidents).
    ///
    /// # Errors
    /// If the checkpoint does not fit, if it holds something that `beside` does not name, or if there are
    /// checkpoints and none is whole. Keel, model and all that is beside are then unchanged. For what is not
    /// wanted any more there is [`Discard`](crate::checkpoint::Discard).
    pub fn load(
        &mut self,
        folder: &Folder,
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

    /// Goes back to the best checkpoint in `folder`; `None` if none was saved as that. Model, optimizer, counters
    /// and what is beside are those of that time, so that training may go on from there.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    #[doc(alias = "restore_best_weights")]
    pub fn load_best(
        &mut self,
        folder: &Folder,
        model: &M,
        beside: &mut [(&str, &mut dyn Persist)],
    ) -> Result<Option<M>, Error> {
        let Some(best) = folder.best()? else { return Ok(None) };
        self.resume_with(model, &best, beside).map(Some)
    }

    /// Takes everything back that is in a checkpoint: what [`resume`](Self::resume) does, and what was put
    /// in beside it, by name.
    ///
    /// # Errors
    /// As [`resume`](Self::resume); if something was saved that `beside` does not name, or the other way
    /// round. Keel, model and all that is beside are then unchanged.
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
                // What it has just given, it takes back.
                let _ = thing.restore(&state);
            }
        }
        restored
    }
}
