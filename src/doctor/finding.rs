//! One thing that is wrong.

use std::fmt;

/// How much a finding matters. Ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Severity {
    /// May be meant.
    Note,
    /// Costs rate or accuracy.
    Warning,
    /// Training will fail, or is not what it seems to be.
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

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Check {
    /// NaN or infinity in the data.
    NonFiniteData,
    /// Columns that have one value only.
    ConstantFeature,
    /// Columns of very different, or very large, scales.
    FeatureScale,
    /// Columns whose mean is far from 0, in their own deviations.
    FeatureOffset,
    /// Rows with values far from all others.
    OutlierRows,
    /// Targets far from a median of 0 and a spread of 1.
    TargetScale,
    /// Targets that have one value only.
    ConstantTarget,
    /// What the loss is given is not what it takes: probabilities in place of logits, or numbers that the
    /// targets are beyond.
    WrongOutput,
    /// Rows that come in an order in which like follows like.
    Unshuffled,
    /// Classes that are much rarer than others, or absent.
    ClassImbalance,
    /// Labels that are no class.
    LabelRange,
    /// A first loss far from what chance gives.
    InitialLoss,
    /// One parameter at several places.
    SharedParameter,
    /// Parameters that start with equal values.
    EqualParameters,
    /// Parameters without an element.
    EmptyParameter,
    /// Weights that are all zero.
    ZeroWeights,
    /// Nothing to train.
    NothingTrains,
    /// A deep model without normalisation.
    NoNormalization,
    /// Too few rows for BatchNorm.
    SmallBatch,
    /// Trainable parameters that the loss does not depend on.
    NoGradient,
    /// Gradients that shrink on their way to the first layers.
    VanishingGradient,
    /// Gradients that are out of proportion to the weights, or grow towards the first layers.
    ExplodingGradient,
    /// Units that give the same for every row.
    DeadUnits,
    /// Units at the flat ends of their function.
    SaturatedUnits,
    /// Several weight matrices, and a function that is a line.
    MissingNonlinearity,
    /// Weight decay on norms and biases.
    DecayedVectors,
    /// An epsilon that is not small beside the gradients.
    LargeEpsilon,
}

/// One thing that is wrong: what was measured, and what to do about it.
///
/// `C` is what is looked for: a [`Check`] of a set-up, or a [`Sign`](crate::record::Sign) in the record of
/// a run.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Finding<C = Check> {
    /// What was looked for.
    pub check: C,
    /// How much it matters.
    pub severity: Severity,
    /// The number that gave it away; what it is of, `evidence` says.
    pub measured: f64,
    /// What it would have to be on the right side of.
    pub limit: f64,
    /// What was seen, with its numbers.
    pub evidence: String,
    /// What to do.
    pub remedy: String,
}

impl<C> Finding<C> {
    /// `found` is the number, the limit that it is beyond, and how much that matters.
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

/// `value` against a limit that is a warning and one that is severe; `None` on the right side of both.
pub(crate) fn above(value: f64, warning: f64, severe: f64) -> Option<(f64, f64, Severity)> {
    match value {
        v if v > severe => Some((v, severe, Severity::Severe)),
        v if v > warning => Some((v, warning, Severity::Warning)),
        _ => None,
    }
}

/// The first few names, and how many more there are.
pub(crate) fn named<T: fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    const SHOWN: usize = 4;
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
