//! What the user holds.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::optim::SgdConfig;
use burn::train::checkpoint::FileCheckpointer;
use burn::train::{InferenceStep, Learner, LearningResult, SupervisedTraining, TrainStep};

use super::inner::Shared;
use super::metric::Kind;
use super::rates::SharedRates;
use super::slot::Slot;
use super::{Guarded, KeelMetric, LossFactor, Rates, TrainLoss};
use crate::checkpoint::Checkpoint;
use crate::error::check::Param;
use crate::{Builder, Error, Incidents, Report};

/// A keel for one run of Burn's [`SupervisedTraining`]: see [`train`](super).
#[doc(alias = "Trainer")]
pub struct KeelTrainer<M: Module> {
    shared: Arc<Shared<M>>,
    directory: Option<std::path::PathBuf>,
}

impl<M: Module> fmt::Debug for KeelTrainer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeelTrainer").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl<M> KeelTrainer<M>
where
    M: TrainStep + InferenceStep + Module + fmt::Display + 'static,
    <M as TrainStep>::Output: TrainLoss,
{
    /// A trainer that steps by this schedule and this keel. The keel is built when training begins, with the model on
    /// its device; what is wrong with it stops the training then, with the reason in
    /// [`interrupted`](LearningResult::interrupted).
    pub fn new(rates: impl Rates + 'static, keel: Builder<M>) -> Self {
        Self { shared: Shared::new(SharedRates::new(rates), keel), directory: None }
    }

    /// Saves and restores by files in `directory/checkpoint`, `directory` being that of the training: the model, the
    /// optimizer and the schedule where Burn's [default checkpointers] have them, and `keel-N.keel` beside them, with
    /// the state of all that moves together. Call this in the place of `with_default_checkpointers`.
    ///
    /// [`SupervisedTraining::checkpoint`] resumes from an epoch: on a CPU bit by bit the run that was not interrupted,
    /// with the same batches. A `keel-N.keel` that is missing is a panic of Burn's, like any file of a checkpoint; one
    /// that does not fit stops the training with the reason. If training halts, the state is written to `halted.keel`:
    /// see [`go_on_from`](Self::go_on_from).
    ///
    /// Burn's optimizer file is of an optimizer that steps nothing: the keel's is in its own file.
    ///
    /// [default checkpointers]: SupervisedTraining::with_default_checkpointers
    pub fn checkpoints(mut self, directory: impl AsRef<Path>) -> Self {
        let directory = directory.as_ref().join("checkpoint");
        self.shared.set_directory(&directory);
        self.directory = Some(directory);
        self
    }

    /// Makes an update of each `batches` batches, from the mean of their gradients; one that is not finite is dropped
    /// alone. Use this, and not Burn's `grads_accumulation`. What is left at the end of an epoch goes into the first
    /// update of the next, and is in a [checkpoint](Self::checkpoints): to resume in the middle of an update, `batches`
    /// has to be what it was.
    ///
    /// # Errors
    /// If `batches` is 0.
    #[doc(alias = "accumulate_grad_batches")]
    pub fn accumulate(self, batches: u64) -> Result<Self, Error> {
        self.shared.set_window(Param("KeelTrainer", "accumulate").at_least(1, batches)?);
        Ok(self)
    }

    /// Gives the keel's [loss scale](Builder::loss_scale) to the model, whose own step makes the gradients: `factor` is a
    /// copy of a field of the model, and its step goes backward from [`LossFactor::scaled`]. If a step has not asked
    /// for it, that ends the training.
    pub fn loss_factor(self, factor: &LossFactor) -> Self {
        self.shared.set_factor(factor.clone());
        self
    }

    /// Measures how far the weights move, for the metric `‖Δp‖/‖p‖`, in each update whose number is a multiple of
    /// `updates`: 10, unless said otherwise here. A share of about 0.001 is common; next to nothing is too low a rate.
    ///
    /// # Errors
    /// If `updates` is 0.
    ///
    /// # Cost
    /// In those updates one pass over the parameters and one readback.
    pub fn update_ratio_every(self, updates: u64) -> Result<Self, Error> {
        self.shared
            .set_ratio_every(Param("KeelTrainer", "update_ratio_every").at_least(1, updates)?);
        Ok(self)
    }

    /// Calls `listener` with the report of each step, on the thread that trains: for a
    /// [`Logbook`](crate::record::Logbook), say.
    pub fn on_step(self, listener: impl FnMut(&Report) + Send + 'static) -> Self {
        self.shared.set_listener(listener);
        self
    }

    /// Goes on from a checkpoint of a keel, such as `halted.keel`, when training begins.
    ///
    /// Burn knows nothing of it, and counts epochs from where it is told to.
    pub fn go_on_from(self, saved: Checkpoint) -> Self {
        self.shared.go_on_from(saved);
        self
    }

    /// The learner of `model`, for [`SupervisedTraining::launch`].
    pub fn learner(&self, model: M) -> Learner<Guarded<M>> {
        // It is never asked for a step.
        let optimizer = SgdConfig::new().init();
        Learner::new(Guarded::new(model, self.shared.clone()), optimizer, self.shared.rates.clone())
    }

    /// Attaches the keel to a training: stops it when the keel halts, registers the metrics, and the checkpointers
    /// [if asked](Self::checkpoints).
    ///
    /// The metrics, of training: loss of applied steps, norm of the gradient, factor of the clips, effective rate,
    /// [share of the weights](Self::update_ratio_every) that an update moves, loss scale if there is one, and share of
    /// rejected steps. All are of updates: with several batches or devices for one, of their mean.
    pub fn attach(
        &self,
        training: SupervisedTraining<Guarded<M>>,
    ) -> SupervisedTraining<Guarded<M>> {
        self.shared.set_interrupter(training.interrupter());
        let training = match &self.directory {
            None => training,
            Some(directory) => training.with_custom_checkpointers(
                FileCheckpointer::new(directory, "model"),
                FileCheckpointer::new(directory, "optim"),
                Slot {
                    scheduler: FileCheckpointer::new(directory, "scheduler"),
                    directory: directory.clone(),
                    shared: self.shared.clone(),
                },
            ),
        };
        let scale = self.shared.is_scaled().then_some(Kind::LossScale);
        Kind::ALL.into_iter().chain(scale).fold(training, |training, kind| {
            training.metric_train_numeric(KeelMetric::new(self.shared.log.clone(), kind))
        })
    }

    /// Attaches the keel and trains `model`. The model of the result has the weights to evaluate, and is sound: if the
    /// keel has halted, [`interrupted`](LearningResult::interrupted) says why, and the model is the
    /// [best there is](crate::Halted::into_model).
    pub fn launch(
        &self,
        training: SupervisedTraining<Guarded<M>>,
        model: M,
    ) -> LearningResult<Guarded<M>> {
        self.attach(training).launch(self.learner(model))
    }

    /// How many updates were made; 0 before training.
    pub fn updates(&self) -> u64 {
        self.shared.ask(|keel| keel.updates()).unwrap_or(0)
    }

    /// Where the schedule is.
    pub fn position(&self) -> u64 {
        self.shared.rates.lock().position()
    }

    /// The steps that were not applied, and why.
    pub fn incidents(&self) -> Incidents {
        self.shared.incidents()
    }

    /// Why there are no more steps, if the keel has ended the training.
    pub fn stopped(&self) -> Option<String> {
        self.shared.stopped()
    }
}
