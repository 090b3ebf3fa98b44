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

/// What is told of a step.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) report: Report,
    /// `‖Δp‖/‖p‖`, where it was measured.
    pub(super) update_ratio: Option<f64>,
    /// The scale that the step's own gradients had.
    pub(super) loss_scale: f64,
}

/// What is told of steps, for metrics on another thread: one place for each forward pass, because Burn shows each to
/// its metrics, and a report in the last place of those that an update was made from.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    /// The number of the first.
    first: u64,
    places: VecDeque<Option<Told>>,
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

    pub(super) fn stepped(&self, told: Told) {
        if let Some(last) = self.lock().places.back_mut() {
            *last = Some(told);
        }
    }

    fn at(&self, number: u64) -> Option<Told> {
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
    UpdateRatio,
    LossScale,
    Rejected,
}

impl Kind {
    /// Those of every keel; the loss scale is one for those that have one.
    pub(super) const ALL: [Self; 6] = [
        Self::Loss,
        Self::GradientNorm,
        Self::ClipFactor,
        Self::Rate,
        Self::UpdateRatio,
        Self::Rejected,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Loss => "Loss of applied steps",
            Self::GradientNorm => "Gradient norm",
            Self::ClipFactor => "Clip factor",
            Self::Rate => "Effective learning rate",
            Self::UpdateRatio => "Update ratio",
            Self::LossScale => "Loss scale",
            Self::Rejected => "Rejected steps",
        }
    }

    /// What it shows of a step; nothing of one that has none.
    fn of(self, told: &Told) -> Option<f64> {
        let report = &told.report;
        let applied = report.is_applied();
        match self {
            Self::Rejected => Some(f64::from(u8::from(!applied))),
            // That of an overflow too: it is what shows why.
            Self::LossScale => Some(told.loss_scale),
            _ if !applied => None,
            Self::Loss => Some(report.reading.loss),
            Self::GradientNorm => Some(report.reading.grad_norm),
            Self::ClipFactor => Some(report.factor),
            Self::Rate => Some(report.rate()),
            Self::UpdateRatio => told.update_ratio,
        }
    }
}

impl KeelMetric {
    pub(super) fn new(log: Log, kind: Kind) -> Self {
        Self { log, kind, next: 0, state: NumericMetricState::new() }
    }

    fn format(&self) -> FormatOptions {
        FormatOptions::new(self.name()).precision(match self.kind {
            Kind::Rate | Kind::UpdateRatio => 8,
            _ => 4,
        })
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
        let told = self.log.at(self.next);
        self.next += 1;
        if let Some(value) = told.and_then(|told| self.kind.of(&told)) {
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
