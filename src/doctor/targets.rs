//! Targets, labels, and the first loss.

use super::features::{Seen, non_finite};
use super::finding::{Check, Finding, Severity, above, named};
use crate::text::short;

/// What a loss is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Chance {
    /// Mean cross-entropy, in nats, of this many classes.
    Classes(usize),
    /// Mean squared error of targets with this variance and mean.
    Regression { variance: f64, mean: f64 },
    /// What the user says.
    Given(f64),
}

impl Chance {
    /// What knowing nothing costs: `ln C`; the variance.
    fn loss(self) -> f64 {
        match self {
            Self::Classes(n) => (n as f64).ln(),
            Self::Regression { variance, .. } => variance,
            Self::Given(loss) => loss,
        }
    }
}

/// A size `√(μ² + σ²)` over 10, or a deviation below 0.1; severe beyond a factor of 10 of that.
pub(super) fn targets(columns: &[Seen]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = non_finite("targets", columns).into_iter().collect();
    for (at, column) in columns.iter().enumerate() {
        let sigma = column.values.deviation();
        let large = above(column.size(), 10.0, 100.0);
        let small = above(0.1 / sigma, 1.0, 10.0).filter(|_| column.values.count > 1);
        let offset = above(column.values.mean.abs() / sigma, 3.0, f64::INFINITY);
        let Some(found) = large.or(small).or(offset) else { continue };
        findings.push(Finding::new(
            Check::TargetScale,
            found,
            format!(
                "target {at} has a mean of {} and a deviation of {}; a fresh model gives about 0 ± 1",
                short(column.values.mean),
                short(sigma)
            ),
            "train on standardized targets, and turn predictions back with `Standardize::inverse`",
        ));
    }
    findings
}

/// How often each class is met. The most common over 10 times the rarest, severe over 1000 times, or one
/// that is absent.
pub(super) fn labels(labels: &[i64], classes: usize) -> Vec<Finding> {
    let mut counts = vec![0u64; classes];
    let mut outside = Vec::new();
    for label in labels {
        match usize::try_from(*label).ok().and_then(|at| counts.get_mut(at)) {
            Some(count) => *count += 1,
            None => outside.push(*label),
        }
    }
    let mut findings = Vec::new();
    if !outside.is_empty() {
        let many = outside.len() as f64;
        outside.dedup();
        findings.push(Finding::new(
            Check::LabelRange,
            (many, 0.0, Severity::Severe),
            format!("{many} labels are not in 0..{classes}: {}", named(outside)),
            "number the classes from 0, and let the model have an output for each",
        ));
    }
    let total: u64 = counts.iter().sum();
    let most = counts.iter().max().copied().unwrap_or(0);
    let rarest = counts.iter().filter(|n| **n > 0).min().copied().unwrap_or(0);
    let absent = counts.iter().enumerate().filter(|(_, n)| **n == 0).map(|(at, _)| at);
    let absent: Vec<usize> = absent.collect();
    let share = 100.0 * most as f64 / (total as f64).max(1.0);
    // A small sample misses classes by chance: with ten rows a class, once in 20 000.
    if total >= 10 * classes as u64 && !absent.is_empty() {
        findings.push(Finding::new(
            Check::ClassImbalance,
            (absent.len() as f64, 0.0, Severity::Warning),
            format!("no row of {total} is of class {}", named(absent)),
            "check how the data was split; without rows a class is never learnt",
        ));
    }
    if let Some(found) = above(most as f64 / (rarest as f64).max(1.0), 10.0, 1e3) {
        findings.push(Finding::new(
            Check::ClassImbalance,
            found,
            format!("the commonest class has {most} of {total} rows, the rarest {rarest}"),
            &format!(
                "weight the loss by class, or draw rare classes more often; always saying the \
                 commonest one is right in {share:.0} % of the rows"
            ),
        ));
    }
    findings
}

/// Over 1.5 times what chance gives, severe over 5 times; or below half of it.
pub(super) fn loss(loss: f64, chance: Chance) -> Option<Finding> {
    let expected = chance.loss();
    // Of one class nothing can be guessed wrong, and every loss is 0.
    if matches!(chance, Chance::Classes(1)) && loss.is_finite() {
        return None;
    }
    let text =
        |what: &str| format!("the first loss is {}, {what} gives {}", short(loss), short(expected));
    let (what, remedy) = match chance {
        Chance::Classes(_) => (
            "guessing among the classes",
            "make the last layer's weights smaller at the start, or 0; check that the loss takes \
             logits, once",
        ),
        Chance::Regression { .. } => {
            ("saying the mean", "standardize the targets, or start the last bias at their mean")
        }
        Chance::Given(_) => ("chance", "make the last layer's weights smaller at the start"),
    };
    if !loss.is_finite() {
        return Some(Finding::new(
            Check::InitialLoss,
            (loss, expected, Severity::Severe),
            text(what),
            "look at the data first; then `monitor::blame` says where it begins",
        ));
    }
    if let Some(found) = above(loss / expected, 1.5, 5.0) {
        // A regression of few rows may be off by as much; where it is far off, the mean is to blame.
        let floor = match chance {
            Chance::Regression { variance, mean } => 1.0 + 0.5 * mean.abs() / variance.sqrt(),
            _ => 0.0,
        };
        return (found.0 > floor)
            .then(|| Finding::new(Check::InitialLoss, found, text(what), remedy));
    }
    (loss < 0.5 * expected).then(|| {
        Finding::new(
            Check::InitialLoss,
            (loss / expected, 0.5, Severity::Warning),
            text(what),
            "an untrained model cannot know that much: look for the target among the features, and \
             for a loss that is divided twice",
        )
    })
}
