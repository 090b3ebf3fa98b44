//! Loss against learning rate over seven decades, bare and with the recommended set-up.
//!
//!     cargo run --example any_rate
//!
//! Two problems on real data, neither of which was used to choose the bound: handwritten digits, and the quality of
//! wines from raw measurements. Each is trained with SGD, momentum and Adam, at each rate with the same warmup and
//! cosine. A run is measured by its loss at the end, over all training rows and over held-out rows; the median over
//! seeds counts.

mod draw;
#[path = "../common/losses.rs"]
mod losses;
#[path = "../common/mlp.rs"]
mod mlp;
mod train;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use losses::{median, short};
use mlp::Method;
use rayon::prelude::*;
use train::{Problem, Setting};

#[derive(Parser)]
#[command(about = "Loss against rate, bare and with the recommended set-up")]
struct Arguments {
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    #[arg(long, default_value_t = 400)]
    steps: u64,
    /// File to write the picture to.
    #[arg(long, default_value = "any_rate.svg")]
    picture: PathBuf,
}

/// One optimizer on one problem.
pub struct Panel {
    pub title: String,
    pub target: f64,
    /// Medians of training and held-out losses at each rate, bare and recommended.
    pub losses: Vec<[[f64; 2]; 2]>,
}

/// From 10⁻⁵ to 100.
fn rates() -> Vec<f64> {
    (-10..=4).map(|half: i32| 10f64.powf(f64::from(half) / 2.0)).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let (rates, seeds) = (rates(), arguments.seeds);
    let (mut panels, mut lines) = (Vec::new(), Vec::new());
    for problem in [Problem::digits()?, Problem::wine()?] {
        for method in Method::ALL {
            let settings: Vec<Setting<'_>> = rates
                .iter()
                .flat_map(|&rate| {
                    (0..2).flat_map(move |side| (0..seeds).map(move |seed| (rate, side == 1, seed)))
                })
                .map(|(rate, recommended, seed)| Setting {
                    problem: &problem,
                    method,
                    rate,
                    recommended,
                    seed,
                    steps: arguments.steps,
                })
                .collect();
            let ends = settings.par_iter().map(train::train).collect::<Result<Vec<_>, _>>()?;
            let medians: Vec<[f64; 2]> =
                ends.chunks(seeds as usize).map(|seeds| [0, 1].map(|k| median(seeds, k))).collect();
            let losses: Vec<[[f64; 2]; 2]> =
                medians.chunks(2).map(|pair| [pair[0], pair[1]]).collect();
            let title = format!("{}, {}", problem.name, method.name());
            println!(
                "{title} (loss that counts as trained: {:.3}; saying the mean gives {:.3})\n{:>9}  {:>20}  {:>20}",
                problem.target, problem.trivial, "rate", "bare: train, held out", "recommended"
            );
            for (rate, [bare, ours]) in rates.iter().zip(&losses) {
                println!(
                    "{rate:>9.1e}  {:>10} {:>10}  {:>10} {:>10}",
                    short(bare[0]),
                    short(bare[1]),
                    short(ours[0]),
                    short(ours[1])
                );
            }
            println!();
            let reached =
                |side: usize| losses.iter().filter(|of| of[side][0] <= problem.target).count();
            let best = losses.iter().map(|of| of[0][0]).fold(f64::INFINITY, f64::min);
            let top = losses.last().map_or(f64::NAN, |of| of[1][0]);
            lines.push(format!(
                "bench any_rate {} {} bare={}/{} bounded={}/{} top={} best_bare={}",
                problem.name,
                method.name(),
                reached(0),
                rates.len(),
                reached(1),
                rates.len(),
                short(top),
                short(best)
            ));
            panels.push(Panel { title, target: problem.target, losses });
        }
    }
    draw::draw(&arguments.picture, &panels)?;
    println!("The picture is in {}.\n\n{}", arguments.picture.display(), lines.join("\n"));
    Ok(())
}
