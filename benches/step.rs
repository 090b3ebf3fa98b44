//! The cost of the guard: one AdamW step through `Keel`, measured, guarded and clipped, against the
//! bare step of the same Burn optimizer.
//!
//!     cargo bench --bench step
//!     cargo bench --bench step --features wgpu -- --device wgpu
//!
//! `--only NAME` runs the cases whose name contains it; `--seconds S` is the time for each.

mod common;

use std::time::Duration;

use burn::module::{Module, Param};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Distribution, Tensor};
use common::{argument, device, heading, paired, report, timed};
use evenkeel::Keel;
use evenkeel::clip::GlobalNorm;

/// So many square matrices of this width.
#[derive(Module, Debug)]
struct Matrices {
    all: Vec<Param<Tensor<2>>>,
}

impl Matrices {
    fn new(count: usize, width: usize, device: &Device) -> Self {
        let matrix = |_| {
            let value = Tensor::random([width, width], Distribution::Uniform(-0.1, 0.1), device);
            Param::from_tensor(value)
        };
        Self { all: (0..count).map(matrix).collect() }
    }

    /// Gradients in buffers of their own, as a backward pass leaves them.
    fn gradients(&self, of: &[Tensor<2>]) -> GradientsParams {
        let mut grads = GradientsParams::new();
        for (param, grad) in self.all.iter().zip(of) {
            grads.register(param.id, grad.clone().add_scalar(0.0));
        }
        grads
    }
}

fn main() {
    let plain = device();
    let device = plain.clone().autodiff();
    let seconds = argument("--seconds").map_or(4.0, |s| s.parse().expect("a number of seconds"));
    let only = argument("--only").unwrap_or_default();
    println!("on {plain:?}");
    heading("Keel: measured, guarded, clipped, AdamW, checked", "Burn's AdamW alone");

    for (case, count, width) in [
        ("0.04M few", 2, 141),
        ("0.04M many", 100, 20),
        ("4M few", 4, 1024),
        ("4M many", 1000, 64),
        ("25M few", 6, 2048),
        ("25M many", 6144, 64),
    ] {
        if !case.contains(&only) {
            continue;
        }
        let model = Matrices::new(count, width, &device);
        let grads: Vec<Tensor<2>> = (0..count)
            .map(|_| Tensor::random([width, width], Distribution::Normal(0.0, 0.01), &plain))
            .collect();
        let loss = Tensor::<1>::from_floats([1.0], &device);

        let mut keel = Keel::wrap(AdamWConfig::new().init())
            .clip(GlobalNorm::at_most(1.0).expect("a bound"))
            .build(&model)
            .expect("a keel");
        // Separate buffers: neither side may find the other's parameters shared.
        let mut kept = Some(model.clone().map(&mut Own));
        let mut bare = Some(model.map(&mut Own));
        let mut optimizer: ModuleOptimizer = AdamWConfig::new().init();

        let ours = || {
            let model = kept.take().expect("the model");
            let grads = model.gradients(&grads);
            plain.sync().expect("a device");
            let (stepped, time) = timed(|| {
                let stepped = keel.step(1e-4, model, grads, &loss).expect("a step");
                plain.sync().expect("a device");
                stepped
            });
            assert!(stepped.report.is_applied() && stepped.report.is_clipped());
            kept = Some(stepped.model);
            time
        };
        let theirs = || {
            let model = bare.take().expect("the model");
            let grads = model.gradients(&grads);
            plain.sync().expect("a device");
            let (model, time) = timed(|| {
                let model = optimizer.step(1e-4, model, grads);
                plain.sync().expect("a device");
                model
            });
            bare = Some(model);
            time
        };
        report("step", case, &paired(3, Duration::from_secs_f64(seconds), ours, theirs));
    }
}

/// Copies every parameter into a buffer of its own.
struct Own;

impl burn::module::ModuleMapper for Own {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.detach().add_scalar(0.0).detach().require_grad())
    }
}
