//! What bounds on the step make of rates that are too high: a dozen problems, any optimizer, rates over seven
//! decades, with the bound and without.
//!
//!     cargo run --example step_bounds -- --optimizer adam
//!
//! Each run has a warm-up over a twentieth of its steps and a cosine to 0 after it, or with `--constant` neither. What
//! it comes to is its loss over training rows at the end, and over rows that were held out; the median of the seeds
//! counts. `--only` picks problems by a part of their names, `--tau` tries other bounds.

#[path = "../common/losses.rs"]
mod losses;
#[path = "../governor/nets.rs"]
mod nets;
mod run;
mod table;
mod tasks;

use std::error::Error;

use clap::Parser;
use run::{Method, Side};
use table::Table;
use tasks::{Chars, Deep, Rows, Task};

#[derive(Parser)]
#[command(about = "Loss against rate with bounds on the step and without, on a dozen problems")]
pub struct Arguments {
    /// sgd, momentum, adam, adamw, lion or muon.
    #[arg(long, default_value = "adam")]
    optimizer: Method,
    /// Only problems whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    #[arg(long, default_value_t = 300)]
    steps: u64,
    /// Rows of a batch.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Bounds to try besides the default one.
    #[arg(long, value_delimiter = ',')]
    tau: Vec<f64>,
    /// Also a bound on what a step does to the outputs.
    #[arg(long)]
    trust: bool,
    /// Without a schedule.
    #[arg(long)]
    constant: bool,
    /// Every other rate only.
    #[arg(long)]
    coarse: bool,
    /// These rates only.
    #[arg(long, value_delimiter = ',')]
    rate: Vec<f64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut lines = Vec::new();
    for kind in nets::Kind::ALL {
        examine(&Deep::digits(kind)?, &arguments, &mut lines)?;
    }
    for rows in [
        Rows::raw_wine()?,
        Rows::standardized_wine()?,
        Rows::raw_cancer()?,
        Rows::autoencoder()?,
        Rows::heavy_tails(),
        Rows::imbalanced()?,
    ] {
        examine(&rows, &arguments, &mut lines)?;
    }
    for chars in [Chars::recurrent(), Chars::transformer(32, 2), Chars::transformer(48, 4)] {
        examine(&chars, &arguments, &mut lines)?;
    }
    println!("{}", lines.join("\n"));
    Ok(())
}

fn examine<T: Task>(
    task: &T,
    arguments: &Arguments,
    lines: &mut Vec<String>,
) -> Result<(), evenkeel::Error> {
    if !task.name().contains(&arguments.only) {
        return Ok(());
    }
    let mut sides = vec![Side::Bare, Side::Recommended];
    sides.extend(arguments.tau.iter().map(|&tau| Side::Tau(tau)));
    if arguments.trust {
        sides.push(Side::Trust);
    }
    let table = Table::of(task, arguments, &sides)?;
    println!("{table}");
    lines.extend(table.lines());
    Ok(())
}
