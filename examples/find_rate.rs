//! Three ways to find a learning rate.
//!
//!     cargo run --example find_rate
//!
//! A small network learns to rate wines from raw measurements. The curvature gives the rate that plain descent allows
//! at the start, a sweep reads a rate off a curve in 300 updates, and a search trains at rates until it has found the
//! edge. Then Adam's rate is swept in the middle of training.

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Instant;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::Keel;
use evenkeel::curvature::{CriticalRate, Lanczos};
use evenkeel::finder::{LrFinder, ShortSweep, StableRate, Suggestion, fresh_run, short_sweep};
use evenkeel::optim::{Adam, Sgd};
use evenkeel::standardize::{Moments, Standardize};
use indicatif::ProgressBar;

type Batch = (Tensor<2>, Tensor<2>);

const SIZE: usize = 64;
/// A rate is stable if this many updates are.
const UPDATES: u64 = 200;

#[derive(Module, Debug)]
struct Net {
    scale: Standardize,
    first: Linear,
    second: Linear,
    output: Linear,
}

impl Net {
    fn new(scale: Standardize, seed: u64, device: &Device) -> Self {
        device.seed(seed);
        let layer = |from, to| LinearConfig::new(from, to).init(device);
        Self { scale, first: layer(11, 64), second: layer(64, 64), output: layer(64, 1) }
    }

    fn loss(&self, (x, y): Batch) -> Tensor<1> {
        let x = Relu::new().forward(self.first.forward(self.scale.forward(x)));
        let x = Relu::new().forward(self.second.forward(x));
        (self.output.forward(x) - y).powi_scalar(2).mean()
    }
}

fn rows() -> Result<Vec<Vec<f32>>, std::num::ParseFloatError> {
    let csv = include_str!("data/wine_quality_red.csv");
    csv.lines().skip(1).map(|line| line.split(',').map(str::parse).collect()).collect()
}

/// Batch `k`: every 25th row, wrapping around.
fn batch(k: u64, rows: &[Vec<f32>], device: &Device) -> Batch {
    let at = |i: usize| &rows[(k as usize * SIZE + i) * 25 % rows.len()];
    let x: Vec<f32> = (0..SIZE).flat_map(|i| at(i)[..11].to_vec()).collect();
    let y: Vec<f32> = (0..SIZE).map(|i| at(i)[11]).collect();
    let tensor =
        |values, columns| Tensor::from_data(TensorData::new(values, [SIZE, columns]), device);
    (tensor(x, 11), tensor(y, 1))
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let rows = rows()?;
    let batch = |k| batch(k, &rows, &device);
    let mut moments = Moments::new();
    (0..25).try_for_each(|k| moments.push(batch(k).0))?;
    let scale = moments.standardize()?;
    let mut net = Net::new(scale.clone(), 1, &device);

    println!("The curvature of one batch");
    let here = |net: &Net| net.loss(batch(0));
    let sharpness = Lanczos::new().measure(&net, here)?;
    let critical = CriticalRate::measure(&net, here)?;
    let bound = sharpness.descent().unwrap_or(f64::INFINITY);
    let (value, residual) = (sharpness.value(), sharpness.residual());
    println!("  sharpness {value:.1} ± {residual:.1}, from {} products", sharpness.steps());
    println!(
        "  of which follows a rate of {bound:.2e} for plain descent, if the loss were quadratic"
    );
    if let Some(rate) = critical.rate() {
        println!("  one step makes the batch worse from {rate:.2e} on");
    }

    println!("\nA sweep of plain descent");
    let descent = |sweep: &ShortSweep| short_sweep(&net, Sgd::new(), sweep, batch, Net::loss);
    let swept = LrFinder::new(1e-6, 10.0)?.find(descent)?;
    println!("{swept}");

    println!("\nThe search of plain descent");
    let (bar, begun) = (ProgressBar::new_spinner(), Instant::now());
    let search = StableRate::new(UPDATES)?
        .budget_seconds(20.0, || begun.elapsed().as_secs_f64())?
        .watch(|now| {
            if now.made == 0 {
                let (seed, rate) = (now.seed + 1, now.rate);
                bar.set_message(format!("seed {seed} of {}, rate {rate:.2e}", now.seeds));
                bar.tick();
            }
            ControlFlow::Continue(())
        });
    // Different initial weights for each seed.
    let fresh = |seed| Net::new(scale.clone(), 1 + seed, &device);
    let found = search.find(|run| fresh_run(fresh, Sgd::new(), run, batch, Net::loss))?;
    bar.finish_and_clear();
    println!("{found}");

    println!("\nSide by side");
    if let Some(edge) = found.rate() {
        let line = |what: &str, rate: f64| {
            println!("  {what:<36} {rate:<9.2e} {:>9.5} of the edge", rate / edge);
        };
        line("the edge: stable for every seed up to", edge);
        line("best of the rates that were tried", found.best().map_or(f64::NAN, |best| best.0));
        for rule in Suggestion::ALL {
            if let Some(said) = swept.suggestion(rule) {
                line(&format!("the sweep's {rule}"), said.rate);
            }
        }
        line("the sweep's edge", swept.edge().map_or(f64::NAN, |edge| edge.rate));
        line("2/sharpness, at the start", bound);
        line("the critical rate, at the start", critical.rate().unwrap_or(f64::NAN));
        println!(
            "  The search is the one that has trained at its answer. The sweep's valley is a safe rate to"
        );
        println!(
            "  begin with; its edge, and its slide, are not to be relied on. The curvature speaks of the"
        );
        println!("  first step, and a run may get over more than it allows.");
    }

    println!("\nAdam, after 200 updates at 1e-3, with the state that it has by then");
    let mut keel = Keel::wrap(Adam::new()).build(&net)?;
    for k in 0..200 {
        let loss = net.loss(batch(k));
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        net = keel.step(1e-3, net, grads, &loss)?.model;
    }
    let adam = |sweep: &ShortSweep| short_sweep(&net, keel.optimizer(), sweep, batch, Net::loss);
    println!("{}", LrFinder::new(1e-6, 10.0)?.find(adam)?);

    Ok(())
}
