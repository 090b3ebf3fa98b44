//! Targets, labels, and the first loss.

use super::features::{Seen, non_finite, outliers};
use super::finding::{Check, Finding, Severity, above, named};
use crate::text::short;

/// The loss that the first loss is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Chance {
    /// Mean cross-entropy, in nats, of this many classes.
    Classes(usize),
    /// Mean squared error of targets with this variance and mean.
    Regression { variance: f64, mean: f64 },
    /// A value given by the caller.
    Given(f64),
}

impl Chance {
    /// The loss of guessing: `ln C` for classes, the variance for a regression.
    fn loss(self) -> f64 {
        match self {
            Self::Classes(n) => (n as f64).ln(),
            Self::Regression { variance, .. } => variance,
            Self::Given(loss) => loss,
        }
    }
}

/// How far from 0 the outputs of a fresh model are at most, by and large.
const REACH: f64 = 1.5;

/// A size `√(m² + s²)` above 10, a spread below 0.1, or a median beyond 3 spreads and 1.5; severe a further factor of 10
/// beyond either of the first two. All columns share one finding. A column most of whose values are equal, such as a pixel that
/// is mostly dark, is judged by its size only.
pub(super) fn targets(columns: &[Seen]) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        [non_finite("targets", columns), outliers("targets", columns), constant(columns)]
            .into_iter()
            .flatten()
            .collect();
    // A single row shows nothing but its size, and a constant column is a separate finding.
    let single = columns.iter().all(|c| c.values.count == 1);
    let judge = |(at, column): (usize, &Seen)| {
        let large = above(column.size(), 10.0, 100.0);
        let spreads = column.spreads || single;
        let small = above(0.1 / column.spread, 1.0, 10.0).filter(|_| spreads);
        let offset = above(column.median.abs() / column.spread, 3.0, f64::INFINITY);
        // A fresh model's outputs reach as far.
        let offset = offset.filter(|_| spreads && column.median.abs() > REACH);
        Some((at, large.or(small).or(offset)?))
    };
    let judged = columns.iter().enumerate().filter(|(_, c)| c.varies() || single);
    let found: Vec<_> = judged.filter_map(judge).collect();
    let Some((worst, how)) = found.iter().max_by(|a, b| (a.1.2.cmp(&b.1.2)).then(b.0.cmp(&a.0)))
    else {
        return findings;
    };
    let others = match found.len() {
        1 => String::new(),
        n => format!(", and {} of {} others are like it", n - 1, columns.len() - 1),
    };
    findings.push(Finding::new(
        Check::TargetScale,
        *how,
        format!(
            "target {worst} has a median of {} and a spread of {}; a fresh model gives about 0 ± 1{others}",
            short(columns[*worst].median),
            short(columns[*worst].spread)
        ),
        "train on standardized targets, and turn predictions back with `Standardize::inverse`",
    ));
    findings
}

/// Constant columns: standardizing them would not help, and they contain nothing to learn.
fn constant(columns: &[Seen]) -> Option<Finding> {
    let constant = |c: &Seen| c.values.count > 1 && c.values.is_constant();
    let which: Vec<usize> = (0..columns.len()).filter(|&at| constant(&columns[at])).collect();
    // A few of many, such as the pixels at the edge of a picture, may be intended.
    let severity = match which.len() == columns.len() {
        true => Severity::Warning,
        false => Severity::Note,
    };
    (!which.is_empty()).then(|| {
        Finding::new(
            Check::ConstantTarget,
            (which.len() as f64, 0.0, severity),
            format!("{} of {} targets have one value in all rows: {}", which.len(), columns.len(), named(&which)),
            "leave them out of the loss: there is nothing to learn, and their share makes it look lower",
        )
    })
}

/// Checks how often each class occurs. If one class has more than half of all rows and occurs over 10 times as often as
/// the rarest, it is a warning, severe over 1000 times. If no class has more than half of them, as in any text, it is
/// only a note. Absent classes are a finding too.
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
    // A small sample misses classes by chance: with ten rows per class, once in 20 000.
    if total >= 10 * classes as u64 && !absent.is_empty() {
        // If another class occurs only a few times, this one may be missing by chance.
        let severity = if rarest < 5 { Severity::Note } else { Severity::Warning };
        findings.push(Finding::new(
            Check::ClassImbalance,
            (absent.len() as f64, 0.0, severity),
            format!("no row of {total} is of class {}", named(absent)),
            "check how the data was split; without rows a class is never learned",
        ));
    }
    if let Some(mut found) = above(most as f64 / (rarest as f64).max(1.0), 10.0, 1e3) {
        if share <= 50.0 {
            found.2 = Severity::Note;
        }
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

/// Above 1.5 times the loss of guessing, severe above 5 times; or below half of it. For a regression it is only a note up
/// to 3 times: the mean of the targets is off by 1.4 deviations then, which a bias learns at once.
pub(super) fn loss(loss: f64, chance: Chance) -> Option<Finding> {
    let expected = chance.loss();
    // With a single class no guess is wrong, and every loss is 0.
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
    if let Some(mut found) = above(loss / expected, 1.5, 5.0) {
        // A regression on few rows may be off by this much by chance; if it is off by far, the mean is the cause.
        let floor = match chance {
            Chance::Regression { variance, mean } => 1.0 + 0.5 * mean.abs() / variance.sqrt(),
            _ => 0.0,
        };
        if matches!(chance, Chance::Regression { .. }) && found.0 <= 3.0 {
            found.2 = Severity::Note;
        }
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

/// The number of rows needed to judge the outputs.
const ROWS: usize = 8;

/// Checks that the outputs are what the loss expects.
pub(super) fn outputs(
    width: usize,
    all: &[f64],
    chance: Option<Chance>,
    range: Option<(f64, f64)>,
) -> Option<Finding> {
    let rows = all.len() / width;
    if rows < ROWS || all.iter().any(|x| !x.is_finite()) {
        return None;
    }
    match chance {
        Some(Chance::Classes(_)) if width > 1 => doubled(width, all),
        Some(Chance::Regression { .. }) => bounded(all, range?),
        _ => None,
    }
}

/// Reports outputs whose rows all lie between 0 and 1 and sum to 1, up to rounding.
fn doubled(width: usize, all: &[f64]) -> Option<Finding> {
    let share = |row: &[f64]| {
        row.iter().all(|p| (0.0..=1.0).contains(p)) && (row.iter().sum::<f64>() - 1.0).abs() < 1e-2
    };
    let rows = all.len() / width;
    let many = all.chunks_exact(width).filter(|row| share(row)).count();
    (many == rows).then(|| {
        Finding::new(
            Check::WrongOutput,
            (many as f64, 0.0, Severity::Severe),
            format!("the outputs of all {rows} rows are between 0 and 1 and sum to 1: they have gone through a softmax"),
            "give the loss logits: a cross-entropy takes the softmax itself, and two of them leave hardly a gradient",
        )
    })
}

/// Reports outputs that all lie within bounds that exclude some of the targets.
fn bounded(all: &[f64], (low, high): (f64, f64)) -> Option<Finding> {
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    let most = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // A ReLU leaves some outputs at exactly 0; other outputs are not 0 by chance.
    let zeros = all.iter().filter(|x| **x == 0.0).count();
    let rectified = least == 0.0 && zeros > 1 && low < 0.0;
    // A fresh model's sigmoid outputs are near the middle of their range; the bound shows in that none lies outside it.
    let sigmoid = least > 0.0 && most < 1.0 && (low < 0.0 || high > 1.0);
    let (what, at) = match (rectified, sigmoid) {
        (true, _) => ("below 0", low),
        (_, true) => ("below 0 or above 1", if low < 0.0 { low } else { high }),
        _ => return None,
    };
    // An untrained model's outputs may lie there by chance: only a ReLU is certain.
    let severity = if rectified { Severity::Severe } else { Severity::Note };
    Some(Finding::new(
        Check::WrongOutput,
        (at, if at < 0.0 { 0.0 } else { 1.0 }, severity),
        format!(
            "the outputs lie between {} and {}, the targets between {} and {}",
            short(least),
            short(most),
            short(low),
            short(high)
        ),
        &format!("leave the last layer linear: no function may keep its outputs from being {what}"),
    ))
}

/// A ratio of neighboring ranks below 1.6, severe below 0.4, if it is also more than 5 deviations below its expected
/// value.
///
/// ```text
/// r = Σ(Rᵢ − Rᵢ₊₁)²/Σ(Rᵢ − R̄)²       2 ± 2/√n in a random order
/// ```
///
/// Source: Bartels 1982, *The rank version of von Neumann's ratio test for randomness*; ties share their ranks.
pub(super) fn order(values: &[f64]) -> Option<Finding> {
    let n = values.len();
    let ranks = ranks(values);
    let mean = ranks.iter().sum::<f64>() / n.max(1) as f64;
    let all: f64 = ranks.iter().map(|rank| (rank - mean).powi(2)).sum();
    let steps: f64 = ranks.windows(2).map(|w| (w[0] - w[1]).powi(2)).sum();
    if all == 0.0 {
        return None;
    }
    let ratio = steps / all;
    let chance = 2.0 - 5.0 * 2.0 / (n as f64).sqrt();
    let severity = if ratio < 0.4 { Severity::Severe } else { Severity::Warning };
    (ratio < chance.min(1.6)).then(|| {
        Finding::new(
            Check::Unshuffled,
            (ratio, chance.min(1.6), severity),
            format!(
                "rows follow rows like them: the squared steps between neighbors are {} of what they are in \
                 an order that means nothing",
                short(0.5 * ratio)
            ),
            "shuffle the rows before each epoch: a batch of one kind pulls the model towards that kind",
        )
    })
}

/// The rank of each value; ties share theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for group in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = first as f64 + 0.5 * (group.len() - 1) as f64;
        group.iter().for_each(|at| ranks[*at] = rank);
        first += group.len();
    }
    ranks
}
