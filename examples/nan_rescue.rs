//! Broken batches: what they do to a run without evenkeel, and with it.
//!
//!     cargo run --features faults --example nan_rescue
//!
//! Two networks learn the quality of wines side by side, from the same weights, with the same optimizer and the same
//! batches. Some of the batches are damaged: a missing value, a sensor that reports an enormous number, a loss that is
//! ten thousand times too large.

#[allow(dead_code)]
#[path = "exploding_loss/data.rs"]
mod data;

use std::error::Error;

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use clap::Parser;
use data::{FEATURES, Table};
use evenkeel::faults::{Harm, Injector, Place, When};
use evenkeel::guard::LossSpike;
use evenkeel::monitor::{Probe, blame};
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::{Keel, Verdict};

const BATCH: usize = 64;
const WIDTH: usize = 32;

#[derive(Parser)]
#[command(about = "Trains on data that breaks now and then, without evenkeel and with it")]
struct Arguments {
    /// Steps of each run.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..))]
    steps: u64,
    /// Seed of the weights, the order of the rows, and the faults.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    norm: BatchNorm,
    second: Linear,
    output: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        Self {
            first: LinearConfig::new(FEATURES, WIDTH).init(device),
            norm: BatchNormConfig::new(WIDTH).init(device),
            second: LinearConfig::new(WIDTH, WIDTH).init(device),
            output: LinearConfig::new(WIDTH, 1).init(device),
        }
    }

    /// Mean squared error, with every activation shown to `probe`.
    fn loss(&self, x: Tensor<2>, y: Tensor<2>, probe: &Probe) -> Tensor<1> {
        let x = probe.watch("input", x);
        let x = probe.watch("first", self.first.forward(x));
        let x = probe.watch("norm", self.norm.forward(x)).tanh();
        let x = probe.watch("second", self.second.forward(x)).tanh();
        let x = probe.watch("output", self.output.forward(x));
        (x - y).powi_scalar(2).mean()
    }
}

/// The faults of the data.
fn faults(seed: u64, steps: u64) -> Result<Injector, evenkeel::Error> {
    let now_and_then = |p| Ok::<_, evenkeel::Error>(When::chance(p)?.within(steps / 10..steps));
    Injector::new(seed)
        .inject(Harm::Nan, Place::Batch, now_and_then(0.005)?)?
        .inject(Harm::Overflow, Place::Batch, now_and_then(0.004)?)?
        .inject(Harm::Spike(1e4), Place::Loss, now_and_then(0.006)?)
}

/// The usual training loop.
struct Bare {
    net: Net,
    optimizer: ModuleOptimizer,
}

impl Bare {
    fn step(
        &mut self,
        rate: f64,
        x: Tensor<2>,
        y: Tensor<2>,
        faults: &mut Injector,
        k: u64,
    ) -> f64 {
        let loss = faults.loss(k, self.net.loss(x, y, &Probe::off()));
        let grads = GradientsParams::from_grads(loss.backward(), &self.net);
        self.net = self.optimizer.step(rate, self.net.clone(), grads);
        loss.into_scalar()
    }
}

/// Mean squared error on the test rows.
fn error(net: &Net, rows: &Table, device: &Device) -> f64 {
    let (x, y) = rows.all(&device.clone().inner());
    net.valid().loss(x, y, &Probe::off()).into_scalar()
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { steps, seed } = Arguments::parse();
    let device = Device::flex().autodiff();
    device.seed(seed);
    let split = data::wine(seed);
    let rows = split.train.standardized(&split.train);
    let test = split.test.standardized(&split.train);
    let guess = split.test.error_of_the_mean(&split.train);

    let start = Net::new(&device);
    let _ = error(&start, &test, &device);
    // An independent copy, because BatchNorm shares its statistics with plain clones.
    let mut bare = Bare { net: start.valid().train(), optimizer: AdamWConfig::new().init() };
    let mut net = start;
    let curve = Ramp::new(0.0, 0.01, 50)?.then(50, Cosine::new(0.01, 1e-4, steps - 50)?);
    let mut schedule = curve.start();
    let mut keel = Keel::wrap(AdamWConfig::new().init()).guard(LossSpike::default()).build(&net)?;

    println!(
        "Wine quality: an 11-32-32-1 network with BatchNorm, AdamW, batches of {BATCH}, {steps} steps.\n\
         Losses are of the training batch. Faults are put in on purpose, the same for both.\n\n  \
         step   without evenkeel   with evenkeel\n"
    );
    let (mut bare_faults, mut kept_faults) = (faults(seed, steps)?, faults(seed, steps)?);
    let mut broke_at = None;
    let mut rejected = None;
    for k in 0..steps {
        let (x, y) = rows.batch(k as usize, BATCH, &device);

        let bad_x = bare_faults.batch(k, x.clone());
        let bare_loss = bare.step(curve.at(k), bad_x, y.clone(), &mut bare_faults, k);
        if broke_at.is_none() && !bare_loss.is_finite() {
            broke_at = Some(k);
        }

        let bad_x = kept_faults.batch(k, x);
        let loss = kept_faults.loss(k, net.loss(bad_x.clone(), y.clone(), &Probe::off()));
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        let stepped = keel.step(schedule.step(), net, grads, &loss)?;
        net = stepped.model;
        if !stepped.report.is_applied() {
            let now = &stepped.report.reading;
            let done = kept_faults.log().last().filter(|fault| fault.at == k);
            let done = done.map(|fault| format!("{} in {}", fault.harm, fault.place));
            println!(
                "  {k:>4}   {bare_loss:>16.3}   {:>13.3}   skipped: {}",
                now.loss,
                done.as_deref().unwrap_or("nothing was put in")
            );
            if rejected.is_none() && now.fault.is_some() {
                rejected = Some((k, bad_x, y));
            }
        } else if k % (steps / 10) == 0 || k + 1 == steps {
            println!("  {k:>4}   {bare_loss:>16.3}   {:>13.3}", stepped.report.reading.loss);
        }
    }

    println!("\nError on rows not trained on; always guessing the mean gives {guess:.3}:");
    match broke_at {
        Some(k) => println!(
            "  without evenkeel   {:.3}: lost at step {k}, and nothing after it could help",
            error(&bare.net, &test, &device)
        ),
        None => println!("  without evenkeel   {:.3}", error(&bare.net, &test, &device)),
    }
    println!(
        "  with evenkeel      {:.3}: {} updates, {} batches skipped",
        error(&net, &test, &device),
        keel.updates(),
        keel.incidents().count(Verdict::Skip)
    );

    println!("\nWhat was put in:");
    kept_faults.log().iter().for_each(|fault| println!("  {fault}"));
    println!("\nWhat evenkeel says of it (`keel.incidents()`):");
    keel.incidents().to_string().lines().for_each(|line| println!("  {line}"));

    if let Some((k, x, y)) = rejected {
        println!(
            "\nThe first broken batch, that of step {k}, once more through the final weights (`monitor::blame`):"
        );
        let found = blame(&net, |net, probe| net.loss(x, y, probe));
        found.to_string().lines().for_each(|line| println!("  {line}"));
    }
    Ok(())
}
