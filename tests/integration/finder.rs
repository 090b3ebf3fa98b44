//! The highest stable rate, where it is known.

use std::ops::ControlFlow;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::finder::{
    LossCurve, Refusal, ShortRun, StableRange, StableRate, fresh_run, short_run,
};
use evenkeel::optim::{Momentum, Sgd};

use crate::common::{Batch, Net, bits, noise, on_every_device};

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
    let late = search().seconds_at_most(500.0, clock).unwrap();
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

/// A first rate at which nothing is learnt in so few updates is not above the edge.
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
    assert!(search().between(-1.0, 1.0).is_err() && search().seconds_at_most(0.0, || 0.0).is_err());
}

/// A regression on raw columns, as clinical ones are: means of 1.5 to 189. Networks of ReLUs die of it where the
/// rate is too high, and the last bias goes on to learn the mean of the targets.
#[derive(Module, Debug)]
pub struct Raw {
    first: Linear,
    last: Linear,
}

/// Mean and width of each column.
const COLUMNS: [(f32, f32); 10] = [
    (48.5, 45.0),
    (1.5, 1.7),
    (26.4, 15.0),
    (94.6, 48.0),
    (189.0, 120.0),
    (115.0, 105.0),
    (49.8, 45.0),
    (4.1, 4.5),
    (4.6, 1.8),
    (91.0, 40.0),
];

impl Raw {
    /// Weights that are even in `±1/√fan-in`.
    pub fn new(seed: u64, width: usize, device: &Device) -> Self {
        let first = LinearConfig::new(10, width).init(device);
        let last = LinearConfig::new(width, 1).init(device);
        Self { first, last }.map(&mut Even { next: 1000 * (seed + 1) })
    }

    /// Every unit below 0 for every row, whatever the output's bias learns.
    pub fn dead(device: &Device) -> Self {
        let mut net = Self::new(0, 8, device);
        let bias = net.first.bias.take().unwrap();
        net.first.bias = Some(bias.map(|b| Tensor::from_inner(b.inner() - 1e4).require_grad()));
        net
    }

    pub fn loss(&self, (x, y): (Tensor<2>, Tensor<2>)) -> Tensor<1> {
        let hidden = relu(self.first.forward(x));
        (self.last.forward(hidden) - y).powi_scalar(2).mean()
    }

    /// Batch `k` of 32 of 442 rows.
    pub fn batch(k: u64, device: &Device) -> (Tensor<2>, Tensor<2>) {
        let (mut x, mut y) = (vec![], vec![]);
        for i in 0..32 {
            let draws = noise(77_000 + (k * 32 + i) * 25 % 442, 11);
            x.extend(COLUMNS.iter().zip(&draws).map(|((mean, width), u)| mean + width * u));
            y.push(152.0 + 150.0 * (draws[2] + draws[8]) + 80.0 * draws[3] + 100.0 * draws[10]);
        }
        let tensor = |values, columns| {
            Tensor::<2>::from_data(TensorData::new(values, [32, columns]), device)
        };
        (tensor(x, 10), tensor(y, 1))
    }
}

struct Even {
    next: u64,
}

impl ModuleMapper for Even {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.next += 1;
        let seed = self.next;
        param.map(|t| {
            let fan_in = if D == 2 { t.dims()[0] } else { 10 } as f32;
            let draws = noise(seed, t.shape().num_elements());
            let draws: Vec<f32> = draws.iter().map(|x| 2.0 * x / fan_in.sqrt()).collect();
            Tensor::from_data(TensorData::new(draws, t.shape()), &t.device()).require_grad()
        })
    }
}

/// The edges of these networks are between 1.4·10⁻⁵ and 2.3·10⁻⁵. Above, up to 0.01, their biases still learn.
#[test]
fn a_network_that_dies_is_not_stable() {
    let device = Device::flex().autodiff();
    let batch = |k| Raw::batch(k, &device);
    let (mut died, mut learnt) = (0, 0);
    for seed in 0..3 {
        let model = Raw::new(seed, 8, &device);
        for start in [1e-3, 1e-7] {
            let search = StableRate::new(200).unwrap().start(start).unwrap();
            let one =
                search.find(|run| short_run(&model, Sgd::new(), run, batch, Raw::loss)).unwrap();
            let fresh = |seed| Raw::new(100 + seed, 8, &device);
            let many =
                search.find(|run| fresh_run(fresh, Sgd::new(), run, batch, Raw::loss)).unwrap();
            for found in [one, many] {
                let rate = found.rate().unwrap();
                assert!((1.3e-5..2.5e-5).contains(&rate), "{start}: {found}");
                let dead = |rate: f64| {
                    found.points().iter().any(|p| p.rate == rate && p.dead_from.is_some())
                };
                for point in found.points().iter().filter(|point| point.dead_from.is_some()) {
                    assert!(point.end.is_none() && !point.lost && point.rate > rate);
                    died += 1;
                }
                learnt += found
                    .curve()
                    .iter()
                    .filter(|(rate, end)| end.is_some() && !dead(*rate))
                    .count();
            }
        }
    }
    assert!(died > 20 && learnt > 50, "{died} died, {learnt} learnt");
}

/// A loss that falls like any other, of a network that is known to have died above 0.01.
#[test]
fn what_a_dead_networks_biases_learn_does_not_count() {
    let run = |run: &ShortRun<'_>| {
        let curve = LossCurve::new(geometric(run, |_| 0.99));
        Ok::<_, ()>(if run.rate > 0.01 { curve.with_dead_from(7) } else { curve })
    };
    let found = search().find(run).unwrap();
    assert!((found.rate().unwrap() / 0.01 - 1.0).abs() < 0.03, "{found}");
    let dead = found.points().iter().filter(|point| point.dead_from == Some(7));
    assert_eq!(dead.count(), found.points().iter().filter(|point| point.rate > 0.01).count());
}

/// Islands of stable rates above the edge, with the default start on one of them.
#[test]
fn an_island_is_not_the_edge() {
    let (edge, islands) = (1.4e-5, [3.3e-5..4.4e-5, 2.1e-4..2.9e-4, 9e-4..5e-3]);
    for start in [1e-3, 4e-3, 2.5e-4, 3.9e-5, 1e-5, 1e-8] {
        let run = |run: &ShortRun<'_>| {
            let stable =
                run.rate <= edge || islands.iter().any(|island| island.contains(&run.rate));
            Ok::<_, ()>(geometric(run, |_| if stable { 0.99 } else { 2.0 }))
        };
        let found = search().start(start).unwrap().find(run).unwrap();
        assert!((found.rate().unwrap() / edge - 1.0).abs() < 0.03, "{start}: {found}");
        let (rate, points) = (found.rate().unwrap(), found.points());
        assert!(points.iter().all(|point| point.rate > rate || point.end.is_some()));
        // Three octaves below it were tried.
        let mut below: Vec<f64> = points.iter().map(|point| point.rate).collect();
        below.retain(|other| *other <= rate);
        below.sort_by(f64::total_cmp);
        assert!(below.iter().any(|other| *other <= rate / 8.0 * 1.02), "{found}");
        let near: Vec<f64> = below.into_iter().filter(|other| *other > rate / 8.0).collect();
        assert!(near.windows(2).all(|pair| pair[1] / pair[0] < 1.415), "{near:?}");
    }
    // What learns nothing fails, too, where a lower rate has clearly learnt.
    let run = |run: &ShortRun<'_>| {
        let ratio = match run.rate {
            0.1..0.3 => 1.0,
            1.0.. => 2.0,
            _ => 0.99,
        };
        Ok::<_, ()>(geometric(run, |_| ratio))
    };
    for start in [1e-3, 0.4] {
        let found = search().start(start).unwrap().find(run).unwrap();
        assert!((found.rate().unwrap() / 0.1 - 1.0).abs() < 0.03, "{start}: {found}");
    }
    // Where none has, it is too low, or the noise of a rate that is.
    let run = |run: &ShortRun<'_>| {
        let ratio = match run.rate {
            0.1..0.3 => 1.0,
            1.0.. => 2.0,
            _ => 0.9999,
        };
        Ok::<_, ()>(geometric(run, |_| ratio))
    };
    let found = search().find(run).unwrap();
    assert!((found.rate().unwrap() - 1.0).abs() < 0.03, "{found}");
}

/// A narrow stable rate between what is too low and what is lost is found, and an edge to the last digit ends.
#[test]
fn a_search_comes_to_an_end() {
    let run = |run: &ShortRun<'_>| {
        Ok::<_, ()>(match run.rate {
            rate if rate < 1.9e-3 => vec![1.0; run.over as usize],
            rate => geometric(run, |_| if rate < 2.1e-3 { 0.9 } else { 3.0 }),
        })
    };
    let found = search().find(run).unwrap();
    assert!((found.rate().unwrap() / 2.1e-3 - 1.0).abs() < 0.03, "{found}");
    let run = |run: &ShortRun<'_>| {
        Ok::<_, ()>(geometric(run, |rate| if rate < 0.3 { 0.99 } else { 3.0 }))
    };
    let found = search().within(1e-300).unwrap().find(run).unwrap();
    let (low, high) = found.interval().unwrap();
    assert_eq!(low.to_bits() + 1, high.unwrap().to_bits());
}

/// What is wrong before any update is told at once, and named.
#[test]
fn a_loss_that_is_not_finite_from_the_start_is_no_search() {
    let told = |found: StableRange, why: Refusal, seed: u64| {
        assert_eq!(found.refusal(), Some(why), "{found}");
        assert_eq!((found.rate(), found.interval()), (None, None));
        assert_eq!(found.edges().len() as u64, seed);
        assert!(found.is_complete());
        assert!(
            found.to_string().contains(&format!("no rate: the {}", why.to_string().split_at(4).1))
        );
        assert!(found.to_string().contains(&format!("(seed {seed})")), "{found}");
    };
    for bad in [f64::NAN, f64::INFINITY] {
        let found = search().find(|_| Ok::<_, ()>(vec![bad])).unwrap();
        assert_eq!((found.updates(), found.points().len()), (1, 0));
        told(found, Refusal::NotFinite, 0);
    }
    // For the second seed alone.
    let second = |run: &ShortRun<'_>| {
        Ok::<_, ()>(match run.seed {
            1 => vec![f64::NAN],
            _ => geometric(run, |rate| 0.99 + 0.01 * (rate / 0.3)),
        })
    };
    let found = StableRate::new(200).unwrap().find(second).unwrap();
    told(found.clone(), Refusal::NotFinite, 1);
    // Mended, it goes on.
    let mended = |run: &ShortRun<'_>| Ok::<_, ()>(geometric(run, |rate| 0.99 + rate / 30.0));
    let found = StableRate::new(200).unwrap().resume(found, mended).unwrap();
    assert_eq!((found.refusal(), found.edges().len()), (None, 3));

    on_every_device(|device| {
        let find = |model: &Raw, poison: f32, power: f32| {
            let batch = |k| {
                let (x, y) = Raw::batch(k, device);
                (x * poison, y)
            };
            let loss = |model: &Raw, batch| model.loss(batch).powf_scalar(power);
            search().find(|run| short_run(model, Sgd::new(), run, batch, loss)).unwrap()
        };
        let sound = Raw::new(0, 8, device);
        told(find(&sound, f32::NAN, 1.0), Refusal::NotFinite, 0);
        told(find(&Raw::dead(device), 1.0, 1.0), Refusal::Dead { updates: 0 }, 0);
        // A finite loss with a gradient that is not: 0^½ by 0.
        let model = bowl(device);
        let zero = |m: &Linear, ()| (m.weight.val() * 0.0).abs().sqrt().sum();
        let found = search().find(|run| short_run(&model, Sgd::new(), run, |_| (), zero)).unwrap();
        told(found, Refusal::NotFinite, 0);
    });
}

/// An update that overflows, be it the first one, is the work of its rate.
#[test]
fn a_rate_that_overflows_at_once_is_no_fault_of_the_start() {
    let model = bowl(&Device::flex().autodiff());
    let short = StableRate::new(60).unwrap().seeds(1).unwrap();
    let wide = short.between(1e-10, 3e38).unwrap().start(2e38).unwrap();
    let found = wide
        .find(|run| short_run(&model, Sgd::new(), run, |_| (), |m, ()| loss(m, [0.5, 8.0])))
        .unwrap();
    assert_eq!(found.refusal(), None, "{found}");
    near(found.rate().unwrap(), 0.25);
    assert!(found.points()[0].lost && found.points()[0].start.is_finite());
}

/// The first loss of a seed is that of its first weights, as every seed has the same batch here.
#[test]
fn seeds_have_other_first_weights() {
    on_every_device(|device| {
        let model = Net::new(device);
        let batch = |_| Batch::number(0, device);
        let starts = |found: StableRange| -> Vec<f64> {
            let points = found.points().iter();
            let start = |seed| points.clone().filter(move |p| p.seed == seed).map(|p| p.start);
            (0..3)
                .map(|seed| {
                    // At every rate a seed begins at the same place.
                    assert!(start(seed).all(|x| x == start(seed).next().unwrap()));
                    start(seed).next().unwrap()
                })
                .collect()
        };
        let short = StableRate::new(10).unwrap();
        let own = f64::from(Net::loss(&model, batch(0)).into_scalar::<f32>());
        let one =
            starts(short.find(|run| short_run(&model, Sgd::new(), run, batch, Net::loss)).unwrap());
        assert_eq!(one[0], own);
        for other in [one[1], one[2]] {
            let moved = (other / own - 1.0).abs();
            assert!(moved > 1e-6 && moved < 0.1, "{one:?}");
        }
        assert_ne!(one[1], one[2]);
        // A model that is made for its seed is left as it is.
        let fresh = |seed| crate::common::filled(Net::new(device), seed + 1);
        let of = |seed| f64::from(Net::loss(&fresh(seed), batch(0)).into_scalar::<f32>());
        let many =
            starts(short.find(|run| fresh_run(fresh, Sgd::new(), run, batch, Net::loss)).unwrap());
        assert_eq!(many, [of(0), of(1), of(2)]);
    });
}
