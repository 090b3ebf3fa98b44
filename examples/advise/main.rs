//! Finds out what helps when a loss explodes at higher learning rates.
//!
//!     cargo run --example advise -- wine
//!     cargo run --example advise -- digits
//!     cargo run --example advise -- chars
//!
//! Checks the set-up first, then measures remedies on it by the loss on held-out rows, prints the results, and writes a
//! page with the curves. `wine` predicts the quality of wines from raw measurements with a small network, `digits`
//! classifies handwritten digits with a small convolutional one, and `chars` predicts the next letter of a text with a
//! transformer. There are also `cancer` (raw columns), `deep` (twenty layers without a norm), `pixels` (an autoencoder
//! of raw pixels), `outliers` (one target in a hundred is 10⁴ times too large), and `letters` (an LSTM).
//!
//! `--grid` compares the advice with a grid of all recipes at all rates, with other seeds. `--longer 5,20` trains the best
//! recipes for so many times the updates, at the rates that were found for them.

mod chars;
mod digits;
mod grid;
mod longer;
#[path = "../common/rows.rs"]
mod rows;
mod tables;
mod wine;

use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Device;
use clap::{Parser, ValueEnum};
use evenkeel::advise::{Advisor, Point, Recipe};
use indicatif::{ProgressBar, ProgressFinish};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

#[derive(Parser)]
struct Arguments {
    /// The problem to advise on.
    #[arg(value_enum, default_value = "wine")]
    problem: Problem,
    /// Updates of each run: 200, and 150 for the transformer.
    #[arg(long)]
    updates: Option<u64>,
    /// Seeds that each rate is tried with: 3, and 2 for the transformer and the LSTM.
    #[arg(long)]
    seeds: Option<u64>,
    /// Maximum number of updates of all runs together.
    #[arg(long)]
    budget: Option<u64>,
    /// Maximum number of seconds of all runs together.
    #[arg(long)]
    seconds: Option<f64>,
    /// Compares the advice with a grid over this many other seeds.
    #[arg(long, num_args = 0..=1, default_missing_value = "5")]
    grid: Option<u64>,
    /// Trains the best recipes so many times as long, at their rates: `5,20`.
    #[arg(long, value_delimiter = ',')]
    longer: Vec<u64>,
    /// File to write the page to.
    #[arg(long, default_value = "advice.html")]
    page: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Problem {
    Wine,
    Digits,
    Chars,
    Cancer,
    Deep,
    Pixels,
    Outliers,
    Letters,
}

/// The number of seeds with which the grid's best and the recommended recipe are compared.
const AGAIN: u64 = 20;

/// Splits rows into training and held-out rows, each shuffled. Groups of eight rows of the file stay together, so
/// that repeated measurements are on one side.
fn split<R>(rows: Vec<R>) -> (Vec<R>, Vec<R>) {
    let mut sides = (Vec::new(), Vec::new());
    for (at, row) in rows.into_iter().enumerate() {
        match at / 8 % 5 {
            4 => sides.1.push(row),
            _ => sides.0.push(row),
        }
    }
    sides.0.shuffle(&mut StdRng::seed_from_u64(1));
    sides.1.shuffle(&mut StdRng::seed_from_u64(2));
    sides
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let device = Device::flex().autodiff();
    let table = match arguments.problem {
        Problem::Wine => {
            println!("{}\n", wine::examine(&device)?);
            return advise(&arguments, (200, 3), || wine::advisor(&device));
        }
        Problem::Digits => {
            println!("{}\n", digits::examine(&device)?);
            return advise(&arguments, (200, 3), || digits::advisor(&device));
        }
        Problem::Chars => {
            println!("{}\n", chars::examine(&device)?);
            return advise(&arguments, (150, 2), || chars::advisor(&device));
        }
        Problem::Cancer => tables::cancer,
        Problem::Deep => tables::deep,
        Problem::Pixels => tables::pixels,
        Problem::Outliers => tables::outliers,
        Problem::Letters => tables::letters,
    };
    println!("{}\n", tables::examine(table(), &device)?);
    let seeds = if matches!(arguments.problem, Problem::Letters) { 2 } else { 3 };
    advise(&arguments, (200, seeds), || tables::advisor(table(), &device))
}

/// Runs the search and prints its results; `advisor` creates an advisor for each search. Updates and seeds are as
/// given, unless the arguments override them.
fn advise<'a, B>(
    arguments: &Arguments,
    (updates, seeds): (u64, u64),
    advisor: impl Fn() -> Result<Advisor<'a, B>, evenkeel::Error>,
) -> Result<(), Box<dyn Error>> {
    let updates = arguments.updates.unwrap_or(updates);
    let seeds = arguments.seeds.unwrap_or(seeds);
    let begun = Instant::now();
    let mut search = watched(advisor()?).over(updates)?.seeds(seeds)?;
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
        let every = watched(advisor()?).over(updates)?.seeds(others)?.seeds_from(1000);
        let recipes = advice.outcomes().iter().map(|outcome| outcome.recipe.clone());
        let every = every.recipes(recipes).every_rate().confirm(0, 0);
        let again = |recipe: &Recipe, rate| {
            let search = watched(advisor()?).over(updates)?.seeds(AGAIN)?.seeds_from(5000);
            let losses = at_rate(search, recipe, rate)?.map(|point| point.losses);
            let losses = losses.into_iter().flatten();
            Ok(losses.map(|loss| loss.unwrap_or(f64::INFINITY)).collect())
        };
        grid::compare(&advice, &every.run()?, again)?;
    }
    if !arguments.longer.is_empty() {
        longer::compare(&advice, &arguments.longer, &advisor)?;
    }
    Ok(())
}

/// Trains a recipe at one rate, with every seed of the search.
fn at_rate<B>(
    search: Advisor<'_, B>,
    recipe: &Recipe,
    rate: f64,
) -> Result<Option<Point>, evenkeel::Error> {
    let only = search.recipes([recipe.clone()]).between(rate, rate)?.confirm(0, 0).run()?;
    let outcome = only.outcomes().iter().find(|outcome| outcome.recipe == *recipe);
    Ok(outcome.and_then(|outcome| outcome.points.first()).cloned())
}

/// Shows the progress of the search on one line.
fn watched<B>(advisor: Advisor<'_, B>) -> Advisor<'_, B> {
    let bar = ProgressBar::new_spinner().with_finish(ProgressFinish::AndClear);
    advisor.watch(move |stage| {
        if stage.updates % 50 == 0 {
            let (done, of, recipe, rate) = (stage.done + 1, stage.of, stage.recipe, stage.rate);
            let so_far = stage.so_far.map_or(String::new(), |(best, rate, loss)| {
                format!("; so far {loss:.3} by {best} at {rate:.1e}")
            });
            bar.set_message(format!("{done} of {of}: {recipe} at {rate:.2e}{so_far}"));
            bar.tick();
        }
        ControlFlow::Continue(())
    })
}
