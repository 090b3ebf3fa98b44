//! Whole searches, of runs whose losses are made up.

use std::cell::RefCell;
use std::ops::ControlFlow;

use super::super::advisor::{Advisor, Runner};
use super::super::run::{End, Trial};
use super::super::trial::Order;
use super::super::{Bound, Change};
use super::*;

/// A run falls from the start to this loss, evenly, in this many updates. It breaks at once if the loss is infinite.
type Course = (f64, u64);

fn runner<'a>(course: impl Fn(&Recipe, f64, u64) -> Course + 'a) -> Runner<'a, u64> {
    Box::new(move |order: Order<'_, u64>| {
        let (end, by) = course(order.recipe, order.rate, order.seed);
        let mut trial = Trial::new(vec![START; 4], None, order.over);
        for k in 0..order.over {
            if !(order.go_on)() {
                trial.end = End::Stopped;
                break;
            }
            if end.is_infinite() {
                trial.end = End::Broke;
                break;
            }
            trial.take(START + (end - START) * k.min(by) as f64 / by as f64);
        }
        Ok(trial)
    })
}

const OVER: u64 = 20;

/// Three rates, two seeds, and runs of 20 updates.
fn advisor<'a>(course: impl Fn(&Recipe, f64, u64) -> Course + 'a) -> Advisor<'a, u64> {
    let advisor = Advisor::of(runner(course), Box::new(|k| k)).by_training_loss();
    advisor.over(OVER).unwrap().between(0.1, 1.0).unwrap()
}

/// Plain descent comes to 4, momentum to 2, and Adam to 1, best at the middle rate; at the highest, everything breaks.
fn course(recipe: &Recipe, rate: f64, _: u64) -> Course {
    let end = match recipe.method {
        Method::Adam => 1.0,
        Method::Momentum => 2.0,
        _ => 4.0,
    };
    match rate {
        ..0.2 => (end + 0.5, 10),
        0.9.. => (f64::INFINITY, 1),
        _ => (end, 10),
    }
}

fn fresh(advice: &Advice) -> Vec<String> {
    names(advice.outcomes().iter().filter(|outcome| outcome.confirmed.is_some()))
}

fn log_of(advice: Advice, counted_to: Option<f64>) -> Log {
    let wanted = Wanted { over: OVER, rates: (0.1, 1.0), counted_to, ..WANTED };
    advice.into_log(&wanted).unwrap()
}

#[test]
fn only_what_was_asked_for_is_measured_and_plain_descent_once() {
    let runs = RefCell::new(Vec::new());
    let course = |recipe: &Recipe, rate, seed| {
        runs.borrow_mut().push((recipe.to_string(), rate, seed));
        course(recipe, rate, seed)
    };
    let advisor = advisor(course).recipes([plain(), with(Method::Adam)]).confirm(0, 0);
    let advice = advisor.run().unwrap();
    assert!(advice.is_complete());
    assert_eq!(names(advice.outcomes()), ["Adam", "SGD"]);
    let middle = 10f64.powf(-0.5);
    for outcome in advice.outcomes() {
        assert_eq!(outcome.confirmed, None);
        let rates: Vec<f64> = outcome.points.iter().map(|point| point.rate).collect();
        assert_eq!(rates, [0.1, middle, 1.0], "no rate between the three");
    }
    // The ends with the first seed, and then all of them with both.
    let expected = [(1.0, 0), (0.1, 0), (0.1, 1), (middle, 0), (middle, 1), (1.0, 1)];
    let of = |name: &str| expected.map(|(rate, seed)| (name.to_string(), rate, seed));
    assert_eq!(*runs.borrow(), [of("SGD"), of("Adam")].concat());
    // A broken run takes one update.
    assert_eq!(advice.updates(), 2 * (4 * OVER + 2));
}

#[test]
fn updates_are_counted_to_what_plain_descent_comes_to_with_its_worst_seed() {
    // To 4 with one seed and 5 with the other; halfway to 4, which is 7, in 5 and 10 updates at half the way.
    let course = |recipe: &Recipe, rate: f64, seed: u64| match (recipe.method, rate) {
        (_, 0.9..) => (f64::INFINITY, 1),
        (Method::Sgd, ..0.2) => (5.0 + seed as f64, 12),
        (Method::Sgd, _) => (4.0 + seed as f64, 6 + 3 * seed),
        _ => (1.0, 9),
    };
    let advice = advisor(course).recipes([with(Method::Adam)]).confirm(0, 0).run().unwrap();
    assert_eq!(advice.target(), Some(5.0));
    let reached = |outcome: &Outcome| {
        outcome.points.iter().map(|point| point.reached.clone()).collect::<Vec<_>>()
    };
    let plain_reached = reached(advice.baseline().unwrap());
    // The loss before update k is 10 − 6k/6 with the first seed, and 10 − 5k/9 with the other: 5 before updates 5 and 9.
    // At the lower rate, the first comes to 5 before update 12, and the second never.
    assert_eq!(plain_reached[..2], [vec![Some(13), None], vec![Some(6), Some(10)]]);
    // 10 − k is 5 before update 5.
    assert_eq!(reached(advice.best().unwrap())[1], [Some(6), Some(6)]);
    let log = log_of(advice, None);
    assert_eq!(log.find(&plain(), (0.1, 0)).unwrap().reached, Some(13));
    assert_eq!(log.find(&plain(), (0.1, 1)).unwrap().reached, None);
}

#[test]
fn a_target_that_was_given_stays() {
    let advisor = advisor(course).recipes([with(Method::Adam)]).confirm(0, 0);
    let advice = advisor.target(7.0).unwrap().run().unwrap();
    assert_eq!(advice.target(), Some(7.0));
    // 10 − 6k/10 is 7 before update 5, and 10 − 9k/10 is below 7 before update 4.
    let reached = |outcome: &Outcome| outcome.points[1].reached.clone();
    assert_eq!(reached(advice.baseline().unwrap()), [Some(6), Some(6)]);
    assert_eq!(reached(advice.best().unwrap()), [Some(5), Some(5)]);
    assert!(log_of(advice, Some(7.0)).find(&plain(), (0.1, 0)).is_some());
}

#[test]
fn nothing_but_plain_descent_sets_a_target() {
    let course = |recipe: &Recipe, rate, seed| match recipe.method {
        Method::Sgd => (f64::INFINITY, 1),
        _ => course(recipe, rate, seed),
    };
    let advice = advisor(course).recipes([with(Method::Adam)]).confirm(0, 0).run().unwrap();
    assert_eq!(advice.target(), None);
    assert_eq!(names(advice.outcomes()), ["Adam", "SGD"]);
}

#[test]
fn runs_of_plain_descent_are_kept_once_they_are_counted() {
    let run = |budget| advisor(course).recipes([]).confirm(0, 0).budget(budget).run().unwrap();
    // The highest rate breaks in one update, and the lowest takes 20.
    let part = run(30);
    assert_eq!((part.is_complete(), part.updates()), (false, 30));
    assert_eq!(names(part.outcomes()), ["SGD"]);
    // Its target is not that of the whole search.
    assert_eq!(log_of(part, None).find(&plain(), (0.1, 0)), None);
    let whole = run(1000);
    assert!(whole.is_complete());
    assert!(log_of(whole, None).find(&plain(), (0.1, 0)).is_some());
}

/// Adam comes to 1 with the first seed and to 5 with the second, momentum to 2 and Nesterov momentum to 3.5 with both.
fn lucky(recipe: &Recipe, rate: f64, seed: u64) -> Course {
    let end = match (recipe.method, seed) {
        (Method::Adam, 0) => 1.0,
        (Method::Adam, _) => 5.0,
        (Method::Momentum, _) => 2.0,
        (Method::Nesterov, _) => 3.5,
        _ => 4.0,
    };
    match rate {
        0.2..0.9 => (end, 10),
        _ => (end + 0.5, 10),
    }
}

/// The number of seeds of each recipe.
fn seeds(advice: &Advice) -> Vec<(String, usize)> {
    advice.outcomes().iter().map(|o| (o.recipe.to_string(), o.seeds())).collect()
}

#[test]
fn only_the_best_are_measured_with_every_seed() {
    let methods = [Method::Nesterov, Method::Adam, Method::Momentum];
    let advised = |advisor: Advisor<'_, u64>| {
        let mut seeds = seeds(&advisor.recipes(methods.map(with)).run().unwrap());
        seeds.sort();
        seeds.into_iter().map(|(_, n)| n).collect::<Vec<_>>()
    };
    // Adam, Nesterov momentum, plain descent and momentum. The first seed of Adam was lucky, so momentum is first.
    assert_eq!(advised(advisor(lucky).confirm(1, 0)), [2, 1, 2, 2]);
    assert_eq!(advised(advisor(lucky).confirm(2, 0)), [2, 1, 2, 2]);
    assert_eq!(advised(advisor(lucky).confirm(3, 0)), [2, 2, 2, 2]);
    // Where nothing is to be confirmed, no recipe is better known than others.
    assert_eq!(advised(advisor(lucky).confirm(0, 0)), [2; 4]);
    assert_eq!(advised(advisor(lucky).confirm(1, 0).every_rate()), [2; 4]);
    let highest = advisor(lucky).objective(Objective::HighestRate).unwrap();
    assert_eq!(advised(highest.confirm(1, 0)), [2; 4]);
}

#[test]
fn a_part_of_the_best_that_was_looked_at_once_is_measured_with_every_seed() {
    // The parts alone are no better than plain descent.
    let both = Recipe { method: Method::Adam, cosine: true, ..plain() };
    let course = |recipe: &Recipe, rate: f64, _: u64| {
        let end = if recipe.changes().len() == 2 { 1.0 } else { 4.0 };
        if (0.2..0.9).contains(&rate) { (end, 10) } else { (end + 0.5, 10) }
    };
    let parts = [Change::Method, Change::Cosine].map(|part| both.only(part));
    let recipes = parts.into_iter().chain([both]);
    let advice = advisor(course).recipes(recipes).confirm(1, 3).run().unwrap();
    assert_eq!(advice.outcomes().len(), 4);
    // Between the rates of the search too. The best of all is measured with more, at three rates.
    let whole = |o: &Outcome| o.points.iter().filter(|point| point.losses.len() >= 2).count();
    assert!(
        advice.outcomes().iter().all(|o| whole(o) == 5),
        "{:?}",
        advice.outcomes().iter().map(whole).collect::<Vec<_>>()
    );
}

#[test]
fn the_best_and_plain_descent_are_confirmed() {
    let advisor = |n, seeds| {
        let recipes = [with(Method::Adam), with(Method::Momentum), with(Method::AdamW)];
        advisor(course).recipes(recipes).confirm(n, seeds)
    };
    let advice = advisor(1, 3).run().unwrap();
    assert_eq!(fresh(&advice), ["Adam", "SGD"]);
    let point = advice.best().unwrap().confirmed.as_ref().unwrap();
    assert_eq!(point.losses, [Some(1.0); 3]);
    assert_eq!(advice.recommended().unwrap().recipe, with(Method::Adam));
    assert_eq!(fresh(&advisor(2, 3).run().unwrap()), ["Adam", "momentum", "SGD"]);
    // Without fresh seeds, and for the highest rate, none is.
    assert!(fresh(&advisor(2, 0).run().unwrap()).is_empty());
    let highest = advisor(2, 3).objective(Objective::HighestRate).unwrap().run().unwrap();
    assert!(fresh(&highest).is_empty());
    // The edge of plain descent is known to a ratio of 1.2.
    let plain = highest.baseline().unwrap();
    let (stable, not) = (plain.highest_stable().unwrap(), plain.first_unstable().unwrap());
    assert!(stable < 0.9 && 0.9 <= not && not <= 1.2 * stable, "{stable} to {not}");
}

/// Adam is worth a lot, and the other parts nothing.
fn three_parts() -> Recipe {
    Recipe { cosine: true, bound: Bound::Global, ..with(Method::Adam) }
}

#[test]
fn the_best_is_measured_without_each_part_and_without_all_that_it_does_not_need() {
    let advice = advisor(course).recipes([three_parts()]).confirm(1, 3).run().unwrap();
    assert_eq!(advice.recommended().unwrap().recipe, with(Method::Adam));
    let mut all = fresh(&advice);
    all.sort();
    assert_eq!(
        all,
        [
            "Adam",
            "Adam + clip 1",
            "Adam + clip 1 + cosine",
            "Adam + cosine",
            "SGD",
            "SGD + clip 1 + cosine"
        ]
    );
    assert_eq!(advice.outcomes().len(), all.len());
}

#[test]
fn nothing_is_left_out_without_confirmation_or_for_the_highest_rate() {
    let advisor = || advisor(course).recipes([three_parts()]);
    assert_eq!(advisor().confirm(0, 3).run().unwrap().outcomes().len(), 2);
    let highest = advisor().objective(Objective::HighestRate).unwrap().confirm(1, 3);
    assert_eq!(highest.run().unwrap().outcomes().len(), 2);
}

#[test]
fn parts_of_a_search_count_up_to_all_of_them() {
    let mut seen = Vec::new();
    let advice = advisor(course)
        .recipes([three_parts()])
        .confirm(1, 3)
        .watch(|stage| {
            seen.push((stage.done, stage.of, stage.updates));
            ControlFlow::Continue(())
        })
        .run()
        .unwrap();
    assert!(seen.is_sorted(), "{seen:?}");
    assert!(seen.iter().all(|(done, of, _)| done < of));
    assert_eq!(seen.len() as u64, advice.updates());
    assert!(seen.iter().zip(0..).all(|((_, _, updates), k)| *updates == k));
    // Plain descent and the recipe, each searched, the recipe with every seed too, and both confirmed; the edge of plain
    // descent; four more recipes; the rate of the recommended one, and its edge, whose runs are the last.
    let (done, of, _) = seen.last().unwrap();
    assert_eq!((*done, *of), (11, 12));
}

/// Adam is best at 0.1 with each of the first two seeds, and at 0.3 with all others.
fn misleading(recipe: &Recipe, rate: f64, seed: u64) -> Course {
    let best = if seed < 2 { 0.1 } else { 0.3 };
    let off = (rate / best).ln().abs();
    if recipe.method == Method::Adam { (1.0 + 0.1 * off, 10) } else { (5.0 + 0.1 * off, 10) }
}

#[test]
fn the_rate_of_the_recommended_recipe_is_chosen_by_more_seeds() {
    let runs = RefCell::new(Vec::new());
    let course = |recipe: &Recipe, rate, seed| {
        if recipe.method == Method::Adam {
            runs.borrow_mut().push((rate, seed));
        }
        misleading(recipe, rate, seed)
    };
    let advice = advisor(course).recipes([with(Method::Adam)]).confirm(1, 3).run().unwrap();
    let adam = advice.recommended().unwrap();
    assert_eq!(adam.recipe, with(Method::Adam));
    // Three rates with the two seeds of the search and three more; fresh seeds play no part.
    let settled = adam.points.iter().filter(|point| point.losses.len() == 5);
    let rates: Vec<f64> = settled.map(|point| point.rate).collect();
    assert_eq!(rates.len(), 3);
    for rate in &rates {
        let mut seeds: Vec<u64> =
            runs.borrow().iter().filter(|run| run.0 == *rate).map(|run| run.1).collect();
        seeds.sort_unstable();
        let fresh = [0.1, rates[2]].contains(rate);
        let expected: &[u64] = if fresh { &[0, 1, 2, 3, 4, 5, 6, 7] } else { &[0, 1, 5, 6, 7] };
        assert_eq!(seeds, expected, "{rate}");
    }
    // It was confirmed at the rate of the first two seeds, and then at that of all five.
    assert!(rates[0] == 0.1 && rates[2] > 0.17, "{rates:?}");
    let confirmed = adam.confirmed.as_ref().unwrap();
    assert_eq!((confirmed.rate, confirmed.losses.len()), (rates[2], 3));
    assert_eq!(adam.rate(Objective::LowestLoss), Some(rates[2]));
    // A search that is stopped on the way compares no rates by different seeds.
    for budget in (advice.updates() - 20 * OVER..advice.updates()).step_by(7) {
        let part = advisor(misleading).recipes([with(Method::Adam)]).confirm(1, 3).budget(budget);
        let part = part.run().unwrap();
        let adam = part.outcomes().iter().find(|o| o.recipe == with(Method::Adam)).unwrap();
        let with = |seeds| adam.points.iter().filter(|point| point.losses.len() == seeds).count();
        assert!([0, 3].contains(&with(5)), "{budget}: {}", with(5));
    }
}

#[test]
fn a_rate_that_fresh_seeds_have_confirmed_stands_if_more_seeds_break_everywhere() {
    // The search has seeds 0 and 1, and 2 to 4 are fresh.
    let course = |recipe: &Recipe, rate: f64, seed: u64| match (recipe.method, seed) {
        (Method::Adam, 5..) => (f64::INFINITY, 1),
        _ => misleading(recipe, rate, 0),
    };
    let advice = advisor(course).recipes([with(Method::Adam)]).confirm(1, 3).run().unwrap();
    let adam = advice.recommended().unwrap();
    assert_eq!((adam.recipe.clone(), adam.seeds()), (with(Method::Adam), 2));
    assert_eq!(adam.best(Objective::LowestLoss).unwrap().rate, 0.1);
    assert_eq!(adam.confirmed.as_ref().unwrap().rate, 0.1);
    // If they break at one of the rates, another is taken.
    let course = |recipe: &Recipe, rate: f64, seed: u64| match (recipe.method, seed) {
        (Method::Adam, 5..) if rate < 0.11 => (f64::INFINITY, 1),
        _ => misleading(recipe, rate, 0),
    };
    let advice = advisor(course).recipes([with(Method::Adam)]).confirm(1, 3).run().unwrap();
    let adam = advice.recommended().unwrap();
    let rate = adam.confirmed.as_ref().unwrap().rate;
    assert!(adam.seeds() == 5 && rate > 0.11 && rate < 0.2, "{rate}");
}

#[test]
fn a_break_ends_the_search_before_the_next_update() {
    let watched = advisor(course).watch(|stage| match stage.updates {
        ..25 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    });
    let advice = watched.run().unwrap();
    assert_eq!((advice.is_complete(), advice.updates()), (false, 25));
    assert_eq!(advice.outcomes().len(), 1);
    // A budget holds whatever the watcher says.
    let both = advisor(course).watch(|_| ControlFlow::Continue(())).budget(25);
    assert_eq!(both.run().unwrap().updates(), 25);
}

#[test]
fn seconds_are_counted_from_the_start_of_the_search() {
    let now = RefCell::new(50.0);
    let advisor = advisor(course).clock(|| *now.borrow()).budget_seconds(10.0).unwrap();
    // Each update takes a second, and none is begun once ten are over.
    let watched = advisor.watch(|_| {
        *now.borrow_mut() += 1.0;
        ControlFlow::Continue(())
    });
    let advice = watched.run().unwrap();
    assert_eq!((advice.is_complete(), advice.updates()), (false, 10));
}

#[test]
fn a_clock_gives_seconds_per_update_where_there_were_updates() {
    let now = RefCell::new(0.0);
    let clock = || {
        *now.borrow_mut() += 3.0;
        *now.borrow()
    };
    let advice = advisor(course).recipes([]).confirm(0, 0).clock(clock).run().unwrap();
    let seconds: Vec<_> = advice.outcomes()[0].points.iter().map(|point| point.seconds).collect();
    // One look at the clock before each run and one after. What broke at once has no loss.
    assert_eq!(seconds, [Some(0.15), Some(0.15), None]);
    let without = advisor(course).recipes([]).confirm(0, 0).run().unwrap();
    assert!(without.outcomes()[0].points.iter().all(|point| point.seconds.is_none()));
}

#[test]
fn known_runs_are_counted_and_not_made_again() {
    let whole = advisor(course).recipes([three_parts()]).confirm(1, 3).run().unwrap();
    let made = RefCell::new(0);
    let again = |recipe: &Recipe, rate, seed| {
        *made.borrow_mut() += 1;
        course(recipe, rate, seed)
    };
    let resumed = advisor(again).recipes([three_parts()]).confirm(1, 3).resume(whole.clone());
    assert_eq!(resumed.run().unwrap(), whole);
    // One more to see that it is the same model and data.
    assert_eq!(*made.borrow(), 1);
}

#[test]
fn runs_of_another_model_are_not_continued() {
    let begun = |start: f64| {
        let run = move |order: Order<'_, u64>| {
            let mut trial = Trial::new(vec![start; 4], None, order.over);
            trial.end = if (order.go_on)() { End::Broke } else { End::Stopped };
            Ok(trial)
        };
        let advisor = Advisor::of(Box::new(run), Box::new(|k| k)).by_training_loss();
        advisor.over(OVER).unwrap().between(0.1, 1.0).unwrap().recipes([])
    };
    let resumed = |from: f64, to: f64| {
        let known = begun(from).run().unwrap();
        begun(to).resume(known).run().map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(resumed(1.0, 1.0), Ok(()));
    assert_eq!(resumed(f64::NAN, f64::NAN), Ok(()));
    let must = "`resume` of Advisor must be of this model and data, whose untrained loss is";
    assert_eq!(resumed(1.0, 2.0), Err(format!("{must} 2, got 1")));
    assert_eq!(resumed(1.0, f64::NAN), Err(format!("{must} NaN, got 1")));
    assert_eq!(resumed(f64::NAN, 1.0), Err(format!("{must} 1, got NaN")));
}

#[test]
fn a_variant_is_run_as_itself() {
    let mut advisor = advisor(course);
    let wide = |_: &Recipe, rate, seed| course(&with(Method::Adam), rate, seed);
    advisor.variants.push(("wide".into(), runner(wide), false));
    let advice = advisor.recipes([variant("wide")]).confirm(0, 0).run().unwrap();
    let losses = advice.outcomes().iter().map(|o| o.best(Objective::LowestLoss).unwrap().loss());
    assert_eq!(names(advice.outcomes()), ["SGD + wide", "SGD"]);
    assert_eq!(losses.collect::<Vec<_>>(), [1.0, 4.0]);
}

#[test]
fn a_range_of_rates_ends_somewhere() {
    let between = |from, to| advisor(course).between(from, to).map(|_| ());
    assert!(between(0.1, 0.1).is_ok());
    for (from, to) in [(0.1, f64::INFINITY), (0.1, f64::NAN), (0.1, 0.05), (0.0, 1.0)] {
        assert!(between(from, to).unwrap_err().is_parameter(), "{from} to {to}");
    }
}
