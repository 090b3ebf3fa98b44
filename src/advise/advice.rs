//! What came of it.

use super::confidence::{SURE, pairs};
use super::outcome::{Aim, Outcome, chance, order, rank};

/// What was measured, the best recipe first.
///
/// As text it is a table, what to make of it, and the code to paste. It can be drawn, and written as one page
/// of HTML; with the feature `serde` it can be written as JSON.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Advice {
    wanted: Wanted,
    target: Option<f64>,
    updates: u64,
    complete: bool,
    outcomes: Vec<Outcome>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Wanted {
    pub(super) aim: Aim,
    pub(super) over: u64,
    pub(super) seeds: u64,
    /// How many recipes are confirmed, and with how many seeds.
    pub(super) confirm: (usize, u64),
}

impl Advice {
    pub(super) fn new(
        wanted: Wanted,
        target: Option<f64>,
        updates: u64,
        complete: bool,
        mut outcomes: Vec<Outcome>,
    ) -> Self {
        rank(&mut outcomes, wanted.aim);
        let top = wanted.confirm.0.min(outcomes.len());
        let top = &mut outcomes[..top];
        let top = match top.iter().position(|o| o.best(wanted.aim).is_none()) {
            Some(end) => &mut top[..end],
            None => top,
        };
        // Among themselves they are ranked by the seeds that did not choose them.
        if top.iter().all(|o| o.confirmed.is_some()) {
            let score = |o: &Outcome| {
                let point = o.confirmed.as_ref();
                let point = point.filter(|point| point.stable);
                point.map_or((f64::INFINITY, f64::INFINITY), |point| point.score(wanted.aim))
            };
            top.sort_by(|a, b| order(score(a), score(b)));
        }
        Self { wanted, target, updates, complete, outcomes }
    }

    /// Everything that was measured, ranked by the aim, the best first; those that were confirmed by what
    /// fresh seeds gave. Recipes without a stable rate come last.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The recipe that serves the aim best; `None` if none has a stable rate.
    pub fn best(&self) -> Option<&Outcome> {
        self.outcomes.first().filter(|outcome| outcome.best(self.aim()).is_some())
    }

    /// Plain descent, which everything is compared with.
    pub fn baseline(&self) -> Option<&Outcome> {
        let plain = super::Recipe::plain();
        self.outcomes.iter().find(|outcome| outcome.recipe == plain)
    }

    /// What was wanted.
    pub fn aim(&self) -> Aim {
        self.wanted.aim
    }

    /// The loss that updates were counted to. `None` if none was given, and plain descent has no stable rate.
    pub fn target(&self) -> Option<f64> {
        self.target
    }

    /// How many updates a run had.
    pub fn over(&self) -> u64 {
        self.wanted.over
    }

    /// How many seeds each rate was tried with.
    pub fn seeds(&self) -> u64 {
        self.wanted.seeds
    }

    /// How many updates it took to find out.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Whether everything was measured; not so if the budget was used up, or it was told to stop.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The code of the best recipe at its [rate](Outcome::rate).
    pub fn code(&self) -> Option<String> {
        let best = self.best()?;
        Some(best.recipe.code(best.rate(self.aim())?, self.over()))
    }

    /// With which chance a difference as large as that between these two would be seen, between any two of
    /// the confirmed ones, if there were none: Wilcoxon's signed-rank test over fresh seeds, times the number
    /// of pairs. `None` unless both were confirmed.
    pub fn chance(&self, one: &Outcome, other: &Outcome) -> Option<f64> {
        let among = self.outcomes.iter().filter(|o| o.confirmed.is_some()).count();
        Some((pairs(among) * chance(one, other, self.aim())?).min(1.0))
    }

    /// Which recipes cannot be told apart from the best one: of the confirmed ones, those for which the
    /// [chance](Self::chance) of a difference like this is above 5 %. Without confirmation those that it is
    /// not ahead of for every seed, which is less than it seems: see [the module](super).
    pub fn as_good(&self) -> Vec<&Outcome> {
        let Some(best) = self.best() else { return Vec::new() };
        let as_good = |other: &&Outcome| match best.confirmed {
            Some(_) => self.chance(best, other).is_some_and(|chance| chance > SURE),
            None => {
                let (ahead, seeds) = best.ahead_of(other, self.aim());
                ahead < seeds && other.best(self.aim()).is_some()
            }
        };
        self.outcomes.iter().skip(1).filter(as_good).collect()
    }
}
