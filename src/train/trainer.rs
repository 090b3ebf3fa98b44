//! The trainer: what the user configures and launches.

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

/// Connects a keel to one run of Burn's [`SupervisedTraining`]; see [`train`](super).
///
/// # Cost
/// Burn's learner holds a copy of the model during each step, so an optimizer that updates in place has to copy: see
/// the [measurements](super#differences-from-a-hand-written-loop).
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
    /// Creates a trainer that steps with this schedule and this keel. The keel is built when training begins, with the
    /// model on its device. An error in building it stops training at that point, with the reason in
    /// [`interrupted`](LearningResult::interrupted).
    pub fn new(rates: impl Rates + 'static, keel: Builder<M>) -> Self {
        Self { shared: Shared::new(SharedRates::new(rates), keel), directory: None }
    }

    /// Saves and restores checkpoints as files in `directory/checkpoint`, where `directory` is that of the training
    /// run. The model, the optimizer and the schedule are where Burn's [default checkpointers] put them; next to them
    /// is `keel-N.keel`, with the state of everything that moves together. Call this instead of
    /// `with_default_checkpointers`.
    ///
    /// [`SupervisedTraining::checkpoint`] resumes from an epoch. On a CPU, with the same batches, the resumed run is
    /// bit for bit the one that was not interrupted. A missing `keel-N.keel` makes Burn panic, like any missing file of
    /// a checkpoint; one that doesn't fit stops training with the reason. If training halts, the state is written to
    /// `halted.keel`; see [`go_on_from`](Self::go_on_from).
    ///
    /// Burn's optimizer file belongs to an optimizer that makes no steps; the state of the keel's optimizer is in the
    /// keel's own file.
    ///
    /// [default checkpointers]: SupervisedTraining::with_default_checkpointers
    #[must_use]
    pub fn checkpoints(mut self, directory: impl AsRef<Path>) -> Self {
        let directory = directory.as_ref().join("checkpoint");
        self.shared.set_directory(&directory);
        self.directory = Some(directory);
        self
    }

    /// Makes one update from every `batches` batches, along the mean of their gradients. Only a batch with non-finite
    /// gradients is dropped, not the whole update. Use this rather than Burn's `grads_accumulation`. Batches left over
    /// at the end of an epoch go into the first update of the next, and are part of a [checkpoint](Self::checkpoints):
    /// to resume in the middle of an update, `batches` must be what it was.
    ///
    /// # Errors
    /// If `batches` is 0.
    #[doc(alias = "accumulate_grad_batches")]
    pub fn accumulate(self, batches: u64) -> Result<Self, Error> {
        self.shared.set_window(Param("KeelTrainer", "accumulate").at_least(1, batches)?);
        Ok(self)
    }

    /// Passes the keel's [loss scale](Builder::loss_scale) to the model, whose own step computes the gradients.
    /// `factor` is a clone of a field of the model; the model's step must run the backward pass from
    /// [`LossFactor::scaled`]. A step that doesn't read the factor ends training.
    #[must_use]
    pub fn loss_factor(self, factor: &LossFactor) -> Self {
        self.shared.set_factor(factor.clone());
        self
    }

    /// Measures the metric `‖Δp‖/‖p‖`, how far an update moves the weights relative to their size, in each update whose
    /// number is a multiple of `updates`. The default is 10. A ratio of about 0.001 is common; one close to 0 means
    /// that the rate is too low.
    ///
    /// # Errors
    /// If `updates` is 0.
    ///
    /// # Cost
    /// One pass over the parameters and one readback in each of those updates.
    pub fn update_ratio_every(self, updates: u64) -> Result<Self, Error> {
        self.shared
            .set_ratio_every(Param("KeelTrainer", "update_ratio_every").at_least(1, updates)?);
        Ok(self)
    }

    /// Calls `listener` with the report of each step, on the training thread; for example, to write to a
    /// [`Logbook`](crate::record::Logbook).
    #[must_use]
    pub fn on_step(self, listener: impl FnMut(&Report) + Send + 'static) -> Self {
        self.shared.set_listener(listener);
        self
    }

    /// Continues from a checkpoint of a keel, such as `halted.keel`, when training begins.
    ///
    /// Burn isn't aware of this, and counts epochs from where it is set to start.
    #[must_use]
    pub fn go_on_from(self, saved: Checkpoint) -> Self {
        self.shared.go_on_from(saved);
        self
    }

    /// Returns the learner of `model`, for [`SupervisedTraining::launch`].
    pub fn learner(&self, model: M) -> Learner<Guarded<M>> {
        // This optimizer never makes a step.
        let optimizer = SgdConfig::new().init();
        Learner::new(Guarded::new(model, self.shared.clone()), optimizer, self.shared.rates.clone())
    }

    /// Attaches the keel to a training run: stops training when the keel halts, registers the metrics, and registers
    /// the checkpointers [if enabled](Self::checkpoints).
    ///
    /// The metrics are, for training only: loss of applied steps, gradient norm, clip factor, effective rate,
    /// effective rate of each group of a [`GroupScheduler`](crate::schedule::GroupScheduler) in the order in which they
    /// were added, share of the requested rate that the bounds left,
    /// [share of the weights](Self::update_ratio_every) that an update moves, loss scale if there is one, and share of
    /// rejected steps. All are measured per update; if several batches or devices make one update, on their mean.
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
        let groups = (0..self.shared.rates.lock().groups().len()).map(Kind::GroupRate);
        Kind::ALL.into_iter().chain(groups).chain(scale).fold(training, |training, kind| {
            training.metric_train_numeric(KeelMetric::new(self.shared.log.clone(), kind))
        })
    }

    /// Attaches the keel and trains `model`. The returned model has the weights to evaluate and is sound. If the keel
    /// halted, [`interrupted`](LearningResult::interrupted) says why, and the model is the
    /// [best available](crate::Halted::into_model).
    pub fn launch(
        &self,
        training: SupervisedTraining<Guarded<M>>,
        model: M,
    ) -> LearningResult<Guarded<M>> {
        self.attach(training).launch(self.learner(model))
    }

    /// Returns how many updates were made; 0 before training.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.shared.ask(|keel| keel.updates()).unwrap_or(0)
    }

    /// Returns the position of the schedule.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.shared.rates.lock().position()
    }

    /// Returns the steps that were not applied, with the reasons.
    #[must_use]
    pub fn incidents(&self) -> Incidents {
        self.shared.incidents()
    }

    /// Returns why no more steps are made, if the keel has ended training.
    #[must_use]
    pub fn stopped(&self) -> Option<String> {
        self.shared.stopped()
    }
}
