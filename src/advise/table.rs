//! The measurements as table cells and sentences.

use super::confidence::seeds_needed;
use super::decision::EXPLAINED;
use super::outcome::{Objective, Outcome};
use super::run::evaluated;
use super::{Advice, Point};
use crate::text::short;

/// The number of columns, including empty ones.
pub(super) const COLUMNS: usize = 8;

/// The columns of one recipe, as text.
pub(super) fn cells(advice: &Advice, outcome: &Outcome) -> [String; COLUMNS] {
    let objective = advice.objective();
    let or = |text: Option<String>, none: &str| text.unwrap_or_else(|| none.into());
    let edge = outcome.highest_stable().map(|rate| match outcome.first_unstable() {
        Some(_) => short(rate),
        None => format!("≥ {}", short(rate)),
    });
    let confirmed = outcome.confirmed.as_ref();
    let at = |rate: f64| outcome.points.iter().find(|point| point.rate == rate);
    let best = outcome.rate(objective).and_then(at);
    // The more reliable numbers, if there are two.
    let updates = confirmed.or(best).and_then(Point::updates).map(|n| format!("{n}"));
    let cost = best.and_then(|point| point.seconds).map(|s| format!("{} ms", short(1e3 * s)));
    [
        outcome.recipe.to_string(),
        or(edge, "none"),
        or(outcome.rate(objective).map(short), "none"),
        or(best.map(loss), "–"),
        or(confirmed.map(loss), "–"),
        or(confirmed.or(best).map(Point::training_loss).filter(|x| x.is_finite()).map(short), "–"),
        or(updates, "–"),
        or(cost, "–"),
    ]
}

/// The median loss, and its range.
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
    "training loss",
    "updates to target",
    "per update",
];

/// The columns that contain anything.
pub(super) fn shown(advice: &Advice) -> Vec<usize> {
    let confirmed = advice.outcomes().iter().any(|o| o.confirmed.is_some());
    let clock = advice.outcomes().iter().flat_map(|o| &o.points).any(|p| p.seconds.is_some());
    let says = |at: &usize| match at {
        4 => confirmed,
        5 => advice.held_out().is_some(),
        6 => advice.target().is_some(),
        7 => clock,
        _ => true,
    };
    (0..COLUMNS).filter(says).collect()
}

/// The heading: the ranking criterion, and the runs that were made.
pub(super) fn heading(advice: &Advice) -> String {
    let (loss, by) = match advice.held_out() {
        Some(1) => ("held-out loss", ", on 1 held-out batch".to_string()),
        Some(n) if evaluated(n, advice.over()) < n => (
            "held-out loss",
            format!(", on {} of {n} held-out batches", evaluated(n, advice.over())),
        ),
        Some(n) => ("held-out loss", format!(", on {n} held-out batches")),
        None => ("training loss", ", by training loss: what is held out may say otherwise".into()),
    };
    let objective = match advice.objective() {
        Objective::FastestTo(target) => format!("fastest to a {loss} of {}", short(target)),
        Objective::LowestLoss => format!("lowest {loss}"),
        Objective::HighestRate => "highest stable rate".into(),
    };
    let (over, seeds) = (advice.over(), several(advice.seeds(), "seed"));
    let fresh = advice.outcomes().iter().find_map(|o| o.confirmed.as_ref());
    let fresh = fresh.map(|point| several(point.losses.len() as u64, "fresh one"));
    let fresh = fresh.map(|fresh| format!(" and {fresh} for the best")).unwrap_or_default();
    let behind = advice.outcomes().iter().any(|o| (o.seeds() as u64) < advice.seeds());
    let seeds = match (behind, fresh.is_empty()) {
        (false, _) => format!("{seeds}{fresh}"),
        (true, true) => format!("{seeds}, 1 for recipes that fell behind"),
        (true, false) => format!("{seeds}, 1 for recipes that fell behind,{fresh}"),
    };
    let target = advice.target().filter(|_| !matches!(advice.objective(), Objective::FastestTo(_)));
    let target = target.map(|loss| format!(" The target is a loss of {}.", short(loss)));
    format!(
        "Ranked by: {objective}. Runs of {over} updates, {seeds}{by}.{}",
        target.unwrap_or_default()
    )
}

/// A number of things, of which one has this name.
pub(super) fn several(n: u64, name: &str) -> String {
    match n {
        1 => format!("1 {name}"),
        n => format!("{n} {name}s"),
    }
}

/// The interpretation of the table, in sentences.
pub(super) fn summary(advice: &Advice) -> Vec<String> {
    let mut said = Vec::new();
    if !advice.is_complete() {
        said.push(format!(
            "The search was ended after {} updates: recipes that are not in the table may be better. \
             `Advisor::resume` continues it.",
            advice.updates()
        ));
    }
    let Some((best, recommended)) = advice.best().zip(advice.recommended()) else {
        said.push(nothing(advice));
        return said;
    };
    said.extend(against_plain(advice, recommended));
    said.extend(simpler(advice, best, recommended));
    said.extend(fit(advice, recommended));
    said.extend(longer(advice, recommended));
    if let Objective::FastestTo(target) = advice.objective()
        && best.best(advice.objective()).is_some_and(|point| point.updates().is_none())
    {
        said.push(format!(
            "No recipe has reached {} within {} updates.",
            short(target),
            advice.over()
        ));
    }
    said.push(confidence(advice, best));
    let fine = advice.outcomes().iter().any(|o| o.confirmed.is_some())
        || advice.objective() == Objective::HighestRate;
    said.push(format!(
        "A high stable rate is not a goal in itself: a stable run may learn nothing. The highest stable rates \
         are accurate to a factor of √10{}.",
        if fine { ", those of the recommended recipe and of plain descent to one of 1.2" } else { "" }
    ));
    said
}

/// The reason why there is no recommendation.
fn nothing(advice: &Advice) -> String {
    let points = || advice.outcomes().iter().flat_map(|outcome| &outcome.points);
    let starts = || points().flat_map(|point| &point.starts);
    let why = if points().next().is_none() {
        "Nothing was measured, so there is no recommendation."
    } else if !starts().any(|start| start.is_finite()) {
        "The loss of the untrained model is not finite, whatever the recipe: there is no recommendation. Look \
         for NaN in the data, and for an overflow in the model; `monitor::blame` says where it begins."
    } else if !points().any(|point| point.stable) {
        "No recipe has a stable rate among those tried, so there is no recommendation. Look at the data and \
         the model first: `doctor::Doctor` does."
    } else {
        "No recipe ends significantly below the loss of the untrained model, so there is no \
         recommendation. Does the loss depend on what is trained? Are runs long enough, and rates wide enough?"
    };
    why.into()
}

/// The loss of an outcome that is to be trusted.
fn believed(advice: &Advice, outcome: &Outcome) -> Option<f64> {
    Some(outcome.believed(advice.objective())?.loss()).filter(|loss| loss.is_finite())
}

fn against_plain(advice: &Advice, recommended: &Outcome) -> Option<String> {
    let baseline = advice.baseline()?;
    let name = &recommended.recipe;
    if baseline.recipe == *name {
        return Some(format!(
            "Recommended: `{name}`, as it is. No remedy is worth more than its cost in parts."
        ));
    }
    let loss = short(believed(advice, recommended)?);
    Some(
        match (believed(advice, baseline), baseline.highest_stable(), recommended.highest_stable())
        {
            (Some(plain), Some(from), to) => {
                // Mentioned only if it goes up.
                let edge = to.filter(|to| *to > from).map(|to| {
                    format!("; the highest stable rate goes from {} to {}", short(from), short(to))
                });
                format!(
                    "Recommended: `{name}` comes to a loss of {loss}, where {} alone comes to {} at its best rate{}.",
                    baseline.recipe,
                    short(plain),
                    edge.unwrap_or_default()
                )
            }
            (None, Some(_), _) => format!(
                "Recommended: `{name}` comes to a loss of {loss}; {} alone breaks with fresh seeds at the rates \
             that were good.",
                baseline.recipe
            ),
            _ => format!(
                "Recommended: `{name}` comes to a loss of {loss}; {} alone has no stable rate among those tried.",
                baseline.recipe
            ),
        },
    )
}

/// Mentions the better recipe that is not worth its parts.
fn simpler(advice: &Advice, best: &Outcome, recommended: &Outcome) -> Option<String> {
    if best.recipe == recommended.recipe {
        return None;
    }
    let (lowest, loss) = (believed(advice, best)?, believed(advice, recommended)?);
    Some(format!(
        "The lowest loss, {}, is that of `{}`. The recommended recipe is simpler, and {} is worse by less than \
         {} % of the possible gain, or by less than {} % and not significantly.",
        short(lowest),
        best.recipe,
        short(loss),
        short(100.0 * advice.tolerance()),
        short(100.0 * EXPLAINED)
    ))
}

/// The share of what was learned that a held-out loss has to be worse by before overfitting is mentioned: less is
/// chance.
const MUCH: f64 = 0.05;

/// Says whether the recipe overfits its training data.
fn fit(advice: &Advice, outcome: &Outcome) -> Option<String> {
    advice.held_out()?;
    let point = outcome.believed(advice.objective())?;
    let middle = |values: Vec<f64>| crate::stat::median(&mut { values });
    let start = middle(point.starts.clone())?;
    let (held, trained) = (point.loss(), point.training_loss());
    let lowest: Vec<(u64, f64)> = point.lowest.iter().copied().flatten().collect();
    let turn = middle(lowest.iter().map(|look| look.1).collect())?;
    let at = middle(lowest.iter().map(|look| look.0 as f64).collect())?;
    let gap = held - trained;
    // If the loss is worse on both sides, the rate is the cause.
    let rises = held - turn > MUCH * (start - turn) && gap > MUCH * (start - turn);
    if rises && at < 0.75 * advice.over() as f64 {
        return Some(format!(
            "It overfits: the held-out loss was {} after {at} updates and is {} at the end, with a training loss \
             of {}. Stop there, take more data, or regularize.",
            short(turn),
            short(held),
            short(trained)
        ));
    }
    (gap > 2.0 * MUCH * (start - trained)).then(|| {
        format!(
            "It overfits: the training loss is {}, and the held-out loss {}.",
            short(trained),
            short(held)
        )
    })
}

/// Says what a longer run needs that these don't show.
fn longer(advice: &Advice, outcome: &Outcome) -> Option<String> {
    let short = advice.objective() == Objective::LowestLoss && !outcome.recipe.cosine;
    short.then(|| {
        format!(
            "The rate is constant. Runs of {} updates favor that: in a much longer one, let it decay, and compare.",
            advice.over()
        )
    })
}

/// Says whether the lead of the first is significant.
fn confidence(advice: &Advice, best: &Outcome) -> String {
    let equals: Vec<String> = advice.as_good().iter().map(|o| format!("`{}`", o.recipe)).collect();
    let stable = || advice.outcomes().iter().filter(|o| o.best(advice.objective()).is_some());
    let all = stable().count();
    let Some(point) = &best.confirmed else {
        let needed = seeds_needed(all);
        let seeds = stable().map(|outcome| outcome.seeds() as u64).min();
        return match (equals.len(), seeds.unwrap_or_default()) {
            (_, 1) => {
                "One seed says nothing of chance: repeat with more before you trust the order."
                    .into()
            }
            (0, n) if n >= needed => format!(
                "The first is ahead of every other for each of {n} seeds, which is significant among {all} \
                 recipes."
            ),
            (0, n) => format!(
                "The first is ahead of every other for each of {n} seeds; among {all} recipes one may be \
                 so by chance, and only {needed} seeds would rule that out."
            ),
            (_, n) => format!(
                "Over {n} seeds the first is not always ahead of {}.",
                crate::doctor::finding::named(equals)
            ),
        };
    };
    let n = point.losses.len() as u64;
    let among = advice.outcomes().iter().filter(|o| o.confirmed.is_some()).count();
    let needed = seeds_needed(among);
    match equals.len() {
        _ if among < 2 => "Nothing else was confirmed: the first is compared with nothing.".into(),
        _ if n < needed => format!(
            "{n} fresh seeds cannot tell {among} recipes apart with confidence, whatever they show; {needed} \
             can."
        ),
        0 => {
            let others = match among - 1 {
                1 => "other that was".into(),
                more => format!("{more} others that were"),
            };
            format!(
                "Over {n} fresh seeds the first is significantly ahead of the {others} confirmed (signed ranks, 5 %, \
                 all pairs counted)."
            )
        }
        some => format!(
            "Over {n} fresh seeds {} of the {among} confirmed recipes cannot be told apart (signed ranks, 5 \
             %, all pairs counted).",
            some + 1
        ),
    }
}
