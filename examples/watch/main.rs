//! Watches a small convolutional network learn the 8×8 digits, and writes a report of what it saw.
//!
//!     cargo run --example watch -- --page watch.html
//!
//! Norms, updates and activations are sampled every fifth step, every step is recorded, and the page shows all of it.
//! The rate is higher than it should be, and one batch in a hundred has a broken pixel, as in real data, so that there
//! is something to see. `--svg FILE` writes the pictures only.

mod data;
mod model;

use std::path::PathBuf;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use clap::Parser;
use data::Digits;
use evenkeel::clip::GlobalNorm;
use evenkeel::guard::LossSpike;
use evenkeel::monitor::Watch;
use evenkeel::optim::Momentum;
use evenkeel::record::{Entry, History, Overview};
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::{Keel, Rewind};
use model::Net;

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 500)]
    steps: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Peak learning rate.
    #[arg(long, default_value_t = 0.5)]
    rate: f64,
    /// File to write the page to.
    #[arg(long)]
    page: Option<PathBuf>,
    /// File to write all pictures to, as a single SVG.
    #[arg(long)]
    svg: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given = Arguments::parse();
    let device = Device::flex().autodiff();
    device.seed(given.seed);
    let digits = Digits::read()?;

    let mut model = Net::new(&device);
    let warmup = given.steps / 10;
    let mut schedule = Ramp::new(0.0, given.rate, warmup)?
        .then(warmup, Cosine::new(given.rate, 0.0, given.steps.saturating_sub(warmup).max(1))?)
        .start();
    let mut keel = Keel::wrap(Momentum::new(0.9)?)
        .clip(GlobalNorm::at_most(1.0)?)
        .guard(LossSpike::default())
        .rewind(Rewind::every(50)?)
        .build(&model)?;
    let mut watch = Watch::every(5)?;
    let mut history = History::default();

    for step in 0..given.steps {
        let (x, y) = digits.batch(given.seed, step, &device);
        let logits = model.forward(x, &watch.probe());
        let loss = CrossEntropyLossConfig::new().init(&device).forward(logits, y);
        let grads = GradientsParams::from_grads(loss.backward(), &model);

        watch.look(&model, &grads);
        let stepped = keel.step(schedule.step(), model, grads, &loss)?;
        let mut entry = Entry::of(&stepped.report);
        if let Some(seen) = watch.observe(&stepped.model, &stepped.report)? {
            let right = digits.accuracy(&stepped.model, &device);
            entry = entry.with(&seen).value("test accuracy", right);
        }
        history.push(&entry);
        model = stepped.model;
    }

    let overview = Overview::of(&history).title("8×8 digits, two convolutions");
    println!("{overview}");
    if let Some(path) = &given.page {
        overview.save_html(path)?;
    }
    if let Some(path) = &given.svg {
        std::fs::write(path, overview.to_svg())?;
    }
    Ok(())
}
