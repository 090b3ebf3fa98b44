//! A step decided on the device against one decided by the host: measured, guarded, clipped, and read back once in
//! sixteen steps instead of at each.
//!
//!     cargo bench --bench decide
//!     cargo bench --bench decide --features wgpu -- --device wgpu

mod common;
#[path = "common/matrices.rs"]
mod matrices;

use std::time::Duration;

use burn::tensor::{Device, Tensor};
use common::{argument, device, heading, paired, report, timed};
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::AdamW;
use evenkeel::{Decide, Keel};
use matrices::{CASES, Matrices, random};

/// Steps that are timed together: one readback, if the device decides.
const STEPS: u64 = 16;

fn main() {
    let plain = device();
    println!("on {plain:?}");
    let seconds = argument("--seconds").map_or(4.0, |s| s.parse().expect("a number of seconds"));
    let only = argument("--only").unwrap_or_default();
    heading("16 steps of AdamW, decided on the device", "the same, decided by the host");
    for (case, count, width) in CASES.into_iter().filter(|(name, ..)| name.contains(&only)) {
        let of = random(count, width, &plain);
        let late = steps(&plain, (count, width), &of, Decide::OnDevice { every: STEPS });
        let now = steps(&plain, (count, width), &of, Decide::Now);
        report("decide", case, &paired(2, Duration::from_secs_f64(seconds), late, now));
    }
}

/// Returns a closure that runs and times `STEPS` steps of a separate model.
fn steps<'a>(
    plain: &'a Device,
    (count, width): (usize, usize),
    of: &'a [Tensor<2>],
    decide: Decide,
) -> impl FnMut() -> Duration + use<'a> {
    let device = plain.clone().autodiff();
    let start = Matrices::new(count, width, &device);
    let clip = GlobalNorm::at_most(1.0).expect("a bound");
    let mut keel =
        Keel::wrap(AdamW::new()).clip(clip).decide(decide).build(&start).expect("a keel");
    let loss = Tensor::<1>::from_floats([1.0], &device);
    let mut kept = Some(start);
    move || {
        let mut model = kept.take().expect("the model");
        let mut time = Duration::ZERO;
        for _ in 0..STEPS {
            let grads = model.gradients(of);
            plain.sync().expect("a device");
            let (stepped, one) = timed(|| {
                let stepped = keel.step(1e-4, model, grads, &loss).expect("a step");
                plain.sync().expect("a device");
                stepped
            });
            assert!(stepped.late.iter().all(|report| report.is_applied()));
            (model, time) = (stepped.model, time + one);
        }
        kept = Some(model);
        time
    }
}
