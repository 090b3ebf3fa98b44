//! Findings from steps that were not applied or were clipped.

use super::{Columns, FindingKind, middle, percent};
use crate::Verdict;
use crate::doctor::finding::above;
use crate::doctor::{Finding, Severity};
use crate::record::{Entry, History};
use crate::text::short;

type Found = Finding<FindingKind>;

pub(super) fn check(history: &History, columns: &Columns<'_>) -> Vec<Found> {
    let rejected: Vec<&Entry> = history.incidents().collect();
    let rules = [
        halted(&rejected),
        rejected_non_finite(&rejected),
        many(history, &rejected),
        in_a_row(&rejected),
        rewinds(history, &rejected),
        clipped(history, columns),
    ];
    rules.into_iter().flatten().chain(notices(columns)).collect()
}

/// Returns each notice of a policy once. A notice is made of sentences, the first of which says what was seen.
fn notices(columns: &Columns<'_>) -> Vec<Found> {
    let mut said: Vec<&str> = Vec::new();
    for entry in columns.entries.iter().filter(|entry| entry.verdict == Verdict::Apply) {
        said.extend(entry.why.as_deref().filter(|what| !said.contains(what)));
    }
    let finding = |what: &str| {
        let (seen, remedy) =
            what.split_once(". ").unwrap_or((what, "see the page of what said so"));
        let number = (1.0, 0.0, Severity::Warning);
        Finding::new(FindingKind::Notice, number, seen, remedy)
    };
    said.into_iter().map(finding).collect()
}

/// Returns the reason in the sentence of an incident, which has it in parentheses; for other sentences, the whole
/// text.
pub(in crate::record) fn reason(entry: &Entry) -> &str {
    let why = entry.why.as_deref().unwrap_or("no reason given");
    let inner = why.split_once(" (").and_then(|(_, rest)| rest.split_once("), loss "));
    inner.map_or(why, |(reason, _)| reason)
}

/// Lists the reasons with their counts, the most frequent first.
fn reasons(rejected: &[&Entry]) -> String {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for entry in rejected {
        let reason = reason(entry);
        match counted.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => counted.push((reason, 1)),
        }
    }
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let shown = counted.iter().take(3).map(|(reason, count)| format!("{reason} ({count}×)"));
    shown.collect::<Vec<_>>().join(", ")
}

fn halted(rejected: &[&Entry]) -> Option<Found> {
    let last = rejected.iter().rfind(|entry| entry.verdict == Verdict::Halt)?;
    Some(Finding::new(
        FindingKind::Halted,
        (1.0, 0.0, Severity::Severe),
        format!("halted at update {}: {}", last.update, reason(last)),
        "start again from the last saved state with a lower rate, or without what is to blame; \
         the incident below says where it began",
    ))
}

fn rejected_non_finite(rejected: &[&Entry]) -> Option<Found> {
    let mut bad: Vec<&Entry> = rejected.to_vec();
    bad.retain(|entry| reason(entry).starts_with("non-finite"));
    let first = bad.first()?;
    let (steps, were) = if bad.len() == 1 { ("step", "was") } else { ("steps", "were") };
    let origin = first.why.as_deref().and_then(|why| why.split_once(", first in "));
    let origin = origin.map_or(String::new(), |(_, culprit)| format!(", first in {culprit}"));
    Some(Finding::new(
        FindingKind::NonFinite,
        (bad.len() as f64, 0.0, Severity::Warning),
        format!(
            "{} {steps} {were} not finite: {}; the first at update {}{origin}",
            bad.len(),
            reasons(&bad),
            first.update
        ),
        "nothing of them reached the weights; look at the batch, and for divisions, roots and logarithms \
         of 0 in the loss",
    ))
}

fn many(history: &History, rejected: &[&Entry]) -> Option<Found> {
    let skipped = history.count(Verdict::Skip);
    if history.steps() < 20 {
        return None;
    }
    let share = skipped as f64 / history.steps() as f64;
    let note = (share > 0.01).then_some((share, 0.01, Severity::Note));
    let found = above(share, 0.05, 0.2).or(note)?;
    let skips: Vec<&Entry> =
        rejected.iter().copied().filter(|entry| entry.verdict == Verdict::Skip).collect();
    Some(Finding::new(
        FindingKind::ManySkips,
        found,
        format!(
            "{} of {} steps were skipped, {}: {}",
            skipped,
            history.steps(),
            percent(share),
            reasons(&skips)
        ),
        "as many batches are wasted: find what they have in common, lower the rate, or allow the guard \
         that skips them more",
    ))
}

fn in_a_row(rejected: &[&Entry]) -> Option<Found> {
    let follows = |a: &&Entry, b: &&Entry| a.attempt.checked_add(1) == Some(b.attempt);
    let longest = rejected.chunk_by(follows).max_by_key(|row| row.len())?;
    let (first, length) = (longest.first()?, longest.len());
    let severity = match length {
        20.. => Severity::Severe,
        5.. => Severity::Warning,
        _ => return None,
    };
    Some(Finding::new(
        FindingKind::SkipsInARow,
        (length as f64, 5.0, severity),
        format!(
            "{length} steps in a row were not applied, from step {} at update {}: {}",
            first.attempt,
            first.update,
            reasons(longest)
        ),
        "skipping does not cure what persists: rewind, or lower the rate",
    ))
}

fn rewinds(history: &History, rejected: &[&Entry]) -> Option<Found> {
    let severity = match history.count(Verdict::Rewind) {
        0 => return None,
        1..3 => Severity::Note,
        3..10 => Severity::Warning,
        _ => Severity::Severe,
    };
    let count = history.count(Verdict::Rewind);
    let mut back: Vec<&Entry> = rejected.to_vec();
    back.retain(|entry| entry.verdict == Verdict::Rewind);
    let rates = || back.iter().filter_map(|entry| entry.get("lr")).filter(|lr| lr.is_finite());
    let (low, high) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
    let at = match (short(low), short(high)) {
        _ if low > high => String::new(),
        (low, high) if low == high => format!(" at a rate of {high}"),
        (low, high) => format!(" at rates of {low} to {high}"),
    };
    let times = if count == 1 { "once".to_string() } else { format!("{count} times") };
    Some(Finding::new(
        FindingKind::Rewinds,
        (count as f64, 0.0, severity),
        format!("the run was rewound {times}{at}: {}", reasons(&back)),
        "keep the peak of the rate below that, or make the warmup longer; `finder::StableRate` measures \
         how high it may go",
    ))
}

fn clipped(history: &History, columns: &Columns<'_>) -> Option<Found> {
    let applied = history.count(Verdict::Apply);
    if applied < 20 {
        return None;
    }
    let share = history.clipped() as f64 / applied as f64;
    let found = match share {
        s if s > 0.9 => (s, 0.9, Severity::Warning),
        s if s > 0.5 => (s, 0.5, Severity::Note),
        _ => return None,
    };
    let factors = columns.finite("factor");
    let left = middle(factors.into_iter().filter(|factor| *factor < 1.0));
    let left = left.map_or(String::new(), |left| {
        format!(", in the median to {} of their length", percent(left))
    });
    Some(Finding::new(
        FindingKind::MostlyClipped,
        found,
        format!("clipped {} of updates{left}: threshold or rate", percent(share)),
        "what is always clipped has the threshold for its rate, unless the optimizer divides by the size of \
         gradients, as Adam does: standardize features and targets, or put `curvature::Governor` in the place \
         of the clip, for descent and momentum",
    ))
}
