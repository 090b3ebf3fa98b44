//! Which recipes are worth measuring.

use super::outcome::{Aim, Outcome, rank};
use super::{Bound, Method, Recipe};

/// Plain descent, and each remedy alone on top of it.
pub(super) fn singles(over: u64, standardized: bool, variants: &[String]) -> Vec<Recipe> {
    let plain = Recipe::plain;
    let mut recipes = vec![plain()];
    if standardized {
        recipes.push(Recipe { standardized: true, ..plain() });
    }
    let named = |name: &String| Recipe { variant: name.clone(), ..plain() };
    recipes.extend(variants.iter().map(named));
    // A warm-up of more than half of the run leaves no time for the rest.
    let warm_ups = [10, 100].into_iter().filter(|n| 2 * n <= over);
    recipes.extend(warm_ups.map(|warm_up| Recipe { warm_up, ..plain() }));
    recipes.push(Recipe { cosine: true, ..plain() });
    let bounds = [Bound::Global, Bound::Adaptive, Bound::Percentile, Bound::ZScore];
    recipes.extend(bounds.map(|bound| Recipe { bound, ..plain() }));
    recipes.push(Recipe { governed: true, ..plain() });
    let methods = [Method::Momentum, Method::Nesterov, Method::Adam, Method::AdamW];
    recipes.extend(methods.map(|method| Recipe { method, ..plain() }));
    recipes
}

/// The best of the data and the model with each optimizer, bare and with clip, warm-up and cosine, and with
/// governed momentum, bare and with a cosine: a governor is a warm-up of its own.
pub(super) fn combinations(over: u64, aim: Aim, singles: &[Outcome]) -> Vec<Recipe> {
    let foundation = |o: &&Outcome| {
        let Recipe { variant, standardized, .. } = &o.recipe;
        o.recipe
            == Recipe { variant: variant.clone(), standardized: *standardized, ..Recipe::plain() }
    };
    let mut bases: Vec<Outcome> = singles.iter().filter(foundation).cloned().collect();
    rank(&mut bases, aim);
    let Some(base) = bases.first().map(|best| best.recipe.clone()) else { return Vec::new() };
    let methods = [Method::Sgd, Method::Momentum, Method::Adam, Method::AdamW];
    let bare = methods.map(|method| Recipe { method, ..base.clone() });
    let whole = bare.clone().map(|recipe| Recipe {
        bound: Bound::Global,
        warm_up: over / 10,
        cosine: true,
        ..recipe
    });
    let governed = [false, true].map(|cosine| {
        let method = Method::Momentum;
        Recipe { method, governed: true, cosine, ..base.clone() }
    });
    let measured = |recipe: &Recipe| singles.iter().any(|o| o.recipe == *recipe);
    bare.into_iter().chain(whole).chain(governed).filter(|recipe| !measured(recipe)).collect()
}
