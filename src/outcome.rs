//! The outcome of a step: a model to continue with, or the error that ends training.

use std::fmt;

use crate::ranks::RankError;
use crate::report::{Culprit, Report};

/// The result of a step after which training can continue.
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::{GradientsParams, SgdConfig};
/// # use burn::tensor::{Device, Tensor};
/// # use evenkeel::Keel;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let device = Device::default().autodiff();
/// # let mut model = LinearConfig::new(4, 1).init(&device);
/// # let mut keel = Keel::wrap(SgdConfig::new().init()).build(&model)?;
/// # let loss = model.forward(Tensor::<2>::ones([2, 4], &device)).powi_scalar(2).mean();
/// # let grads = GradientsParams::from_grads(loss.backward(), &model);
/// let stepped = keel.step(0.1, model, grads, &loss)?;
/// println!("{}", stepped.report);
/// assert!(stepped.report.is_applied());
/// assert!(stepped.late.is_empty());
/// model = stepped.model;
/// # let _ = model;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the model is in here"]
#[non_exhaustive]
pub struct Stepped<M> {
    /// The model: updated, untouched after a skip, or an earlier one after a rewind.
    pub model: M,
    /// The report of the step; [pending](Report::pending) if the device has decided and was not
    /// read in this step.
    pub report: Report,
    /// Reports read during this step, for it and for earlier steps, oldest first. Always empty with
    /// [`Decide::Now`](crate::Decide::Now).
    pub late: Vec<Report>,
}

/// The error of a halted training run, with the best available model.
///
/// Its message says what stopped training, and where it originated:
///
/// ```text
/// training halted at update 1204: non-finite gradient, 11 steps in a row, first in the gradient of
/// `decoder.3.attn.query.weight`: 12 of 65536 NaN
/// ```
///
/// [`Debug`](fmt::Debug) prints the same message, so that a `main` that returns the error ends with a sentence;
/// `{:#?}` shows the whole report.
pub struct Halted<M>(Box<Inner<M>>);

/// Boxed, so that the `Result` of every healthy step stays small.
struct Inner<M> {
    model: M,
    abandoned: Option<M>,
    report: Report,
    late: Vec<Report>,
    rank_error: Option<RankError>,
}

impl<M> Halted<M> {
    pub(crate) fn new(model: M, report: Report) -> Self {
        Self(Box::new(Inner { model, abandoned: None, report, late: Vec::new(), rank_error: None }))
    }

    /// Adds the weights that were abandoned in favor of a snapshot's.
    pub(crate) fn with_abandoned(mut self, model: M) -> Self {
        self.0.abandoned = Some(model);
        self
    }

    /// Adds the reports of earlier steps that were read during this one.
    pub(crate) fn with_late(mut self, late: Vec<Report>) -> Self {
        self.0.late = late;
        self
    }

    pub(crate) fn with_rank_error(mut self, why: Option<RankError>) -> Self {
        self.0.rank_error = why;
        self
    }

    /// Returns which of several [ranks](crate::ranks) is missing, if that is why training halted.
    #[must_use]
    pub fn rank_error(&self) -> Option<&RankError> {
        self.0.rank_error.as_ref()
    }

    /// Returns the report of the step that halted.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.0.report
    }

    /// Returns the reports of earlier steps that were read during this step, oldest first. Always empty with
    /// [`Decide::Now`](crate::Decide::Now).
    #[must_use]
    pub fn late(&self) -> &[Report] {
        &self.0.late
    }

    /// Returns the tensors that held non-finite values, the likeliest origin first; empty if there were none.
    #[must_use]
    pub fn culprits(&self) -> &[Culprit] {
        &self.0.report.culprits
    }

    /// Returns the best available model: the present one, unless its losses show that it was harmed and
    /// the keel has a snapshot; then the snapshot's, and the report says [how far back](Report::rewound) that
    /// is. The optimizer, the schedule and all other state that moves with the weights are at the same point.
    ///
    /// The present weights count as harmed if the losses measured at them since the last update are more
    /// than twice as high as those at the snapshot, or if there were three or more and none was finite.
    #[must_use]
    pub fn into_model(self) -> M {
        self.0.model
    }

    /// Returns a reference to the model that [`into_model`](Self::into_model) returns.
    #[must_use]
    pub fn model(&self) -> &M {
        &self.0.model
    }

    /// Returns the model with the weights at the halt, if [`model`](Self::model) is a snapshot's.
    #[must_use]
    pub fn abandoned(&self) -> Option<&M> {
        self.0.abandoned.as_ref()
    }

    /// Returns both the best available model and the abandoned one.
    #[must_use]
    pub fn into_models(self) -> (M, Option<M>) {
        (self.0.model, self.0.abandoned)
    }
}

impl<M> fmt::Display for Halted<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report();
        let by = report.by.as_deref().unwrap_or("no reason given");
        write!(f, "training halted at update {}: {by}", report.reading.update)?;
        match report.culprits.as_slice() {
            [] => {}
            [first] => write!(f, ", in {first}")?,
            [first, others @ ..] => write!(f, ", first in {first} (and {} more)", others.len())?,
        }
        match (&self.0.abandoned, report.rewound) {
            (Some(_), Some(back)) => {
                write!(f, "; the model is handed back as of update {}", back.to)
            }
            _ => Ok(()),
        }
    }
}

// Implemented by hand, because `main` prints a returned error with `Debug`, and because the error must not
// require that the model is printable.
impl<M> fmt::Debug for Halted<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.alternate() {
            true => f.debug_struct("Halted").field("report", self.report()).finish_non_exhaustive(),
            false => fmt::Display::fmt(self, f),
        }
    }
}

impl<M> std::error::Error for Halted<M> {}
