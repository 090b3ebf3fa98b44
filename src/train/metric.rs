//! What a keel measures, among Burn's metrics.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::TensorReadError;
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};

use crate::Report;

/// The reports of steps, for metrics on another thread: one place for each forward pass, because Burn shows each to
/// its metrics, and a report in the last place of those that an update was made from.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    /// The number of the first.
    first: u64,
    places: VecDeque<Option<Report>>,
}

impl Log {
    /// So many places are kept for a metric that lags behind.
    const KEPT: usize = 4096;

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forward(&self) {
        let mut log = self.lock();
        log.places.push_back(None);
        if log.places.len() > Self::KEPT {
            log.places.pop_front();
            log.first += 1;
        }
    }

    pub(super) fn stepped(&self, report: &Report) {
        if let Some(last) = self.lock().places.back_mut() {
            *last = Some(report.clone());
        }
    }

    fn at(&self, number: u64) -> Option<Report> {
        let log = self.lock();
        let at = usize::try_from(number.checked_sub(log.first)?).ok()?;
        log.places.get(at)?.clone()
    }
}

/// A number of each step as one of Burn's metrics of training: on its terminal, in its plots and logs.
///
/// A [`KeelTrainer`](super::KeelTrainer) registers one of each kind. Register none with
/// [`metrics`](burn::train::SupervisedTraining::metrics), which would add it to validation too, where there are no
/// steps.
#[derive(Clone)]
pub struct KeelMetric {
    log: Log,
    kind: Kind,
    next: u64,
    state: NumericMetricState,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Loss,
    GradientNorm,
    ClipFactor,
    Rate,
    Rejected,
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::Loss, Self::GradientNorm, Self::ClipFactor, Self::Rate, Self::Rejected];

    fn name(self) -> &'static str {
        match self {
            Self::Loss => "Loss of applied steps",
            Self::GradientNorm => "Gradient norm",
            Self::ClipFactor => "Clip factor",
            Self::Rate => "Effective learning rate",
            Self::Rejected => "Rejected steps",
        }
    }

    /// What it shows of a step; nothing of one that has none.
    fn of(self, report: &Report) -> Option<f64> {
        let applied = report.is_applied();
        match self {
            Self::Rejected => Some(f64::from(u8::from(!applied))),
            _ if !applied => None,
            Self::Loss => Some(report.reading.loss),
            Self::GradientNorm => Some(report.reading.grad_norm),
            Self::ClipFactor => Some(report.factor),
            Self::Rate => Some(report.rate()),
        }
    }
}

impl KeelMetric {
    pub(super) fn new(log: Log, kind: Kind) -> Self {
        Self { log, kind, next: 0, state: NumericMetricState::new() }
    }

    fn format(&self) -> FormatOptions {
        FormatOptions::new(self.name()).precision(if self.kind == Kind::Rate { 8 } else { 4 })
    }
}

impl fmt::Debug for KeelMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeelMetric").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Metric for KeelMetric {
    type Input = ();

    fn name(&self) -> MetricName {
        Arc::new(self.kind.name().to_string())
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: None, higher_is_better: false }.into()
    }

    fn update(&mut self, _: &(), _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        let report = self.log.at(self.next);
        self.next += 1;
        if let Some(value) = report.and_then(|report| self.kind.of(&report)) {
            self.state.update(value, 1);
        }
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.state.compute_final(self.format()))
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl Numeric for KeelMetric {
    fn value(&self) -> Option<NumericEntry> {
        Some(self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        Some(self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}
