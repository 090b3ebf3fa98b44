//! A single finding.

use std::fmt;

/// How much a finding matters; ordered.
///
/// ```
/// use evenkeel::doctor::{Doctor, Severity};
///
/// assert!(Severity::Note < Severity::Warning && Severity::Warning < Severity::Severe);
/// // Nothing was shown, so nothing was found.
/// let diagnosis = Doctor::new().finish();
/// assert!(diagnosis.worst() < Some(Severity::Severe));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Severity {
    /// May be intended.
    Note,
    /// Lowers the possible learning rate or the accuracy.
    Warning,
    /// Training will fail, or does not do what it seems to do.
    Severe,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Severe => "severe",
        })
    }
}

/// The checks of a set-up.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use evenkeel::doctor::{Check, Doctor};
///
/// let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 3], &Device::default());
/// let diagnosis = Doctor::new().labels(&labels, 3)?.finish();
/// assert!(diagnosis.found(Check::LabelRange).is_some());
/// assert!(diagnosis.found(Check::ClassImbalance).is_none());
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Check {
    /// NaN or infinity in the data.
    NonFiniteData,
    /// Constant columns.
    ConstantFeature,
    /// Columns of very different, or very large, scales.
    FeatureScale,
    /// Columns whose median is many spreads from 0.
    FeatureOffset,
    /// Rows with values far from all others.
    OutlierRows,
    /// Targets far from a median of 0 and a spread of 1.
    TargetScale,
    /// Constant targets.
    ConstantTarget,
    /// Outputs that don't fit the loss: probabilities in place of logits, or a range that excludes some of the targets.
    WrongOutput,
    /// Rows in an order in which similar rows follow each other.
    Unshuffled,
    /// Classes that are much rarer than others, or absent.
    ClassImbalance,
    /// Labels outside the range of classes.
    LabelRange,
    /// A first loss far from that of guessing.
    InitialLoss,
    /// One parameter used in several places.
    SharedParameter,
    /// Parameters that start with equal values.
    EqualParameters,
    /// Parameters without elements.
    EmptyParameter,
    /// Weights that are all zero.
    ZeroWeights,
    /// No trainable parameters.
    NothingTrains,
    /// A deep model without normalization.
    NoNormalization,
    /// Too few rows for BatchNorm.
    SmallBatch,
    /// Trainable parameters that the loss does not depend on.
    NoGradient,
    /// Gradients that shrink on their way to the first layers.
    VanishingGradient,
    /// Gradients that are out of proportion to the weights, or grow towards the first layers.
    ExplodingGradient,
    /// Units that give the same output for every row.
    DeadUnits,
    /// Units in the flat regions of their function.
    SaturatedUnits,
    /// Several weight matrices that together form a linear function.
    MissingNonlinearity,
    /// Weight decay on norms and biases.
    DecayedVectors,
    /// An epsilon that is not small compared with the gradients.
    LargeEpsilon,
}

/// A problem that was found: the measured number, its limit, and a remedy.
///
/// `C` is the type of check: a [`Check`] of a set-up, or a [`FindingKind`](crate::record::FindingKind) in the record of
/// a run.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::doctor::{Check, Doctor, Severity};
///
/// let y = Tensor::<1>::from_floats([150.0, 170.0, 190.0], &Device::default());
/// let diagnosis = Doctor::new().targets(&y)?.finish();
/// let finding = diagnosis.found(Check::TargetScale).unwrap();
///
/// println!("{}: {}", finding.evidence, finding.remedy);
/// assert_eq!(finding.severity, Severity::Severe);
/// assert!(finding.measured > finding.limit);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Finding<C = Check> {
    /// The check that failed.
    pub check: C,
    /// How much it matters.
    pub severity: Severity,
    /// The measured number; `evidence` says which quantity it is.
    pub measured: f64,
    /// The limit that the measured number violates.
    pub limit: f64,
    /// A description of the problem, with its numbers.
    pub evidence: String,
    /// What to do about it.
    pub remedy: String,
}

impl<C> Finding<C> {
    /// The tuple holds the measured number, the limit that it violates, and the severity.
    pub(crate) fn new(
        check: C,
        (measured, limit, severity): (f64, f64, Severity),
        evidence: impl Into<String>,
        remedy: &str,
    ) -> Self {
        let (evidence, remedy) = (evidence.into(), remedy.to_string());
        Self { check, severity, measured, limit, evidence, remedy }
    }
}

impl<C> fmt::Display for Finding<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {}\n         → {}", self.severity, self.evidence, self.remedy)
    }
}

/// Compares `value` with the limits of a warning and of a severe finding; `None` if it exceeds neither.
pub(crate) fn above(value: f64, warning: f64, severe: f64) -> Option<(f64, f64, Severity)> {
    match value {
        v if v > severe => Some((v, severe, Severity::Severe)),
        v if v > warning => Some((v, warning, Severity::Warning)),
        _ => None,
    }
}

/// The first few names, and the number of the others.
pub(crate) fn named<T: fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    const SHOWN: usize = 4;
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
