//! Tests on measurements that are made by hand, so that what follows from them is known.

mod advice;
mod decision;
mod log;
mod outcome;
mod page;
mod plan;
mod searching;
mod sentences;
mod text;

use super::advice::Wanted;
use super::log::{Log, Ran};
use super::{Advice, Method, Objective, Outcome, Point, Recipe};

/// The loss of every untrained model.
pub(super) const START: f64 = 10.0;

pub(super) const WANTED: Wanted = Wanted {
    objective: Objective::LowestLoss,
    over: 100,
    seeds: 2,
    confirm: (5, 10),
    tolerance: 0.05,
    held_out: None,
    counted_to: None,
    first_seed: 0,
    rates: (1e-3, 10.0),
    every_rate: false,
};

/// The results at a rate: a loss for each seed, infinite if the run broke. What ends above the start is not stable.
pub(super) fn point(rate: f64, losses: &[f64]) -> Point {
    let finite: Vec<Option<f64>> =
        losses.iter().map(|loss| Some(*loss).filter(|loss| loss.is_finite())).collect();
    Point {
        losses: finite.clone(),
        starts: vec![START; losses.len()],
        training: finite,
        lowest: vec![None; losses.len()],
        reached: vec![None; losses.len()],
        broke: losses.iter().filter(|loss| loss.is_infinite()).count(),
        stable: losses.iter().all(|loss| *loss <= START),
        ..Point::at(rate)
    }
}

/// The same, with the number of updates that each seed took to the target.
pub(super) fn timed(rate: f64, losses: &[f64], reached: &[Option<u64>]) -> Point {
    Point { reached: reached.to_vec(), ..point(rate, losses) }
}

pub(super) fn outcome(recipe: Recipe, points: impl IntoIterator<Item = Point>) -> Outcome {
    Outcome::new(recipe, points.into_iter().collect())
}

/// A recipe that was measured at a rate of 0.1 only, with two seeds, and confirmed there with these losses.
pub(super) fn confirmed(recipe: Recipe, losses: &[f64]) -> Outcome {
    let searched = point(0.1, &losses[..2]);
    Outcome { confirmed: Some(point(0.1, losses)), ..outcome(recipe, [searched]) }
}

pub(super) fn plain() -> Recipe {
    Recipe::plain()
}

pub(super) fn with(method: Method) -> Recipe {
    Recipe { method, ..plain() }
}

pub(super) fn variant(name: &str) -> Recipe {
    Recipe { variant: name.into(), ..plain() }
}

/// The advice of a complete search.
pub(super) fn advice(wanted: Wanted, outcomes: impl IntoIterator<Item = Outcome>) -> Advice {
    Advice::new(wanted, None, 1234, true, (outcomes.into_iter().collect(), Log::default()))
}

pub(super) fn ran(rate: f64, seed: u64) -> Ran {
    Ran {
        rate,
        seed,
        loss: Some(1.0),
        start: START,
        training: Some(1.0),
        lowest: None,
        reached: None,
        broke: false,
        stable: true,
        updates: 100,
        losses: 100,
        seconds: None,
    }
}

/// The names of recipes, in order.
pub(super) fn names<'o>(outcomes: impl IntoIterator<Item = &'o Outcome>) -> Vec<String> {
    outcomes.into_iter().map(|outcome| outcome.recipe.to_string()).collect()
}
