//! Advice where the right one is known.

use std::ops::ControlFlow;

use crate::common::{Batch, Net, bits, filled, noise};
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::advise::{
    Advice, Advisor, Bound, Change, Method, Objective, Outcome, Recipe, Safety,
};

/// `½·Σ λᵢwᵢ²`.
#[derive(Module, Debug)]
struct Bowl {
    w: Param<Tensor<1>>,
}

const CURVATURES: [f32; 2] = [1.0, 0.2];

impl Bowl {
    fn new(device: &Device) -> Self {
        Self { w: Param::from_tensor(Tensor::from_floats([1.0, -1.0], device)) }
    }

    fn loss(&self, _: ()) -> Tensor<1> {
        let w = self.w.val();
        let curvatures = Tensor::from_floats(CURVATURES, &w.device());
        (w.powi_scalar(2) * curvatures).sum() * 0.5
    }
}

fn bowl(device: &Device) -> Advisor<'_, ()> {
    let bowl = Advisor::new(|_| Bowl::new(device), Bowl::loss, |_| ()).by_training_loss();
    bowl.over(60).unwrap().seeds(1).unwrap()
}

/// The outcome of a recipe that differs from plain descent as `is` says.
fn outcome(advice: &Advice, is: impl Fn(&Recipe) -> bool) -> &Outcome {
    advice.outcomes().iter().find(|o| is(&o.recipe)).expect("measured")
}

fn only(method: Method) -> impl Fn(&Recipe) -> bool {
    let part = if method == Method::Sgd { vec![] } else { vec![Change::Method] };
    move |r| r.method == method && r.changes() == part
}

/// A whole search is tens of thousands of updates: too much for a GPU made of software, where the
/// tests of single steps and of the finder's short runs are.
fn on_a_cpu(test: impl Fn(&Device)) {
    test(&Device::flex().autodiff());
}

#[test]
fn the_edge_of_a_bowl_is_where_theory_puts_it() {
    on_a_cpu(|device| {
        let advice = bowl(device).between(1e-2, 1e2).unwrap().run().unwrap();
        assert!(advice.is_complete());
        // λ = 1, μ = 0.9: 2/λ; (2 + 2μ)/λ; (2 + 2μ)/((1 + 2μ)λ).
        let edges = [(Method::Sgd, 2.0), (Method::Momentum, 3.8), (Method::Nesterov, 3.8 / 2.8)];
        for (method, edge) in edges {
            let found = outcome(&advice, only(method));
            let (stable, not) = (found.highest_stable().unwrap(), found.first_unstable().unwrap());
            assert!(stable < edge && edge < not, "{method:?}: {stable} to {not}, not {edge}");
            assert!(not / stable < 3.2, "neighbors on the ladder");
        }
        // Plain descent is looked at between the rungs: its edge, and the rate that shrinks both ends
        // alike, 2/(λ₁ + λ₂).
        let plain = advice.baseline().unwrap();
        let (stable, not) = (plain.highest_stable().unwrap(), plain.first_unstable().unwrap());
        assert!(not / stable <= 1.2, "{stable} to {not}");
        let best = plain.best(Objective::LowestLoss).unwrap().rate;
        assert!((1.0 / 1.3..1.3).contains(&(best * 1.2 / 2.0)), "{best}");
        // The governor holds whatever is asked for; the steps of a bowl allow it for ever.
        let governed = |r: &Recipe| r.governed && r.method == Method::Momentum && !r.cosine;
        let governed = outcome(&advice, governed);
        assert_eq!((governed.highest_stable(), governed.first_unstable()), (Some(100.0), None));
    });
}

#[test]
fn every_remedy_is_measured_alone() {
    let device = Device::flex().autodiff();
    let advice = bowl(&device).between(0.1, 0.1).unwrap().over(200).unwrap().run().unwrap();
    let alone = |is: &dyn Fn(&Recipe) -> bool| {
        let count = advice.outcomes().iter().filter(|o| is(&o.recipe)).count();
        assert_eq!(count, 1);
    };
    let plain = || advice.baseline().unwrap().recipe.clone();
    for bound in [Bound::Global, Bound::Adaptive, Bound::Percentile, Bound::ZScore] {
        let mut recipe = plain();
        recipe.bound = bound;
        alone(&|r| *r == recipe);
    }
    for safety in [Safety::Spikes, Safety::Recommended] {
        let mut recipe = plain();
        recipe.safety = safety;
        alone(&|r| *r == recipe);
    }
    // A tenth of the run.
    let mut recipe = plain();
    recipe.warmup = 20;
    alone(&|r| *r == recipe);
    let mut recipe = plain();
    recipe.cosine = true;
    alone(&|r| *r == recipe);
    let mut recipe = plain();
    recipe.governed = true;
    alone(&|r| *r == recipe);
    for method in [Method::Momentum, Method::Nesterov, Method::Adam, Method::AdamW] {
        alone(&only(method));
    }
}

/// What a clip does is seen in what is reached: each bound makes another run of it.
#[test]
fn each_bound_is_one_of_its_own() {
    let device = Device::flex().autodiff();
    let advice = regression(&device).between(1e-5, 1e-5).unwrap().seeds(1).unwrap().run().unwrap();
    let losses = [Bound::Free, Bound::Global, Bound::Adaptive, Bound::Percentile].map(|bound| {
        let is = |r: &Recipe| {
            let mut plain = advice.baseline().unwrap().recipe.clone();
            plain.bound = bound;
            *r == plain
        };
        outcome(&advice, is).points[0].losses[0]
    });
    for (at, loss) in losses.iter().enumerate() {
        assert!(loss.is_some() && losses[..at].iter().all(|other| other != loss), "{losses:?}");
    }
}

/// Two columns, one of them a thousand times the other.
fn raw(k: u64, device: &Device) -> (Tensor<2>, Tensor<2>) {
    let z = noise(k % 8, 32);
    let x: Vec<f32> = z.chunks(2).flat_map(|r| [r[0], 1000.0 * r[1]]).collect();
    let y: Vec<f32> = z.chunks(2).map(|r| 3.0 * r[0] - 2.0 * r[1]).collect();
    (
        Tensor::from_data(TensorData::new(x, [16, 2]), device),
        Tensor::from_data(TensorData::new(y, [16, 1]), device),
    )
}

fn squares(model: &Linear, (x, y): (Tensor<2>, Tensor<2>)) -> Tensor<1> {
    (model.forward(x) - y).powi_scalar(2).mean()
}

fn regression(device: &Device) -> Advisor<'_, (Tensor<2>, Tensor<2>)> {
    let build = |seed| filled(LinearConfig::new(2, 1).init(device), seed);
    Advisor::new(build, squares, |k| raw(k, device))
        .by_training_loss()
        .standardizing(|(x, _)| x.clone(), |(_, y), x| (x, y))
        .over(50)
        .unwrap()
}

#[test]
fn standardized_features_are_found_to_be_worth_orders_of_magnitude() {
    on_a_cpu(|device| {
        let advice = regression(device).run().unwrap();
        let plain = outcome(&advice, only(Method::Sgd));
        let standardized = outcome(&advice, |r| r.changes() == [Change::Features]);
        // E[x²] is 1/12 · 10⁶, so the edge is near 2/(2·10⁶/12).
        assert!(plain.highest_stable().unwrap() < 2e-5);
        assert!(standardized.highest_stable().unwrap() >= 0.3);
        assert_eq!(standardized.ahead_of(plain, Objective::LowestLoss), (2, 2));
        assert_eq!(plain.ahead_of(standardized, Objective::LowestLoss), (0, 2));

        let best = advice.best().unwrap();
        assert!(best.recipe.standardized, "{advice}");
        let best = best.best(Objective::LowestLoss).unwrap().loss();
        assert!(best < 1e-3 * plain.best(Objective::LowestLoss).unwrap().loss());
        // What stands on the best foundation was measured too.
        for method in [Method::Sgd, Method::Momentum, Method::Adam, Method::AdamW] {
            let whole =
                |r: &Recipe| r.standardized && r.cosine && r.warmup == 5 && r.method == method;
            let clipped =
                |r: &Recipe| whole(r) && r.bound == Bound::Global && r.safety == Safety::Bare;
            let held = |r: &Recipe| whole(r) && r.safety == Safety::Recommended;
            outcome(&advice, clipped);
            outcome(&advice, held);
        }
        assert!(advice.code().unwrap().contains("Standardize::fit"));
    });
}

#[test]
fn two_searches_are_the_same() {
    let device = Device::flex().autodiff();
    let advise =
        || regression(&device).between(1e-3, 1.0).unwrap().over(20).unwrap().run().unwrap();
    assert_eq!(advise(), advise());
}

#[test]
fn the_aim_decides_the_order() {
    let device = Device::flex().autodiff();
    let advise = |objective| {
        regression(&device)
            .objective(objective)
            .unwrap()
            .between(1e-3, 10.0)
            .unwrap()
            .confirm(0, 0)
            .run()
            .unwrap()
    };
    let fast = advise(Objective::FastestTo(0.05));
    let updates: Vec<f64> = fast
        .outcomes()
        .iter()
        .filter_map(|o| o.best(fast.objective()))
        .map(|point| point.updates().unwrap_or(f64::INFINITY))
        .collect();
    assert!(updates.is_sorted() && updates[0] < 50.0, "{updates:?}");
    let high = advise(Objective::HighestRate);
    let edges: Vec<f64> = high.outcomes().iter().filter_map(Outcome::highest_stable).collect();
    assert!(edges.is_sorted_by(|a, b| a >= b) && edges[0] > edges[edges.len() - 1], "{edges:?}");
    let low = advise(Objective::LowestLoss);
    let losses: Vec<f64> =
        low.outcomes().iter().filter_map(|o| o.best(low.objective())).map(|p| p.loss()).collect();
    assert!(losses.is_sorted());
}

/// Everything the caller holds, down to the running statistics that clones share.
#[test]
fn the_callers_model_is_as_it_was_even_when_the_search_is_interrupted() {
    on_a_cpu(|device| {
        let mine = Net::new(device);
        let before = bits(&mine);
        // In the search of plain descent and of later ones, and at the end.
        let whole = std::cell::Cell::new(0);
        for stop_at in [u64::MAX, 37, 400, 1] {
            // The last one counts from the end.
            let stop_at = if stop_at == 1 { whole.get() - 1 } else { stop_at };
            // BatchNorm must not take in what is held out, nor what the fresh models see.
            let advice = Advisor::new(|_| mine.clone(), Net::loss, |k| Batch::number(k, device))
                .held_out(2, |k| Batch::number(k + 100, device))
                .unwrap()
                .over(10)
                .unwrap()
                .seeds(1)
                .unwrap()
                .between(1e-2, 1e1)
                .unwrap()
                .confirm(2, 2)
                .watch(|stage| match stage.updates >= stop_at {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                })
                .run()
                .unwrap();
            assert_eq!(advice.is_complete(), stop_at == u64::MAX);
            assert_eq!(bits(&mine), before, "stopped at {stop_at}");
            match stop_at {
                u64::MAX => whole.set(advice.updates()),
                _ => assert_eq!(advice.updates(), stop_at),
            }
        }
    });
}

#[test]
fn a_budget_is_kept_to_the_update_and_leaves_what_is_known() {
    let device = Device::flex().autodiff();
    let advice = regression(&device).over(20).unwrap().budget(500).run().unwrap();
    assert_eq!((advice.updates(), advice.is_complete()), (500, false));
    assert!(!advice.outcomes().is_empty());
    assert!(advice.to_string().contains("ended after 500 updates"));
    let nothing = regression(&device).budget(0).run().unwrap();
    assert!(nothing.outcomes().is_empty() && nothing.best().is_none() && nothing.code().is_none());
    assert!(nothing.to_string().contains("Nothing was measured, so there is no recommendation"));
}

#[test]
fn stages_count_up() {
    let device = Device::flex().autodiff();
    let (mut seen, mut of, mut best) = (Vec::new(), 0, Vec::new());
    let advice = bowl(&device)
        .over(10)
        .unwrap()
        .watch(|stage| {
            seen.push((stage.done, stage.updates));
            of = stage.of;
            best.extend(stage.so_far.map(|(_, _, loss)| loss));
            assert!(stage.done < stage.of);
            ControlFlow::Continue(())
        })
        .run()
        .unwrap();
    assert!(seen.is_sorted() && seen.last().unwrap().0 == of - 1);
    // Every recipe, and a closer look at some.
    let closer = advice.outcomes().iter().filter(|o| o.confirmed.is_some()).count();
    assert!(of >= advice.outcomes().len() + closer / 2, "{of}");
    assert_eq!(seen.len() as u64, advice.updates());
    // What is the best so far gets better.
    assert!(best.len() > seen.len() / 2 && best.is_sorted_by(|a, b| a >= b));
}

#[test]
fn a_variant_of_the_model_is_measured_and_combined() {
    let device = Device::flex().autodiff();
    // The same rows, which a model that takes out the scale itself can learn from.
    let scaled = |model: &Linear, (x, y): (Tensor<2>, Tensor<2>)| {
        let scale = Tensor::<2>::from_floats([[1.0, 1e-3]], &device);
        squares(model, (x * scale, y))
    };
    let build = |seed| filled(LinearConfig::new(2, 1).init(&device), seed);
    let plain =
        Advisor::new(build, squares, |k| raw(k, &device)).by_training_loss().over(50).unwrap();
    let advice = plain
        .variant("scaled", build, scaled)
        .between(1e-5, 1.0)
        .unwrap()
        .confirm(2, 6)
        .run()
        .unwrap();
    let best = advice.best().unwrap();
    assert_eq!(best.recipe.variant, "scaled", "{advice}");
    let combined = |r: &Recipe| r.variant == "scaled" && r.method == Method::Adam && r.cosine;
    assert!(advice.outcomes().iter().any(|o| combined(&o.recipe)));
}

/// The number of a best rate's runs is not that of the runs which chose it.
#[test]
fn the_best_are_run_again_with_fresh_seeds() {
    let device = Device::flex().autodiff();
    let built = std::cell::RefCell::new(Vec::new());
    let build = |seed| {
        built.borrow_mut().push(seed);
        filled(LinearConfig::new(2, 1).init(&device), seed)
    };
    let advice = Advisor::new(build, squares, |k| raw(k, &device))
        .by_training_loss()
        .standardizing(|(x, _)| x.clone(), |(_, y), x| (x, y))
        .over(50)
        .unwrap()
        .seeds_from(7)
        .between(1e-6, 1.0)
        .unwrap()
        .confirm(3, 12)
        .run()
        .unwrap();
    let confirmed: Vec<&Outcome> =
        advice.outcomes().iter().filter(|o| o.confirmed.is_some()).collect();
    // The best three, plain descent, and what is left of the best without each part.
    assert!(confirmed.len() >= 4);
    assert!(advice.outcomes()[..3].iter().all(|o| o.confirmed.is_some()));
    assert!(advice.baseline().unwrap().confirmed.is_some());
    for outcome in &confirmed {
        let (point, best) = (outcome.confirmed.as_ref().unwrap(), outcome.best(advice.objective()));
        assert_eq!(point.losses.len(), 12);
        assert!(!point.stable || point.rate <= best.unwrap().rate);
        // Of the recommended one, with as many more as there are fresh ones.
        let recommended = advice.recommended().unwrap().recipe == outcome.recipe;
        assert_eq!(best.unwrap().losses.len(), if recommended { 14 } else { 2 });
    }
    let scores: Vec<f64> =
        confirmed[..3].iter().map(|o| o.confirmed.as_ref().unwrap().loss()).collect();
    assert!(scores.is_sorted(), "{scores:?}");
    // Each run builds its model twice, the second time to see where it begins.
    let built = built.borrow();
    assert!(built.iter().all(|seed| (7..33).contains(seed)));
    let fresh = built.iter().filter(|seed| (9..21).contains(*seed)).count();
    assert!(fresh >= 4 * 2 * 12);

    // Standardized features are orders of magnitude better, for each of 12 seeds: as many pairs of 2/2¹².
    let chance = advice.chance(advice.best().unwrap(), advice.baseline().unwrap()).unwrap();
    let pairs = (confirmed.len() * (confirmed.len() - 1) / 2) as f64;
    assert!((chance - pairs * 2.0 / 4096.0).abs() < 1e-12, "{chance}");
    assert!(!advice.as_good().iter().any(|o| o.recipe == advice.baseline().unwrap().recipe));
    assert!(advice.to_string().contains("12 fresh"), "{advice}");
}

/// `½λw²`, where each model has its own `λ`.
#[derive(Module, Debug)]
struct Slope {
    w: Param<Tensor<1>>,
    curvature: Param<Tensor<1>>,
}

/// A rate that fresh seeds break at is not advised, however good it was for those that chose it.
#[test]
fn a_rate_that_fresh_seeds_break_at_is_given_up_for_a_lower_one() {
    let device = Device::flex().autodiff();
    let build = |seed| {
        let curvature = if seed < 2 { 1.0 } else { 4.0 };
        Slope {
            w: Param::from_tensor(Tensor::from_floats([1.0], &device)),
            curvature: Param::from_tensor(Tensor::from_floats([curvature], &device)).no_grad(),
        }
    };
    let loss =
        |model: &Slope, _: ()| (model.w.val().powi_scalar(2) * model.curvature.val()).sum() * 0.5;
    let advice = Advisor::new(build, loss, |_| ())
        .by_training_loss()
        .recipes([])
        .over(60)
        .unwrap()
        .run()
        .unwrap();
    let plain = advice.baseline().unwrap();
    // 1 is best where the curvature is 1, and above the edge of 2/4 where it is 4.
    assert!((plain.best(Objective::LowestLoss).unwrap().rate - 1.0).abs() < 0.3);
    let confirmed = plain.confirmed.as_ref().unwrap();
    assert!(confirmed.stable && confirmed.rate < 0.5, "{confirmed:?}");
    let recommended = advice.recommended().unwrap();
    let rate = recommended.confirmed.as_ref().unwrap().rate;
    assert_eq!(advice.code().unwrap(), recommended.recipe.code(rate, 60));
}

#[test]
fn what_is_the_same_cannot_be_told_apart() {
    let device = Device::flex().autodiff();
    let build = |seed| filled(LinearConfig::new(2, 1).init(&device), seed);
    let advisor =
        || Advisor::new(build, squares, |k| raw(k, &device)).by_training_loss().over(20).unwrap();
    // Twice the same model, by another name.
    let advice =
        advisor().variant("twin", build, squares).between(1e-6, 1e-5).unwrap().run().unwrap();
    let plain = advice.baseline().unwrap();
    let twin = outcome(&advice, |r| {
        let mut named = plain.recipe.clone();
        named.variant = "twin".into();
        *r == named
    });
    assert!(!twin.points.is_empty());
    for point in &twin.points {
        let same = plain.points.iter().find(|other| other.rate == point.rate);
        assert_eq!(Some(point), same);
    }
    if let Some(chance) = advice.chance(plain, twin) {
        assert_eq!(chance, 1.0);
    }
    // Three fresh seeds are too few, whatever they give, and it says so.
    let few = advisor().between(1e-6, 1e-5).unwrap().confirm(5, 3).run().unwrap().to_string();
    assert!(few.contains("3 fresh seeds cannot tell"), "{few}");
    let none = advisor().between(1e-6, 1e-5).unwrap().confirm(0, 0).run().unwrap();
    assert!(none.outcomes().iter().all(|o| o.confirmed.is_none()));
    assert!(none.chance(none.best().unwrap(), none.baseline().unwrap()).is_none());
}

#[test]
fn updates_are_counted_to_what_plain_descent_comes_to() {
    let device = Device::flex().autodiff();
    let advice = regression(&device).between(1e-6, 1.0).unwrap().confirm(0, 0).run().unwrap();
    let plain = advice.baseline().unwrap().best(Objective::LowestLoss).unwrap();
    assert_eq!(advice.target(), Some(plain.spread().1));
    // It gets there itself, and the best one long before.
    let itself = plain.updates().unwrap();
    let best = advice.best().unwrap().best(Objective::LowestLoss).unwrap().updates().unwrap();
    assert!(best < itself && itself <= 50.0, "{best} and {itself}");

    let given = regression(&device)
        .target(0.05)
        .unwrap()
        .between(1e-6, 1.0)
        .unwrap()
        .confirm(0, 0)
        .run()
        .unwrap();
    assert_eq!(given.target(), Some(0.05));
    let slow = given.baseline().unwrap().best(Objective::LowestLoss).unwrap();
    assert!(slow.loss() > 0.05 && slow.updates().is_none());
    assert!(given.best().unwrap().best(Objective::LowestLoss).unwrap().updates().is_some());
}

#[test]
fn every_rate_is_measured_where_that_is_asked_for() {
    let device = Device::flex().autodiff();
    let advice =
        bowl(&device).between(1e-3, 1e2).unwrap().every_rate().confirm(0, 0).run().unwrap();
    assert!(advice.is_complete());
    assert!(advice.outcomes().iter().all(|o| o.points.len() == 11));
    // A search finds the same best rates, with less.
    let search = bowl(&device).between(1e-3, 1e2).unwrap().confirm(0, 0).run().unwrap();
    assert!(search.updates() < advice.updates());
    // Where the curve has one valley.
    for method in [Method::Sgd, Method::Momentum, Method::Nesterov] {
        let best = |of| outcome(of, only(method)).best(Objective::LowestLoss).unwrap().rate;
        assert_eq!(best(&search), best(&advice), "{method:?}");
    }
}

#[test]
fn a_budget_of_seconds_is_kept() {
    let device = Device::flex().autodiff();
    let ticks = std::cell::Cell::new(0.0);
    let clock = || {
        ticks.set(ticks.get() + 1.0);
        ticks.get()
    };
    // A tick to begin with, one for each update, and two for each run.
    let advice =
        bowl(&device).over(10).unwrap().clock(clock).budget_seconds(100.0).unwrap().run().unwrap();
    assert!(!advice.is_complete() && (50..100).contains(&advice.updates()), "{}", advice.updates());
    assert!(ticks.get() <= 102.0);
    assert!(!advice.outcomes().is_empty());
    let none = bowl(&device).clock(|| 0.0).budget_seconds(0.0).unwrap().run().unwrap();
    assert_eq!((none.updates(), none.is_complete()), (0, false));
    let error = bowl(&device).budget_seconds(1.0).unwrap().run().unwrap_err().to_string();
    assert_eq!(error, "`clock` of Advisor must be given, for seconds to be counted, got none");
}

#[test]
fn a_clock_gives_costs_and_without_one_there_are_none() {
    let device = Device::flex().autodiff();
    let ticks = std::cell::Cell::new(0.0);
    // Half a second for each look at the clock: one before, and one after each run.
    let clock = || {
        ticks.set(ticks.get() + 0.5);
        ticks.get()
    };
    let timed = bowl(&device).over(10).unwrap().clock(clock).run().unwrap();
    let best = timed.baseline().unwrap().best(Objective::LowestLoss).unwrap();
    assert!((best.seconds.unwrap() - 0.05).abs() < 1e-12);
    let bare = bowl(&device).over(10).unwrap().run().unwrap();
    assert!(bare.outcomes().iter().flat_map(|o| &o.points).all(|p| p.seconds.is_none()));
}

#[test]
fn wrong_arguments_are_errors() {
    let device = Device::flex().autodiff();
    assert!(bowl(&device).tolerance(-0.1).unwrap_err().is_parameter());
    assert!(bowl(&device).held_out(0, |_| ()).unwrap_err().is_parameter());
    // A recipe of what there is not.
    let advice = bowl(&device).between(0.1, 0.1).unwrap().run().unwrap();
    let mut recipe = advice.baseline().unwrap().recipe.clone();
    recipe.standardized = true;
    let said = bowl(&device).recipes([recipe]).run().unwrap_err().to_string();
    assert!(said.ends_with("got `SGD + standardized features`"), "{said}");
    assert!(bowl(&device).over(9).unwrap_err().is_parameter());
    assert!(bowl(&device).seeds(0).unwrap_err().is_parameter());
    assert!(bowl(&device).between(0.0, 1.0).unwrap_err().is_parameter());
    assert!(bowl(&device).between(1.0, 0.1).unwrap_err().is_parameter());
    assert!(bowl(&device).objective(Objective::FastestTo(f64::NAN)).unwrap_err().is_parameter());
    assert!(bowl(&device).target(f64::INFINITY).unwrap_err().is_parameter());
    assert!(bowl(&device).budget_seconds(-1.0).unwrap_err().is_parameter());
    let frozen =
        Advisor::new(|_| Bowl::new(&device).no_grad(), Bowl::loss, |_| ()).by_training_loss();
    assert!(frozen.run().unwrap_err().is_model());
}

#[test]
fn the_text_is_a_decision_in_80_columns() {
    let device = Device::flex().autodiff();
    let advice = regression(&device).between(1e-5, 1.0).unwrap().confirm(3, 6).run().unwrap();
    let (said, code) = (advice.to_string(), advice.code().unwrap());
    let recommended = advice.recommended().unwrap();
    assert!(said.ends_with(&code));
    let text = said.strip_suffix(&code).unwrap();
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(&format!("Recommended: `{}`", recommended.recipe)), "{text}");
    assert!(flat.contains("A high stable rate is not a goal in itself"));
    // The most important change first, and that is the scale of the features.
    let worths = advice.worths();
    assert_eq!(worths.len(), recommended.recipe.changes().len());
    assert_eq!(worths[0].change, Change::Features, "{text}");
    assert!(worths.iter().all(|worth| worth.without.is_some()), "{worths:?}");
    assert!(worths.is_sorted_by(|a, b| a.without >= b.without));
    let first = flat.find("+ standardized features").unwrap();
    assert!(first < flat.find("all of it").unwrap());
}

#[cfg(feature = "serde")]
#[test]
fn it_can_be_written_and_read() {
    let device = Device::flex().autodiff();
    let advice = regression(&device).between(1e-6, 1e-3).unwrap().run().unwrap();
    let written = serde_json::to_string(&advice).unwrap();
    let read: Advice = serde_json::from_str(&written).unwrap();
    assert_eq!(read, advice);
}

#[test]
fn it_can_be_drawn() {
    let device = Device::flex().autodiff();
    let advice = regression(&device).between(1e-4, 0.1).unwrap().confirm(0, 0).run().unwrap();
    let picture = advice.to_svg().unwrap();
    assert!(picture.contains("(plain)") && picture.contains("standardized"));
    let page = advice.to_html().unwrap();
    assert!(page.contains("<svg") && page.contains("Keel::wrap") && page.ends_with("</html>\n"));
    assert!(
        !page.contains("http://")
            || page.matches("http://").count() == page.matches("http://www.w3.org").count()
    );
    let nothing = regression(&device).budget(0).run().unwrap();
    assert!(nothing.to_svg().unwrap_err().is_parameter());
}
