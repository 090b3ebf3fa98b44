//! The cost of a schedule: one `step()` of a composition five levels deep, with static types and with a pointer at
//! every level; and of single curves.
//!
//!     cargo bench --bench schedule
//!
//! The limit is 50 ns per step without allocations; `tests/schedule_allocations.rs` counts those.

mod common;

use std::hint::black_box;
use std::time::Duration;

use common::{median, timed};
use evenkeel::schedule::{
    Boxed, Constant, Cosine, MultiStep, OneCycle, Plateau, Ramp, Schedule, Scheduler, Step,
    WarmRestarts, Wsd,
};

const STEPS: u64 = 100_000;

/// Nanoseconds per step: the median of many runs of many steps each, after one untimed run.
fn nanoseconds<S: Schedule>(schedule: &mut Scheduler<S>) -> f64 {
    let mut run = || {
        schedule.seek(0);
        let (_, time): (_, Duration) = timed(|| {
            for _ in 0..STEPS {
                black_box(black_box(&mut *schedule).step().value());
            }
        });
        time.as_secs_f64() * 1e9 / STEPS as f64
    };
    run();
    let mut all: Vec<f64> = (0..51).map(|_| run()).collect();
    median(&mut all)
}

fn case<S: Schedule>(name: &str, curve: S) {
    let ns = nanoseconds(&mut curve.start());
    println!("{name:<36} {ns:>8.2} ns");
    println!("bench schedule {} ours={:.6e}", name.replace(' ', "_"), ns * 1e-9);
}

fn main() {
    let warm = Ramp::new(0.0, 1.0, 1_000).expect("a ramp");
    let cosine = Cosine::new(1.0, 0.0, 90_000).expect("a cosine");
    let steps = Step::new(1.0, 0.9, 30_000).expect("steps");

    println!("one `step()`, the median of 51 runs of {STEPS}\n");
    let five = warm.then(1_000, cosine).times(Constant::new(0.5).expect("a constant"));
    let five = five.scale(0.1).expect("a factor").shift(10);
    case("five deep", Schedule::clamp(five, 1e-6, 1.0).expect("bounds"));
    let all: Boxed = warm.boxed().then(1_000, cosine.boxed()).boxed();
    let all = all.times(Constant::new(0.5).expect("a constant").boxed()).boxed();
    let all = all.scale(0.1).expect("a factor").boxed().shift(10).boxed();
    case("five deep and boxed", Schedule::clamp(all, 1e-6, 1.0).expect("bounds").boxed());
    let learning = warm.then(1_000, cosine).times(Plateau::minimizing()).scale(0.1);
    let learning = learning.expect("a factor").shift(10);
    case("five deep with a plateau", Schedule::clamp(learning, 1e-6, 1.0).expect("bounds"));

    case("constant", Constant::new(0.1).expect("a constant"));
    case("ramp", Ramp::new(0.0, 1.0, STEPS).expect("a ramp"));
    case("cosine", Cosine::new(1.0, 0.0, STEPS).expect("a cosine"));
    case("step", steps);
    case("multi-step", MultiStep::new(1.0, 0.1, [30_000, 60_000, 80_000]).expect("steps"));
    case("one cycle", OneCycle::new(1.0, STEPS).expect("a cycle"));
    case("wsd", Wsd::new(1.0, STEPS).expect("a run").warmup(1_000).expect("a warmup"));
    let restarts = WarmRestarts::new(1.0, 0.0, 100).expect("restarts");
    case("warm restarts", restarts);
    case("warm restarts doubled", restarts.period_factor(2.0).expect("a factor"));
}
