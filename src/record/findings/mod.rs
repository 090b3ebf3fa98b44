//! Findings from the record of a run, in words.

mod activations;
mod gradients;
mod layers;
mod loss;
mod sign;
mod validation;
mod verdicts;

pub use sign::FindingKind;

use super::History;
use super::columns::{Columns, Point};
use crate::doctor::Finding;
use crate::stat::median;

/// Returns what stands out in the record of a run, the most severe first: each finding with what was seen, the
/// limit that it exceeds, and what to do.
///
/// | sign | note | warning | severe |
/// |---|---|---|---|
/// | [`Halted`](FindingKind::Halted) | | | always |
/// | [`NonFinite`](FindingKind::NonFinite) | | a rejected step, or a gradient that a watch saw | an applied one |
/// | [`ManySkips`](FindingKind::ManySkips): share of all steps | > 1 % | > 5 % | > 20 % |
/// | [`SkipsInARow`](FindingKind::SkipsInARow) | | ≥ 5 | ≥ 20 |
/// | [`Rewinds`](FindingKind::Rewinds) | 1 | ≥ 3 | ≥ 10 |
/// | [`Notice`](FindingKind::Notice): a notice of a [report](crate::Report::notices) | | always | |
/// | [`MostlyClipped`](FindingKind::MostlyClipped): share of updates | > 50 % | > 90 % | |
/// | [`LossNeverFell`](FindingKind::LossNeverFell): by 2 % of its first median | | | always |
/// | [`LossRose`](FindingKind::LossRose): share of the decrease lost again | | > 25 % | > 100 % |
/// | [`Plateau`](FindingKind::Plateau): share of the decrease in the last 40 % of updates | < 1 % | | |
/// | [`Overfitting`](FindingKind::Overfitting): share of its decrease that a validation loss lost again | | > 10 % | > 100 % |
/// | [`RateFarFromFastest`](FindingKind::RateFarFromFastest): factor in either direction | > 10 | | |
/// | [`LargeUpdates`](FindingKind::LargeUpdates): median `‖Δp‖/‖p‖` of a layer | | > 0.1 | > 1 |
/// | [`SmallUpdates`](FindingKind::SmallUpdates): the same | | < 10⁻⁵ | |
/// | [`Overshoot`](FindingKind::Overshoot): median cosine of successive gradients | | < −0.3 | < −0.7 |
/// | [`GradientGrew`](FindingKind::GradientGrew): by a factor | | > 30 | > 1000 |
/// | [`GradientSpikes`](FindingKind::GradientSpikes): above 10 times the median around them | ≥ 3 | | |
/// | [`VanishingGradient`](FindingKind::VanishingGradient): a layer's median share of the largest | | < 10⁻⁴ | < 10⁻⁶ |
/// | [`NoGradient`](FindingKind::NoGradient): 0 in every sample | | always | |
/// | [`DeadUnits`](FindingKind::DeadUnits), [`SaturatedUnits`](FindingKind::SaturatedUnits): share | | > 30 % | > 90 % |
/// | [`LittleHeadroom`](FindingKind::LittleHeadroom): largest value below the largest number, in factors of 2 | | < 3 | < 1 |
///
/// A validation loss is a number with one of [these names](crate::metric::VALIDATION_LOSSES).
///
/// The limits are rules of thumb. Signs of the loss need 20 updates, those of a validation loss four validations,
/// and those of layers and activations three samples by a [`Watch`](crate::monitor::Watch). Numbers are compared
/// by medians, which a thinned [`History`] preserves well enough; counts of verdicts and clips are over all
/// steps.
///
/// ```
/// use evenkeel::record::{Entry, History, FindingKind, findings};
///
/// let mut history = History::default();
/// for k in 0..100 {
///     history.push(&Entry::new(k, k).value("loss", 2.3));
/// }
/// let found = findings(&history);
/// assert_eq!(found[0].check, FindingKind::LossNeverFell);
/// println!("{}", found[0]);
/// ```
#[must_use]
pub fn findings(history: &History) -> Vec<Finding<FindingKind>> {
    found_in(history, &Columns::of(history))
}

pub(super) fn found_in(history: &History, columns: &Columns<'_>) -> Vec<Finding<FindingKind>> {
    let mut found = verdicts::check(history, columns);
    found.extend(loss::check(columns));
    found.extend(validation::check(columns));
    found.extend(gradients::check(columns));
    found.extend(layers::check(columns));
    found.extend(activations::check(columns));
    // The sort is stable: within a severity, findings keep the order of the rules.
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

/// Returns the median of the finite values.
fn middle(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|x| x.is_finite()).collect();
    median(&mut values)
}

/// Divides the points into windows of equal length in steps, for comparing the ends and the middle of a run.
/// Windows of fewer than three points are left out.
fn windows(points: &[Point], count: u64) -> Vec<&[Point]> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    let length =
        (last.attempt.saturating_sub(first.attempt)).saturating_add(1).div_ceil(count).max(1);
    let of = |p: &Point| p.attempt.saturating_sub(first.attempt) / length;
    let mut found: Vec<&[Point]> = points.chunk_by(|a, b| of(a) == of(b)).collect();
    found.retain(|window| window.len() >= 3);
    found
}

/// Formats a share as a percentage, with enough digits to tell it from 0 and from all.
pub(super) fn percent(share: f64) -> String {
    match 100.0 * share {
        p if p == 0.0 || p == 100.0 => format!("{p} %"),
        p if p < 1.0 => format!("{p:.1} %"),
        p if p > 99.0 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

#[cfg(test)]
mod tests;
