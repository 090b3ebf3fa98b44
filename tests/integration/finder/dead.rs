//! Networks that die, and what their losses say.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::finder::{LossCurve, ShortRun, StableRange, StableRate, fresh_run, short_run};
use evenkeel::optim::Sgd;

use super::{geometric, search};
use crate::common::noise;

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
    // After 221 batches of 32 the 442 rows begin with the first one.
    let batches: Vec<_> = (0..221).map(|k| Raw::batch(k, &device)).collect();
    let batch = |k| batches[k as usize % 221].clone();
    let (mut died, mut learned) = (0, 0);
    let mut check = |start: f64, found: StableRange| {
        let rate = found.rate().unwrap();
        assert!((1.3e-5..2.5e-5).contains(&rate), "{start}: {found}");
        let dead =
            |rate: f64| found.points().iter().any(|p| p.rate == rate && p.dead_from.is_some());
        for point in found.points().iter().filter(|point| point.dead_from.is_some()) {
            assert!(point.end.is_none() && !point.lost && point.rate > rate);
            died += 1;
        }
        learned += found.curve().iter().filter(|(rate, end)| end.is_some() && !dead(*rate)).count();
    };
    for start in [1e-3, 1e-7] {
        let search = StableRate::new(200).unwrap().start(start).unwrap();
        let model = Raw::new(0, 8, &device);
        let run = |run: &ShortRun<'_>| short_run(&model, Sgd::new(), run, batch, Raw::loss);
        check(start, search.find(run).unwrap());
        let fresh = |seed| Raw::new(100 + seed, 8, &device);
        let run = |run: &ShortRun<'_>| fresh_run(fresh, Sgd::new(), run, batch, Raw::loss);
        check(start, search.find(run).unwrap());
    }
    assert!(died > 10 && learned > 23, "{died} died, {learned} learned");
}

/// A loss that falls like any other, of a network that is known to have died from 0.01 to 0.1: whether lower rates
/// have clearly learned by then or not.
#[test]
fn what_a_dead_networks_biases_learn_does_not_count() {
    for ratio in [0.99, 0.9999] {
        let run = |run: &ShortRun<'_>| {
            let curve = LossCurve::new(geometric(run, |rate| if rate < 1.0 { ratio } else { 2.0 }));
            let dead = run.rate > 0.01 && run.rate < 0.1;
            Ok::<_, ()>(if dead { curve.with_dead_from(7) } else { curve })
        };
        let found = search().find(run).unwrap();
        assert!((found.rate().unwrap() / 0.01 - 1.0).abs() < 0.03, "{found}");
        for point in found.points() {
            let dead = point.rate > 0.01 && point.rate < 0.1;
            assert_eq!(point.dead_from, dead.then_some(7), "{point:?}");
        }
    }
}
