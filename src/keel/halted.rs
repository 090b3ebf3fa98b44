//! The end of training, with nothing lost.

use std::fmt;

use crate::report::{Culprit, Report};

/// Training was stopped. The model is in here, in its last good state.
///
/// As an error it says what stopped training, and where it came from:
///
/// ```text
/// training halted at update 1204: non-finite gradient, 11 steps in a row, first in the gradient of
/// `decoder.3.attn.query.weight`: 12 of 65536 NaN
/// ```
pub struct Halted<M>(Box<Inner<M>>);

/// Boxed, so that the `Result` of every healthy step stays small.
struct Inner<M> {
    model: M,
    report: Report,
    late: Vec<Report>,
}

impl<M> Halted<M> {
    pub(super) fn new(model: M, report: Report) -> Self {
        Self(Box::new(Inner { model, report, late: Vec::new() }))
    }

    /// With the reports of earlier steps that were read in this one.
    pub(super) fn with_late(mut self, late: Vec<Report>) -> Self {
        self.0.late = late;
        self
    }

    /// What was measured and ruled.
    pub fn report(&self) -> &Report {
        &self.0.report
    }

    /// What was read in this step of earlier ones, in order. Always empty with
    /// [`Decide::Now`](crate::Decide::Now).
    pub fn late(&self) -> &[Report] {
        &self.0.late
    }

    /// The tensors that held non-finite values, the likeliest origin first; empty if there were none.
    pub fn culprits(&self) -> &[Culprit] {
        &self.0.report.culprits
    }

    /// The model as it was before the step that halted.
    pub fn into_model(self) -> M {
        self.0.model
    }

    /// The model as it was before the step that halted.
    pub fn model(&self) -> &M {
        &self.0.model
    }
}

impl<M> fmt::Display for Halted<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report();
        let by = report.by.as_deref().unwrap_or("no reason given");
        write!(f, "training halted at update {}: {by}", report.reading.update)?;
        match report.culprits.as_slice() {
            [] => Ok(()),
            [first] => write!(f, ", in {first}"),
            [first, others @ ..] => write!(f, ", first in {first} (and {} more)", others.len()),
        }
    }
}

// By hand, because a model need not be printable for its loss to be an error.
impl<M> fmt::Debug for Halted<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Halted").field("report", self.report()).finish_non_exhaustive()
    }
}

impl<M> std::error::Error for Halted<M> {}
