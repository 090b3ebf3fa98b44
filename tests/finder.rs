//! The highest stable rate, where it is known.

use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::finder::{ShortRun, StableRange, StableRate, short_run};
use evenkeel::optim::{Momentum, Sgd};

mod common;

use common::{Batch, Net, bits, on_every_device};

fn search() -> StableRate {
    StableRate::new(200).unwrap().seeds(1).unwrap()
}

/// `½(λ₁w₁² + λ₂w₂²)`, with weights that are neither of them small.
fn bowl(device: &Device) -> Linear {
    let mut model = LinearConfig::new(2, 1).with_bias(false).init(device);
    let data = TensorData::new(vec![0.7f32, -0.9], [2, 1]);
    model.weight = model.weight.map(|_| Tensor::from_data(data, device).require_grad());
    model
}

fn loss(model: &Linear, lambda: [f32; 2]) -> Tensor<1> {
    let scale = Tensor::<2>::from_floats([[lambda[0]], [lambda[1]]], &model.weight.val().device());
    (model.weight.val().powi_scalar(2) * scale).sum() * 0.5
}

fn near(x: f64, y: f64) {
    assert!((x / y - 1.0).abs() < 0.05, "{x} is not {y}");
}

#[test]
fn the_edge_of_a_quadratic_is_two_over_its_curvature() {
    on_every_device(|device| {
        for lambda in [[0.5, 8.0], [3.0, 300.0]] {
            let top = f64::from(lambda[1]);
            let model = bowl(device);
            let short = StableRate::new(60).unwrap().seeds(1).unwrap();
            let found = short
                .find(|run| short_run(&model, Sgd::new(), run, |_| (), |m, ()| loss(m, lambda)))
                .unwrap();
            near(found.rate().unwrap(), 2.0 / top);
        }
    });
    let model = bowl(&Device::flex().autodiff());
    let lambda = [1.0, 20.0];
    let rule = || Momentum::new(0.9).unwrap();
    let found = search()
        .find(|run| short_run(&model, rule(), run, |_| (), |m, ()| loss(m, lambda)))
        .unwrap();
    near(found.rate().unwrap(), 3.8 / 20.0);
    let found = search()
        .find(|run| short_run(&model, rule().nesterov(), run, |_| (), |m, ()| loss(m, lambda)))
        .unwrap();
    near(found.rate().unwrap(), 3.8 / 2.8 / 20.0);
}

/// Linear regression on columns of scale 1 and 10: the Hessian is `2·XᵀX/n`.
#[test]
fn the_edge_of_a_regression_is_that_of_its_columns() {
    let device = Device::flex().autodiff();
    let (mut x, mut top) = (Vec::new(), 0.0);
    for k in 0..32 {
        let (a, b) = ((k as f32 * 0.7).sin(), 10.0 * (k as f32 * 1.3).cos());
        x.extend([a, b]);
        top += 2.0 * f64::from(b * b) / 32.0;
    }
    let x = Tensor::<2>::from_data(TensorData::new(x, [32, 2]), &device);
    let model = bowl(&device);
    let fit = |m: &Linear, ()| (m.forward(x.clone()) - x.clone().sum_dim(1)).powi_scalar(2).mean();
    let found = search().find(|run| short_run(&model, Sgd::new(), run, |_| (), fit)).unwrap();
    // The small column turns the eigenvector a little.
    near(found.rate().unwrap(), 2.0 / top);
}

/// A run whose losses are `ratio(rate)ᵏ`.
fn geometric(run: &ShortRun, ratio: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut losses = Vec::new();
    for k in 0..run.over {
        losses.push(ratio(run.rate).powi(k as i32));
        if run.is_hopeless(&losses) {
            break;
        }
    }
    losses
}

#[test]
fn edges_are_found_wherever_they_are() {
    for edge in [3e-9, 1e-3, 0.5, 2e4] {
        for start in [1e-3, 1.0] {
            let found = search()
                .start(start)
                .unwrap()
                .find(|run| Ok::<_, ()>(geometric(run, |rate| 0.99 + 0.01 * (rate / edge))))
                .unwrap();
            let (low, high) = found.interval().unwrap();
            assert!(low <= edge * 1.02 && high.unwrap() >= edge * 0.98, "{edge}: {found}");
            assert!(high.unwrap() / low <= 1.021);
            assert!(found.points().len() < 25, "{found}");
        }
    }
}

#[test]
fn where_there_is_no_edge_none_is_named() {
    let never = search().find(|run| Ok::<_, ()>(geometric(run, |_| 1.01))).unwrap();
    assert_eq!((never.rate(), never.interval(), never.best()), (None, None, None));
    assert!(never.to_string().contains("no rate was stable"));
    let flat = search().find(|run| Ok::<_, ()>(geometric(run, |_| 1.0))).unwrap();
    assert_eq!(flat.rate(), None);
    let always = search().find(|run| Ok::<_, ()>(geometric(run, |_| 0.99))).unwrap();
    assert_eq!(always.interval(), Some((1e6, None)));
    // A spike that it comes back from is a spike all the same.
    let spiked = |run: &ShortRun| {
        let mut losses = geometric(run, |_| 0.99);
        if run.rate > 0.1 {
            losses[50..60].fill(1e3);
        }
        Ok::<_, ()>(losses)
    };
    let found = search().find(spiked).unwrap();
    assert!((found.rate().unwrap() / 0.1 - 1.0).abs() < 0.03);
}

#[test]
fn seeds_make_an_interval() {
    let edges = [0.1, 0.3, 0.2];
    let found = StableRate::new(100)
        .unwrap()
        .find(|run| {
            let edge = edges[run.seed as usize];
            assert_eq!(run.first, run.seed * 100);
            Ok::<_, ()>(geometric(run, |rate| 0.99 + 0.01 * (rate / edge)))
        })
        .unwrap();
    let (low, high) = found.interval().unwrap();
    assert!((low / 0.1 - 1.0).abs() < 0.03 && (high.unwrap() / 0.3 - 1.0).abs() < 0.03, "{found}");
    assert_eq!(found.rate(), Some(low));
    assert_eq!(found.edges().len(), 3);
}

/// The best rate is where the loss is lowest, and a curve with a known spread has a known sensitivity.
#[test]
fn the_best_rate_and_the_sensitivity_are_those_of_the_curve() {
    let run = |run: &ShortRun| {
        // Lowest at 0.1.
        let end = 0.2 + 0.1 * (run.rate / 0.1).log10().powi(2);
        let losses = (0..run.over).map(|k| if k < run.over / 2 { 1.0 } else { end });
        Ok::<_, ()>(losses.collect())
    };
    let found = search().start(0.1).unwrap().find(run).unwrap();
    let (rate, loss) = found.best().unwrap();
    assert_eq!(rate, 0.1);
    assert!((loss - 0.2).abs() < 1e-12);
    let lost = found.curve().into_iter().map(|(_, loss)| loss.unwrap_or(1.0) - 0.2);
    let expected = lost.sum::<f64>() / found.curve().len() as f64;
    assert!((found.sensitivity().unwrap() - expected).abs() < 1e-12);
}

#[test]
fn a_search_goes_on_where_it_stopped() {
    let run = |run: &ShortRun| Ok::<_, ()>(geometric(run, |rate| 0.99 + 0.01 * (rate / 0.3)));
    let whole = search().find(run).unwrap();
    let mut budget = 400;
    let mut part = search().budget(budget).find(run).unwrap();
    assert!(!part.is_complete() && part.updates() <= 400);
    assert!(part.to_string().contains("the budget was used up"));
    while !part.is_complete() {
        budget += 400;
        part = search().budget(budget).resume(part, run).unwrap();
    }
    assert_eq!(part, whole);
    // What is known is not measured again.
    let nothing = |_: &ShortRun| Err::<Vec<f64>, _>("measured again");
    assert_eq!(search().resume(whole.clone(), nothing).unwrap(), whole);
    assert_eq!(search().find(nothing).unwrap_err(), "measured again");
    #[cfg(feature = "serde")]
    {
        let text = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<StableRange>(&text).unwrap(), whole);
    }
}

#[test]
fn nothing_of_the_callers_is_changed() {
    on_every_device(|device| {
        let net = Net::new(device);
        let before = bits(&net);
        let runs = StableRate::new(10).unwrap().seeds(1).unwrap().budget(60);
        let batch = |k| Batch::number(k, device);
        let found: StableRange =
            runs.find(|run| short_run(&net, Sgd::new(), run, batch, Net::loss)).unwrap();
        assert!(found.updates() > 10);
        assert_eq!(before, bits(&net));
    });
}

#[test]
fn what_is_wrong_is_named() {
    assert!(StableRate::new(9).unwrap_err().to_string().contains("`over` of StableRate"));
    assert!(search().seeds(0).is_err() && search().start(f64::NAN).is_err());
    assert!(search().within(0.0).is_err() && search().between(1.0, 1.0).is_err());
    assert!(search().between(-1.0, 1.0).is_err());
}
