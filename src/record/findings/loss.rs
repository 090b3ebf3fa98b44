//! Findings from the course of the loss, and the rate that it depended on.

use super::{Columns, FindingKind, Point, middle, windows};
use crate::doctor::finding::above;
use crate::doctor::{Finding, Severity};
use crate::text::short;

type Found = Finding<FindingKind>;

/// The number of updates below which a loss is ignored.
const ENOUGH: usize = 20;

/// The loss in one twentieth of the run.
#[derive(Clone, Copy)]
struct Part {
    attempt: u64,
    update: u64,
    loss: f64,
    rate: Option<f64>,
}

pub(super) fn check(columns: &Columns<'_>) -> Vec<Found> {
    let mut found: Vec<Found> = broken(columns).into_iter().collect();
    let losses: Vec<Point> =
        columns.line("loss").iter().copied().filter(|p| p.value.is_finite()).collect();
    if losses.len() < ENOUGH {
        return found;
    }
    let part = |window: &[Point]| {
        let center = window[window.len() / 2];
        let rates = window.iter().filter_map(|p| columns.entries[p.entry].get("lr"));
        Some(Part {
            attempt: center.attempt,
            update: columns.entries[center.entry].update,
            loss: middle(window.iter().map(|p| p.value))?,
            rate: middle(rates),
        })
    };
    // Short runs have fewer parts, so that each has enough points for a median.
    let count = (losses.len() as u64 / 5).clamp(4, 20);
    let parts: Vec<Part> = windows(&losses, count).into_iter().filter_map(part).collect();
    let (Some(&first), Some(&last)) = (parts.first(), parts.last()) else { return found };
    let lowest = parts.iter().fold(first, |low, p| if p.loss < low.loss { *p } else { low });

    if lowest.loss > first.loss - 0.02 * first.loss.abs() {
        found.push(Finding::new(
            FindingKind::LossNeverFell,
            (lowest.loss, 0.98 * first.loss, Severity::Severe),
            format!("the loss never fell: {} at first, {} at the end", short(first.loss), short(last.loss)),
            "look whether gradients arrive and the rate is above 0; then try a rate ten times lower, and ten \
             times higher; `doctor::Doctor` looks at the set-up",
        ));
        return found;
    }
    found.extend(rose(first, lowest, last).or_else(|| plateau(&parts, first, lowest)));
    found.extend(far_from_fastest(&parts));
    found
}

fn broken(columns: &Columns<'_>) -> Option<Found> {
    let bad = columns.line("loss").iter().filter(|p| !p.value.is_finite());
    let (first, count) = (bad.clone().next()?, bad.count());
    Some(Finding::new(
        FindingKind::NonFinite,
        (count as f64, 0.0, Severity::Severe),
        format!(
            "the loss of {count} steps that were applied is not finite, first at update {}",
            columns.entries[first.entry].update
        ),
        "what comes after it is worthless: train through a `Keel`, which lets nothing of it into the weights",
    ))
}

fn rose(first: Part, lowest: Part, last: Part) -> Option<Found> {
    let lost = (last.loss - lowest.loss) / (first.loss - lowest.loss);
    Some(Finding::new(
        FindingKind::LossRose,
        above(lost, 0.25, 1.0)?,
        format!(
            "the loss rose again: {} around update {}, {} at the end",
            short(lowest.loss),
            lowest.update,
            short(last.loss)
        ),
        "lower the rate from there on, or go back to the state of that time; `guard::LossSpike` with a \
         `Rewind` does so by itself",
    ))
}

fn plateau(parts: &[Part], first: Part, lowest: Part) -> Option<Found> {
    let (begin, end) = (first.attempt, parts.last()?.attempt);
    let turn = begin + end.saturating_sub(begin) / 5 * 3;
    let (early, late): (Vec<Part>, Vec<Part>) = parts.iter().partition(|p| p.attempt <= turn);
    let least = |parts: &[Part]| parts.iter().map(|p| p.loss).fold(f64::INFINITY, f64::min);
    let (before, after) = (least(&early), least(&late));
    let share = ((before - after) / (first.loss - lowest.loss)).max(0.0);
    // A rate that has decayed to almost nothing is intentional, and a loss near 0 has nothing left to gain.
    let rates = |parts: &[Part]| middle(parts.iter().filter_map(|p| p.rate));
    let out = rates(&late).zip(rates(&early)).is_some_and(|(late, early)| late < 0.05 * early);
    let done = after.abs() < 0.05 * first.loss.abs();
    let since = late.first()?;
    (share < 0.01 && !out && !done).then(|| {
        Finding::new(
            FindingKind::Plateau,
            (share, 0.01, Severity::Note),
            format!(
                "no progress since update {}: the loss was {} before and {} after",
                since.update,
                short(before),
                short(after)
            ),
            "lower the rate from there on, as `schedule::Cosine` or `Plateau` do; if that changes nothing, \
             the model is at its limit",
        )
    })
}

/// Measures by how much the loss falls per update, part by part.
fn far_from_fastest(parts: &[Part]) -> Option<Found> {
    let fall = |pair: &[Part]| {
        let (a, b) = (pair[0], pair[1]);
        let speed = (a.loss - b.loss) / b.attempt.saturating_sub(a.attempt).max(1) as f64;
        Some((speed, middle([a.rate?, b.rate?])?, a))
    };
    let falls = parts.windows(2).filter_map(fall);
    let (_, best, at) =
        falls.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|f| f.0 > 0.0 && f.1 > 0.0)?;
    let usual = middle(parts.iter().filter_map(|p| p.rate)).filter(|rate| *rate > 0.0)?;
    let factor = (usual / best).max(best / usual);
    let (_, limit, _) = above(factor, 10.0, f64::INFINITY)?;
    let (way, remedy) = match usual > best {
        true => ("higher", "try a peak nearer to that rate: more than it may be too high"),
        false => ("lower", "stay near that rate for longer before it goes down"),
    };
    Some(Finding::new(
        FindingKind::RateFarFromFastest,
        (factor, limit, Severity::Note),
        format!(
            "the loss fell fastest around update {}, at a rate of {}; half of the run had {} or {way}",
            at.update,
            short(best),
            short(usual)
        ),
        remedy,
    ))
}
