//! My loss explodes at a higher rate: what can I try?
//!
//!     cargo run --release --features plot --example advise -- wine
//!     cargo run --release --features plot --example advise -- digits
//!
//! Looks at the set-up first, then measures remedies on it, prints what it found, and writes a page with
//! the curves. Two problems: the quality of wines from raw measurements, by a small network; and
//! handwritten digits, by a small convolutional one.

mod digits;
mod wine;

use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Device;
use clap::{Parser, ValueEnum};
use evenkeel::advise::Advisor;
use indicatif::ProgressBar;

#[derive(Parser)]
struct Arguments {
    /// What to advise on.
    #[arg(value_enum, default_value = "wine")]
    problem: Problem,
    /// Updates of each run.
    #[arg(long, default_value_t = 200)]
    updates: u64,
    /// How many seeds each rate is tried with.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// The most updates of all runs together.
    #[arg(long)]
    budget: Option<u64>,
    /// Where the page goes.
    #[arg(long, default_value = "advice.html")]
    page: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Problem {
    Wine,
    Digits,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let device = Device::flex().autodiff();
    match arguments.problem {
        Problem::Wine => {
            println!("{}\n", wine::examine(&device)?);
            advise(&arguments, wine::advisor(&device))
        }
        Problem::Digits => {
            println!("{}\n", digits::examine(&device)?);
            advise(&arguments, digits::advisor(&device))
        }
    }
}

fn advise<B>(arguments: &Arguments, advisor: Advisor<'_, B>) -> Result<(), Box<dyn Error>> {
    let (bar, begun) = (ProgressBar::new_spinner(), Instant::now());
    // A handle to the same line.
    let line = bar.clone();
    let mut advisor = advisor
        .over(arguments.updates)?
        .seeds(arguments.seeds)?
        .clock(move || begun.elapsed().as_secs_f64())
        .watch(move |stage| {
            if stage.updates % 50 == 0 {
                let (done, of, recipe, rate) = (stage.done + 1, stage.of, stage.recipe, stage.rate);
                line.set_message(format!("{done} of {of}: {recipe} at {rate:.2e}"));
                line.tick();
            }
            ControlFlow::Continue(())
        });
    if let Some(budget) = arguments.budget {
        advisor = advisor.budget(budget);
    }
    let advice = advisor.run()?;
    bar.finish_and_clear();
    println!("{advice}");
    if advice.best().is_some() {
        advice.save_html(&arguments.page)?;
        println!("\nThe curves are in {}.", arguments.page.display());
    }
    Ok(())
}
