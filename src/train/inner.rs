//! State shared by the model's clones, the checkpointers and the user: the keel, and what is pending for it.
//!
//! Invariant: once `stopped` is set, nothing more is done to a model. The schedule is locked last, and never by code
//! that then asks for the rest.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::train::Interrupter;

use super::LossFactor;
use super::metric::{Log, Told};
use super::rates::SharedRates;
use super::window::Window;
use crate::checkpoint::{Checkpoint, Persist};
use crate::clip::scale;
use crate::{Builder, Error, Halted, Incidents, Keel, Report, Stepped, monitor, tie};

/// The name of the schedule in a checkpoint.
pub(super) const SCHEDULE: &str = "schedule";
/// The name of the batches of an update in a checkpoint.
const WINDOW: &str = "window";

type Listener = Box<dyn FnMut(&Report) + Send>;

pub(super) struct Inner<M: Module> {
    /// `Some` until there is a model on the device where it is trained.
    builder: Option<Builder<M>>,
    keel: Option<Keel<M>>,
    /// The losses of the forward passes since the last update, with the sum of their weights.
    losses: Vec<Tensor<1>>,
    weight: f64,
    window: Window,
    /// The factor through which the model's own step reads the loss scale.
    factor: Option<LossFactor>,
    /// How many updates lie between measurements of how far the weights move.
    ratio_every: u64,
    /// Checkpoints for Burn's checkpointer, which asks for them later, on another thread.
    captured: VecDeque<Result<Checkpoint, Error>>,
    /// The checkpoint to continue from.
    restored: Option<Checkpoint>,
    /// Why no more steps are made.
    stopped: Option<String>,
    interrupter: Interrupter,
    /// Where a checkpoint is written if training halts.
    directory: Option<PathBuf>,
    listener: Option<Listener>,
}

pub(super) struct Shared<M: Module> {
    inner: Mutex<Inner<M>>,
    pub(super) rates: SharedRates,
    pub(super) log: Log,
}

impl<M: Module + 'static> Shared<M> {
    pub(super) fn new(rates: SharedRates, builder: Builder<M>) -> Arc<Self> {
        let inner = Inner {
            builder: Some(builder),
            keel: None,
            losses: Vec::new(),
            weight: 0.0,
            window: Window::ONE,
            factor: None,
            ratio_every: 10,
            captured: VecDeque::new(),
            restored: None,
            stopped: None,
            interrupter: Interrupter::new(),
            directory: None,
            listener: None,
        };
        Arc::new(Self { inner: Mutex::new(inner), rates, log: Log::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_directory(&self, directory: &Path) {
        self.lock().directory = Some(directory.to_path_buf());
    }

    pub(super) fn set_window(&self, batches: u64) {
        self.lock().window.batches = batches;
    }

    pub(super) fn set_factor(&self, factor: LossFactor) {
        self.lock().factor = Some(factor);
    }

    pub(super) fn set_ratio_every(&self, updates: u64) {
        self.lock().ratio_every = updates;
    }

    /// Returns whether the loss is scaled; for use before training begins.
    pub(super) fn is_scaled(&self) -> bool {
        self.lock().builder.as_ref().is_some_and(Builder::is_scaled)
    }

    pub(super) fn set_interrupter(&self, interrupter: Interrupter) {
        let mut inner = self.lock();
        if let Some(why) = &inner.stopped {
            interrupter.stop(Some(why));
        }
        inner.interrupter = interrupter;
    }

    pub(super) fn set_listener(&self, listener: impl FnMut(&Report) + Send + 'static) {
        self.lock().listener = Some(Box::new(listener));
    }

    pub(super) fn go_on_from(&self, saved: Checkpoint) {
        self.lock().restored = Some(saved);
    }

    pub(super) fn stopped(&self) -> Option<String> {
        self.lock().stopped.clone()
    }

    /// Applies `what` to the keel; `None` before there is one.
    pub(super) fn ask<T>(&self, what: impl FnOnce(&Keel<M>) -> T) -> Option<T> {
        self.lock().keel.as_ref().map(what)
    }

    pub(super) fn incidents(&self) -> Incidents {
        self.ask(|keel| keel.incidents().clone()).unwrap_or_default()
    }

    /// Builds the keel, and resumes if there is a checkpoint: before the first forward pass, with the model on the
    /// device where it is trained.
    pub(super) fn begin(&self, model: M) -> M {
        let mut inner = self.lock();
        let inner = &mut *inner;
        // Burn forks a model place by place, which unties tied weights.
        let model = tie(model);
        if let Some(builder) = inner.builder.take() {
            let fits = builder.check_trainer(inner.factor.is_some());
            match fits.and_then(|()| builder.build(&model)) {
                Ok(keel) => inner.keel = Some(keel),
                Err(error) => inner.stop(error.to_string()),
            }
        }
        let resumed = inner.restored.take().map(|saved| inner.resume(&self.rates, &model, &saved));
        inner.show_scale();
        match resumed {
            None => model,
            Some(Ok(model)) => model,
            Some(Err(error)) => {
                inner.stop(error.to_string());
                model
            }
        }
    }

    /// Records a forward pass.
    pub(super) fn forward(&self, loss: Tensor<1>, weight: f64) {
        let mut inner = self.lock();
        inner.losses.push(loss.without_autodiff());
        inner.weight += weight;
        drop(inner);
        self.log.forward();
    }

    /// Returns the model after an update along gradients that are sums over the forward passes since the last one.
    pub(super) fn update(&self, model: M, grads: GradientsParams) -> M {
        let mut inner = self.lock();
        let losses = std::mem::take(&mut inner.losses);
        let weight = std::mem::take(&mut inner.weight);
        if inner.stopped.is_some() {
            return model;
        }
        if let Some(why) = inner.unscaled(losses.len()) {
            inner.stop(why);
            return model;
        }
        let Some((loss, count)) = mean(losses) else {
            inner.stop("an update without a forward pass before it".to_string());
            return model;
        };
        let grads = if count > 1 { scale(grads, &model, 1.0 / count as f64) } else { grads };
        let before = model.clone();
        let scale = inner.keel.as_ref().map_or(1.0, Keel::loss_scale);
        let groups = self.rates.lock().groups();
        let (model, report) = inner.step(&self.rates, model, grads, (&loss, weight));
        inner.show_scale();
        if let Some(report) = report {
            let update_ratio = inner.update_ratio(&report, &before, &model);
            if let Some(listener) = &mut inner.listener {
                listener(&report);
            }
            self.log.stepped(Told { report, update_ratio, loss_scale: scale, groups });
        }
        model
    }

    /// Returns the weights to evaluate, in inference mode: averages, if there are any.
    pub(super) fn evaluated(&self, model: &M) -> M {
        let averaged =
            self.ask(|keel| keel.averaged(model).unwrap_or_else(|| keel.eval_model(model).valid()));
        averaged.unwrap_or_else(|| model.valid())
    }

    /// Captures a checkpoint of this moment, for Burn's checkpointer.
    pub(super) fn capture(&self, model: &M) {
        let mut inner = self.lock();
        if inner.directory.is_none() {
            return;
        }
        if let Some(saved) = inner.saved(&self.rates, model) {
            inner.captured.push_back(saved);
        }
    }

    pub(super) fn captured(&self) -> Option<Result<Checkpoint, Error>> {
        self.lock().captured.pop_front()
    }
}

impl<M: Module + 'static> Inner<M> {
    fn stop(&mut self, why: String) {
        self.interrupter.stop(Some(&why));
        self.stopped = Some(why);
    }

    fn saved(&self, rates: &SharedRates, model: &M) -> Option<Result<Checkpoint, Error>> {
        let keel = self.keel.as_ref()?;
        let saved = keel.checkpoint(model).and_then(|saved| saved.with(SCHEDULE, &*rates.lock()));
        Some(match self.window.batches {
            1 => saved,
            _ => saved.and_then(|saved| saved.with(WINDOW, &self.window)),
        })
    }

    fn resume(&mut self, rates: &SharedRates, model: &M, saved: &Checkpoint) -> Result<M, Error> {
        let Some(keel) = &mut self.keel else { return Ok(model.clone()) };
        let mut rates = rates.lock();
        let mut beside: Vec<(&str, &mut dyn Persist)> = vec![(SCHEDULE, &mut *rates)];
        let counted = saved.names().contains(&WINDOW);
        if counted {
            beside.push((WINDOW, &mut self.window));
        }
        let model = keel.resume_with(model, saved, &mut beside)?;
        match keel.accumulated() {
            0 => Ok(model),
            _ if counted => Ok(model),
            batches => Err(Error::record(format_args!(
                "it has {batches} batches of an update that was not made, and no count of them: save after \
                 `step_accumulated`"
            ))),
        }
    }

    /// Shows the model's own step the factor for its loss.
    fn show_scale(&self) {
        if let (Some(factor), Some(keel)) = (&self.factor, &self.keel) {
            factor.set(keel.loss_scale());
        }
    }

    /// Returns what is wrong with the gradients of `passes` forward passes, if their loss should have been scaled and
    /// was not.
    fn unscaled(&self, passes: usize) -> Option<String> {
        let factor = self.factor.as_ref()?;
        let scale = self.keel.as_ref().map_or(1.0, Keel::loss_scale);
        let asked = factor.asked();
        (scale != 1.0 && asked < passes as u64).then(|| {
            format!(
                "the loss is to be multiplied by {scale}, and the model's step has not asked its `LossFactor`: is it \
                 the one that the trainer has?"
            )
        })
    }

    /// Returns how far the weights have moved, relative to their size, if this update is one where it is measured.
    fn update_ratio(&self, report: &Report, before: &M, after: &M) -> Option<f64> {
        let due = report.reading.update.is_multiple_of(self.ratio_every);
        if !report.is_applied() || !due {
            return None;
        }
        self.keel.as_ref()?.moved(before, after).ok()
    }

    fn step(
        &mut self,
        rates: &SharedRates,
        model: M,
        grads: GradientsParams,
        (loss, weight): (&Tensor<1>, f64),
    ) -> (M, Option<Report>) {
        let Some(keel) = &mut self.keel else { return (model, None) };
        let stepped = if self.window.batches == 1 {
            keel.step(rates.lock().rate(), model, grads, loss)
        } else {
            if let Err(error) = keel.accumulate_weighted(&model, grads, loss, weight) {
                self.stop(error.to_string());
                return (model, None);
            }
            if !self.window.take() {
                return (model, None);
            }
            keel.step_accumulated(rates.lock().rate(), model)
        };
        match stepped {
            Ok(Stepped { model, report, .. }) => (model, Some(report)),
            Err(halted) => self.halt(rates, halted),
        }
    }

    /// Saves the state, because Burn writes no checkpoint when training ends before the end of an epoch.
    fn halt(&mut self, rates: &SharedRates, halted: Halted<M>) -> (M, Option<Report>) {
        let (mut why, report) = (halted.to_string(), halted.report().clone());
        let model = halted.into_model();
        if let Some(directory) = &self.directory {
            let path = directory.join(super::slot::HALTED);
            let saved =
                self.saved(rates, &model).map(|saved| saved.and_then(|saved| saved.save(&path)));
            match saved {
                Some(Err(error)) => why += &format!("; no checkpoint was written: {error}"),
                _ => why += &format!("; the state is in {}", path.display()),
            }
        }
        self.stop(why);
        (model, Some(report))
    }
}

/// Returns the mean of the losses, and how many there were. A loss that isn't a single number is returned unchanged:
/// the keel reports what is wrong with it.
fn mean(losses: Vec<Tensor<1>>) -> Option<(Tensor<1>, usize)> {
    let count = losses.len();
    if let Some(odd) = losses.iter().find(|loss| monitor::one_number("loss", loss).is_err()) {
        return Some((odd.clone(), count));
    }
    let device = losses.first()?.device();
    let sum =
        losses.into_iter().map(|loss| loss.to_device(&device)).reduce(|sum, loss| sum + loss)?;
    Some((if count > 1 { sum / count as f64 } else { sum }, count))
}
