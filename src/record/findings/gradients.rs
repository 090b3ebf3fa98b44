//! Findings from the gradient as a whole.

use super::{Columns, FindingKind, Point, middle, windows};
use crate::doctor::finding::above;
use crate::doctor::{Finding, Severity};
use crate::text::short;

type Found = Finding<FindingKind>;

pub(super) fn check(columns: &Columns<'_>) -> Vec<Found> {
    [grew(columns), spikes(columns), overshoot(columns)].into_iter().flatten().collect()
}

fn finite(columns: &Columns<'_>) -> Vec<Point> {
    columns.line("grad_norm").iter().copied().filter(|p| p.value.is_finite()).collect()
}

fn grew(columns: &Columns<'_>) -> Option<Found> {
    let norms = finite(columns);
    let parts = windows(&norms, 10);
    if norms.len() < 20 || parts.len() < 2 {
        return None;
    }
    let of = |window: &[Point]| middle(window.iter().map(|p| p.value));
    // Compared with the smallest norm of the run: gradients are often largest at the very start.
    let usual = parts.iter().filter_map(|w| of(w)).fold(f64::INFINITY, f64::min);
    let last = of(parts.last()?)?;
    let found = above(last / usual, 30.0, 1000.0).filter(|(factor, ..)| factor.is_finite())?;
    Some(Finding::new(
        FindingKind::GradientGrew,
        found,
        format!("the gradient's norm grew from {} to {} at the end", short(usual), short(last)),
        "clip it with `clip::GlobalNorm`, and lower the rate: weights that grow with it are on the way to \
         an explosion",
    ))
}

/// Counts among the kept entries, since a history never drops extremes.
fn spikes(columns: &Columns<'_>) -> Option<Found> {
    let norms = finite(columns);
    let mut spikes: Vec<(f64, Point)> = Vec::new();
    for window in windows(&norms, 20).into_iter().filter(|window| window.len() >= 9) {
        let usual = middle(window.iter().map(|p| p.value)).filter(|norm| *norm > 0.0);
        let times = |p: &Point| usual.map(|usual| (p.value / usual, *p));
        spikes.extend(window.iter().filter_map(times).filter(|(factor, _)| *factor > 10.0));
    }
    let largest = *spikes.iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
    (spikes.len() >= 3).then(|| {
        Finding::new(
            FindingKind::GradientSpikes,
            (spikes.len() as f64, 3.0, Severity::Note),
            format!(
                "{} gradients were over 10 times as long as those around them; the longest, {} times, at \
                 update {}",
                spikes.len(),
                short(largest.0),
                columns.entries[largest.1.entry].update
            ),
            "look at these batches; `clip::GlobalNorm` or `clip::ZScore` takes their weight from them",
        )
    })
}

fn overshoot(columns: &Columns<'_>) -> Option<Found> {
    let cosines = columns.finite("grad_cosine");
    let late = &cosines[cosines.len() / 2..];
    if late.len() < 3 {
        return None;
    }
    let cosine = middle(late.iter().copied())?;
    let (_, limit, severity) = above(-cosine, 0.3, 0.7)?;
    Some(Finding::new(
        FindingKind::Overshoot,
        (cosine, -limit, severity),
        format!(
            "gradients point against the ones before them: their cosine is {} in the median of the later half",
            short(cosine)
        ),
        "updates overshoot along the steepest direction: lower the rate or the momentum; \
         `curvature::Governor` keeps it below that edge",
    ))
}
