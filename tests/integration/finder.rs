//! The highest stable rate, where it is known.

mod below;
pub mod dead;
mod start;

use std::ops::ControlFlow;

use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::finder::{ShortRun, StableRange, StableRate, short_run};
use evenkeel::optim::{Momentum, Sgd};

use crate::common::{Batch, Net, bits, on_every_device};

fn search<'a>() -> StableRate<'a> {
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
fn geometric(run: &ShortRun<'_>, ratio: impl Fn(f64) -> f64) -> Vec<f64> {
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
            assert!(found.points().len() < 35, "{found}");
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
    let spiked = |run: &ShortRun<'_>| {
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
    assert_eq!((found.edges().len(), found.confidence()), (3, 0.75));
}

/// The best rate is where the loss is lowest, and a curve with a known spread has a known sensitivity.
#[test]
fn the_best_rate_and_the_sensitivity_are_those_of_the_curve() {
    let run = |run: &ShortRun<'_>| {
        // Lowest at 0.1.
        let end = 0.2 + 0.1 * (run.rate / 0.1).log10().powi(2);
        let losses = (0..run.over).map(|k| if k < run.over / 2 { 1.0 } else { end });
        Ok::<_, ()>(losses.collect::<Vec<f64>>())
    };
    let found = search().start(0.1).unwrap().find(run).unwrap();
    let (rate, loss) = found.best().unwrap();
    assert_eq!(rate, 0.1);
    assert!((loss - 0.2).abs() < 1e-12);
    // The mean of 0.1·x² over x = log₁₀(γ/0.1), in steps of log₁₀ 4 and less, and of 0.8 from where it reaches
    // the start.
    let rates = found.curve();
    let part = |rate: f64| (rate / 0.1).log10();
    let (from, to) = (part(rates[0].0), part(rates.last().unwrap().0));
    let edge = 8f64.sqrt();
    let area = 0.1 * (edge.powi(3) - from.powi(3)) / 3.0 + 0.8 * (to - edge);
    let mean = area / (to - from);
    let found_mean = found.sensitivity().unwrap();
    // Trapezoids of width h are too large by h²/6 of a second derivative of 0.2.
    assert!(found_mean >= mean && found_mean < mean + 0.2 * 4f64.log10().powi(2) / 6.0);
}

/// On an even grid it is the mean of Wortsman et al., in which an unstable rate counts as the start.
#[test]
fn the_sensitivity_is_the_mean_over_an_even_grid() {
    // The first step up and down is by 4: five rates in even steps, two of which are lost.
    let losses = [0.5, 0.3, 0.2, f64::INFINITY, f64::INFINITY];
    let run = |run: &ShortRun<'_>| {
        let at = (run.rate / 1e-3).log(4.0).round() as usize;
        let end = losses.get(at).copied().unwrap_or(f64::INFINITY);
        Ok::<_, ()>((0..run.over).map(|k| if k == 0 { 1.0 } else { end }).collect::<Vec<f64>>())
    };
    let search = search().start(1e-3).unwrap().within(3.5).unwrap();
    let found = search.find(run).unwrap();
    assert_eq!(found.curve().len(), 4);
    // Losses below the best: 0.3, 0.1, 0, and 0.8 for what is unstable; by trapezoids.
    let near = |x: Option<f64>, y: f64| assert!((x.unwrap() - y).abs() < 1e-9, "{x:?} is not {y}");
    near(found.sensitivity(), (0.2 + 0.05 + 0.4) / 3.0);
    // Above what was tried, all is lost; what lies between two rates is on the line.
    near(found.sensitivity_between(1e-3, 1e-3 * 256.0), (0.2 + 0.05 + 0.4 + 0.8) / 4.0);
    near(found.sensitivity_between(2e-3, 4e-3), 0.15);
    assert_eq!(found.sensitivity_between(1e-6, 1e-5), None);
    // A spread of seeds has a confidence.
    assert_eq!(found.confidence(), 0.0);
}

#[test]
fn a_search_goes_on_where_it_stopped() {
    let run = |run: &ShortRun<'_>| Ok::<_, ()>(geometric(run, |rate| 0.99 + 0.01 * (rate / 0.3)));
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
    let nothing = |_: &ShortRun<'_>| Err::<Vec<f64>, _>("measured again");
    assert_eq!(search().resume(whole.clone(), nothing).unwrap(), whole);
    assert_eq!(search().find(nothing).unwrap_err(), "measured again");
    #[cfg(feature = "serde")]
    {
        let text = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<StableRange>(&text).unwrap(), whole);
    }
}

/// The clock, the watch, and the middle of a run: it ends, says so, and goes on.
#[test]
fn a_search_can_be_watched_and_stopped_anywhere() {
    let ratio = |rate: f64| 0.99 + 0.01 * (rate / 0.3);
    let asking = |run: &ShortRun<'_>| {
        let mut losses = Vec::new();
        for k in 0..run.over {
            if k > 0 && !run.go_on(k) {
                break;
            }
            losses.push(ratio(run.rate).powi(k as i32));
            if run.is_hopeless(&losses) {
                break;
            }
        }
        Ok::<_, ()>(losses)
    };
    let whole = search().find(asking).unwrap();

    // By seconds: a clock that moves by one each time it is read.
    let ticks = std::cell::Cell::new(0.0);
    let clock = || {
        ticks.set(ticks.get() + 1.0);
        ticks.get()
    };
    let late = search().budget_seconds(500.0, clock).unwrap();
    let part = late.find(asking).unwrap();
    assert!(!part.is_complete() && ticks.get() <= 503.0, "{} reads", ticks.get());
    assert_eq!(part.updates(), 500 - 1);
    assert_eq!(part.points(), &whole.points()[..part.points().len()]);
    assert!(part.to_string().contains("or it was stopped"));
    // Every call has its seconds, and nothing that is known is measured again.
    let mut more = part;
    for _ in 0..20 {
        more = late.resume(more, asking).unwrap();
    }
    assert!(more.is_complete());
    assert_eq!((more.points(), more.edges()), (whole.points(), whole.edges()));

    // By whoever watches.
    let mut told = Vec::new();
    let part = search()
        .watch(|now| {
            told.push(*now);
            match now.updates {
                450.. => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        })
        .find(asking)
        .unwrap();
    assert_eq!((part.updates(), part.points().len()), (450, 2));
    assert!(!part.is_complete() && part.edges().is_empty() && part.rate().is_none());
    let last = told.last().unwrap();
    assert_eq!((last.runs, last.made, last.over, last.seeds), (2, 50, 200, 1));
    assert!(told.windows(2).all(|w| w[0].updates < w[1].updates || w[1].made == 0));
    assert_eq!(search().resume(part, asking).unwrap().points(), whole.points());
}

/// A first rate at which nothing is learned in so few updates is not above the edge.
#[test]
fn stable_rates_are_looked_for_above_too_low_a_start() {
    // Too noisy to show anything below 1; lost from 40 on.
    let run = |run: &ShortRun<'_>| match run.rate {
        rate if rate < 1.0 => Ok::<_, ()>(vec![1.0; run.over as usize]),
        rate => Ok(geometric(run, |_| if rate < 40.0 { 0.9 } else { 3.0 })),
    };
    let found = search().find(run).unwrap();
    let rate = found.rate().unwrap();
    assert!((rate / 40.0 - 1.0).abs() < 0.03, "{found}");
    assert!(found.points().iter().all(|point| point.lost == (point.rate >= 40.0)));
}

/// A stopped run of a model leaves it as it was, too.
#[test]
fn nothing_of_the_callers_is_changed_by_a_search_that_is_stopped() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let before = bits(&net);
    let batch = |k| Batch::number(k, &device);
    let search = StableRate::new(10).unwrap().seeds(1).unwrap().watch(|now| match now.updates {
        17.. => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let found: StableRange =
        search.find(|run| short_run(&net, Sgd::new(), run, batch, Net::loss)).unwrap();
    assert_eq!((found.updates(), found.points().len()), (17, 1));
    assert_eq!(before, bits(&net));
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
    assert!(search().between(-1.0, 1.0).is_err() && search().budget_seconds(0.0, || 0.0).is_err());
}
