//! The text of an advice.

use super::*;

/// The lines of the text from the one that begins so, up to an empty one.
fn lines<'t>(text: &'t str, begins: &str) -> Vec<&'t str> {
    let from = text.lines().skip_while(|line| !line.trim_start().starts_with(begins));
    from.take_while(|line| !line.is_empty()).collect()
}

/// Twelve variants that get worse, and plain descent far behind.
fn many() -> Vec<Outcome> {
    let of = |k: i32| {
        let loss = 1.0 + 0.5 * f64::from(k);
        outcome(variant(&format!("v{k}")), [point(0.1, &[loss, loss])])
    };
    let mut outcomes: Vec<Outcome> = (0..12).map(of).collect();
    outcomes.push(outcome(plain(), [point(0.1, &[9.0, 9.0]), point(1.0, &[f64::INFINITY; 2])]));
    outcomes
}

#[test]
fn ten_recipes_and_plain_descent_are_shown_and_the_others_counted() {
    let said = advice(WANTED, many()).to_string();
    assert_eq!(
        lines(&said, "loss"),
        [
            "     loss      rate stable to  recipe",
            "        1       0.1     ≥ 0.1  SGD + v0",
            "      1.5       0.1     ≥ 0.1  SGD + v1",
            "        2       0.1     ≥ 0.1  SGD + v2",
            "      2.5       0.1     ≥ 0.1  SGD + v3",
            "        3       0.1     ≥ 0.1  SGD + v4",
            "      3.5       0.1     ≥ 0.1  SGD + v5",
            "        4       0.1     ≥ 0.1  SGD + v6",
            "      4.5       0.1     ≥ 0.1  SGD + v7",
            "        5       0.1     ≥ 0.1  SGD + v8",
            "      5.5       0.1     ≥ 0.1  SGD + v9",
            "        9       0.1       0.1  SGD",
            "2 more were measured, and are in `outcomes()`.",
        ]
    );
    let mut one_more = many();
    one_more.remove(0);
    let said = advice(WANTED, one_more).to_string();
    assert!(said.contains("\n1 more was measured, and is in `outcomes()`.\n"), "{said}");
    let few = advice(WANTED, many().into_iter().take(10)).to_string();
    assert_eq!(lines(&few, "loss").len(), 11);
    assert!(!few.contains("more were measured"));
}

#[test]
fn held_out_losses_and_updates_have_columns_and_long_names_are_wrapped() {
    let timed = |rate, losses: &[f64], reached| Point {
        training: vec![Some(0.5); 2],
        ..timed(rate, losses, reached)
    };
    let long = Recipe { cosine: true, warmup: 10, standardized: true, ..with(Method::AdamW) };
    let outcomes = [
        outcome(long, [timed(0.1, &[1.0, 1.0], &[Some(20), Some(25)])]),
        outcome(plain(), [timed(0.01, &[4.0, 4.0], &[Some(90), None])]),
        outcome(with(Method::Momentum), [timed(0.01, &[f64::INFINITY; 2], &[None; 2])]),
    ];
    let wanted = Wanted { objective: Objective::FastestTo(2.0), held_out: Some(3), ..WANTED };
    let said = advice(wanted, outcomes).to_string();
    assert_eq!(
        lines(&said, "held out"),
        [
            " held out  training   updates      rate stable to  recipe",
            "        1       0.5      22.5       0.1     ≥ 0.1  AdamW, updates clipped +",
            "                                                     warmup 10 + cosine +",
            "                                                     standardized features",
            "        4       0.5         –      0.01    ≥ 0.01  SGD",
            "        –         –         –         –         –  momentum",
        ]
    );
    let text = said.split("use burn").next().unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn the_changes_are_listed_with_what_they_cost() {
    let whole = Recipe { cosine: true, ..with(Method::Adam) };
    let outcomes = [
        confirmed(whole.clone(), &[1.0; 10]),
        confirmed(with(Method::Adam), &[2.0; 10]),
        confirmed(plain(), &[8.0; 10]),
    ];
    let said = advice(WANTED, outcomes).to_string();
    assert_eq!(
        lines(&said, "alone"),
        [
            "    alone   without  what to change, the most important first (loss)",
            "        8            SGD as it is",
            "        –         2    + cosine",
            "        2         –    + Adam",
            "        1            all of it",
        ]
    );
    assert!(said.ends_with(&whole.code(0.1, 100)));
    let broken = [
        outcome(with(Method::Adam), [point(0.1, &[1.0; 2])]),
        outcome(plain(), [point(0.1, &[f64::INFINITY; 2])]),
    ];
    assert_eq!(
        lines(&advice(WANTED, broken).to_string(), "alone")[1..3],
        ["        –            SGD as it is", "        1     broke    + Adam"]
    );
    // Plain descent as it is has nothing to list.
    let nothing = advice(WANTED, [confirmed(plain(), &[1.0; 10])]).to_string();
    assert!(!nothing.contains("what to change") && nothing.contains("stable to  recipe"));
}

#[test]
fn a_recipe_that_does_not_reach_the_target_never_does_and_did_not_break() {
    let outcomes = [
        outcome(with(Method::Adam), [timed(0.1, &[1.0; 2], &[Some(20), Some(30)])]),
        outcome(plain(), [timed(0.1, &[4.0; 2], &[None, None])]),
    ];
    let wanted = Wanted { objective: Objective::FastestTo(2.0), ..WANTED };
    assert_eq!(
        lines(&advice(wanted, outcomes).to_string(), "alone"),
        [
            "    alone   without  what to change, the most important first (updates)",
            "    never            SGD as it is",
            "       25     never    + Adam",
            "       25            all of it",
        ]
    );
}

#[test]
fn without_outcomes_there_is_no_table() {
    let said = advice(WANTED, []).to_string();
    assert_eq!(
        said,
        "Ranked by: lowest training loss. Runs of 100 updates, 2 seeds, by training loss:\n\
         what is held out may say otherwise.\n\
         \n\
         \n\
         Nothing was measured, so there is no recommendation."
    );
}
