//! The advice as text.

use std::fmt;

use super::outcome::{Aim, Outcome};
use super::{Advice, Point};
use crate::text::short;

/// The columns of one recipe, as text.
pub(super) fn cells(advice: &Advice, outcome: &Outcome) -> [String; 6] {
    let aim = advice.aim();
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".into());
    let edge = outcome.highest_stable().map(|rate| match outcome.first_unstable() {
        Some(_) => short(rate),
        None => format!("≥ {}", short(rate)),
    });
    let best = outcome.best(aim);
    let loss = best.map(|point| {
        let (low, high) = point.spread();
        match low == high {
            true => short(point.loss()),
            false => format!("{} ({}–{})", short(point.loss()), short(low), short(high)),
        }
    });
    let updates = best.and_then(Point::updates).map(|n| format!("{n}"));
    let cost = best.and_then(|point| point.seconds).map(|s| format!("{} ms", short(1e3 * s)));
    [
        outcome.recipe.to_string(),
        or_none(edge),
        or_none(best.map(|point| short(point.rate))),
        loss.unwrap_or_else(|| "–".into()),
        updates.unwrap_or_else(|| "–".into()),
        cost.unwrap_or_else(|| "–".into()),
    ]
}

pub(super) const HEADS: [&str; 6] = [
    "recipe",
    "stable up to",
    "best rate",
    "loss there (range)",
    "updates to target",
    "per update",
];

/// Which columns say something.
pub(super) fn shown(advice: &Advice) -> Vec<usize> {
    let target = matches!(advice.aim(), Aim::FastestTo(_));
    let clock = advice.outcomes().iter().flat_map(|o| &o.points).any(|p| p.seconds.is_some());
    (0..6).filter(|at| (*at != 4 || target) && (*at != 5 || clock)).collect()
}

/// What to make of the table, in sentences.
pub(super) fn summary(advice: &Advice) -> Vec<String> {
    let mut said = Vec::new();
    let aim = advice.aim();
    if !advice.is_complete() {
        said.push(format!(
            "The search was ended after {} updates: recipes that are not in the table may be better.",
            advice.updates()
        ));
    }
    let Some(best) = advice.best() else {
        said.push(
            "No recipe has a stable rate among those tried. Look at the data and the model first: \
             `doctor::Doctor` does."
                .into(),
        );
        return said;
    };
    if let (Some(baseline), Some(point)) = (advice.baseline(), best.best(aim))
        && baseline.recipe != best.recipe
    {
        said.push(match (baseline.best(aim), baseline.highest_stable(), best.highest_stable()) {
            (Some(plain), Some(from), Some(to)) => format!(
                "`{}` comes to a loss of {} at its best rate, where {} alone comes to {}; the highest \
                 stable rate goes from {} to {}.",
                best.recipe,
                short(point.loss()),
                baseline.recipe,
                short(plain.loss()),
                short(from),
                short(to)
            ),
            _ => format!(
                "`{}` comes to a loss of {}; {} alone has no stable rate among those tried.",
                best.recipe,
                short(point.loss()),
                baseline.recipe
            ),
        });
    }
    if let Aim::FastestTo(target) = aim
        && best.best(aim).is_some_and(|point| point.updates().is_none())
    {
        said.push(format!(
            "No recipe has reached {} within {} updates.",
            short(target),
            advice.over()
        ));
    }
    let equals: Vec<String> = advice.as_good().iter().map(|o| format!("`{}`", o.recipe)).collect();
    said.push(match (equals.as_slice(), advice.seeds()) {
        (_, 1) => {
            "One seed says nothing of chance: repeat with more before you trust the order.".into()
        }
        ([], n) => format!("The first is ahead of every other for each of {n} seeds."),
        (some, n) => format!(
            "Over {n} seeds the first cannot be told apart from {}: take the simplest of them.",
            some.join(", ")
        ),
    });
    said.push(
        "A high stable rate is no aim of its own: what is stable may learn nothing. Edges are known to a \
         factor of √10."
            .into(),
    );
    said
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aim = match self.aim() {
            Aim::FastestTo(target) => format!("fastest to a loss of {}", short(target)),
            Aim::LowestLoss => "lowest loss".into(),
            Aim::HighestRate => "highest stable rate".into(),
        };
        let (over, seeds) = (self.over(), self.seeds());
        writeln!(f, "Ranked by: {aim}. Runs of {over} updates, {seeds} seeds.\n")?;

        let shown = shown(self);
        let rows: Vec<[String; 6]> = self.outcomes().iter().map(|o| cells(self, o)).collect();
        let heads = HEADS.map(String::from);
        let width = |at: usize| {
            let cells = rows.iter().chain([&heads]).map(|row| row[at].chars().count());
            cells.max().unwrap_or(0)
        };
        for row in [&heads].into_iter().chain(&rows) {
            for (place, &at) in shown.iter().enumerate() {
                // Names to the left, numbers to the right.
                match place {
                    0 => write!(f, "{:<1$}", row[at], width(at))?,
                    _ => write!(f, "  {:>1$}", row[at], width(at))?,
                }
            }
            writeln!(f)?;
        }
        for sentence in summary(self) {
            write!(f, "\n{sentence}")?;
        }
        match self.code() {
            Some(code) => write!(f, "\n\n{code}"),
            None => Ok(()),
        }
    }
}
