//! The cost of a step that is measured, guarded and clipped, against the bare step of Burn's own optimizer; and how
//! close the fused update comes to the memory bandwidth.
//!
//!     cargo bench --bench step
//!     cargo bench --bench step --features wgpu -- --device wgpu
//!
//! `--only NAME` runs the cases whose name contains it, `--rule adamw|momentum|burn` one of the optimizers;
//! `--seconds S` sets the time for each case.

mod common;
#[path = "common/matrices.rs"]
mod matrices;

use std::time::Duration;

use burn::module::{Module, Param};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor};
use common::{argument, device, heading, median, paired, report, timed};
use evenkeel::Keel;
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::{AdamW, Momentum, ParamGroups};
use matrices::{CASES, Matrices, random};

fn main() {
    let plain = device();
    println!("on {plain:?}");
    let rule = argument("--rule");
    let wanted = |name: &str| rule.as_deref().is_none_or(|rule| rule == name);

    if wanted("adamw") {
        heading("Keel: measured, guarded, clipped, evenkeel's AdamW", "Burn's AdamW alone");
        for case in cases() {
            let keel = |model: &Matrices| {
                Keel::wrap(AdamW::new()).clip(bound()).build(model).expect("a keel")
            };
            compare("adamw", &case, &plain, keel, AdamWConfig::new().init());
        }
    }
    if wanted("momentum") {
        heading("Keel: measured, guarded, clipped, evenkeel's momentum", "Burn's momentum alone");
        for case in cases() {
            let keel = |model: &Matrices| {
                let rule = Momentum::new(0.9).expect("a share");
                Keel::wrap(rule).clip(bound()).build(model).expect("a keel")
            };
            let momentum = MomentumConfig::new().with_dampening(0.0);
            let burn = SgdConfig::new().with_momentum(Some(momentum)).init();
            compare("momentum", &case, &plain, keel, burn);
        }
    }
    if wanted("burn") {
        heading("Keel: measured, guarded, clipped, Burn's AdamW, checked", "Burn's AdamW alone");
        for case in cases() {
            let keel = |model: &Matrices| {
                Keel::wrap(AdamWConfig::new().init()).clip(bound()).build(model).expect("a keel")
            };
            compare("step", &case, &plain, keel, AdamWConfig::new().init());
        }
    }
    if wanted("adamw") && plain == Device::flex() {
        bandwidth(&plain);
    }
}

fn bound() -> GlobalNorm {
    GlobalNorm::at_most(1.0).expect("a bound")
}

fn budget() -> Duration {
    let seconds = argument("--seconds").map_or(4.0, |s| s.parse().expect("a number of seconds"));
    Duration::from_secs_f64(seconds)
}

fn cases() -> impl Iterator<Item = (&'static str, usize, usize)> {
    let only = argument("--only").unwrap_or_default();
    CASES.into_iter().filter(move |(name, ..)| name.contains(&only))
}

fn compare(
    bench: &str,
    &(case, count, width): &(&str, usize, usize),
    plain: &Device,
    keel: impl Fn(&Matrices) -> Keel<Matrices>,
    mut optimizer: ModuleOptimizer,
) {
    let device = plain.clone().autodiff();
    let model = Matrices::new(count, width, &device);
    let grads = random(count, width, plain);
    let loss = Tensor::<1>::from_floats([1.0], &device);

    let mut keel = keel(&model);
    // Separate buffers: neither side may find the other's parameters shared.
    let mut kept = Some(model.clone().map(&mut Own));
    let mut bare = Some(model.map(&mut Own));

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
    report(bench, case, &paired(3, budget(), ours, theirs));
}

/// The bytes per second of the fused AdamW alone, against those of a triad `a = b + s·c` over buffers of the same size,
/// on the same threads, each at its best.
fn bandwidth(plain: &Device) {
    println!("\nAdamW alone, 28 bytes a parameter, against the bandwidth of a triad\n");
    for (case, count, width) in cases().filter(|(name, ..)| name.contains("few")) {
        let n = count * width * width;
        let (mut a, b, c) = (vec![0.0f32; n], vec![1.0f32; n], vec![2.0f32; n]);
        let mut triad = || {
            use rayon::prelude::*;
            let chunk = 1 << 15;
            let (_, time) = timed(|| {
                let parts =
                    a.par_chunks_mut(chunk).zip(b.par_chunks(chunk)).zip(c.par_chunks(chunk));
                parts.for_each(|((a, b), c)| {
                    for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                        *a = b + 3.0 * c;
                    }
                });
            });
            std::hint::black_box(&a);
            time
        };
        let mut model = Some(Matrices::new(count, width, &plain.clone().autodiff()).map(&mut Own));
        let mut groups = ParamGroups::new(AdamW::new());
        let grads = random(count, width, plain);
        let mut adamw = || {
            let old = model.take().expect("the model");
            let kept = old.gradients(&grads);
            // Handles that outlive the step, so that no buffer is released inside it.
            let alive: Vec<_> = old.all.iter().map(|p| kept.get::<2>(p.id)).collect();
            let (new, time) = timed(|| groups.step(1e-4, old, kept));
            drop(alive);
            model = Some(new);
            time
        };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..23 {
            let (x, y) = (adamw().as_secs_f64(), triad().as_secs_f64());
            if round >= 3 {
                ours.push(28.0 * n as f64 / x / 1e9);
                theirs.push(12.0 * n as f64 / y / 1e9);
            }
        }
        // The memory bandwidth is the best that the triad has reached: any disturbance makes a triad slower, which
        // would flatter the optimizer.
        let (ours, theirs) = (median(&mut ours), theirs.into_iter().fold(0.0, f64::max));
        let part = ours / theirs;
        println!("{case:<28} {ours:>10.1} GB/s {theirs:>8.1} GB/s   {part:.3}");
        println!(
            "bench bandwidth {} ours={ours:.6e} theirs={theirs:.6e} ratio={part:.4}",
            case.replace(' ', "_")
        );
    }
}

/// Copies every parameter into a separate buffer.
struct Own;

impl burn::module::ModuleMapper for Own {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.detach().add_scalar(0.0).detach().require_grad())
    }
}
