//! What came of it.

use super::outcome::{Aim, Outcome, rank};

/// What was measured, the best recipe first.
///
/// As text it is a table, what to make of it, and the code to paste. With the feature `serde` it can be
/// written as JSON; with `plot` it can be drawn, and written as one page of HTML.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Advice {
    aim: Aim,
    over: u64,
    seeds: u64,
    updates: u64,
    complete: bool,
    outcomes: Vec<Outcome>,
}

impl Advice {
    pub(super) fn new(
        aim: Aim,
        over: u64,
        seeds: u64,
        updates: u64,
        complete: bool,
        mut outcomes: Vec<Outcome>,
    ) -> Self {
        rank(&mut outcomes, aim);
        Self { aim, over, seeds, updates, complete, outcomes }
    }

    /// Everything that was measured, ranked by the aim, the best first. Recipes without a stable rate
    /// come last.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The recipe that serves the aim best; `None` if none has a stable rate.
    pub fn best(&self) -> Option<&Outcome> {
        self.outcomes.first().filter(|outcome| outcome.best(self.aim).is_some())
    }

    /// Plain descent, which everything is compared with.
    pub fn baseline(&self) -> Option<&Outcome> {
        let plain = super::Recipe::plain();
        self.outcomes.iter().find(|outcome| outcome.recipe == plain)
    }

    /// What was wanted.
    pub fn aim(&self) -> Aim {
        self.aim
    }

    /// How many updates a run had.
    pub fn over(&self) -> u64 {
        self.over
    }

    /// How many seeds each rate was tried with.
    pub fn seeds(&self) -> u64 {
        self.seeds
    }

    /// How many updates it took to find out.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Whether everything was measured; not so if the budget was used up, or it was told to stop.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The code of the best recipe at its best rate.
    pub fn code(&self) -> Option<String> {
        let best = self.best()?;
        Some(best.recipe.code(best.best(self.aim)?.rate, self.over))
    }

    /// Which recipes cannot be told apart from the best one: it is not ahead of them for every seed.
    pub fn as_good(&self) -> Vec<&Outcome> {
        let Some(best) = self.best() else { return Vec::new() };
        let told_apart = |other: &&Outcome| {
            let (ahead, seeds) = best.ahead_of(other, self.aim);
            ahead < seeds && other.best(self.aim).is_some()
        };
        self.outcomes.iter().skip(1).filter(told_apart).collect()
    }
}
