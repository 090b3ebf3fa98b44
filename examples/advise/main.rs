//! My loss explodes at a higher rate: what can I try?
//!
//!     cargo run --example advise -- wine
//!     cargo run --example advise -- digits
//!     cargo run --example advise -- chars
//!
//! Looks at the set-up first, then measures remedies on it, prints what it found, and writes a page with
//! the curves. Three problems: the quality of wines from raw measurements, by a small network;
//! handwritten digits, by a small convolutional one; and the next letter of a text, by a transformer.
//!
//! `--grid` holds the advice against a grid of all recipes at all rates, with other seeds.

mod chars;
mod digits;
mod grid;
mod wine;

use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Device;
use clap::{Parser, ValueEnum};
use evenkeel::advise::Advisor;
use indicatif::{ProgressBar, ProgressFinish};

#[derive(Parser)]
struct Arguments {
    /// What to advise on.
    #[arg(value_enum, default_value = "wine")]
    problem: Problem,
    /// Updates of each run: 200, and 150 for the transformer.
    #[arg(long)]
    updates: Option<u64>,
    /// How many seeds each rate is tried with: 3, and 2 for the transformer.
    #[arg(long)]
    seeds: Option<u64>,
    /// The most updates of all runs together.
    #[arg(long)]
    budget: Option<u64>,
    /// The most seconds of all runs together.
    #[arg(long)]
    seconds: Option<f64>,
    /// Holds the advice against a grid with so many other seeds.
    #[arg(long, num_args = 0..=1, default_missing_value = "5")]
    grid: Option<u64>,
    /// Where the page goes.
    #[arg(long, default_value = "advice.html")]
    page: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Problem {
    Wine,
    Digits,
    Chars,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let device = Device::flex().autodiff();
    match arguments.problem {
        Problem::Wine => {
            println!("{}\n", wine::examine(&device)?);
            advise(&arguments, (200, 3), || wine::advisor(&device))
        }
        Problem::Digits => {
            println!("{}\n", digits::examine(&device)?);
            advise(&arguments, (200, 3), || digits::advisor(&device))
        }
        Problem::Chars => {
            println!("{}\n", chars::examine(&device)?);
            advise(&arguments, (150, 2), || chars::advisor(&device))
        }
    }
}

/// `advisor` makes one for each search. Updates and seeds are as given, unless the arguments say otherwise.
fn advise<'a, B>(
    arguments: &Arguments,
    (updates, seeds): (u64, u64),
    advisor: impl Fn() -> Advisor<'a, B>,
) -> Result<(), Box<dyn Error>> {
    let updates = arguments.updates.unwrap_or(updates);
    let seeds = arguments.seeds.unwrap_or(seeds);
    let begun = Instant::now();
    let mut search = watched(advisor()).over(updates)?.seeds(seeds)?;
    search = search.clock(move || begun.elapsed().as_secs_f64());
    if let Some(budget) = arguments.budget {
        search = search.budget(budget);
    }
    if let Some(seconds) = arguments.seconds {
        search = search.budget_seconds(seconds)?;
    }
    let advice = search.run()?;
    println!("{advice}");
    if advice.best().is_some() {
        advice.save_html(&arguments.page)?;
        println!("\nThe curves are in {}.", arguments.page.display());
    }
    println!("{} updates in {:.0} s.", advice.updates(), begun.elapsed().as_secs_f64());
    if let Some(others) = arguments.grid {
        // Beyond the seeds of the search, and those that confirmed it.
        let every = watched(advisor()).over(updates)?.seeds(others)?.seeds_from(1000);
        grid::compare(&advice, &every.every_rate().confirm(0, 0).run()?)?;
    }
    Ok(())
}

/// With a line that says how far it is.
fn watched<B>(advisor: Advisor<'_, B>) -> Advisor<'_, B> {
    let bar = ProgressBar::new_spinner().with_finish(ProgressFinish::AndClear);
    advisor.watch(move |stage| {
        if stage.updates % 50 == 0 {
            let (done, of, recipe, rate) = (stage.done + 1, stage.of, stage.recipe, stage.rate);
            bar.set_message(format!("{done} of {of}: {recipe} at {rate:.2e}"));
            bar.tick();
        }
        ControlFlow::Continue(())
    })
}
