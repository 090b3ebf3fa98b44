//! Which recipes are measured.

use super::super::plan::Choice;
use super::*;

fn choice(features: bool, targets: bool, variants: &[(&str, bool)]) -> Choice {
    let variants = variants.iter().map(|(name, may)| (name.to_string(), *may)).collect();
    Choice { over: 200, features, targets, variants }
}

fn named(recipes: &[Recipe]) -> Vec<String> {
    recipes.iter().map(Recipe::to_string).collect()
}

fn data(standardized: bool, standardized_targets: bool) -> Recipe {
    Recipe { standardized, standardized_targets, ..plain() }
}

#[test]
fn the_foundations_are_those_that_can_be_run() {
    let of = |features, targets| named(&choice(features, targets, &[]).foundations());
    assert_eq!(of(false, false), ["SGD"]);
    assert_eq!(of(true, false), ["SGD", "SGD + standardized features"]);
    assert_eq!(of(false, true), ["SGD", "SGD + standardized targets"]);
    assert_eq!(
        of(true, true),
        [
            "SGD",
            "SGD + standardized features",
            "SGD + standardized targets",
            "SGD + standardized features + standardized targets",
        ]
    );
    let variants = choice(false, false, &[("wide", false), ("deep", true)]);
    assert_eq!(named(&variants.foundations()), ["SGD", "SGD + wide", "SGD + deep"]);
}

#[test]
fn a_recipe_needs_what_it_names() {
    let all = [data(false, false), data(true, false), data(false, true), data(true, true)];
    let had = |choice: Choice| all.iter().map(|recipe| choice.has(recipe)).collect::<Vec<_>>();
    assert_eq!(had(choice(false, false, &[])), [true, false, false, false]);
    assert_eq!(had(choice(true, false, &[])), [true, true, false, false]);
    assert_eq!(had(choice(false, true, &[])), [true, false, true, false]);
    assert_eq!(had(choice(true, true, &[])), [true; 4]);
}

#[test]
fn a_variant_is_known_by_name_and_may_not_take_standardized_targets() {
    let choice = choice(true, true, &[("wide", false), ("deep", true)]);
    let has = |name: &str, recipe: Recipe| choice.has(&Recipe { variant: name.into(), ..recipe });
    assert!(has("wide", data(true, false)) && !has("wide", data(false, true)));
    assert!(has("deep", data(true, false)) && has("deep", data(false, true)));
    assert!(!has("other", data(false, false)) && !has("other", data(false, true)));
}

#[test]
fn variants_are_built_on_the_best_data() {
    let measured = |targets, features| {
        [
            outcome(plain(), [point(0.1, &[5.0])]),
            outcome(data(true, false), [point(0.1, &[features])]),
            outcome(data(false, true), [point(0.1, &[targets])]),
            // Neither a variant nor a change to training is data.
            outcome(variant("deep"), [point(0.1, &[0.1])]),
            outcome(with(Method::Adam), [point(0.1, &[0.1])]),
        ]
    };
    let choice = choice(true, true, &[("wide", false), ("deep", true)]);
    let built = |measured: &[Outcome]| named(&choice.built_on(Objective::LowestLoss, measured));
    assert_eq!(
        built(&measured(3.0, 2.0)),
        ["SGD + standardized features + wide", "SGD + standardized features + deep"]
    );
    // One of them cannot be run on standardized targets.
    assert_eq!(built(&measured(2.0, 3.0)), ["SGD + standardized targets + deep"]);
    // And what was measured on plain data is not measured again.
    assert_eq!(built(&measured(6.0, 6.0)), ["SGD + wide"]);
    assert!(built(&[]).is_empty());
}

#[test]
fn each_change_to_training_is_measured_alone() {
    let singles = choice(true, true, &[("wide", true)]).singles(&[]);
    assert_eq!(
        named(&singles),
        [
            "SGD + warmup 20",
            "SGD + cosine",
            "SGD + clip 1",
            "SGD + adaptive clip",
            "SGD + AutoClip",
            "SGD + ZClip",
            "SGD + governor",
            "SGD + spike guard",
            "SGD + recommended set-up",
            "momentum",
            "Nesterov",
            "Adam",
            "AdamW, updates clipped",
        ]
    );
}

#[test]
fn combinations_are_built_on_the_best_data_and_model() {
    let measured = [
        outcome(plain(), [point(0.1, &[5.0])]),
        outcome(variant("wide"), [point(0.1, &[2.0])]),
        outcome(with(Method::Adam), [point(0.1, &[1.0])]),
    ];
    let choice = choice(false, false, &[("wide", false)]);
    let combined = named(&choice.combinations(Objective::LowestLoss, &measured));
    let mut expected = Vec::new();
    // The variant with plain descent is known.
    expected.extend(["momentum", "Adam", "AdamW, updates clipped"].map(|m| format!("{m} + wide")));
    for extra in ["clip 1 + warmup 20", "recommended set-up + warmup 20"] {
        let methods = ["SGD", "momentum", "Adam", "AdamW, updates clipped"];
        expected.extend(methods.map(|m| format!("{m} + {extra} + cosine + wide")));
    }
    expected.push("momentum + governor + wide".into());
    expected.push("momentum + governor + cosine + wide".into());
    assert_eq!(combined, expected);
    assert!(choice.combinations(Objective::LowestLoss, &[]).is_empty());
}
