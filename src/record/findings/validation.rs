//! Findings from comparing the loss on held-out data with the training loss.

use super::{Columns, FindingKind, Point, middle};
use crate::doctor::Finding;
use crate::doctor::finding::above;
use crate::metric::VALIDATION_LOSSES;
use crate::text::short;

/// The number of validations below which nothing is reported: a best one, and those after it.
const ENOUGH: usize = 4;

pub(super) fn check(columns: &Columns<'_>) -> Option<Finding<FindingKind>> {
    VALIDATION_LOSSES.iter().find_map(|name| overfitting(name, columns))
}

fn overfitting(name: &str, columns: &Columns<'_>) -> Option<Finding<FindingKind>> {
    let finite = |name| columns.line(name).iter().copied().filter(|p: &Point| p.value.is_finite());
    let points: Vec<Point> = finite(name).collect();
    let (first, last) = (*points.first()?, *points.last()?);
    if points.len() < ENOUGH {
        return None;
    }
    let at = (0..points.len()).min_by(|a, b| points[*a].value.total_cmp(&points[*b].value))?;
    let (lowest, since) = (points[at], &points[at + 1..]);
    // A single bad validation is noise.
    if since.len() < 2 {
        return None;
    }
    let late = middle(since[since.len() / 2..].iter().map(|p| p.value))?;
    // If the loss never fell, there is no decrease to take a share of.
    let way = (first.value - lowest.value).max(0.05 * lowest.value.abs());
    let lost = (late - lowest.value) / way;

    // The training loss at both points, each over a stretch long enough to average some noise.
    let reach = (last.attempt - first.attempt) / 20;
    let losses: Vec<Point> = finite("loss").collect();
    let around = |center: u64| {
        let near = losses.iter().filter(|p| p.attempt.abs_diff(center) <= reach);
        middle(near.map(|p| p.value))
    };
    let (before, now) = (around(lowest.attempt)?, around(last.attempt)?);
    if now >= before {
        return None;
    }
    let update = columns.entries[lowest.entry].update;
    Some(Finding::new(
        FindingKind::Overfitting,
        above(lost, 0.1, 1.0)?,
        format!(
            "{name} is lowest at update {update}, {}, and was {} in the end, while the training loss went on \
             from {} to {}",
            short(lowest.value),
            short(late),
            short(before),
            short(now)
        ),
        "keep the model of that update: `metric::EarlyStopping` with `Keel::save_best`; then more data, weight \
         decay, dropout or a smaller model",
    ))
}
