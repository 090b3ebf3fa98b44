//! A keel's measurements as Burn metrics.

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

/// What is logged about a step.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) report: Report,
    /// `‖Δp‖/‖p‖`, where it was measured.
    pub(super) update_ratio: Option<f64>,
    /// The loss scale of the step's own gradients.
    pub(super) loss_scale: f64,
    /// The requested rates of the parameter groups.
    pub(super) groups: Vec<f64>,
}

/// A log of steps, for metrics on another thread. It has one place per forward pass, because Burn shows each pass to
/// its metrics; the report of an update is in the last place of those that the update was made from.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    /// The number of the first place.
    first: u64,
    places: VecDeque<Option<Told>>,
}

impl Log {
    /// How many places are kept for a metric that lags behind.
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

/// One number per step, as one of Burn's training metrics: shown on its terminal, and in its plots and logs.
///
/// A [`KeelTrainer`](super::KeelTrainer) registers one metric of each kind. Don't register one with
/// [`metrics`](burn::train::SupervisedTraining::metrics), which would also add it to validation, where there are no
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
    /// Of a parameter group, by its number from 0.
    GroupRate(usize),
    Share,
    UpdateRatio,
    LossScale,
    Rejected,
}

impl Kind {
    /// The kinds that every keel has. Those with a loss scale also have that one, and those with rates by group one for
    /// each group.
    pub(super) const ALL: [Self; 7] = [
        Self::Loss,
        Self::GradientNorm,
        Self::ClipFactor,
        Self::Rate,
        Self::Share,
        Self::UpdateRatio,
        Self::Rejected,
    ];

    fn name(self) -> String {
        let name = match self {
            Self::Loss => "Loss of applied steps",
            Self::GradientNorm => "Gradient norm",
            Self::ClipFactor => "Clip factor",
            Self::Rate => "Effective learning rate",
            Self::GroupRate(number) => {
                return format!("Effective learning rate of group {}", number + 1);
            }
            Self::Share => "Share of the requested rate",
            Self::UpdateRatio => "Update ratio",
            Self::LossScale => "Loss scale",
            Self::Rejected => "Rejected steps",
        };
        name.to_string()
    }

    /// Returns the value for this step; `None` if the step has none.
    fn of(self, told: &Told) -> Option<f64> {
        let report = &told.report;
        let applied = report.is_applied();
        match self {
            Self::Rejected => Some(f64::from(u8::from(!applied))),
            // Shown for an overflow too, because it explains the overflow.
            Self::LossScale => Some(told.loss_scale),
            _ if !applied => None,
            Self::Loss => Some(report.reading.loss),
            Self::GradientNorm => Some(report.reading.grad_norm),
            Self::ClipFactor => Some(report.factor),
            Self::Rate => Some(report.rate()),
            // The bounds leave each rate the same share.
            Self::GroupRate(number) => Some(told.groups.get(number)? * report.share),
            Self::Share => Some(report.share),
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
            Kind::Rate | Kind::GroupRate(_) | Kind::UpdateRatio => 8,
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
        Arc::new(self.kind.name())
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
