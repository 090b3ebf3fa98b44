//! The result of each run of a search, so that an interrupted search can be continued.

use super::Recipe;
use super::run::{End, Trial};

/// The result of a run, without its losses.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Ran {
    pub(super) rate: f64,
    pub(super) seed: u64,
    pub(super) loss: Option<f64>,
    pub(super) start: f64,
    pub(super) training: Option<f64>,
    pub(super) lowest: Option<(u64, f64)>,
    pub(super) reached: Option<u64>,
    pub(super) broke: bool,
    pub(super) stable: bool,
    /// The number of updates that were begun, and of those whose loss was recorded.
    pub(super) updates: u64,
    pub(super) losses: u64,
    pub(super) seconds: Option<f64>,
}

impl Ran {
    /// Summarizes a run at this rate, with this seed; updates are counted to the target, if there is one.
    pub(super) fn of(trial: &Trial, (rate, seed): (f64, u64), target: Option<f64>) -> Self {
        let loss = trial.reached();
        let target = target.filter(|_| loss.is_some());
        Self {
            rate,
            seed,
            loss,
            start: trial.begun(),
            training: trial.trained_to(),
            lowest: trial.lowest_look(),
            reached: target.and_then(|target| trial.updates_to(target)),
            broke: trial.end == End::Broke,
            stable: trial.is_stable(),
            updates: 0,
            losses: trial.losses.len() as u64,
            seconds: None,
        }
    }
}

/// The results of all complete runs, by recipe.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Log {
    runs: Vec<(Recipe, Vec<Ran>)>,
}

impl Log {
    pub(super) fn find(&self, recipe: &Recipe, run: (f64, u64)) -> Option<&Ran> {
        let (_, runs) = self.runs.iter().find(|(of, _)| of == recipe)?;
        runs.iter().find(|ran| (ran.rate, ran.seed) == run)
    }

    /// Returns some run: one of plain descent, if there is one.
    pub(super) fn any(&self) -> Option<(&Recipe, &Ran)> {
        let plain = Recipe::plain();
        let first = self.runs.iter().find(|(recipe, _)| *recipe == plain).or(self.runs.first())?;
        first.1.first().map(|ran| (&first.0, ran))
    }

    /// Returns the runs of a recipe, to add to or change.
    fn of(&mut self, recipe: &Recipe) -> &mut Vec<Ran> {
        let at = self.runs.iter().position(|(of, _)| of == recipe).unwrap_or_else(|| {
            self.runs.push((recipe.clone(), Vec::new()));
            self.runs.len() - 1
        });
        &mut self.runs[at].1
    }

    pub(super) fn push(&mut self, recipe: &Recipe, ran: Ran) {
        self.of(recipe).push(ran);
    }

    /// Sets the number of updates to the target of one run.
    pub(super) fn set_reached(&mut self, recipe: &Recipe, run: (f64, u64), to: Option<u64>) {
        let found = self.of(recipe).iter_mut().find(|ran| (ran.rate, ran.seed) == run);
        if let Some(ran) = found {
            ran.reached = to;
        }
    }

    /// Forgets the runs of a recipe.
    pub(super) fn forget(&mut self, recipe: &Recipe) {
        self.runs.retain(|(of, _)| of != recipe);
    }

    /// Orders the runs by what they are of, so that the order in which they were made doesn't matter.
    pub(super) fn sorted(mut self) -> Self {
        for (_, runs) in &mut self.runs {
            runs.sort_by(|a, b| a.rate.total_cmp(&b.rate).then(a.seed.cmp(&b.seed)));
        }
        self.runs.sort_by_cached_key(|(recipe, _)| recipe.to_string());
        self
    }
}
