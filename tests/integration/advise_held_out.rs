//! Advice by what is held out, and what is said where there is nothing to advise.

use crate::common::{filled, noise};
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use evenkeel::advise::{Advice, Advisor, Change, Method, Objective, Predictor};

fn said(advice: &Advice) -> String {
    advice.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

const COLUMNS: usize = 24;
const ROWS: usize = 8;

/// Rows of noise; the target is the first column, and as much noise. And their numbers.
type Rows = (Tensor<2>, Tensor<1>, Tensor<1, Int>);

fn rows(k: u64, device: &Device) -> Rows {
    let z: Vec<f32> = noise(k, ROWS * (COLUMNS + 1)).iter().map(|x| 3.5 * x).collect();
    let x: Vec<f32> = z.chunks(COLUMNS + 1).flat_map(|r| r[1..].to_vec()).collect();
    let y: Vec<f32> = z.chunks(COLUMNS + 1).map(|r| 2.0 * r[1] + r[0]).collect();
    let first = (k as usize * ROWS) as i64;
    let numbers: Vec<i64> = (first..first + ROWS as i64).collect();
    (
        Tensor::from_data(TensorData::new(x, [ROWS, COLUMNS]), device),
        Tensor::from_data(TensorData::new(y, [ROWS]), device),
        Tensor::from_data(TensorData::new(numbers, [ROWS]), device),
    )
}

fn line(model: &Linear, (x, y, _): Rows) -> Tensor<1> {
    (model.forward(x).squeeze_dim::<1>(1) - y).powi_scalar(2).mean()
}

/// One number for each row: it knows all those that it has seen.
#[derive(Module, Debug)]
struct ByHeart {
    rows: Param<Tensor<1>>,
}

impl ByHeart {
    fn loss(&self, (_, y, numbers): Rows) -> Tensor<1> {
        (self.rows.val().select(0, numbers) - y).powi_scalar(2).mean()
    }
}

/// Ten batches, of which eight are trained on where two are held out.
fn by_heart_or_not(device: &Device) -> Advisor<'_, Rows> {
    let build = |seed| filled(LinearConfig::new(COLUMNS, 1).init(device), seed);
    let learned = move |_| ByHeart { rows: Param::from_tensor(Tensor::zeros([10 * ROWS], device)) };
    Advisor::new(build, line, |k| rows(k % 10, device))
        .variant("by heart", learned, ByHeart::loss)
        .over(60)
        .unwrap()
        .between(1e-3, 1.0)
        .unwrap()
        .confirm(2, 6)
}

#[test]
fn what_is_learned_by_heart_is_first_by_training_loss_alone() {
    let device = Device::flex().autodiff();
    let trained = by_heart_or_not(&device).by_training_loss().run().unwrap();
    assert_eq!(trained.best().unwrap().recipe.variant, "by heart", "{trained}");
    assert!(said(&trained).contains("by training loss: what is held out may say otherwise"));

    let held = by_heart_or_not(&device).holding_out(10).unwrap().run().unwrap();
    assert_eq!(held.held_out(), Some(2));
    assert_eq!(held.best().unwrap().recipe.variant, "", "{held}");
    // Of what is held out it knows as much as before.
    let heart = held.outcomes().iter().filter(|o| o.recipe.variant == "by heart");
    let points: Vec<_> = heart.filter_map(|o| o.best(Objective::LowestLoss)).collect();
    assert!(!points.is_empty());
    for point in points {
        assert!((point.loss() / point.starts[0] - 1.0).abs() < 1e-6, "{point:?}");
    }
}

/// More columns than rows to train on: what is held out is best early.
#[test]
fn overfitting_is_said() {
    let device = Device::flex().autodiff();
    let build = |seed| filled(LinearConfig::new(COLUMNS, 1).init(&device), seed);
    let advise = |batches| {
        let batch = {
            let device = &device;
            move |k| rows(k % batches, device)
        };
        let advisor = Advisor::new(build, line, batch);
        let advisor = advisor.held_out(4, |k| rows(100 + k, &device)).unwrap().over(300).unwrap();
        let plain = advisor.recipes([]).between(0.1, 0.1).unwrap().confirm(1, 6).run().unwrap();
        said(&plain)
    };
    assert!(advise(2).contains("It overfits: the held-out loss was"), "{}", advise(2));
    let many = advise(200);
    assert!(!many.contains("overfits") && !many.contains("fits what it sees better"), "{many}");
}

#[test]
fn without_anything_held_out_it_asks_what_to_rank_by() {
    let device = Device::flex().autodiff();
    let build = |seed| filled(LinearConfig::new(COLUMNS, 1).init(&device), seed);
    let advisor = || Advisor::new(build, line, |k| rows(k % 10, &device));
    let error = advisor().run().unwrap_err();
    assert!(error.is_parameter());
    assert_eq!(
        error.to_string(),
        "`held_out` of Advisor must be given, or `holding_out`, unless `by_training_loss` is asked for, got \
         none of them"
    );
    // One batch cannot be on both sides.
    let error = advisor().holding_out(1).unwrap_err().to_string();
    assert_eq!(error, "`holding_out` of Advisor must be at least 2, got 1");
    // Two can.
    let two = advisor().holding_out(2).unwrap().over(10).unwrap().between(0.1, 0.1).unwrap();
    assert_eq!(two.run().unwrap().held_out(), Some(1));
}

#[derive(Module, Debug)]
struct One {
    w: Param<Tensor<1>>,
}

/// Advice about a function of one number and the number of a batch.
fn about(device: &Device, loss: impl Fn(Tensor<1>, u64) -> Tensor<1>) -> Advice {
    advisor_about(device, loss).recipes([]).run().unwrap()
}

fn advisor_about<'a>(
    device: &'a Device,
    loss: impl Fn(Tensor<1>, u64) -> Tensor<1> + 'a,
) -> Advisor<'a, u64> {
    let build = |_| One { w: Param::from_tensor(Tensor::from_floats([1.0], device)) };
    let advisor = Advisor::new(build, move |m: &One, k: u64| loss(m.w.val(), k), |k| k);
    let advisor = advisor.held_out(3, |k| 1000 + k).unwrap().over(40).unwrap();
    advisor.between(1e-3, 1e2).unwrap()
}

#[test]
fn nothing_is_recommended_from_a_constant_or_from_noise() {
    let device = Device::flex().autodiff();
    let none = |advice: &Advice| {
        assert!(advice.recommended().is_none() && advice.best().is_none(), "{advice}");
        assert!(advice.code().is_none() && advice.worths().is_empty());
        said(advice)
    };
    let constant = advisor_about(&device, |w, _| w * 0.0 + 3.0).over(10).unwrap();
    let constant = constant.run().unwrap();
    assert!(
        none(&constant)
            .contains("No recipe ends significantly below the loss of the untrained model")
    );
    // Noise alone, which no weight has a part in.
    let noisy = about(&device, |w, k| w * 0.0 + f64::from(noise(k, 1)[0]));
    assert!(none(&noisy).contains("there is no recommendation"));
    let broken = about(&device, |w, _| w * f64::NAN);
    assert!(none(&broken).contains("The loss of the untrained model is not finite"));
    assert_eq!(broken.updates(), 0, "there is nothing to train");
}

#[test]
fn a_loss_is_judged_by_how_far_it_comes_down_and_not_by_its_sign() {
    let device = Device::flex().autodiff();
    let rate = |by: f64| {
        let advice = about(&device, |w, _| w.powi_scalar(2) * 0.5 + by);
        let plain = advice.baseline().unwrap();
        (plain.best(Objective::LowestLoss).unwrap().rate, plain.highest_stable())
    };
    // Half a square, which one step at a rate of 1 brings to its bottom.
    let (best, edge) = rate(0.0);
    assert!((0.8..1.3).contains(&best) && edge.is_some_and(|edge| (1.6..2.0).contains(&edge)));
    for by in [-5.0, -0.5] {
        let (shifted, edge) = rate(by);
        // In single precision there is less to be told apart there.
        assert!((0.1..1.3).contains(&shifted), "{by}: {shifted}");
        assert!(edge.is_some_and(|edge| (1.6..2.0).contains(&edge)), "{by}: {edge:?}");
    }
}

/// A batch in ten whose loss is ten thousand times as high, but as flat as the others.
#[test]
fn wild_batches_do_not_make_a_recipe_unstable() {
    let device = Device::flex().autodiff();
    let wild = |k: u64| if k % 10 == 9 { 1e4 } else { 0.0 };
    let advice = about(&device, move |w, k| w.powi_scalar(2) * 0.5 + wild(k));
    let plain = advice.baseline().unwrap().best(Objective::LowestLoss).unwrap();
    assert!(plain.loss() < 1e-3, "{plain:?}");
    assert!(advice.recommended().is_some());
}

/// Targets of 150 ± 77, as a function of features of ±1.
fn far(k: u64, device: &Device) -> (Tensor<2>, Tensor<2>) {
    let z: Vec<f32> = noise(k, 32).iter().map(|x| 2.0 * x).collect();
    let y: Vec<f32> = z.chunks(2).map(|r| 150.0 + 77.0 * (r[0] - r[1])).collect();
    let tensor =
        |values, columns| Tensor::from_data(TensorData::new(values, [16, columns]), device);
    (tensor(z, 2), tensor(y, 1))
}

#[test]
fn standardized_targets_are_compared_in_the_units_of_the_targets() {
    let device = Device::flex().autodiff();
    let advisor = || {
        let model = Predictor::new(
            |seed| filled(LinearConfig::new(2, 1).init(&device), seed),
            |model: &Linear, (x, _): &(Tensor<2>, Tensor<2>)| model.forward(x.clone()),
            |(_, y)| y.clone(),
        );
        let advisor = Advisor::predicting(model, |k| far(k % 12, &device)).over(30).unwrap();
        advisor.held_out(3, |k| far(50 + k, &device)).unwrap()
    };
    let advice = advisor().between(1e-3, 0.1).unwrap().confirm(0, 0).run().unwrap();
    let start = |parts: &[Change]| {
        let of = advice.outcomes().iter().find(|o| o.recipe.changes() == parts).unwrap();
        of.best(Objective::LowestLoss).unwrap().starts[0]
    };
    // Saying 0 costs 150² and the variance, 77²/6·… ; saying the mean costs the variance.
    let (plain, standardized) = (start(&[]), start(&[Change::Targets]));
    assert!((2e4..4e4).contains(&plain), "{plain}");
    assert!((1e3..1e4).contains(&standardized), "{standardized}");
    // Adam, whose steps have the size of the rate, does not come as far as 150.
    let recipes = [false, true].map(|targets| {
        let mut recipe = advice.baseline().unwrap().recipe.clone();
        (recipe.method, recipe.standardized_targets) = (Method::Adam, targets);
        recipe
    });
    let adam = advisor().recipes(recipes.clone()).between(1e-3, 0.1).unwrap().run().unwrap();
    let lowest = recipes.map(|recipe| {
        let of = adam.outcomes().iter().find(|o| o.recipe == recipe).unwrap();
        of.best(Objective::LowestLoss).unwrap().loss()
    });
    assert!(lowest[1] < 0.1 * lowest[0], "{lowest:?}");
    // A model of which only the loss is known has no targets to standardize.
    assert!(advice.outcomes().iter().any(|o| o.recipe.standardized_targets));
}
