//! Which runs are found again.

use super::super::run::{End, Held, Trial};
use super::*;

/// Two recipes with two runs each.
fn log() -> Log {
    let mut log = Log::default();
    for recipe in [with(Method::Adam), plain()] {
        log.push(&recipe, ran(0.3, 1));
        log.push(&recipe, ran(0.1, 0));
    }
    log
}

#[test]
fn a_run_is_found_by_its_recipe_its_rate_and_its_seed() {
    let mut log = log();
    log.push(&plain(), Ran { loss: Some(7.0), ..ran(0.1, 1) });
    assert_eq!(log.find(&plain(), (0.1, 1)).unwrap().loss, Some(7.0));
    assert_eq!(log.find(&plain(), (0.1, 0)), Some(&ran(0.1, 0)));
    assert_eq!(log.find(&plain(), (0.3, 0)), None);
    assert_eq!(log.find(&with(Method::Adam), (0.1, 1)), None);
    assert_eq!(log.find(&with(Method::Momentum), (0.1, 0)), None);
}

#[test]
fn a_run_of_plain_descent_is_the_one_to_compare_with() {
    assert_eq!(log().any(), Some((&plain(), &ran(0.3, 1))));
    let mut other = Log::default();
    assert_eq!(other.any(), None);
    other.push(&with(Method::Adam), ran(0.1, 2));
    assert_eq!(other.any(), Some((&with(Method::Adam), &ran(0.1, 2))));
}

#[test]
fn updates_are_counted_for_one_run_only() {
    let mut log = log();
    log.set_reached(&plain(), (0.1, 0), Some(60));
    let reached = |recipe, run| log.find(&recipe, run).unwrap().reached;
    assert_eq!(reached(plain(), (0.1, 0)), Some(60));
    assert_eq!(reached(plain(), (0.3, 1)), None);
    assert_eq!(reached(with(Method::Adam), (0.1, 0)), None);
}

#[test]
fn the_runs_of_one_recipe_are_forgotten() {
    let mut log = log();
    log.forget(&plain());
    assert_eq!(log.find(&plain(), (0.1, 0)), None);
    assert_eq!(log.find(&with(Method::Adam), (0.1, 0)), Some(&ran(0.1, 0)));
}

#[test]
fn the_order_of_runs_does_not_matter() {
    let mut other = Log::default();
    for recipe in [plain(), with(Method::Adam)] {
        other.push(&recipe, ran(0.1, 0));
        other.push(&recipe, ran(0.3, 1));
    }
    assert_ne!(other, log());
    assert_eq!(other.sorted(), log().sorted());
}

#[test]
fn a_run_is_summarized() {
    let mut trial = Trial::new(vec![START; 4], Some(Held::from(12.0)), 40);
    for k in 1..=40u64 {
        trial.take(5.0);
        trial.look(k, 12.0 - k as f64 / 10.0);
    }
    let ran = Ran::of(&trial, (0.1, 3), Some(9.0));
    // The median of the losses after 36 to 40 updates; 9 is reached after 30.
    assert_eq!((ran.loss, ran.training, ran.start), (Some(8.2), Some(5.0), 12.0));
    assert_eq!((ran.rate, ran.seed, ran.reached, ran.lowest), (0.1, 3, Some(30), Some((40, 8.0))));
    assert_eq!((ran.broke, ran.stable, ran.losses), (false, true, 40));
    assert_eq!(Ran::of(&trial, (0.1, 3), None).reached, None);
    // A run that broke has reached nothing, whatever it came to before.
    trial.end = End::Broke;
    let ran = Ran::of(&trial, (0.1, 3), Some(9.0));
    assert_eq!((ran.loss, ran.training, ran.reached), (None, None, None));
    assert!(ran.broke && !ran.stable);
}
