//! What a step costs in Burn's learner, next to the same step in a loop of one's own.
//!
//!     cargo bench --manifest-path tests/learner/Cargo.toml --bench cost
//!     cargo bench --manifest-path tests/learner/Cargo.toml --bench cost -- --hidden 1024 --steps 100 --rounds 9
//!
//! In turns, so that both meet the same machine. Each round is a run of its own, timed from the end of its first step
//! to that of its last. Medians over the rounds; the ratios are those of pairs.

#[path = "../../../examples/common/digits.rs"]
mod digits;
#[path = "../src/quiet.rs"]
mod quiet;

use std::env;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use burn::train::SupervisedTraining;
use evenkeel::optim::AdamW;
use evenkeel::schedule::{Constant, Schedule};
use evenkeel::train::KeelTrainer;
use evenkeel::{Builder, Keel};

use digits::{Batch, Batches, Net};

/// Rows of a batch: few, so that it is the weights that cost.
const BATCH: usize = 8;

/// A keel to begin with, each time.
type Make = fn() -> Builder<Net>;

struct Settings {
    hidden: usize,
    steps: usize,
    rounds: usize,
}

impl Settings {
    fn read() -> Self {
        let args: Vec<String> = env::args().collect();
        let of = |name: &str, default| {
            let at = args.iter().position(|arg| arg == name);
            at.and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(default)
        };
        Self { hidden: of("--hidden", 16384), steps: of("--steps", 60), rounds: of("--rounds", 7) }
    }

    fn loader(&self) -> Arc<dyn DataLoader<Batch>> {
        let rows = digits::rows().expect("the digits are numbers");
        let rows = rows.into_iter().cycle().take(BATCH * self.steps).collect();
        DataLoaderBuilder::new(Batches).batch_size(BATCH).build(InMemDataset::new(rows))
    }
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn rates() -> Constant {
    Constant::new(1e-4).expect("a rate")
}

/// Seconds a step.
fn learner(settings: &Settings, net: Net, keel: Builder<Net>, folder: &Path) -> f64 {
    let times = Arc::new(Mutex::new(Vec::new()));
    let heard = times.clone();
    let trainer = KeelTrainer::new(rates().start(), keel)
        .on_step(move |_| heard.lock().expect("no panic").push(Instant::now()));
    let (train, valid) =
        (settings.loader().to_device(&device()), settings.loader().slice(0, BATCH));
    let training = SupervisedTraining::new(folder, train, valid)
        .renderer(Box::new(quiet::Quiet))
        .with_application_logger(None)
        .num_epochs(1);
    trainer.launch(training, net);
    let times = times.lock().expect("no panic");
    each(&times)
}

fn own(settings: &Settings, mut net: Net, keel: Builder<Net>) -> f64 {
    let mut schedule = rates().start();
    let mut keel = keel.build(&net).expect("a keel");
    let mut times = Vec::new();
    for batch in settings.loader().to_device(&device()).iter() {
        let item = net.classify(batch.expect("a batch"));
        let grads = GradientsParams::from_grads(item.loss.backward(), &net);
        net = keel.step(schedule.step(), net, grads, &item.loss).expect("no halt").model;
        times.push(Instant::now());
    }
    each(&times)
}

fn each(ends: &[Instant]) -> f64 {
    let [first, .., last] = ends else { return f64::NAN };
    (*last - *first).as_secs_f64() / (ends.len() - 1) as f64
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn main() {
    let settings = Settings::read();
    let folder = env::temp_dir().join(format!("evenkeel-cost-{}", std::process::id()));
    let start = Net::new(settings.hidden, 0.0, &device()).materialize();
    let keels: [(&str, Make); 2] = [
        ("adamw", || Keel::wrap(AdamW::new())),
        ("burn-adamw", || Keel::wrap(burn::optim::AdamWConfig::new().init())),
    ];
    for (name, keel) in keels {
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..settings.rounds {
            let loop_of_ones_own = own(&settings, start.clone(), keel());
            let in_learner = learner(&settings, start.clone(), keel(), &folder);
            ours.push(loop_of_ones_own * 1e3);
            theirs.push(in_learner * 1e3);
            ratios.push(in_learner / loop_of_ones_own);
        }
        println!(
            "bench learner optimizer={name} parameters={} own={:.3}ms learner={:.3}ms ratio={:.3}",
            start.num_params(),
            median(ours),
            median(theirs),
            median(ratios),
        );
    }
    let _ = std::fs::remove_dir_all(folder);
}
