//! What came of it.

use super::Recipe;
use super::confidence::{SURE, pairs};
use super::decision::Worth;
use super::outcome::{Aim, Outcome, chance, order, rank};

/// What was measured, the best recipe first, and which one is recommended.
///
/// As text it is what to change, in order, what to make of it, and the code to paste, in 80 columns. It can be drawn,
/// and written as one page of HTML; with the feature `serde` it can be written as JSON.
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
    /// The share of the gain that a simpler recipe may lack.
    pub(super) tolerance: f64,
    /// How many batches are held out; `None` where recipes are ranked by training loss.
    pub(super) held_out: Option<u64>,
}

/// Puts the best first, by fresh seeds where the best ones have had some.
pub(super) fn sort(outcomes: &mut [Outcome], aim: Aim) {
    rank(outcomes, aim);
    if aim == Aim::HighestRate || outcomes.iter().all(|o| o.confirmed.is_none()) {
        return;
    }
    // By the seeds that did not choose them. What was not worth confirming comes after what was.
    let place = |o: &Outcome| match &o.confirmed {
        Some(point) if point.stable => (0, point.score(aim)),
        None if o.best(aim).is_some() => (1, (0.0, 0.0)),
        Some(_) => (2, (0.0, 0.0)),
        None => (3, (0.0, 0.0)),
    };
    outcomes.sort_by(|a, b| {
        let (a, b) = (place(a), place(b));
        a.0.cmp(&b.0).then(order(a.1, b.1))
    });
}

impl Advice {
    pub(super) fn new(
        wanted: Wanted,
        target: Option<f64>,
        updates: u64,
        complete: bool,
        mut outcomes: Vec<Outcome>,
    ) -> Self {
        sort(&mut outcomes, wanted.aim);
        Self { wanted, target, updates, complete, outcomes }
    }

    /// Everything that was measured, ranked by the aim, the best first: the confirmed ones, by what fresh seeds
    /// gave, and then the others. Recipes without a stable rate come last.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The recipe that serves the aim best, whatever it takes; `None` if none has a stable rate at which it
    /// comes below the untrained model by more than chance.
    pub fn best(&self) -> Option<&Outcome> {
        self.wanted.best(&self.outcomes)
    }

    /// The recipe to use: the simplest that is not worse than the best by more than chance and the
    /// [tolerance](super::Advisor::tolerance). `None` where there is no best.
    pub fn recommended(&self) -> Option<&Outcome> {
        self.wanted.decide(&self.outcomes)
    }

    /// What each part of the recommended recipe is worth, in the order in which to change them.
    pub fn worths(&self) -> Vec<Worth> {
        let recommended = self.recommended();
        recommended.map_or(Vec::new(), |o| self.wanted.worths(&o.recipe, &self.outcomes))
    }

    /// Plain descent, which everything is compared with.
    pub fn baseline(&self) -> Option<&Outcome> {
        let plain = Recipe::plain();
        self.outcomes.iter().find(|outcome| outcome.recipe == plain)
    }

    /// What was wanted.
    pub fn aim(&self) -> Aim {
        self.wanted.aim
    }

    /// How many batches were held out; `None` where recipes are ranked by training loss.
    pub fn held_out(&self) -> Option<u64> {
        self.wanted.held_out
    }

    /// The share of the gain that a simpler recipe may lack.
    pub fn tolerance(&self) -> f64 {
        self.wanted.tolerance
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

    /// The code of the recommended recipe at its [rate](Outcome::rate).
    pub fn code(&self) -> Option<String> {
        let recommended = self.recommended()?;
        Some(recommended.recipe.code(recommended.rate(self.aim())?, self.over()))
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
