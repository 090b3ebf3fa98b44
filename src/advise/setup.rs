//! What the runs of a search are made of.

use super::Recipe;
use super::advisor::{Advisor, NAME, Prepare};
use super::log::Log;
use super::run::Trial;
use super::split::Split;
use super::trial::Order;
use crate::Error;
use crate::error::check::Param;
use crate::standardize::Standardize;

/// The model, the data, and what is done to the data.
pub(super) struct Setup<'s, 'a, B> {
    pub(super) advisor: &'s Advisor<'a, B>,
    pub(super) split: &'s Split<'a, B>,
    pub(super) prepare: Option<Prepare<'a, B>>,
    pub(super) targets: Option<Standardize>,
}

impl<B> Setup<'_, '_, B> {
    /// Trains a fresh model.
    pub(super) fn run(
        &self,
        recipe: &Recipe,
        (rate, seed): (f64, u64),
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Trial, Error> {
        let Self { advisor, split, prepare, targets } = self;
        let variant = advisor.variants.iter().find(|(name, ..)| *name == recipe.variant);
        let runner = variant.map_or(&advisor.base, |(_, run, _)| run);
        let prepared = |batch| match prepare.as_ref().filter(|_| recipe.standardized) {
            Some(prepare) => prepare(batch),
            None => batch,
        };
        let batch = |k: u64| prepared(split.training(k, &*advisor.batch));
        let held = |k: u64| prepared(split.held(k, &*advisor.batch));
        runner(Order {
            recipe,
            rate,
            seed,
            over: advisor.over,
            batch: &batch,
            held_out: split.held_out().map(|n| (n, &held as &dyn Fn(u64) -> B)),
            targets: targets.as_ref().filter(|_| recipe.standardized_targets),
            go_on,
        })
    }

    /// Checks that the runs of a log are of this model and this data: a model that isn't trained yet has the same loss.
    pub(super) fn check(&self, log: &Log) -> Result<(), Error> {
        let Some((recipe, ran)) = log.any() else { return Ok(()) };
        let start = self.run(recipe, (ran.rate, ran.seed), &mut || false)?.begun();
        let same = start == ran.start || (start.is_nan() && ran.start.is_nan());
        let must = format_args!("of this model and data, whose untrained loss is {start}");
        Param(NAME, "resume").must(same, must, ran.start).map(|_| ())
    }
}
