//! Chooses the recipes to measure.

use super::outcome::{Objective, Outcome, rank};
use super::{Bound, Method, Recipe, Safety};

/// The options to choose from.
#[derive(Debug, Clone, Default)]
pub(super) struct Choice {
    pub(super) over: u64,
    /// Whether features, and targets, can be standardized.
    pub(super) features: bool,
    pub(super) targets: bool,
    /// The names of other models, and whether their targets can be standardized.
    pub(super) variants: Vec<(String, bool)>,
}

impl Choice {
    /// Whether a recipe can be run with these options.
    pub(super) fn has(&self, recipe: &Recipe) -> bool {
        let named = |(name, targets): &(String, bool)| {
            *name == recipe.variant && (*targets || !recipe.standardized_targets)
        };
        (self.features || !recipe.standardized)
            && (self.targets || !recipe.standardized_targets)
            && (recipe.variant.is_empty() || self.variants.iter().any(named))
    }

    /// A tenth of the run.
    fn warmup(&self) -> u64 {
        self.over / 10
    }

    /// Plain descent, and the changes to data and model on top of it.
    pub(super) fn foundations(&self) -> Vec<Recipe> {
        let plain = Recipe::plain;
        let mut recipes = vec![plain()];
        if self.features {
            recipes.push(Recipe { standardized: true, ..plain() });
        }
        if self.targets {
            recipes.push(Recipe { standardized_targets: true, ..plain() });
        }
        if self.features && self.targets {
            recipes.push(Recipe { standardized: true, standardized_targets: true, ..plain() });
        }
        let named = |(name, _): &(String, bool)| Recipe { variant: name.clone(), ..plain() };
        recipes.extend(self.variants.iter().map(named));
        recipes
    }

    /// Each change to training alone, on top of plain descent.
    pub(super) fn singles(&self, measured: &[Outcome]) -> Vec<Recipe> {
        let plain = Recipe::plain;
        let mut recipes =
            vec![Recipe { warmup: self.warmup(), ..plain() }, Recipe { cosine: true, ..plain() }];
        let bounds = [Bound::Global, Bound::Adaptive, Bound::Percentile, Bound::ZScore];
        recipes.extend(bounds.map(|bound| Recipe { bound, ..plain() }));
        recipes.push(Recipe { governed: true, ..plain() });
        recipes.extend(
            [Safety::Spikes, Safety::Recommended].map(|safety| Recipe { safety, ..plain() }),
        );
        let methods = [Method::Momentum, Method::Nesterov, Method::Adam, Method::AdamW];
        recipes.extend(methods.map(|method| Recipe { method, ..plain() }));
        recipes.retain(|recipe| is_new(recipe, measured));
        recipes
    }

    /// Each variant on the best choice of data.
    pub(super) fn built_on(&self, objective: Objective, measured: &[Outcome]) -> Vec<Recipe> {
        let data = best(objective, measured, |recipe| recipe.variant.is_empty());
        let Some(data) = data else { return Vec::new() };
        let named = |(name, _): &(String, bool)| Recipe { variant: name.clone(), ..data.clone() };
        let recipes = self.variants.iter().map(named);
        recipes.filter(|recipe| self.has(recipe) && is_new(recipe, measured)).collect()
    }

    /// The best choice of data and model with each optimizer: bare, with clipping, warmup and cosine, and with the
    /// recommended set-up, warmup and cosine; and with governed momentum, bare and with a cosine: a governor already
    /// acts as a warmup.
    pub(super) fn combinations(&self, objective: Objective, measured: &[Outcome]) -> Vec<Recipe> {
        let Some(base) = best(objective, measured, |_| true) else { return Vec::new() };
        let methods = [Method::Sgd, Method::Momentum, Method::Adam, Method::AdamW];
        let bare = methods.map(|method| Recipe { method, ..base.clone() });
        let scheduled =
            bare.clone().map(|recipe| Recipe { warmup: self.warmup(), cosine: true, ..recipe });
        let clipped = scheduled.clone().map(|recipe| Recipe { bound: Bound::Global, ..recipe });
        let held = scheduled.map(|recipe| Recipe { safety: Safety::Recommended, ..recipe });
        let governed = [false, true].map(|cosine| {
            let method = Method::Momentum;
            Recipe { method, governed: true, cosine, ..base.clone() }
        });
        let all = bare.into_iter().chain(clipped).chain(held).chain(governed);
        all.filter(|recipe| is_new(recipe, measured)).collect()
    }
}

/// The best recipe that changes only data and model, and satisfies `is`.
fn best(
    objective: Objective,
    measured: &[Outcome],
    is: impl Fn(&Recipe) -> bool,
) -> Option<Recipe> {
    let foundation = |o: &&Outcome| {
        let Recipe { variant, standardized, standardized_targets, .. } = o.recipe.clone();
        o.recipe == Recipe { variant, standardized, standardized_targets, ..Recipe::plain() }
    };
    let mut bases: Vec<Outcome> = measured.iter().filter(foundation).cloned().collect();
    bases.retain(|outcome| is(&outcome.recipe));
    rank(&mut bases, objective);
    bases.first().map(|best| best.recipe.clone())
}

fn is_new(recipe: &Recipe, measured: &[Outcome]) -> bool {
    measured.iter().all(|outcome| outcome.recipe != *recipe)
}
