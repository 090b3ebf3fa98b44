//! Decides which parts of a recipe are worth having.

use super::advice::Wanted;
use super::confidence::{SURE, seeds_needed, signed_rank};
use super::outcome::{Objective, Outcome, Point};
use super::{Change, Method, Recipe};
use crate::stat::median;

/// The worth of one part of the recommended recipe.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Worth {
    /// The part.
    pub change: Change,
    /// The name of the part.
    pub name: String,
    /// The cost of plain descent with this part alone, if that was measured and is stable at some rate: a loss, or a
    /// number of updates if the objective is to be fast.
    pub alone: Option<f64>,
    /// The cost of the recommended recipe without this part; `None` if that was not measured, infinite if it has no
    /// stable rate, or does not reach the target.
    pub without: Option<f64>,
}

/// The share of the gain up to which a difference that chance explains is none. Ten seeds of a noisy loss explain almost
/// anything: on digits, a recipe that was behind by a quarter of the gain.
pub(super) const EXPLAINED: f64 = 0.1;

impl Wanted {
    /// The cost of a run by the objective, the lower the better; infinite for a broken one.
    pub(super) fn cost(&self, point: &Point) -> f64 {
        point.score(self.objective).0
    }

    fn believed<'o>(&self, outcome: &'o Outcome) -> Option<&'o Point> {
        outcome.believed(self.objective).filter(|point| point.stable)
    }

    /// The cost of a recipe at the rate to train at; infinite if it has none.
    pub(super) fn cost_of(&self, outcome: &Outcome) -> f64 {
        self.believed(outcome).map_or(f64::INFINITY, |point| self.cost(point))
    }

    /// The gain of the best recipe over plain descent, or over the untrained model if plain descent has no stable rate.
    fn gain(&self, best: &Point, plain: Option<&Outcome>) -> f64 {
        let plain = plain.map_or(f64::INFINITY, |plain| self.cost_of(plain));
        let from = match self.objective {
            _ if plain.is_finite() => plain,
            Objective::FastestTo(_) => self.over as f64,
            _ => median(&mut best.starts.clone()).unwrap_or(f64::NAN),
        };
        (from - self.cost(best)).max(0.0)
    }

    /// Whether `other` is not worse than `best`: in the median over all seeds, it is behind by no more than the
    /// tolerance, a share of the best recipe's gain, or, given enough seeds to say so, by no more than chance explains
    /// and a tenth of the gain.
    pub(super) fn is_as_good(
        &self,
        best: &Outcome,
        other: &Outcome,
        plain: Option<&Outcome>,
    ) -> bool {
        let (Some(a), Some(b)) = (self.believed(best), self.believed(other)) else { return false };
        let seeds = 0..a.losses.len().min(b.losses.len());
        let behind = |seed| b.of_seed(seed, self.objective).0 - a.of_seed(seed, self.objective).0;
        // If neither has reached the target, they are equal.
        let behind = seeds.map(behind).map(|by| if by.is_nan() { 0.0 } else { by });
        let behind: Vec<f64> = behind.collect();
        let Some(middle) = median(&mut behind.clone()) else { return false };
        let enough = behind.len() as u64 >= seeds_needed(2);
        let gain = self.gain(a, plain);
        middle <= self.tolerance * gain
            || (enough && middle <= EXPLAINED * gain && signed_rank(&behind) > SURE)
    }

    /// The first outcome, if it has learned anything, given the number of outcomes that it was chosen among: the
    /// confirmed ones, if there are any.
    pub(super) fn best<'o>(&self, outcomes: &'o [Outcome]) -> Option<&'o Outcome> {
        let best = outcomes.first()?;
        let like = |o: &&Outcome| o.confirmed.is_some() == best.confirmed.is_some();
        let among = outcomes.iter().filter(like).count();
        Some(best).filter(|best| self.believed(best).is_some_and(|point| point.learns(among)))
    }

    /// The simplest of the outcomes that are as good as the best; of two equally simple ones, the better. Only
    /// confirmed ones are considered, if there are any. For the highest rate, the best.
    pub(super) fn decide<'o>(&self, outcomes: &'o [Outcome]) -> Option<&'o Outcome> {
        let best = self.best(outcomes)?;
        if self.objective == Objective::HighestRate {
            return Some(best);
        }
        let plain = Recipe::plain();
        let plain = outcomes.iter().find(|outcome| outcome.recipe == plain);
        let known = |o: &&Outcome| o.confirmed.is_some() == best.confirmed.is_some();
        let learns = |o: &&Outcome| self.believed(o).is_some_and(|point| point.learns(1));
        let candidates = outcomes.iter().filter(known).filter(learns);
        let good =
            candidates.filter(|o| o.recipe == best.recipe || self.is_as_good(best, o, plain));
        good.min_by(|a, b| {
            // StableAdamW counts as Adam with two changes.
            let parts = |o: &Outcome| {
                o.recipe.changes().len() + usize::from(o.recipe.method == Method::AdamW)
            };
            parts(a).cmp(&parts(b)).then(self.cost_of(a).total_cmp(&self.cost_of(b)))
        })
    }

    /// The worth of each part of a recipe, the most important first.
    pub(super) fn worths(&self, recipe: &Recipe, outcomes: &[Outcome]) -> Vec<Worth> {
        let cost = |recipe: &Recipe| {
            let outcome = outcomes.iter().find(|outcome| outcome.recipe == *recipe)?;
            Some(self.cost_of(outcome))
        };
        let worth = |part: Change| Worth {
            change: part,
            name: recipe.name_of(part),
            alone: cost(&recipe.only(part)).filter(|cost| cost.is_finite()),
            without: cost(&recipe.without(part)),
        };
        let mut worths: Vec<Worth> = recipe.changes().into_iter().map(worth).collect();
        // Parts that were not measured come last.
        let known = |worth: &Worth| worth.without.unwrap_or(f64::NEG_INFINITY);
        worths.sort_by(|a, b| known(b).total_cmp(&known(a)));
        worths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted {
        objective: Objective::LowestLoss,
        over: 100,
        seeds: 2,
        confirm: (5, 10),
        tolerance: 0.05,
        held_out: Some(1),
        counted_to: None,
        first_seed: 0,
        rates: (1e-6, 1e2),
        every_rate: false,
    };

    /// An outcome confirmed with these losses, after a start at 10.
    fn outcome(recipe: Recipe, losses: [f64; 10]) -> Outcome {
        let point =
            Point { losses: losses.map(Some).to_vec(), starts: vec![10.0; 10], ..Point::at(0.1) };
        Outcome { recipe, points: vec![point.clone()], confirmed: Some(point) }
    }

    fn around(middle: f64, noise: f64) -> [f64; 10] {
        std::array::from_fn(|k| middle + noise * (k as f64 - 4.5) / 4.5)
    }

    fn with(method: Method, cosine: bool) -> Recipe {
        Recipe { method, cosine, ..Recipe::plain() }
    }

    fn decided(outcomes: &[Outcome]) -> Recipe {
        WANTED.decide(outcomes).unwrap().recipe.clone()
    }

    #[test]
    fn the_simplest_that_is_as_good_is_taken() {
        let both = outcome(with(Method::Adam, true), around(1.0, 0.01));
        let plain = outcome(Recipe::plain(), around(2.0, 0.01));
        // 4 % and 6 % of the gap of 1.
        let near = outcome(with(Method::Adam, false), around(1.04, 0.01));
        let far = outcome(with(Method::Adam, false), around(1.06, 0.01));
        assert_eq!(decided(&[both.clone(), near.clone(), plain.clone()]), near.recipe);
        assert_eq!(decided(&[both.clone(), far.clone(), plain.clone()]), both.recipe);
        let loose = Wanted { tolerance: 0.1, ..WANTED };
        assert_eq!(loose.decide(&[both, far.clone(), plain]).unwrap().recipe, far.recipe);
    }

    #[test]
    fn what_chance_explains_is_no_reason_for_another_part() {
        let both = outcome(with(Method::Adam, true), around(1.0, 0.5));
        // Behind by 0.1 in the median, and ahead for four of ten.
        let mut losses = around(1.1, 0.5);
        losses.reverse();
        let alone = outcome(with(Method::Adam, false), losses);
        let plain = outcome(Recipe::plain(), around(3.0, 0.5));
        assert_eq!(decided(&[both, alone.clone(), plain]), alone.recipe);
    }

    #[test]
    fn a_constant_loss_is_no_reason_for_anything() {
        let plain = outcome(Recipe::plain(), [10.0; 10]);
        assert!(WANTED.decide(std::slice::from_ref(&plain)).is_none());
        // A loss that is as often above its start as below is no reason either.
        let noise = outcome(Recipe::plain(), around(10.0, 1.0));
        assert!(WANTED.decide(&[noise]).is_none());
    }

    #[test]
    fn parts_are_listed_by_what_their_loss_costs() {
        let whole = outcome(with(Method::Adam, true), around(1.0, 0.01));
        let cosine = outcome(with(Method::Sgd, true), around(5.0, 0.01));
        let adam = outcome(with(Method::Adam, false), around(1.5, 0.01));
        let worths = WANTED.worths(&whole.recipe, &[whole.clone(), cosine, adam]);
        let seen: Vec<_> = worths.iter().map(|w| (w.change, w.without.map(f64::round))).collect();
        assert_eq!(seen, [(Change::Method, Some(5.0)), (Change::Cosine, Some(2.0))]);
        assert!((worths[0].alone.unwrap() - 1.5).abs() < 1e-9);
    }
}
