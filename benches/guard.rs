//! The overhead of guarding a whole training step: forward, backward and optimizer, with and without.
//!
//!     cargo bench --bench guard
//!     cargo bench --bench guard --features wgpu -- --device wgpu
//!
//! The model is a perceptron of 4.2 million parameters, with batches of 64 and the same optimizer on both sides.
//! `--only NAME` runs the cases whose name contains it; `--seconds S` sets the time for each case.

mod common;

use std::time::Duration;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Tensor};
use common::{argument, device, heading, paired, report, timed};
use evenkeel::bound::DeepRelativeTrust;
use evenkeel::clip::GlobalNorm;
use evenkeel::guard::{Divergence, LossSpike, NormSpike};
use evenkeel::optim::AdamW;
use evenkeel::{Builder, Decide, Keel, Rewind};

const WIDTH: usize = 1024;
const BATCH: usize = 64;

#[derive(Module, Debug)]
struct Perceptron {
    layers: Vec<Linear>,
}

impl Perceptron {
    fn new(device: &Device) -> Self {
        Self { layers: (0..4).map(|_| LinearConfig::new(WIDTH, WIDTH).init(device)).collect() }
    }

    fn backward(&self, x: Tensor<2>) -> (Tensor<1>, GradientsParams) {
        let y = self.layers.iter().fold(x.clone(), |x, layer| relu(layer.forward(x)));
        let loss = (y - x).powi_scalar(2).mean();
        let grads = GradientsParams::from_grads(loss.backward(), self);
        (loss, grads)
    }
}

fn adamw() -> ModuleOptimizer {
    AdamWConfig::new().init()
}

fn sgd() -> ModuleOptimizer {
    SgdConfig::new().init()
}

type Case = (&'static str, fn() -> ModuleOptimizer, fn(Builder<Perceptron>) -> Builder<Perceptron>);

const CASES: [Case; 6] = [
    ("AdamW guard", adamw, |keel| keel),
    ("AdamW guards and clip", adamw, all_guards),
    ("AdamW guards clip rewind", adamw, |keel| {
        all_guards(keel).rewind(Rewind::every(10).expect("a setting"))
    }),
    ("AdamW on device", adamw, |keel| keel.decide(Decide::OnDevice { every: 50 })),
    ("SGD guard", sgd, |keel| keel),
    ("SGD guards and clip", sgd, all_guards),
];

fn all_guards(keel: Builder<Perceptron>) -> Builder<Perceptron> {
    keel.guard(LossSpike::default())
        .guard(NormSpike::default())
        .guard(Divergence::default())
        .clip(GlobalNorm::at_most(1.0).expect("a bound"))
}

fn main() {
    let plain = device();
    let device = plain.clone().autodiff();
    let seconds = argument("--seconds").map_or(10.0, |s| s.parse().expect("a number of seconds"));
    let only = argument("--only").unwrap_or_default();
    println!("on {plain:?}");
    heading("a training step through Keel", "the same training step, bare");

    let x = Tensor::random([BATCH, WIDTH], Distribution::Normal(0.0, 1.0), &device);
    for (case, optimizer, dress) in CASES {
        if !case.contains(&only) {
            continue;
        }
        let model = Perceptron::new(&device);
        let mut keel = dress(Keel::wrap(optimizer())).build(&model).expect("a keel");
        let mut kept = Some(model);
        let mut bare = Some(Perceptron::new(&device));
        let mut optimizer = optimizer();

        let ours = || {
            let model = kept.take().expect("the model");
            let (stepped, time) = timed(|| {
                let (loss, grads) = model.backward(x.clone());
                let stepped = keel.step(1e-4, model, grads, &loss).expect("a step");
                plain.sync().expect("a device");
                stepped
            });
            kept = Some(stepped.model);
            time
        };
        let theirs = || {
            let model = bare.take().expect("the model");
            let (model, time) = timed(|| {
                let (loss, grads) = model.backward(x.clone());
                let model = optimizer.step(1e-4, model, grads);
                std::hint::black_box(loss);
                plain.sync().expect("a device");
                model
            });
            bare = Some(model);
            time
        };
        report("guard", case, &paired(3, Duration::from_secs_f64(seconds), ours, theirs));
    }
    println!();
    heading("a training step with a bound", "the same through a Keel without");
    for (case, dress) in BOUNDS {
        if case.contains(&only) {
            let bare = |keel: Builder<Perceptron>| keel;
            let times = paired(
                3,
                Duration::from_secs_f64(seconds),
                stepping(&device, dress, &x),
                stepping(&device, bare, &x),
            );
            report("guard", case, &times);
        }
    }
    println!();
    snapshots(&device);
}

type Bound = (&'static str, fn(Builder<Perceptron>) -> Builder<Perceptron>);

const BOUNDS: [Bound; 2] = [
    ("bound", |keel| keel.bound(DeepRelativeTrust::default())),
    ("recommended", Builder::recommended),
];

/// The time of a step, including forward and backward pass, with evenkeel's AdamW.
fn stepping<'a>(
    device: &Device,
    dress: fn(Builder<Perceptron>) -> Builder<Perceptron>,
    x: &'a Tensor<2>,
) -> impl FnMut() -> Duration + 'a {
    let model = Perceptron::new(device);
    let mut keel = dress(Keel::wrap(AdamW::new())).build(&model).expect("a keel");
    let mut kept = Some(model);
    move || {
        let model = kept.take().expect("the model");
        let (stepped, time) = timed(|| {
            let (loss, grads) = model.backward(x.clone());
            keel.step(1e-4, model, grads, &loss).expect("a step")
        });
        kept = Some(stepped.model);
        time
    }
}

/// The memory that snapshots hold, as reported by the operating system.
fn snapshots(device: &Device) {
    let Some(start) = resident() else { return };
    for keep in [0, 1, 2, 4] {
        let mut model = Perceptron::new(device);
        let mut builder = Keel::wrap(adamw());
        if keep > 0 {
            let rewind = Rewind::every(2).and_then(|rewind| rewind.keep(keep));
            builder = builder.rewind(rewind.expect("a setting"));
        }
        let mut keel = builder.build(&model).expect("a keel");
        let x = Tensor::random([BATCH, WIDTH], Distribution::Normal(0.0, 1.0), device);
        for _ in 0..21 {
            let (loss, grads) = model.backward(x.clone());
            model = keel.step(1e-4, model, grads, &loss).expect("a step").model;
        }
        let held = resident().unwrap_or(start) - start;
        println!("snapshots kept {keep}: {held:.0} MB resident, beyond an empty process");
    }
}

fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}
