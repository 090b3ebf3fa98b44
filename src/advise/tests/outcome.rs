//! What is learned, which rate is best, and how two recipes compare.

use super::super::outcome::chance;
use super::*;

const BROKE: f64 = f64::INFINITY;

/// A point whose runs have ended this far below their start.
fn gained(gains: &[f64]) -> Point {
    point(0.1, &gains.iter().map(|gain| START - gain).collect::<Vec<_>>())
}

#[test]
fn with_few_runs_all_of_them_have_to_end_below_their_start() {
    // Two runs cannot be significant.
    assert!(gained(&[1.0, 2.0]).learns(1));
    assert!(!gained(&[0.0, 2.0]).learns(1), "at the start is not below it");
    assert!(!gained(&[-1.0, 2.0]).learns(1));
    assert!(!point(0.1, &[1.0, BROKE]).learns(1));
    assert!(!point(0.1, &[]).learns(1));
    // Nor can five: 2/2⁵ is more than 5 %.
    assert!(gained(&[1.0, 2.0, 3.0, 4.0, 5.0]).learns(1));
}

#[test]
fn with_enough_runs_as_many_as_chance_does_not_explain() {
    // All but the smallest of seven: 4/2⁷ is 3.1 %, which is significant for one recipe, and not for the best of two.
    let nearly = gained(&[-0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(nearly.nothing_learned(), 4.0 / 128.0);
    assert!(nearly.learns(1) && !nearly.learns(2));
    assert!(nearly.learns(0), "of no recipe as of one");
    // All but the largest.
    assert!(!gained(&[-9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).learns(1));
    // All of seven: 2/2⁷ is 1.6 %. Among 100 recipes seven runs are too few, and all of them have to be below.
    let all = gained(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    assert!(all.learns(1) && all.learns(3) && all.learns(100));
}

#[test]
fn runs_that_mostly_stay_at_their_start_have_learned_nothing() {
    // The six gains alone would be significant: 2/2⁶.
    let mut gains = vec![0.0; 7];
    gains.extend([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(gained(&gains).nothing_learned(), 1.0);
    assert_eq!(gained(&gains[1..]).nothing_learned(), 2.0 / 64.0);
    // Significantly above their start.
    assert_eq!(gained(&[-1.0; 10]).nothing_learned(), 1.0);
}

#[test]
fn runs_are_added_to_a_point() {
    let mut point = Point::at(0.1);
    point.take(&Ran { reached: Some(7), ..ran(0.1, 0) });
    assert!(point.stable);
    point.take(&Ran { loss: None, training: None, broke: true, stable: false, ..ran(0.1, 1) });
    point.take(&ran(0.1, 2));
    assert_eq!(point.losses, [Some(1.0), None, Some(1.0)]);
    assert_eq!(point.reached, [Some(7), None, None]);
    assert_eq!((point.broke, point.stable), (1, false));
    assert_eq!((point.loss(), point.training_loss(), point.updates()), (1.0, 1.0, None));
    assert_eq!(point.spread(), (1.0, BROKE));
}

#[test]
fn only_a_stable_rate_with_every_seed_is_the_best() {
    let tried = outcome(
        plain(),
        [
            point(1.0, &[0.1, BROKE]),
            point(0.01, &[3.0, 3.0]),
            point(0.1, &[2.0, 2.0]),
            // With the first seed only.
            point(0.05, &[0.5]),
        ],
    );
    let rates: Vec<f64> = tried.points.iter().map(|point| point.rate).collect();
    assert_eq!(rates, [0.01, 0.05, 0.1, 1.0]);
    assert_eq!(tried.rate(Objective::LowestLoss), Some(0.1));
    assert_eq!(tried.best_below(0.1, Objective::LowestLoss).unwrap().rate, 0.01);
    assert_eq!((tried.highest_stable(), tried.first_unstable()), (Some(0.1), Some(1.0)));
    let never = outcome(plain(), [point(0.1, &[BROKE, BROKE])]);
    assert_eq!(never.best(Objective::LowestLoss), None);
    assert_eq!((never.highest_stable(), never.first_unstable()), (None, None));
}

#[test]
fn a_rate_at_which_one_of_the_seeds_ends_badly_is_not_the_best() {
    let points = [(0.01, [2.0, 2.0, 2.1]), (0.1, [1.0, 1.0, 4.2]), (1.0, [3.0, 3.0, 3.0])];
    let tried = outcome(plain(), points.map(|(rate, losses)| point(rate, &losses)));
    assert_eq!(tried.rate(Objective::LowestLoss), Some(0.01));
    let few =
        |n| tried.best_few(n, Objective::LowestLoss).iter().map(|p| p.rate).collect::<Vec<_>>();
    assert_eq!(few(2), [0.01, 0.1]);
    assert_eq!(few(5), [0.01, 0.1, 1.0]);
    // Updates come first.
    let timed = [timed(0.01, &[2.0], &[Some(20)]), timed(0.1, &[3.0], &[Some(10)])];
    assert_eq!(outcome(plain(), timed).rate(Objective::FastestTo(5.0)), Some(0.1));
}

#[test]
fn the_highest_stable_rate_is_reached_from_the_best_without_a_gap() {
    let island = [(0.1, 1.0), (0.2, 2.0), (0.4, BROKE), (0.8, 3.0)];
    let island = outcome(plain(), island.map(|(rate, loss)| point(rate, &[loss])));
    assert_eq!((island.highest_stable(), island.first_unstable()), (Some(0.2), Some(0.4)));
    let open = outcome(plain(), [point(0.1, &[1.0]), point(0.2, &[2.0])]);
    assert_eq!((open.highest_stable(), open.first_unstable()), (Some(0.2), None));
}

#[test]
fn a_point_replaces_that_of_the_same_rate() {
    let mut tried = outcome(plain(), [point(0.1, &[1.0]), point(0.4, &[2.0])]);
    tried.insert(point(0.2, &[3.0]));
    tried.insert(point(0.4, &[4.0]));
    let seen: Vec<_> = tried.points.iter().map(|point| (point.rate, point.loss())).collect();
    assert_eq!(seen, [(0.1, 1.0), (0.2, 3.0), (0.4, 4.0)]);
}

#[test]
fn fresh_seeds_are_believed() {
    let mut tried = outcome(plain(), [point(0.1, &[1.0, 1.0]), point(0.05, &[2.0, 2.0])]);
    assert_eq!(tried.rate(Objective::LowestLoss), Some(0.1));
    tried.confirmed = Some(point(0.05, &[2.5, 2.5]));
    assert_eq!(tried.rate(Objective::LowestLoss), Some(0.05));
    assert_eq!(tried.believed(Objective::LowestLoss).unwrap().loss(), 2.5);
}

#[test]
fn one_recipe_is_ahead_of_another_for_some_seeds() {
    let one = outcome(plain(), [point(0.1, &[1.0, 2.0, 3.0])]);
    let other = outcome(with(Method::Adam), [point(0.1, &[1.5, 2.0, 2.5])]);
    let never = outcome(with(Method::AdamW), [point(0.1, &[BROKE; 3])]);
    let ahead = |a: &Outcome, b: &Outcome| a.ahead_of(b, Objective::LowestLoss);
    assert_eq!(ahead(&one, &other), (1, 3));
    assert_eq!((ahead(&one, &never), ahead(&never, &one)), ((3, 3), (0, 0)));
    // Of the seeds that both have.
    let less = outcome(with(Method::Adam), [point(0.1, &[0.9])]);
    assert_eq!((ahead(&one, &less), ahead(&less, &one)), ((0, 1), (1, 1)));
    // By updates first, and then by loss.
    let fast = outcome(plain(), [timed(0.1, &[5.0, 5.0], &[Some(10), None])]);
    let slow = outcome(with(Method::Adam), [timed(0.1, &[1.0, 1.0], &[Some(20), None])]);
    assert_eq!(fast.ahead_of(&slow, Objective::FastestTo(5.0)), (1, 2));
    assert_eq!(slow.ahead_of(&fast, Objective::FastestTo(5.0)), (1, 2));
}

#[test]
fn for_the_highest_rate_a_recipe_is_ahead_for_all_seeds_or_none() {
    let high = outcome(plain(), [point(0.1, &[1.0, 2.0]), point(0.2, &[3.0, 3.0])]);
    let low = outcome(with(Method::Adam), [point(0.1, &[0.5, 0.5])]);
    let ahead = |a: &Outcome, b: &Outcome| a.ahead_of(b, Objective::HighestRate);
    assert_eq!((ahead(&high, &low), ahead(&low, &high)), ((2, 2), (0, 2)));
    assert_eq!(ahead(&high, &high), (0, 2));
}

#[test]
fn the_chance_is_of_the_seeds_that_both_have() {
    let ten: Vec<f64> = (1..=10).map(|k| 5.0 + f64::from(k)).collect();
    let one = confirmed(plain(), &[5.0; 6]);
    let other = confirmed(with(Method::Adam), &ten);
    // Six differences of one sign.
    assert_eq!(chance(&one, &other, Objective::LowestLoss), Some(2.0 / 64.0));
    assert_eq!(chance(&other, &one, Objective::LowestLoss), Some(2.0 / 64.0));
    let unconfirmed = Outcome { confirmed: None, ..one.clone() };
    assert_eq!(chance(&one, &unconfirmed, Objective::LowestLoss), None);
}
