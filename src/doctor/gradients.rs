//! The first gradients, layer by layer.

use super::finding::{Check, Finding, Severity, above, named};
use crate::text::short;

/// One trainable parameter: the norms of its values and of its gradient, if it has one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slope {
    pub(super) path: String,
    pub(super) matrix: bool,
    pub(super) elements: usize,
    pub(super) size: f64,
    pub(super) grad: Option<f64>,
}

impl Slope {
    /// The typical size of an element of the gradient.
    pub(super) fn rms(&self) -> Option<f64> {
        self.grad.map(|norm| norm / (self.elements as f64).max(1.0).sqrt())
    }
}

pub(super) fn check(slopes: &[Slope]) -> Vec<Finding> {
    [missing(slopes), along_depth(slopes), out_of_proportion(slopes)]
        .into_iter()
        .flatten()
        .collect()
}

fn missing(slopes: &[Slope]) -> Option<Finding> {
    let none = slopes.iter().filter(|s| s.grad.is_none_or(|norm| norm == 0.0));
    let none: Vec<&str> = none.map(|s| s.path.as_str()).collect();
    (!none.is_empty()).then(|| {
        // A dead layer is a mistake; but the bias of a layer before BatchNorm has a gradient of 0 up to rounding.
        let all = none.len() == slopes.len();
        let severity = if all { Severity::Severe } else { Severity::Warning };
        Finding::new(
            Check::NoGradient,
            (none.len() as f64, 0.0, severity),
            format!("{} of {} tensors have no gradient: {}", none.len(), slopes.len(), named(none)),
            "use them in the loss, or freeze them; a `detach`, a dead layer, or weights of 0 behind \
             them can be why",
        )
    })
}

/// Compares the typical gradients of the first and the last weights, in the order of the model: a factor above 1000
/// between them is a warning, above 10⁶ severe.
fn along_depth(slopes: &[Slope]) -> Option<Finding> {
    let weights = || slopes.iter().filter(|s| s.matrix && s.grad.is_some_and(|norm| norm > 0.0));
    let (first, last) = (weights().next()?, weights().next_back()?);
    let (from, to) = (first.rms()?, last.rms()?);
    let text = format!(
        "the typical gradient is {} in {} and {} in {}",
        short(from),
        first.path,
        short(to),
        last.path
    );
    if let Some(found) = above(to / from, 1e3, 1e6) {
        let remedy = "normalize between layers, add residual connections, or start with larger weights \
                      (He's for ReLU)";
        return Some(Finding::new(Check::VanishingGradient, found, text, remedy));
    }
    let found = above(from / to, 1e3, 1e6)?;
    let remedy = "normalize between layers, start with smaller weights, and clip: `GlobalNorm`";
    Some(Finding::new(Check::ExplodingGradient, found, text, remedy))
}

/// `‖g‖/‖w‖` of a weight matrix above 1000, severe above 10⁶: at a rate of 10⁻³, or 10⁻⁶, one step of plain descent is
/// as large as the weights.
fn out_of_proportion(slopes: &[Slope]) -> Option<Finding> {
    let weights = slopes.iter().filter(|s| s.matrix && s.size > 0.0);
    let ratios = weights.filter_map(|s| Some((s, s.grad? / s.size)));
    let (worst, ratio) = ratios.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let found = above(ratio, 1e3, 1e6)?;
    Some(Finding::new(
        Check::ExplodingGradient,
        found,
        format!(
            "the gradient of {} is {} times its weights: at a rate of {} one step replaces them",
            worst.path,
            short(ratio),
            short(1.0 / ratio)
        ),
        "standardize features and targets first; then clip: `GlobalNorm`",
    ))
}
