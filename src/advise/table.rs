//! The advice as text.

use std::fmt;

use super::confidence::seeds_needed;
use super::outcome::{Aim, Outcome};
use super::{Advice, Point};
use crate::text::short;

/// How many columns there are, those that say nothing included.
pub(super) const COLUMNS: usize = 7;

/// The columns of one recipe, as text.
pub(super) fn cells(advice: &Advice, outcome: &Outcome) -> [String; COLUMNS] {
    let aim = advice.aim();
    let or = |text: Option<String>, none: &str| text.unwrap_or_else(|| none.into());
    let edge = outcome.highest_stable().map(|rate| match outcome.first_unstable() {
        Some(_) => short(rate),
        None => format!("≥ {}", short(rate)),
    });
    let confirmed = outcome.confirmed.as_ref();
    let at = |rate: f64| outcome.points.iter().find(|point| point.rate == rate);
    let best = outcome.rate(aim).and_then(at);
    // The better numbers, where there are two.
    let updates = confirmed.or(best).and_then(Point::updates).map(|n| format!("{n}"));
    let cost = best.and_then(|point| point.seconds).map(|s| format!("{} ms", short(1e3 * s)));
    [
        outcome.recipe.to_string(),
        or(edge, "none"),
        or(outcome.rate(aim).map(short), "none"),
        or(best.map(loss), "–"),
        or(confirmed.map(loss), "–"),
        or(updates, "–"),
        or(cost, "–"),
    ]
}

/// The median loss, and from where to where it goes.
fn loss(point: &Point) -> String {
    let short = |loss: f64| if loss.is_finite() { short(loss) } else { "broke".into() };
    match point.spread() {
        (low, high) if low == high => short(point.loss()),
        (low, high) => format!("{} ({}–{})", short(point.loss()), short(low), short(high)),
    }
}

pub(super) const HEADS: [&str; COLUMNS] = [
    "recipe",
    "stable up to",
    "best rate",
    "loss there (range)",
    "fresh seeds (range)",
    "updates to target",
    "per update",
];

/// Which columns say something.
pub(super) fn shown(advice: &Advice) -> Vec<usize> {
    let confirmed = advice.outcomes().iter().any(|o| o.confirmed.is_some());
    let clock = advice.outcomes().iter().flat_map(|o| &o.points).any(|p| p.seconds.is_some());
    let says = |at: &usize| match at {
        4 => confirmed,
        5 => advice.target().is_some(),
        6 => clock,
        _ => true,
    };
    (0..COLUMNS).filter(says).collect()
}

/// What the ranking is by, and what was run for it.
pub(super) fn heading(advice: &Advice) -> String {
    let aim = match advice.aim() {
        Aim::FastestTo(target) => format!("fastest to a loss of {}", short(target)),
        Aim::LowestLoss => "lowest loss".into(),
        Aim::HighestRate => "highest stable rate".into(),
    };
    let (over, seeds) = (advice.over(), advice.seeds());
    let fresh = advice.outcomes().iter().find_map(|o| o.confirmed.as_ref());
    let fresh = fresh.map(|point| format!(", and {} fresh ones for the best", point.losses.len()));
    let target = advice.target().filter(|_| !matches!(advice.aim(), Aim::FastestTo(_)));
    let target = target.map(|loss| format!(" The target is a loss of {}.", short(loss)));
    format!(
        "Ranked by: {aim}. Runs of {over} updates, {seeds} seeds{}.{}",
        fresh.unwrap_or_default(),
        target.unwrap_or_default()
    )
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
    // What fresh seeds have said, where they were asked.
    let believed = |outcome: &Outcome| {
        let point = outcome.confirmed.as_ref().or(outcome.best(aim))?;
        Some(point.loss()).filter(|loss| loss.is_finite())
    };
    if let (Some(baseline), Some(loss)) = (advice.baseline(), believed(best))
        && baseline.recipe != best.recipe
    {
        said.push(match (believed(baseline), baseline.highest_stable(), best.highest_stable()) {
            (Some(plain), Some(from), Some(to)) => format!(
                "`{}` comes to a loss of {} at its best rate, where {} alone comes to {}; the highest \
                 stable rate goes from {} to {}.",
                best.recipe,
                short(loss),
                baseline.recipe,
                short(plain),
                short(from),
                short(to)
            ),
            (None, Some(_), _) => format!(
                "`{}` comes to a loss of {}; {} alone breaks with fresh seeds at the rates that were good.",
                best.recipe,
                short(loss),
                baseline.recipe
            ),
            _ => format!(
                "`{}` comes to a loss of {}; {} alone has no stable rate among those tried.",
                best.recipe,
                short(loss),
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
    said.push(confidence(advice, best));
    let fine =
        advice.outcomes().iter().any(|o| o.confirmed.is_some()) || advice.aim() == Aim::HighestRate;
    said.push(format!(
        "A high stable rate is no aim of its own: what is stable may learn nothing. Edges are known to a \
         factor of √10{}.",
        if fine { ", those of the best and of plain descent to one of 1.2" } else { "" }
    ));
    said
}

/// Whether the first is first by more than chance.
fn confidence(advice: &Advice, best: &Outcome) -> String {
    let equals: Vec<String> = advice.as_good().iter().map(|o| format!("`{}`", o.recipe)).collect();
    let all = advice.outcomes().iter().filter(|o| o.best(advice.aim()).is_some()).count();
    let Some(point) = &best.confirmed else {
        let needed = seeds_needed(all);
        return match (equals.as_slice(), advice.seeds()) {
            (_, 1) => {
                "One seed says nothing of chance: repeat with more before you trust the order."
                    .into()
            }
            ([], n) if n >= needed => format!(
                "The first is ahead of every other for each of {n} seeds, more than chance gives among \
                 {all} recipes."
            ),
            ([], n) => format!(
                "The first is ahead of every other for each of {n} seeds; among {all} recipes one may be \
                 so by chance, and only {needed} seeds would rule that out."
            ),
            (some, n) => format!(
                "Over {n} seeds the first is not always ahead of {}: take the simplest of them.",
                some.join(", ")
            ),
        };
    };
    let n = point.losses.len() as u64;
    let among = advice.outcomes().iter().filter(|o| o.confirmed.is_some()).count();
    let needed = seeds_needed(among);
    match equals.as_slice() {
        _ if among < 2 => "Nothing else was confirmed: the first is compared with nothing.".into(),
        _ if n < needed => format!(
            "{n} fresh seeds cannot tell {among} recipes apart with confidence, whatever they give; {needed} \
             can."
        ),
        [] => format!(
            "Over {n} fresh seeds the first is ahead of the {} others that were confirmed by more than \
             chance (signed ranks, 5 %, all pairs counted).",
            among - 1
        ),
        some => format!(
            "Over {n} fresh seeds {} of the {among} confirmed recipes cannot be told apart (signed ranks, 5 \
             %, all pairs counted): the first and {}. Take the simplest of them.",
            some.len() + 1,
            some.join(", ")
        ),
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", heading(self))?;

        let shown = shown(self);
        let rows: Vec<[String; COLUMNS]> = self.outcomes().iter().map(|o| cells(self, o)).collect();
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
