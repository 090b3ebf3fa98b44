//! The code that advice ends with, compiled and run as it is printed.

use std::fmt::Write;

use crate::common::{filled, noise};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::advise::{Advice, Advisor, Change, Predictor};

type Batch = (Tensor<2>, Tensor<2>);

/// Targets of 2 ± 1, by a line.
pub fn batch(k: u64, rows: usize, device: &Device) -> Batch {
    let z: Vec<f32> = noise(k % 8, 2 * rows).iter().map(|x| 3.5 * x).collect();
    let y: Vec<f32> = z.chunks(2).map(|r| 2.0 + r[0] - 0.5 * r[1]).collect();
    let tensor =
        |values, columns| Tensor::from_data(TensorData::new(values, [rows, columns]), device);
    (tensor(z, 2), tensor(y, 1))
}

fn loss_of(model: &Linear, x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
    (model.forward(x) - y).powi_scalar(2).mean()
}

fn number(loss: Tensor<1>) -> f32 {
    loss.into_scalar()
}

/// Advice with every kind of part there is.
fn advice(device: &Device) -> Advice {
    let build = |seed| filled(LinearConfig::new(2, 1).init(device), seed);
    let predict = |model: &Linear, (x, _): &Batch| model.forward(x.clone());
    let model = || Predictor::new(build, predict, |(_, y): &Batch| y.clone());
    Advisor::predicting(model(), |k| batch(k, 16, device))
        .variant_predicting("\"quoted\"", model())
        .standardizing(|(x, _): &Batch| x.clone(), |(_, y), x| (x, y))
        .held_out(2, |k| batch(k + 4, 16, device))
        .unwrap()
        .over(50)
        .unwrap()
        .seeds(1)
        .unwrap()
        .between(0.03, 0.03)
        .unwrap()
        .confirm(0, 0)
        .run()
        .unwrap()
}

/// A file of functions, one for each recipe, and a list of them.
fn file(advice: &Advice) -> String {
    let mut text = String::from(
        "//! The code that advice ends with, pasted. Written by `advise_code.rs` with `EVENKEEL_PASTE` set.\n\n\
         use burn::nn::Linear;\nuse burn::tensor::Tensor;\n\n\
         type Pasted = Result<Tensor<2>, Box<dyn std::error::Error>>;\n\
         type Batches<'a> = &'a dyn Fn(u64) -> (Tensor<2>, Tensor<2>);\n\
         type Case = fn(Linear, Tensor<2>, Tensor<2>, Batches<'_>) -> Pasted;\n\n\
         fn loss_of(model: &Linear, x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {\n    \
         (model.forward(x) - y).powi_scalar(2).mean()\n}\n",
    );
    let outcomes = advice.outcomes();
    for (at, outcome) in outcomes.iter().enumerate() {
        let parts = outcome.recipe.changes();
        let has = |part| parts.contains(&part);
        let name = |part, name: &str| if has(part) { name.to_string() } else { format!("_{name}") };
        let (features, targets) =
            (name(Change::Features, "x_all"), name(Change::Targets, "targets"));
        // The features are what predictions are of, too.
        let bind = if has(Change::Features) { "let features = x_all.clone();\n" } else { "" };
        let x = if has(Change::Features) { "x_all" } else { "_x_all" };
        let said = match (has(Change::Targets), has(Change::Features)) {
            (true, _) => format!("predict({x})"),
            (false, true) => format!("model.forward(inputs.forward({x}))"),
            (false, false) => format!("model.forward({x})"),
        };
        let _ = write!(
            text,
            "\n/// {}.\n#[rustfmt::skip]\npub fn case_{at}(mut model: Linear, {features}: Tensor<2>, {targets}: Tensor<2>, batch: Batches<'_>) -> Pasted {{\n{bind}{}Ok({said})\n}}\n",
            outcome.recipe,
            outcome.recipe.code(0.03, 50)
        );
    }
    let names: Vec<String> = (0..outcomes.len()).map(|at| format!("    case_{at},\n")).collect();
    let _ = write!(text, "\npub const CASES: [Case; {}] = [\n{}];\n", names.len(), names.concat());
    text
}

#[test]
fn every_recipes_code_is_compiled_as_it_is_printed() {
    let advice = advice(&Device::flex().autodiff());
    let written = file(&advice);
    if std::env::var_os("EVENKEEL_PASTE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/pasted/mod.rs");
        std::fs::write(path, &written).unwrap();
    }
    // Every kind of part is in some of it.
    let parts: Vec<Change> = advice.outcomes().iter().flat_map(|o| o.recipe.changes()).collect();
    use Change::{Bound, Cosine, Features, Governor, Method, Safety, Targets, Variant, Warmup};
    for part in [Features, Targets, Variant, Method, Bound, Governor, Safety, Warmup, Cosine] {
        assert!(parts.contains(&part), "{part:?}");
    }
    let compiled = include_str!("pasted/mod.rs");
    assert!(
        compiled == written,
        "`EVENKEEL_PASTE=1 cargo test every_recipes_code` writes it again"
    );
}

#[test]
fn every_recipes_code_trains_as_it_is_printed() {
    let device = Device::flex().autodiff();
    let (x, y) = batch(3, 64, &device);
    for (at, case) in crate::pasted::CASES.iter().enumerate() {
        let model: Linear = filled(LinearConfig::new(2, 1).init(&device), 1);
        let before = number(loss_of(&model, x.clone(), y.clone()));
        let said = case(model, x.clone(), y.clone(), &|k| batch(k, 16, &device)).unwrap();
        let after = number((said - y.clone()).powi_scalar(2).mean());
        // The slowest, clipped by each unit, takes half a percent off.
        assert!(after < 0.998 * before, "case {at}: from {before} to {after}");
    }
}
