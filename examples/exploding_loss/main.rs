//! A loss that explodes, and remedies for it.
//!
//!     cargo run --example exploding_loss
//!
//! A small network learns the quality of wines from raw measurements. With Burn's plain SGD it trains up to a rate of
//! about 1e-3; above that, the loss explodes and soon is NaN. The same optimizer, model and data are then run through
//! evenkeel at the same rates, followed by the remedies one by one.

mod data;
mod model;
mod picture;
mod progress;
mod run;
mod table;

use std::error::Error;
use std::path::PathBuf;

use burn::tensor::Device;
use clap::{Parser, ValueEnum};
use progress::Progress;
use rayon::prelude::*;
use run::{BARE, Optimizer, Outcome, Remedy, Setting};

/// The rates whose curves are drawn.
const DRAWN: [f64; 6] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0];

#[derive(Parser)]
#[command(
    about = "Trains on raw data at rising rates: bare, through evenkeel, and remedy by remedy"
)]
struct Arguments {
    /// The device to train on.
    #[arg(long, value_enum, default_value = "flex")]
    device: Backend,
    /// Steps of each run.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(10..))]
    steps: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Seeds that each rate is tried with.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Rates to try, the lowest first.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1e-5,3e-5,1e-4,3e-4,1e-3,3e-3,1e-2,3e-2,1e-1,3e-1,1,3,10"
    )]
    rates: Vec<f64>,
    /// File to write the picture to.
    #[arg(long, default_value = "exploding_loss.svg")]
    picture: PathBuf,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Backend {
    Flex,
    Ndarray,
    Wgpu,
}

impl Backend {
    fn device(self) -> Result<Device, String> {
        match self {
            Self::Flex => Ok(Device::flex()),
            #[cfg(feature = "ndarray")]
            #[allow(deprecated)]
            Self::Ndarray => Ok(Device::ndarray()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[allow(unreachable_patterns)]
            missing => {
                let name = missing.to_possible_value().map(|v| v.get_name().to_string());
                let name = name.unwrap_or_default();
                Err(format!("this build has no {name}: run it with `--features {name}`"))
            }
        }
    }
}

/// The training loop of the README.
const KEPT: Remedy =
    Remedy { guarded: true, recommended: true, warmup: true, cosine: true, ..BARE };

/// The remedies one by one, and all of them together.
fn remedies() -> Vec<(&'static str, Remedy)> {
    let guard = Remedy { guarded: true, ..BARE };
    vec![
        ("Burn's SGD, bare", BARE),
        ("guard alone", guard),
        ("guard, rewind", Remedy { rewind: true, ..guard }),
        ("guard, clip", Remedy { clip: true, ..guard }),
        ("guard, warmup", Remedy { warmup: true, ..guard }),
        ("guard, warmup, cosine", Remedy { warmup: true, cosine: true, ..guard }),
        ("guard, momentum 0.9", Remedy { optimizer: Optimizer::Momentum, ..guard }),
        ("guard, Adam", Remedy { optimizer: Optimizer::Adam, ..guard }),
        ("guard, standardized features", Remedy { standardized: true, ..guard }),
        ("guard, BatchNorm", Remedy { batch_norm: true, ..guard }),
        ("recommended, warmup, cosine", KEPT),
        ("… with momentum 0.9", Remedy { optimizer: Optimizer::Momentum, ..KEPT }),
        ("… with Adam", Remedy { optimizer: Optimizer::Adam, ..KEPT }),
        ("… and standardized features", Remedy { standardized: true, ..KEPT }),
        (
            "… and standardized features, Adam",
            Remedy { standardized: true, optimizer: Optimizer::Adam, ..KEPT },
        ),
    ]
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let plain = arguments.device.device()?;
    let setting = Setting {
        split: data::wine(arguments.seed),
        device: plain.autodiff(),
        steps: arguments.steps as usize,
    };
    let guess = setting.split.test.error_of_the_mean(&setting.split.train);
    let remedies = remedies();
    let rates = &arguments.rates;
    let runs: Vec<(f64, u64)> =
        rates.iter().flat_map(|&rate| (0..arguments.seeds).map(move |s| (rate, s))).collect();

    let progress = Progress::new(remedies.len() * runs.len());
    let mut outcomes: Vec<Vec<Outcome>> = Vec::new();
    for (at, (name, remedy)) in remedies.iter().enumerate() {
        progress.begins(name, at, remedies.len());
        let one = |&(rate, s): &(f64, u64)| {
            let outcome = setting.run(*remedy, rate, arguments.seed + s);
            progress.ran();
            outcome
        };
        // Runs are independent, and don't depend on the thread that runs them. A GPU is better used by one at a time.
        let of_remedy: Result<_, _> = match arguments.device {
            Backend::Wgpu => runs.iter().map(one).collect(),
            Backend::Flex | Backend::Ndarray => runs.par_iter().map(one).collect(),
        };
        outcomes.push(of_remedy?);
    }
    progress.ends();

    let seeds = arguments.seeds as usize;
    let kept = remedies.iter().position(|(_, remedy)| *remedy == KEPT).unwrap_or(0);
    let by_rate = |remedy: usize| rates.iter().zip(outcomes[remedy].chunks(seeds));
    let rungs = |remedy: usize| -> Vec<table::Rung> {
        by_rate(remedy).map(|(rate, seeds)| table::Rung::new(*rate, seeds, guess)).collect()
    };
    println!(
        "Wine quality, raw features: an 11-64-64-1 network, batches of {}, {} steps, {seeds} seeds.\n\
         Errors are mean squared ones on rows not trained on, medians over the seeds. Always guessing\n\
         the mean gives {guess:.3}; a rate has trained if every seed is at least a tenth below that.\n",
        run::BATCH,
        setting.steps,
    );
    table::ladder(&rungs(0), &rungs(kept));
    let summary: Vec<_> =
        remedies.iter().enumerate().map(|(at, (name, _))| (*name, rungs(at))).collect();
    table::remedies(&summary);

    let curves = |remedy: usize| -> Vec<picture::Curve> {
        let drawn = by_rate(remedy).filter(|(rate, _)| DRAWN.contains(rate));
        drawn.map(|(rate, seeds)| (*rate, seeds[0].clone())).collect()
    };
    picture::draw(&arguments.picture, setting.steps, &curves(0), &curves(kept))?;
    println!("\nThe loss curves of the first seed are in {}.", arguments.picture.display());
    Ok(())
}
