//! A governor at rates that are too high: five nets on the 8×8 digits, momentum 0.9, constant rates from 2⁻¹² to 2⁵,
//! with and without it.
//!
//!     cargo run --example governor
//!
//! `--net NAME` selects one net, `--seeds N` and `--steps N` make the run shorter or longer, and `--cost` measures only
//! the cost of a step.

mod nets;

use std::time::{Duration, Instant};

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use clap::Parser;
use evenkeel::Keel;
use evenkeel::curvature::Governor;
use evenkeel::optim::Momentum;
use nets::{Kind, Net};

#[derive(Parser)]
struct Arguments {
    /// plain, residual, pre-norm, conv or batch-norm; all of them by default.
    #[arg(long)]
    net: Option<String>,
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    #[arg(long, default_value_t = 300)]
    steps: u64,
    /// How bold the governor is (its caution factor); the default is 2.
    #[arg(long)]
    caution: Option<f64>,
    /// Measures the cost of a step only.
    #[arg(long)]
    cost: bool,
}

/// Cross entropy that counts as learned; guessing gives ln 10 = 2.30.
const TARGET: f64 = 0.347;
const BATCH: usize = 64;

struct Digits {
    x: Vec<f32>,
    y: Vec<i32>,
}

impl Digits {
    /// Pixels from -1 to 1.
    fn read() -> Result<Self, Box<dyn std::error::Error>> {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for line in include_str!("../data/digits.csv").lines() {
            let row = line.split(',').map(str::parse).collect::<Result<Vec<f32>, _>>()?;
            let (label, pixels) = row.split_last().ok_or("an empty line")?;
            x.extend(pixels.iter().map(|pixel| pixel / 8.0 - 1.0));
            y.push(*label as i32);
        }
        Ok(Self { x, y })
    }

    /// Rows in a different order for each seed and epoch.
    fn batch(&self, seed: u64, step: u64, device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
        let rows = self.y.len() as u64;
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for k in 0..BATCH as u64 {
            // A stride that shares no divisor with the number of rows visits each of them.
            let at = ((step * BATCH as u64 + k) * (2 * seed + 577) + 31 * seed) % rows;
            let at = at as usize;
            x.extend_from_slice(&self.x[64 * at..64 * (at + 1)]);
            y.push(self.y[at]);
        }
        let x = Tensor::from_data(TensorData::new(x, [BATCH, 64]), device);
        (x, Tensor::from_data(TensorData::new(y, [BATCH]), device))
    }
}

/// The mean loss of the last tenth, or `None` if something was not finite.
fn train(
    kind: Kind,
    rate: f64,
    seed: u64,
    steps: u64,
    governor: Option<Governor>,
    data: &Digits,
) -> Result<Option<f64>, Box<dyn std::error::Error>> {
    let device = Device::flex().autodiff();
    device.seed(seed);
    let mut net = Net::new(kind, &device);
    let keel = Keel::wrap(Momentum::new(0.9)?).skips_at_most(0);
    let mut keel = match &governor {
        Some(governor) => keel.bound(governor.clone()).build(&net)?,
        None => keel.build(&net)?,
    };
    let entropy = CrossEntropyLossConfig::new().init(&device);
    let mut tail = Vec::new();
    for step in 0..steps {
        let (x, y) = data.batch(seed, step, &device);
        let loss_of = |net: &Net| entropy.forward(net.forward(x.clone()), y.clone());
        let loss = loss_of(&net);
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        if let Some(governor) = &governor {
            governor.watch(keel.updates(), &net, &grads, loss_of)?;
        }
        match keel.step(rate, net, grads, &loss) {
            Ok(stepped) => {
                net = stepped.model;
                if step >= steps - steps.div_ceil(10) {
                    tail.push(stepped.report.reading.loss);
                }
            }
            // The first non-finite batch ends the run.
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(tail.iter().sum::<f64>() / tail.len() as f64))
}

/// Milliseconds per step, bare and with a measurement, at a rate that changes next to nothing: the minimum of five
/// rounds of 20 steps each, in turn.
fn cost(kind: Kind, data: &Digits) -> Result<[f64; 2], Box<dyn std::error::Error>> {
    let device = Device::flex().autodiff();
    let entropy = CrossEntropyLossConfig::new().init(&device);
    let (x, y) = data.batch(0, 0, &device);
    let loss_of = |net: &Net| entropy.forward(net.forward(x.clone()), y.clone());
    let mut least = [f64::INFINITY; 2];
    for _ in 0..5 {
        for (at, least) in least.iter_mut().enumerate() {
            device.seed(0);
            let mut net = Net::new(kind, &device);
            let governor = Governor::new(0.9)?.every(1)?;
            let mut keel = Keel::wrap(Momentum::new(0.9)?).bound(governor.clone()).build(&net)?;
            let start = Instant::now();
            for _ in 0..20 {
                let loss = loss_of(&net);
                let grads = GradientsParams::from_grads(loss.backward(), &net);
                if at == 1 {
                    governor.watch(keel.updates(), &net, &grads, loss_of)?;
                }
                net = keel.step(1e-9, net, grads, &loss)?.model;
            }
            *least = least.min(start.elapsed().as_secs_f64() * 1e3 / 20.0);
        }
    }
    Ok(least)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let data = Digits::read()?;
    let rates: Vec<f64> = (-12..=5).map(|power| 2f64.powi(power)).collect();
    let kinds = Kind::ALL.into_iter();
    let kinds =
        kinds.filter(|kind| arguments.net.as_deref().is_none_or(|name| name == kind.name()));
    if arguments.cost {
        for kind in kinds {
            let [bare, measured] = cost(kind, &data)?;
            println!(
                "{:<12} a step takes {bare:.2} ms, with a measurement {measured:.2} ms: one in ten adds {:.0} %",
                kind.name(),
                10.0 * (measured / bare - 1.0)
            );
        }
        return Ok(());
    }
    println!(
        "8×8 digits, batches of {BATCH}, momentum 0.9, {} updates, {} seeds:",
        arguments.steps, arguments.seeds
    );
    println!(
        "the mean loss of the last tenth at each rate, the median of the seeds; learned is below {TARGET}\n"
    );
    for kind in kinds {
        println!("{:<12} {:>10} {:>10}", kind.name(), "bare", "governed");
        let mut spent = [Duration::ZERO; 2];
        let (mut learned, mut broken) = ([0; 2], [0; 2]);
        for &rate in &rates {
            let mut medians = [0.0; 2];
            for (at, governed) in [false, true].into_iter().enumerate() {
                let start = Instant::now();
                let mut losses = Vec::new();
                for seed in 0..arguments.seeds {
                    let governor = match (governed, arguments.caution) {
                        (false, _) => None,
                        (true, None) => Some(Governor::new(0.9)?),
                        (true, Some(c)) => Some(Governor::new(0.9)?.caution(c)?),
                    };
                    let end = train(kind, rate, seed, arguments.steps, governor, &data)?;
                    broken[at] += usize::from(end.is_none());
                    losses.push(end.unwrap_or(f64::INFINITY));
                }
                spent[at] += start.elapsed();
                losses.sort_by(f64::total_cmp);
                medians[at] = losses[losses.len() / 2];
                learned[at] += usize::from(medians[at] <= TARGET);
            }
            println!("{rate:>12.5} {:>10.3} {:>10.3}", medians[0], medians[1]);
        }
        println!("{:>12} {:>7}/18 {:>7}/18", "learned at", learned[0], learned[1]);
        println!("{:>12} {:>10} {:>10}", "non-finite", broken[0], broken[1]);
        println!(
            "{:>12} {:>9.1}s {:>9.1}s\n",
            "took",
            spent[0].as_secs_f64(),
            spent[1].as_secs_f64()
        );
    }
    Ok(())
}
