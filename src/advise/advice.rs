//! The result of a search.

use super::Recipe;
use super::advisor::NAME;
use super::confidence::{SURE, pairs};
use super::decision::Worth;
use super::log::Log;
use super::outcome::{Objective, Outcome, chance, order, rank};
use crate::Error;

/// The result of a search: what was measured, the best recipe first, and the recommendation.
///
/// As text, in 80 columns, it lists what to change, in order, how to interpret the results, and the code to paste. It
/// can be drawn, and written as a single HTML page; with the feature `serde`, it can be written as JSON.
///
/// ```
/// # use burn::{nn::{Linear, LinearConfig}, tensor::Device};
/// # use evenkeel::advise::Advisor;
/// # let device = Device::default().autodiff();
/// # let build = |seed: u64| {
/// #     device.seed(seed);
/// #     LinearConfig::new(1, 1).with_bias(false).init(&device)
/// # };
/// # let loss = |model: &Linear, _: u64| model.weight.val().powi_scalar(2).mean();
/// # let advisor = Advisor::new(build, loss, |k| k).by_training_loss().recipes([]);
/// # let advisor = advisor.over(20)?.seeds(1)?.between(0.1, 1.0)?.confirm(0, 0);
/// let advice = advisor.run()?;
/// let recommended = advice.recommended().unwrap();
/// println!("{} at {:?}", recommended.recipe, recommended.rate(advice.objective()));
/// assert!(advice.code().unwrap().contains("Keel::wrap(Sgd::new())"));
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Advice {
    wanted: Wanted,
    target: Option<f64>,
    updates: u64,
    complete: bool,
    outcomes: Vec<Outcome>,
    #[cfg_attr(feature = "serde", serde(default))]
    log: Log,
}

/// The settings of the search.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Wanted {
    pub(super) objective: Objective,
    pub(super) over: u64,
    pub(super) seeds: u64,
    /// The number of recipes to confirm, and the number of seeds for each.
    pub(super) confirm: (usize, u64),
    /// The share of the gain that a simpler recipe may lack.
    pub(super) tolerance: f64,
    /// The number of held-out batches; `None` if recipes are ranked by training loss.
    pub(super) held_out: Option<u64>,
    /// The loss that updates are counted to, if one was given.
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) counted_to: Option<f64>,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) first_seed: u64,
    /// The range of rates, and whether all of them are measured.
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) rates: (f64, f64),
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) every_rate: bool,
}

/// Sorts outcomes, the best first, by fresh seeds if the best ones were run with some. A recipe without fresh seeds comes
/// after as many of those with some as were better with the seeds of the search, and never first.
pub(super) fn sort(outcomes: &mut Vec<Outcome>, objective: Objective) {
    rank(outcomes, objective);
    if objective == Objective::HighestRate || outcomes.iter().all(|o| o.confirmed.is_none()) {
        return;
    }
    let searched = |o: &Outcome| o.best(objective).map(|point| point.score(objective));
    let fresh = |o: &Outcome| {
        let stable = o.confirmed.as_ref().filter(|point| point.stable);
        stable.map(|point| point.score(objective))
    };
    let (mut sorted, others): (Vec<_>, Vec<_>) =
        std::mem::take(outcomes).into_iter().partition(|outcome| fresh(outcome).is_some());
    let nowhere = (f64::INFINITY, f64::INFINITY);
    sorted.sort_by(|a, b| order(fresh(a).unwrap_or(nowhere), fresh(b).unwrap_or(nowhere)));
    // What broke with fresh seeds is last but for what has no stable rate.
    let (broken, others): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|outcome| outcome.confirmed.is_some());
    let (without, nowhere): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|outcome| searched(outcome).is_some());
    let confirmed: Vec<_> = sorted.iter().filter_map(searched).collect();
    let after = |outcome: &Outcome| {
        let own = searched(outcome);
        let better = |other: &&(f64, f64)| own.is_none_or(|own| order(**other, own).is_le());
        confirmed.iter().filter(better).count().max(1)
    };
    // From the last on, so that places before it stay.
    for outcome in without.into_iter().rev() {
        sorted.insert(after(&outcome).min(sorted.len()), outcome);
    }
    *outcomes = sorted;
    outcomes.extend(broken);
    outcomes.extend(nowhere);
}

impl Advice {
    pub(super) fn new(
        wanted: Wanted,
        target: Option<f64>,
        updates: u64,
        complete: bool,
        (mut outcomes, log): (Vec<Outcome>, Log),
    ) -> Self {
        sort(&mut outcomes, wanted.objective);
        Self { wanted, target, updates, complete, outcomes, log: log.sorted() }
    }

    /// Returns the runs of this advice, to continue the search with.
    ///
    /// # Errors
    /// If the settings ask for other runs, or other losses to count updates to, than those of this advice.
    pub(super) fn into_log(self, wanted: &Wanted) -> Result<Log, Error> {
        let none = || "none".to_string();
        let of = |wanted: &Wanted| {
            let all = if wanted.every_rate { ", all of them" } else { "" };
            let Wanted { objective, over, seeds, held_out, counted_to, first_seed, rates, .. } =
                wanted;
            [
                ("runs of", format!("{over} updates")),
                ("the objective", format!("{objective:?}")),
                ("seeds", format!("{seeds} from {first_seed} on")),
                ("a number of held-out batches of", held_out.map_or(none(), |n| n.to_string())),
                ("a target of", counted_to.map_or(none(), |to| to.to_string())),
                ("rates from", format!("{} to {}{all}", rates.0, rates.1)),
            ]
        };
        let other =
            of(wanted).into_iter().zip(of(&self.wanted)).find(|(ours, theirs)| ours != theirs);
        match other {
            None => Ok(self.log),
            Some(((name, ours), (_, theirs))) => {
                let must = "an advice of a search with the same settings";
                let got = format_args!("one with {name} {theirs}, not {ours}");
                Err(Error::parameter(NAME, "resume", must, got))
            }
        }
    }

    /// Returns everything that was measured, ranked by the objective, the best first: the confirmed recipes by their
    /// results with fresh seeds, and each of the others after as many of them as were better with the seeds of the search.
    /// The first is a confirmed one, if there is any; recipes without a stable rate come last.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// Returns the recipe that serves the objective best, however complex it is; `None` if none has a stable rate at
    /// which it ends significantly below the untrained model.
    #[must_use]
    pub fn best(&self) -> Option<&Outcome> {
        self.wanted.best(&self.outcomes)
    }

    /// Returns the recipe to use: the simplest that is worse than the best by no more than the
    /// [tolerance](super::Advisor::tolerance), or by no more than a tenth of the gain and not significantly. `None` if there is no best recipe.
    #[must_use]
    pub fn recommended(&self) -> Option<&Outcome> {
        self.wanted.decide(&self.outcomes)
    }

    /// Returns the worth of each part of the recommended recipe, in the order in which to make the changes.
    #[must_use]
    pub fn worths(&self) -> Vec<Worth> {
        let recommended = self.recommended();
        recommended.map_or(Vec::new(), |o| self.wanted.worths(&o.recipe, &self.outcomes))
    }

    /// Returns the outcome of plain descent, the baseline of all comparisons.
    #[must_use]
    pub fn baseline(&self) -> Option<&Outcome> {
        let plain = Recipe::plain();
        self.outcomes.iter().find(|outcome| outcome.recipe == plain)
    }

    /// Returns the objective of the search.
    #[must_use]
    pub fn objective(&self) -> Objective {
        self.wanted.objective
    }

    /// Returns the number of held-out batches; `None` if recipes are ranked by training loss.
    #[must_use]
    pub fn held_out(&self) -> Option<u64> {
        self.wanted.held_out
    }

    /// Returns the share of the gain that a simpler recipe may lack.
    #[must_use]
    pub fn tolerance(&self) -> f64 {
        self.wanted.tolerance
    }

    /// Returns the loss up to which updates were counted; `None` if none was given and plain descent has no stable
    /// rate.
    #[must_use]
    pub fn target(&self) -> Option<f64> {
        self.target
    }

    /// Returns the number of updates of a run.
    #[must_use]
    pub fn over(&self) -> u64 {
        self.wanted.over
    }

    /// Returns the number of seeds that each rate was tried with.
    #[must_use]
    pub fn seeds(&self) -> u64 {
        self.wanted.seeds
    }

    /// Returns the number of updates of all runs together.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Returns whether everything was measured; `false` if the budget was used up, or the search was stopped.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Returns the code of the recommended recipe at its [rate](Outcome::rate).
    #[must_use]
    pub fn code(&self) -> Option<String> {
        let recommended = self.recommended()?;
        Some(recommended.recipe.code(recommended.rate(self.objective())?, self.over()))
    }

    /// Returns the chance of seeing a difference as large as that between these two outcomes, among any two of the
    /// confirmed ones, if there were none: Wilcoxon's signed-rank test over fresh seeds, times the number of pairs.
    /// `None` unless both were confirmed.
    #[must_use]
    pub fn chance(&self, one: &Outcome, other: &Outcome) -> Option<f64> {
        let among = self.outcomes.iter().filter(|o| o.confirmed.is_some()).count();
        Some((pairs(among) * chance(one, other, self.objective())?).min(1.0))
    }

    /// Returns the outcomes that cannot be told apart from the best one: of the confirmed ones, those for which the
    /// [chance](Self::chance) of such a difference is above 5 %. Without confirmation, those that the best is not ahead
    /// of for every seed, which is weaker evidence than it seems: see [the module](super).
    #[must_use]
    pub fn as_good(&self) -> Vec<&Outcome> {
        let Some(best) = self.best() else { return Vec::new() };
        let as_good = |other: &&Outcome| match best.confirmed {
            Some(_) => self.chance(best, other).is_some_and(|chance| chance > SURE),
            None => {
                let (ahead, seeds) = best.ahead_of(other, self.objective());
                ahead < seeds && other.best(self.objective()).is_some()
            }
        };
        self.outcomes.iter().skip(1).filter(as_good).collect()
    }
}
