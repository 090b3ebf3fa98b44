//! The order of outcomes, what is told apart, and which runs a search continues from.

use super::super::advice::sort;
use super::*;

/// Ten losses around this one, all different.
fn ten(middle: f64) -> Vec<f64> {
    (0..10).map(|k| middle + 0.001 * f64::from(k)).collect()
}

fn sorted(objective: Objective, mut outcomes: Vec<Outcome>) -> Vec<String> {
    sort(&mut outcomes, objective);
    names(&outcomes)
}

#[test]
fn fresh_seeds_decide_the_order_and_not_those_that_chose_the_rate() {
    let lucky = Outcome {
        confirmed: Some(point(0.1, &[3.0, 3.0])),
        ..outcome(with(Method::Adam), [point(0.1, &[1.0, 1.0])])
    };
    let steady = Outcome {
        confirmed: Some(point(0.1, &[2.0, 2.0])),
        ..outcome(plain(), [point(0.1, &[2.0, 2.0])])
    };
    let unconfirmed = outcome(with(Method::Momentum), [point(0.1, &[0.5, 0.5])]);
    let broken = Outcome {
        confirmed: Some(point(0.1, &[0.1, f64::INFINITY])),
        ..outcome(with(Method::Nesterov), [point(0.1, &[0.1, 0.1])])
    };
    let never = outcome(with(Method::AdamW), [point(0.1, &[f64::INFINITY, f64::INFINITY])]);
    let all = vec![never, broken, lucky.clone(), unconfirmed, steady.clone()];
    assert_eq!(
        sorted(Objective::LowestLoss, all),
        ["SGD", "momentum", "Adam", "Nesterov", "AdamW, updates clipped"]
    );
    let advice = advice(WANTED, [lucky, steady]);
    assert_eq!(names(advice.outcomes()), ["SGD", "Adam"]);
    assert_eq!(advice.baseline().unwrap().recipe, plain());
}

/// With the seeds of the search, the confirmed ones come to 1, 2 and 3; with fresh seeds, in another order.
#[test]
fn what_was_not_confirmed_is_placed_by_the_seeds_of_the_search() {
    let fresh = |method, searched: f64, fresh: f64| Outcome {
        confirmed: Some(point(0.1, &[fresh, fresh])),
        ..outcome(with(method), [point(0.1, &[searched, searched])])
    };
    let confirmed = || {
        vec![
            fresh(Method::Adam, 1.0, 1.5),
            fresh(Method::Momentum, 2.0, 1.4),
            fresh(Method::Sgd, 3.0, 3.0),
        ]
    };
    let others = |losses: &[f64]| {
        let mut all = confirmed();
        let cosine = |at: usize| Recipe { warmup: 1 + at as u64, ..plain() };
        all.extend(
            losses
                .iter()
                .enumerate()
                .map(|(at, loss)| outcome(cosine(at), [point(0.1, &[*loss, *loss])])),
        );
        sorted(Objective::LowestLoss, all)
    };
    let (adam, momentum, sgd) = ("Adam", "momentum", "SGD");
    // Never first, whatever its few seeds say.
    assert_eq!(others(&[0.5]), [momentum, "SGD + warmup 1", adam, sgd]);
    assert_eq!(others(&[1.0]), [momentum, "SGD + warmup 1", adam, sgd]);
    assert_eq!(others(&[2.0]), [momentum, adam, "SGD + warmup 1", sgd]);
    assert_eq!(others(&[3.1]), [momentum, adam, sgd, "SGD + warmup 1"]);
    // In their own order.
    assert_eq!(
        others(&[2.6, 0.9, 2.5, 0.8]),
        [
            momentum,
            "SGD + warmup 4",
            "SGD + warmup 2",
            adam,
            "SGD + warmup 3",
            "SGD + warmup 1",
            sgd
        ]
    );
}

#[test]
fn without_fresh_seeds_the_search_decides_the_order() {
    let better = outcome(with(Method::Adam), [point(0.1, &[1.0, 1.0])]);
    let worse = outcome(plain(), [point(0.1, &[2.0, 2.0])]);
    let never = outcome(with(Method::AdamW), [point(0.1, &[f64::INFINITY; 2])]);
    let all = vec![never, worse, better];
    assert_eq!(sorted(Objective::LowestLoss, all), ["Adam", "SGD", "AdamW, updates clipped"]);
}

#[test]
fn the_highest_rate_is_not_judged_by_fresh_seeds() {
    let high = Outcome {
        confirmed: Some(point(1.0, &[5.0, 5.0])),
        ..outcome(plain(), [point(0.1, &[2.0, 2.0]), point(1.0, &[5.0, 5.0])])
    };
    let low = Outcome {
        confirmed: Some(point(0.1, &[1.0, 1.0])),
        ..outcome(with(Method::Adam), [point(0.1, &[1.0, 1.0])])
    };
    let all = vec![low, high];
    assert_eq!(sorted(Objective::HighestRate, all.clone()), ["SGD", "Adam"]);
    assert_eq!(sorted(Objective::LowestLoss, all), ["Adam", "SGD"]);
}

#[test]
fn a_chance_counts_all_pairs_of_confirmed_recipes() {
    let best = confirmed(with(Method::Adam), &ten(1.0));
    let middle = confirmed(with(Method::Momentum), &ten(2.0));
    let last = confirmed(plain(), &ten(3.0));
    let alone = outcome(with(Method::Nesterov), [point(0.1, &[0.9, 0.9])]);
    let advice = advice(WANTED, [best.clone(), middle.clone(), last.clone(), alone.clone()]);
    // All ten differences have one sign, which two of 2¹⁰ sign combinations show; three recipes make three pairs.
    assert_eq!(advice.chance(&best, &middle), Some(3.0 * 2.0 / 1024.0));
    // No difference at all is certain, however many pairs there are.
    assert_eq!(advice.chance(&best, &best), Some(1.0));
    assert_eq!(advice.chance(&best, &alone), None);
    assert!(advice.as_good().is_empty());
}

#[test]
fn confirmed_recipes_are_as_good_if_chance_explains_the_difference() {
    let best = confirmed(with(Method::Adam), &ten(1.0));
    // Behind for half of the seeds, ahead for the others, by about the same.
    let mut mixed = ten(1.5);
    mixed.iter_mut().step_by(2).for_each(|loss| *loss -= 0.95);
    let near = confirmed(with(Method::Momentum), &mixed);
    let far = confirmed(plain(), &ten(3.0));
    let unconfirmed = outcome(with(Method::Nesterov), [point(0.1, &[1.0, 1.0])]);
    let advice = advice(WANTED, [best, near, far, unconfirmed]);
    assert_eq!(names(advice.as_good()), ["momentum"]);
}

#[test]
fn unconfirmed_recipes_are_as_good_if_they_are_ahead_for_a_seed() {
    let best = outcome(with(Method::Adam), [point(0.1, &[1.0, 1.2])]);
    let ahead_once = outcome(with(Method::Momentum), [point(0.1, &[1.4, 1.1])]);
    let behind = outcome(plain(), [point(0.1, &[1.5, 1.3])]);
    let never = outcome(with(Method::AdamW), [point(0.1, &[f64::INFINITY; 2])]);
    let advice = advice(WANTED, [best, ahead_once, behind, never]);
    assert_eq!(names(advice.as_good()), ["momentum"]);
}

#[test]
fn runs_are_continued_with_the_same_settings_only() {
    let of = |wanted: Wanted| {
        let mut log = Log::default();
        log.push(&plain(), ran(0.1, 0));
        Advice::new(wanted, None, 100, false, (Vec::new(), log))
    };
    // What follows from the runs may be asked for differently.
    let later = Wanted { confirm: (1, 3), tolerance: 0.5, ..WANTED };
    let log = of(WANTED).into_log(&later).unwrap();
    assert_eq!(log.find(&plain(), (0.1, 0)), Some(&ran(0.1, 0)));
    let refused = |wanted: &Wanted| of(WANTED).into_log(wanted).unwrap_err().to_string();
    for (other, ends) in [
        (Wanted { over: 50, ..WANTED }, "runs of 100 updates, not 50 updates"),
        (Wanted { first_seed: 3, ..WANTED }, "seeds 2 from 0 on, not 2 from 3 on"),
        (Wanted { counted_to: Some(0.5), ..WANTED }, "a target of none, not 0.5"),
        (
            Wanted { every_rate: true, ..WANTED },
            "rates from 0.001 to 10, not 0.001 to 10, all of them",
        ),
    ] {
        assert!(refused(&other).ends_with(ends), "{}", refused(&other));
    }
}
