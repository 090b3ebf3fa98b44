//! The heading, the cells of the table, and what is said about them.

use super::super::table::{cells, heading, shown, summary};
use super::*;

const BROKE: f64 = f64::INFINITY;

#[test]
fn a_constant_rate_is_said_to_be_one_of_short_runs() {
    let of = |wanted, cosine| {
        let recipe = Recipe { cosine, ..with(Method::Adam) };
        said(&advice(wanted, [confirmed(recipe, &[1.0; 7])]))
            .contains("The rate is constant. Runs of 100")
    };
    assert!(of(WANTED, false));
    assert!(!of(WANTED, true));
    assert!(!of(Wanted { objective: Objective::HighestRate, ..WANTED }, false));
}

/// Everything that is said, in one text.
fn said(advice: &Advice) -> String {
    summary(advice).join("\n")
}

#[test]
fn the_heading_says_what_was_ranked_and_how() {
    let of = |wanted: Wanted| heading(&advice(wanted, []));
    assert_eq!(
        of(Wanted { held_out: Some(1), ..WANTED }),
        "Ranked by: lowest held-out loss. Runs of 100 updates, 2 seeds, on 1 held-out batch."
    );
    let one = Wanted { seeds: 1, held_out: Some(1), ..WANTED };
    let lone = Outcome { confirmed: Some(point(0.1, &[1.0])), ..confirmed(plain(), &[1.0; 2]) };
    assert_eq!(
        heading(&advice(one, [lone])),
        "Ranked by: lowest held-out loss. Runs of 100 updates, 1 seed and 1 fresh one for the best, on 1 held-out \
         batch."
    );
    let fast = Wanted { objective: Objective::FastestTo(0.5), held_out: Some(3), ..WANTED };
    let fast = Advice::new(fast, Some(0.5), 0, true, (Vec::new(), Log::default()));
    // The target is the objective, and is not said twice.
    assert_eq!(
        heading(&fast),
        "Ranked by: fastest to a held-out loss of 0.5. Runs of 100 updates, 2 seeds, on 3 held-out batches."
    );
    // A twentieth of the run has fewer updates.
    let many = of(Wanted { over: 180, held_out: Some(10), ..WANTED });
    assert!(many.ends_with(", on 9 of 10 held-out batches."), "{many}");
    let all = of(Wanted { over: 180, held_out: Some(9), ..WANTED });
    assert!(all.ends_with(", on 9 held-out batches."), "{all}");
    let high = Wanted { objective: Objective::HighestRate, ..WANTED };
    let outcomes = vec![confirmed(plain(), &[1.0; 7])];
    let high = Advice::new(high, Some(0.25), 0, true, (outcomes, Log::default()));
    assert_eq!(
        heading(&high),
        "Ranked by: highest stable rate. Runs of 100 updates, 2 seeds and 7 fresh ones for the best, by training \
         loss: what is held out may say otherwise. The target is a loss of 0.25."
    );
}

#[test]
fn a_row_has_the_more_reliable_numbers() {
    let mut adam = outcome(
        with(Method::Adam),
        [
            Point { seconds: Some(0.25), ..timed(0.1, &[1.0, 3.0], &[Some(10), Some(20)]) },
            Point { seconds: Some(0.5), ..point(1.0, &[2.0, BROKE]) },
        ],
    );
    let of = |outcome: &Outcome| cells(&advice(WANTED, [outcome.clone()]), outcome);
    assert_eq!(of(&adam), ["Adam", "0.1", "0.1", "2 (1–3)", "–", "2", "15", "250 ms"]);
    adam.confirmed = Some(timed(0.1, &[4.0, 4.0], &[Some(30), Some(30)]));
    assert_eq!(of(&adam), ["Adam", "0.1", "0.1", "2 (1–3)", "4", "4", "30", "250 ms"]);
    adam.confirmed = Some(point(0.1, &[4.0, BROKE]));
    assert_eq!(of(&adam)[4..6], ["broke (4–broke)", "–"]);
    let open = outcome(plain(), [point(0.1, &[5.0, 5.0])]);
    assert_eq!(of(&open), ["SGD", "≥ 0.1", "0.1", "5", "–", "5", "–", "–"]);
    let never = outcome(plain(), [point(0.1, &[BROKE, BROKE])]);
    assert_eq!(of(&never), ["SGD", "none", "none", "–", "–", "–", "–", "–"]);
}

#[test]
fn only_columns_with_something_in_them_are_shown() {
    let searched = outcome(plain(), [point(0.1, &[1.0, 1.0])]);
    let clocked = outcome(plain(), [Point { seconds: Some(0.1), ..point(0.1, &[1.0, 1.0]) }]);
    assert_eq!(shown(&advice(WANTED, [searched.clone()])), [0, 1, 2, 3]);
    assert_eq!(shown(&advice(WANTED, [clocked])), [0, 1, 2, 3, 7]);
    assert_eq!(shown(&advice(WANTED, [confirmed(plain(), &[1.0; 2])])), [0, 1, 2, 3, 4]);
    let wanted = Wanted { held_out: Some(1), ..WANTED };
    let all = Advice::new(wanted, Some(1.0), 0, true, (vec![searched], Log::default()));
    assert_eq!(shown(&all), [0, 1, 2, 3, 5, 6]);
}

#[test]
fn it_says_why_there_is_no_recommendation() {
    let of = |point: Point| said(&advice(WANTED, [outcome(plain(), [point])]));
    let nothing = said(&advice(WANTED, []));
    assert_eq!(nothing, "Nothing was measured, so there is no recommendation.");
    let not_finite = Point { starts: vec![f64::NAN, f64::NAN], ..point(0.1, &[BROKE, BROKE]) };
    assert!(of(not_finite).starts_with("The loss of the untrained model is not finite"));
    // A single start that is finite is enough to look further.
    let one = Point { starts: vec![f64::NAN, START], ..point(0.1, &[BROKE, BROKE]) };
    let broken = "No recipe has a stable rate among those tried";
    assert!(of(one).starts_with(broken) && of(point(0.1, &[BROKE, BROKE])).starts_with(broken));
    let idle = "No recipe ends significantly below the loss of the untrained model";
    assert!(of(point(0.1, &[START, START])).starts_with(idle));
}

#[test]
fn an_unfinished_search_says_so() {
    let of = |complete| {
        let outcomes = vec![outcome(plain(), [point(0.1, &[1.0, 1.0])])];
        said(&Advice::new(WANTED, None, 321, complete, (outcomes, Log::default())))
    };
    assert!(of(false).starts_with("The search was ended after 321 updates: "));
    assert!(!of(true).contains("ended after"));
}

/// Adam comes to 1, stable to 1, next to this plain descent.
fn next_to(plain_descent: Outcome) -> String {
    let adam = outcome(with(Method::Adam), [point(0.1, &[1.0, 1.0]), point(1.0, &[2.0, 2.0])]);
    summary(&advice(WANTED, [adam, plain_descent])).swap_remove(0)
}

#[test]
fn the_recommended_recipe_is_compared_with_plain_descent() {
    let lower = outcome(plain(), [point(0.1, &[4.0, 4.0]), point(1.0, &[BROKE; 2])]);
    assert_eq!(
        next_to(lower.clone()),
        "Recommended: `Adam` comes to a loss of 1, where SGD alone comes to 4 at its best rate; the highest stable rate \
         goes from 0.1 to 1."
    );
    // An edge that stays where it is, or falls, is not mentioned.
    for rate in [1.0, 2.0] {
        let other = outcome(plain(), [point(0.1, &[4.0, 4.0]), point(rate, &[5.0, 5.0])]);
        assert_eq!(
            next_to(other),
            "Recommended: `Adam` comes to a loss of 1, where SGD alone comes to 4 at its best rate."
        );
    }
    let unlucky = Outcome { confirmed: Some(point(0.1, &[BROKE; 2])), ..lower };
    let adam = confirmed(with(Method::Adam), &[1.0, 1.0]);
    assert_eq!(
        summary(&advice(WANTED, [adam, unlucky]))[0],
        "Recommended: `Adam` comes to a loss of 1; SGD alone breaks with fresh seeds at the rates that were good."
    );
    assert_eq!(
        next_to(outcome(plain(), [point(0.1, &[BROKE; 2])])),
        "Recommended: `Adam` comes to a loss of 1; SGD alone has no stable rate among those tried."
    );
    let itself = advice(WANTED, [outcome(plain(), [point(0.1, &[1.0, 1.0])])]);
    assert_eq!(
        summary(&itself)[0],
        "Recommended: `SGD`, as it is. No remedy is worth more than its cost in parts."
    );
}

#[test]
fn a_better_recipe_that_is_not_worth_its_parts_is_mentioned() {
    let both = Recipe { cosine: true, ..with(Method::Adam) };
    let simple = |loss| {
        let outcomes = [
            outcome(both.clone(), [point(0.1, &[1.0, 1.0])]),
            outcome(with(Method::Adam), [point(0.1, &[loss, loss])]),
            outcome(plain(), [point(0.1, &[5.0, 5.0])]),
        ];
        said(&advice(WANTED, outcomes))
    };
    // 5 % of 4 is 0.2.
    assert!(simple(1.1).contains(
        "The lowest loss, 1, is that of `Adam + cosine`. The recommended recipe is simpler, and 1.1 is worse by \
         less than 5 % of the possible gain, or by less than 10 % and not significantly."
    ));
    assert!(!simple(1.5).contains("The lowest loss"));
}

/// What is said of the fit of a recipe that starts at `start`, with a held-out loss of `held` at the end and `turn` at
/// its lowest, after `at` of 100 updates, and this training loss.
fn fit(start: f64, (held, turn, at): (f64, f64, u64), trained: f64) -> Option<String> {
    let point = Point {
        starts: vec![start; 2],
        training: vec![Some(trained); 2],
        lowest: vec![Some((at, turn)); 2],
        ..point(0.1, &[held, held])
    };
    let wanted = Wanted { held_out: Some(1), ..WANTED };
    let all = summary(&advice(wanted, [outcome(plain(), [point])]));
    all.into_iter().find(|sentence| sentence.starts_with("It overfits"))
}

fn rises(turn: f64, at: u64, held: f64, trained: f64) -> Option<String> {
    Some(format!(
        "It overfits: the held-out loss was {turn} after {at} updates and is {held} at the end, with a training loss of \
         {trained}. Stop there, take more data, or regularize."
    ))
}

fn gap(trained: f64, held: f64) -> Option<String> {
    Some(format!("It overfits: the training loss is {trained}, and the held-out loss {held}."))
}

#[test]
fn a_held_out_loss_that_rises_again_is_overfitting() {
    // 5 % of the fall from 10 to 2 is 0.4.
    assert_eq!(fit(10.0, (3.0, 2.0, 40), 1.0), rises(2.0, 40, 3.0, 1.0));
    assert_eq!(fit(10.0, (2.5, 2.0, 40), 1.0), rises(2.0, 40, 2.5, 1.0));
    assert_eq!(fit(10.0, (3.0, 2.0, 40), 2.5), rises(2.0, 40, 3.0, 2.5));
    // It hardly rises.
    assert_eq!(fit(10.0, (2.1, 2.0, 40), 1.5), None);
    // The training loss rises too: the rate is the cause.
    assert_eq!(fit(10.0, (3.0, 2.0, 40), 2.9), None);
    // 5 % of the fall from 22 to 2 is 1, and exactly as much is not more.
    assert_eq!(fit(22.0, (3.0, 2.0, 40), 1.0), None);
    assert_eq!(fit(22.0, (4.0, 2.0, 40), 3.0), None);
}

#[test]
fn a_rise_in_the_last_quarter_is_too_late_to_tell() {
    assert_eq!(fit(10.0, (3.0, 2.0, 74), 1.0), rises(2.0, 74, 3.0, 1.0));
    assert_eq!(fit(10.0, (3.0, 2.0, 75), 1.0), gap(1.0, 3.0));
}

#[test]
fn a_training_loss_far_below_the_held_out_loss_is_overfitting() {
    // A tenth of the fall from 10 to 5 is 0.5.
    assert_eq!(fit(10.0, (6.0, 6.0, 100), 5.0), gap(5.0, 6.0));
    assert_eq!(fit(10.0, (5.3, 5.3, 100), 5.0), None);
    // A tenth of the fall from 15 to 5 is 1, and exactly as much is not more.
    assert_eq!(fit(15.0, (6.0, 6.0, 100), 5.0), None);
}

#[test]
fn a_target_that_nothing_reaches_is_mentioned() {
    let of = |reached: [Option<u64>; 2]| {
        let wanted = Wanted { objective: Objective::FastestTo(0.5), ..WANTED };
        said(&advice(wanted, [outcome(plain(), [timed(0.1, &[1.0, 1.0], &reached)])]))
    };
    let none = "No recipe has reached 0.5 within 100 updates.";
    assert!(of([None, None]).contains(none));
    assert!(!of([Some(50), Some(60)]).contains(none));
}

/// What is said of chance, the last sentence but one, about Adam and momentum with these losses.
fn trust(wanted: Wanted, adam: Outcome, momentum: Outcome) -> String {
    let all = summary(&advice(wanted, [adam, momentum]));
    all[all.len() - 2].clone()
}

#[test]
fn it_says_how_far_seeds_of_the_search_can_be_trusted() {
    let of = |seeds: usize, other: f64| {
        let mut losses = vec![2.0; seeds];
        losses[0] = other;
        let wanted = Wanted { seeds: seeds as u64, ..WANTED };
        let momentum = outcome(with(Method::Momentum), [point(0.1, &losses)]);
        trust(wanted, outcome(with(Method::Adam), [point(0.1, &vec![1.0; seeds])]), momentum)
    };
    let one = "One seed says nothing of chance: repeat with more before you trust the order.";
    assert_eq!(of(1, 2.0), one);
    // Two recipes take six seeds: 1/2⁵ is less than 5 %.
    assert_eq!(
        of(6, 2.0),
        "The first is ahead of every other for each of 6 seeds, which is significant among 2 recipes."
    );
    assert_eq!(
        of(5, 2.0),
        "The first is ahead of every other for each of 5 seeds; among 2 recipes one may be so by chance, and only 6 \
         seeds would rule that out."
    );
    assert_eq!(of(6, 0.5), "Over 6 seeds the first is not always ahead of `momentum`.");
}

#[test]
fn it_says_how_far_fresh_seeds_can_be_trusted() {
    let different: Vec<f64> = (0..10).map(|k| 2.0 + 0.1 * f64::from(k)).collect();
    let of = |seeds: usize, other: &[f64]| {
        let adam = confirmed(with(Method::Adam), &vec![1.0; seeds]);
        trust(WANTED, adam, confirmed(with(Method::Momentum), &other[..seeds]))
    };
    assert_eq!(
        of(5, &different),
        "5 fresh seeds cannot tell 2 recipes apart with confidence, whatever they show; 6 can."
    );
    assert_eq!(
        of(6, &different),
        "Over 6 fresh seeds the first is significantly ahead of the other that was confirmed (signed ranks, 5 %, all \
         pairs counted)."
    );
    let [adam, momentum, plain] = [with(Method::Adam), with(Method::Momentum), plain()];
    let three = [(adam, 1.0), (momentum, 2.0), (plain, 3.0)];
    let three = three.map(|(recipe, loss)| confirmed(recipe, &[loss; 8]));
    assert!(said(&advice(WANTED, three)).contains(
        "Over 8 fresh seeds the first is significantly ahead of the 2 others that were confirmed (signed ranks, 5 %, \
         all pairs counted)."
    ));
    assert_eq!(
        of(6, &[0.1, 0.2, 2.0, 2.1, 2.2, 2.3]),
        "Over 6 fresh seeds 2 of the 2 confirmed recipes cannot be told apart (signed ranks, 5 %, all pairs counted)."
    );
    let alone = outcome(with(Method::Momentum), [point(0.1, &[2.0, 2.0])]);
    assert_eq!(
        trust(WANTED, confirmed(with(Method::Adam), &[1.0; 6]), alone),
        "Nothing else was confirmed: the first is compared with nothing."
    );
}

#[test]
fn it_says_how_closely_edges_are_known() {
    let last = |wanted, outcome| summary(&advice(wanted, [outcome])).pop().unwrap();
    let searched = outcome(plain(), [point(0.1, &[1.0, 1.0])]);
    let coarse = "The highest stable rates are accurate to a factor of √10.";
    let fine = "√10, those of the recommended recipe and of plain descent to one of 1.2.";
    assert!(last(WANTED, searched.clone()).ends_with(coarse));
    assert!(last(WANTED, confirmed(plain(), &[1.0; 2])).ends_with(fine));
    let highest = Wanted { objective: Objective::HighestRate, ..WANTED };
    assert!(last(highest, searched).ends_with(fine));
}
