//! Readings, verdicts and reports: what was measured, what was decided and what was done, as plain numbers.
//!
//! Nothing in this module computes any of it. Every policy decides from a [`Reading`] and nothing else.

use std::fmt;
use std::sync::Arc;

/// What is known about a training step when it is judged: the input of every guard and every clip.
///
/// Norms are Euclidean, taken before any clipping, over the parameters that received a gradient.
///
/// ```
/// use evenkeel::Reading;
///
/// let now = Reading::new(3).with_loss(0.5).with_grad_norm(2.0);
/// assert_eq!(now.update, 3);
/// assert!(now.fault.is_none());
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// Number of steps requested before this one. It never goes back, so it orders a log.
    pub attempt: u64,
    /// Index of the update being judged: the number of updates the weights have seen. A rewind lowers it.
    pub update: u64,
    /// The requested learning rate (the base rate, if parameter groups have their own).
    pub lr: f64,
    /// The loss.
    pub loss: f64,
    /// Norm of the whole gradient, `√Σᵢ‖gᵢ‖²`. The squares are taken in `f32`, so elements below 10⁻²³ contribute
    /// nothing.
    pub grad_norm: f64,
    /// Norm of each parameter's gradient.
    pub layers: Layers,
    /// Other norms of the whole gradient, as `(p, ‖g‖ₚ)`: those that a clip [asks for](crate::clip::Clip::power).
    pub p_norms: Vec<(f64, f64)>,
    /// How far the update would move each parameter, `‖Δpᵢ‖`. Empty unless a guard
    /// [looks at updates](crate::guard::Guard::looks_at_updates).
    pub updates: Layers,
    /// Norm of each parameter that received a gradient, before the update, `‖pᵢ‖`. Empty unless `updates` is present, a
    /// bound [looks at sizes](crate::bound::StepBound::looks_at_sizes) in this step, or a
    /// [recent snapshot](crate::Rewind::recent) falls due after it.
    pub sizes: Layers,
    /// The first non-finite value that was found, if any.
    pub fault: Option<Fault>,
}

impl Reading {
    /// Creates a reading of update `update` with no fault and every number 0: a starting point for readings made by
    /// hand, to test a guard or a clip.
    pub fn new(update: u64) -> Self {
        Self {
            attempt: update,
            update,
            lr: 0.0,
            loss: 0.0,
            grad_norm: 0.0,
            layers: Layers::default(),
            p_norms: Vec::new(),
            updates: Layers::default(),
            sizes: Layers::default(),
            fault: None,
        }
    }

    /// Sets the loss; a non-finite loss is a [`Fault::Loss`].
    pub fn with_loss(mut self, loss: f64) -> Self {
        self.loss = loss;
        if !loss.is_finite() {
            self.fault = self.fault.or(Some(Fault::Loss));
        }
        self
    }

    /// Sets the gradient norm; a non-finite norm is a [`Fault::Gradient`].
    pub fn with_grad_norm(mut self, norm: f64) -> Self {
        self.grad_norm = norm;
        if !norm.is_finite() {
            self.fault = self.fault.or(Some(Fault::Gradient));
        }
        self
    }

    /// Sets the learning rate; a non-finite rate is a [`Fault::Rate`].
    pub fn with_lr(mut self, lr: f64) -> Self {
        self.lr = lr;
        if !lr.is_finite() {
            self.fault = self.fault.or(Some(Fault::Rate));
        }
        self
    }

    /// Adds a p-norm of the whole gradient.
    pub fn with_p_norm(mut self, power: f64, norm: f64) -> Self {
        self.p_norms.push((power, norm));
        self
    }

    /// Returns the p-norm of the whole gradient, or `None` if it wasn't asked for.
    pub fn p_norm(&self, power: f64) -> Option<f64> {
        self.p_norms.iter().find(|(p, _)| *p == power).map(|(_, norm)| *norm)
    }

    /// Sets the norms of the updates, and of the parameters they update.
    pub fn with_updates(mut self, updates: Layers, sizes: Layers) -> Self {
        (self.updates, self.sizes) = (updates, sizes);
        self
    }

    /// Sets the norms of the parameters' gradients.
    pub fn with_layers(mut self, layers: Layers) -> Self {
        self.layers = layers;
        self
    }
}

/// One number for each parameter that received a gradient, in the order of the model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layers {
    paths: Arc<[String]>,
    norms: Vec<f64>,
}

impl Layers {
    /// Pairs each path with its norm. Returns `None` if there are not as many norms as paths.
    pub fn new(paths: impl Into<Arc<[String]>>, norms: Vec<f64>) -> Option<Self> {
        let paths = paths.into();
        (paths.len() == norms.len()).then_some(Self { paths, norms })
    }

    /// Iterates over the path and norm of every parameter, in the order of the model.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, f64)> {
        self.paths.iter().map(String::as_str).zip(self.norms.iter().copied())
    }

    /// Returns the norm of the parameter at `path`, written as Burn writes it: field names joined by dots.
    pub fn get(&self, path: &str) -> Option<f64> {
        self.iter().find(|(p, _)| *p == path).map(|(_, norm)| norm)
    }

    /// Returns norms of the same parameters; `norms` must have the same length.
    pub(crate) fn with_norms(&self, norms: Vec<f64>) -> Self {
        Self { paths: self.paths.clone(), norms }
    }

    /// Multiplies the norms by `factor`.
    pub(crate) fn scaled(mut self, factor: f64) -> Self {
        self.norms.iter_mut().for_each(|norm| *norm *= factor);
        self
    }

    /// Returns the number of parameters that received a gradient.
    pub fn len(&self) -> usize {
        self.norms.len()
    }

    /// Returns whether no parameter received a gradient.
    pub fn is_empty(&self) -> bool {
        self.norms.is_empty()
    }
}

/// Returns whether the parameter at `path` is under `prefix`, which ends where a path component does.
pub(crate) fn is_under(path: &str, prefix: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => prefix.is_empty() || rest.is_empty() || rest.starts_with('.'),
        None => false,
    }
}

/// Where a non-finite value was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Fault {
    /// The learning rate was NaN or infinite.
    Rate,
    /// A parameter was non-finite before the update.
    Parameter,
    /// The loss was NaN or infinite.
    Loss,
    /// A gradient held NaN or infinity, or its sum of squares overflowed `f32`.
    Gradient,
    /// A statistic that the forward pass keeps, such as BatchNorm's running mean, was non-finite.
    Statistic,
    /// Everything was finite, but the update made a parameter non-finite.
    Update,
    /// The optimizer's state was non-finite.
    Optimizer,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rate => "non-finite learning rate",
            Self::Parameter => "non-finite parameter",
            Self::Loss => "non-finite loss",
            Self::Gradient => "non-finite gradient",
            Self::Statistic => "non-finite running statistic",
            Self::Update => "non-finite update",
            Self::Optimizer => "non-finite optimizer state",
        })
    }
}

/// What happens to a step. Ordered by severity, so that verdicts of several guards combine by `max`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Verdict {
    /// The update is applied.
    #[default]
    Apply,
    /// The batch is dropped, as if it had never been seen.
    Skip,
    /// Model, optimizer and schedule go back to the last good snapshot.
    Rewind,
    /// Training stops, and the model is returned.
    Halt,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Apply => "applied",
            Self::Skip => "skipped",
            Self::Rewind => "rewound",
            Self::Halt => "halted",
        })
    }
}

/// What one step did, and why.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// What was measured.
    pub reading: Reading,
    /// What was done.
    pub verdict: Verdict,
    /// Whether the verdict isn't known yet, because the device has decided and hasn't been read: only with
    /// [`Decide::OnDevice`](crate::Decide::OnDevice). Loss and norm are then NaN and the verdict reads
    /// [`Verdict::Apply`]; the true report comes in a later [`Stepped::late`](crate::Stepped::late).
    pub pending: bool,
    /// What asked for the verdict, if it isn't [`Verdict::Apply`]: the name of a guard, or a [`Fault`].
    pub by: Option<String>,
    /// The factor that the clips put on the gradient; 1 if none was active. If they treat parameters differently, it is
    /// the remaining share of the gradient's norm.
    pub factor: f64,
    /// The share of the requested rate that the bounds left; 1 if none was active.
    pub share: f64,
    /// The highest rate that the bounds allowed; `None` without a bound.
    pub cap: Option<f64>,
    /// Number of steps rejected in a row, including this one; 0 after an applied step.
    pub rejected: u64,
    /// How far a rewind went, if there was one.
    pub rewound: Option<Rewound>,
    /// After a fault, the tensors that held non-finite values, the likeliest origin first. Empty if the fault is the
    /// loss and no parameter or statistic is broken; the cause is then the batch or the forward pass.
    pub culprits: Vec<Culprit>,
    /// New notices from guards and clips, such as that one of them has stood down.
    pub notices: Vec<String>,
}

impl Report {
    pub(crate) fn applied(reading: Reading, factor: f64) -> Self {
        Self {
            reading,
            verdict: Verdict::Apply,
            pending: false,
            by: None,
            factor,
            share: 1.0,
            cap: None,
            rejected: 0,
            rewound: None,
            culprits: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Returns the report with the share and cap that the bounds left.
    pub(crate) fn held(mut self, share: f64, cap: Option<f64>) -> Self {
        (self.share, self.cap) = (share, cap);
        self
    }

    pub(crate) fn unread(mut reading: Reading) -> Self {
        (reading.loss, reading.grad_norm) = (f64::NAN, f64::NAN);
        Self { pending: true, ..Self::applied(reading, 1.0) }
    }

    pub(crate) fn rejected(
        reading: Reading,
        factor: f64,
        verdict: Verdict,
        by: String,
        rejected: u64,
        culprits: Vec<Culprit>,
    ) -> Self {
        Self {
            reading,
            verdict,
            pending: false,
            by: Some(by),
            factor,
            share: 1.0,
            cap: None,
            rejected,
            rewound: None,
            culprits,
            notices: Vec::new(),
        }
    }

    /// Returns whether the update was applied, as far as is known.
    pub fn is_applied(&self) -> bool {
        self.verdict == Verdict::Apply && !self.pending
    }

    /// Returns the rate that was used: the requested rate, as limited by the bounds (the base rate, if parameter groups
    /// have their own).
    pub fn rate(&self) -> f64 {
        self.reading.lr * self.share
    }

    /// Returns whether a bound lowered the rate.
    pub fn is_held(&self) -> bool {
        self.share < 1.0
    }

    /// Returns whether a clip shrank the gradient.
    pub fn is_clipped(&self) -> bool {
        self.factor < 1.0
    }
}

impl fmt::Display for Report {
    /// Writes one line, suitable for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = &self.reading;
        if self.pending {
            return write!(f, "update {} pending: rate {:.3e}", now.update, now.lr);
        }
        write!(
            f,
            "update {} {}: loss {:.4e}, gradient norm {:.3e}, rate {:.3e}",
            now.update, self.verdict, now.loss, now.grad_norm, now.lr
        )?;
        if self.is_held() {
            write!(f, ", held at {:.3e}", self.rate())?;
        }
        if self.is_clipped() {
            write!(f, ", clipped by {:.3e}", self.factor)?;
        }
        if let Some(by) = &self.by {
            write!(f, " ({by}")?;
            if let Some(first) = self.culprits.first() {
                write!(f, ", first in {first}")?;
            }
            f.write_str(")")?;
        }
        if let Some(rewound) = &self.rewound {
            write!(f, ", {rewound}")?;
        }
        self.notices.iter().try_for_each(|text| write!(f, "; {text}"))
    }
}

/// How far a rewind went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Rewound {
    /// Index of the next update, which is the snapshot's.
    pub to: u64,
    /// Number of updates that were taken back.
    pub updates: u64,
    /// Number of batches since the snapshot, including this one; training goes on without them.
    pub batches: u64,
}

impl Rewound {
    pub(crate) fn new(to: u64, updates: u64, batches: u64) -> Self {
        Self { to, updates, batches }
    }
}

impl fmt::Display for Rewound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, updates, batches } = self;
        write!(f, "back to update {to}: {updates} updates taken back, {batches} batches left out")
    }
}

/// A tensor that held non-finite values.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Culprit {
    /// The parameter's path in the model: field names joined by dots.
    pub path: String,
    /// Which of the parameter's tensors this is.
    pub part: Part,
    /// Number of NaN elements.
    pub nan: usize,
    /// Number of infinite elements.
    pub infinite: usize,
    /// Number of elements in total. If none is non-finite, their squares overflowed.
    pub elements: usize,
}

/// One of a parameter's tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Part {
    /// The parameter's value.
    Parameter,
    /// Its gradient.
    Gradient,
    /// A running statistic of the forward pass.
    Statistic,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parameter => "parameter",
            Self::Gradient => "the gradient of",
            Self::Statistic => "statistic",
        })
    }
}

impl Culprit {
    pub(crate) fn new(path: String, part: Part, [nan, infinite, elements]: [usize; 3]) -> Self {
        Self { path, part, nan, infinite, elements }
    }
}

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`: ", self.part, self.path)?;
        match (self.nan, self.infinite) {
            (0, 0) => write!(f, "the squares of its {} elements overflow", self.elements),
            (nan, 0) => write!(f, "{nan} of {} NaN", self.elements),
            (0, inf) => write!(f, "{inf} of {} infinite", self.elements),
            (nan, inf) => write!(f, "{nan} NaN and {inf} infinite of {}", self.elements),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_combine_by_max() {
        use Verdict::*;
        assert!(Apply < Skip && Skip < Rewind && Rewind < Halt);
    }

    #[test]
    fn a_report_reads_as_one_line() {
        let mut report = Report {
            reading: Reading::new(12).with_loss(0.5).with_grad_norm(4.0).with_lr(1e-3),
            verdict: Verdict::Apply,
            pending: false,
            by: None,
            factor: 0.25,
            share: 1.0,
            cap: None,
            rejected: 0,
            rewound: None,
            culprits: vec![],
            notices: Vec::new(),
        };
        assert_eq!(
            report.to_string(),
            "update 12 applied: loss 5.0000e-1, gradient norm 4.000e0, rate 1.000e-3, \
             clipped by 2.500e-1"
        );
        report.reading = Reading::new(12).with_loss(f64::NAN);
        report.verdict = Verdict::Rewind;
        report.factor = 1.0;
        report.by = Some(Fault::Loss.to_string());
        report.culprits = vec![Culprit::new("l1.weight".into(), Part::Gradient, [3, 1, 64])];
        report.rewound = Some(Rewound::new(8, 4, 6));
        assert_eq!(
            report.to_string(),
            "update 12 rewound: loss NaN, gradient norm 0.000e0, rate 0.000e0 (non-finite loss, \
             first in the gradient of `l1.weight`: 3 NaN and 1 infinite of 64), back to update 8: \
             4 updates taken back, 6 batches left out"
        );
    }

    #[test]
    fn layers_need_one_norm_for_each_path() {
        let paths: Arc<[String]> = ["a".to_string(), "b".to_string()].into();
        assert!(Layers::new(paths.clone(), vec![1.0]).is_none());
        let layers = Layers::new(paths, vec![1.0, 2.0]).unwrap();
        assert_eq!(layers.get("b"), Some(2.0));
        assert_eq!(layers.get("c"), None);
    }
}
