//! Units of the untrained model: dead, saturated, and a whole network that is linear.

use super::finding::{Check, Finding, Severity, above};
use crate::standardize::Column;
use crate::text::short;

/// The activation function whose output is checked; it determines where the values are flat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Saturation {
    /// Flat at 0 on one side, as ReLU is. Only dead units are checked.
    Rectified,
    /// Flat at −1 and 1, as tanh is.
    Tanh,
    /// Flat at 0 and 1, as the sigmoid is.
    Sigmoid,
}

impl Saturation {
    /// True where less than 2 % of the slope at the center is left: a unit hardly learns there.
    fn is_flat(self, x: f64) -> bool {
        match self {
            Self::Rectified => false,
            Self::Tanh => 1.0 - x * x < 0.02,
            Self::Sigmoid => 4.0 * x * (1.0 - x) < 0.02,
        }
    }
}

/// Each element of `units` holds the values of one unit, over rows.
pub(super) fn check(name: &str, saturation: Saturation, units: &[Vec<f64>]) -> Vec<Finding> {
    [dead(name, saturation, units), saturated(name, saturation, units)]
        .into_iter()
        .flatten()
        .collect()
}

/// More than a tenth of the units is a finding, more than half is severe.
fn dead(name: &str, saturation: Saturation, units: &[Vec<f64>]) -> Option<Finding> {
    // A rectified unit that is off for half of the rows is normal; one that is off for all is dead.
    let dead =
        |values: &&Vec<f64>| values.len() > 1 && Column::of(values.iter().copied()).is_constant();
    let count = units.iter().filter(dead).count();
    let found = above(count as f64 / units.len().max(1) as f64, 0.1, 0.5)?;
    let remedy = match saturation {
        Saturation::Rectified => {
            "make biases smaller and inputs of zero mean; a leaky function keeps a gradient"
        }
        _ => "look whether its weights are 0",
    };
    let text = format!("{count} of {} units of `{name}` give the same for every row", units.len());
    Some(Finding::new(Check::DeadUnits, found, text, remedy))
}

/// More than a quarter of the values is a finding, more than three quarters is severe.
fn saturated(name: &str, saturation: Saturation, units: &[Vec<f64>]) -> Option<Finding> {
    let values = || units.iter().flatten();
    let flat = values().filter(|x| saturation.is_flat(**x)).count();
    let share = flat as f64 / values().count().max(1) as f64;
    let found = above(share, 0.25, 0.75)?;
    Some(Finding::new(
        Check::SaturatedUnits,
        found,
        format!("{:.0} % of the values of `{name}` are where the function is flat", 100.0 * share),
        "standardize what comes in, or make the weights before it smaller (Xavier's start)",
    ))
}

/// The curvature along line segments: `bend = ‖f(a) + f(b) − 2·f((a+b)/2)‖`, and `way = ‖f(a) − f(b)‖`.
///
/// A linear function has a bend of 0 up to rounding, so a limit of 10⁻⁴ of the way is far from both cases.
pub(super) fn line(bend: f64, way: f64, size: f64, matrices: usize) -> Option<Finding> {
    if way <= 1e-7 * size {
        return Some(Finding::new(
            Check::DeadUnits,
            (way, 1e-7 * size, Severity::Severe),
            "the output is the same whatever the input is".to_string(),
            "find the layer that stops it: show its activations to `Doctor::activation`",
        ));
    }
    let ratio = bend / way;
    (ratio < 1e-4 && matrices > 1).then(|| {
        Finding::new(
            Check::MissingNonlinearity,
            (ratio, 1e-4, Severity::Severe),
            format!(
                "{matrices} weight matrices, and the output is a line in the input: it bends by {} \
                 of the way",
                short(ratio)
            ),
            "put a non-linear function between the layers: without one they are a single layer",
        )
    })
}
