//! Bounds on the step at rates that are too high: a dozen problems, any optimizer, rates over seven decades, with and
//! without the bound.
//!
//!     cargo run --example step_bounds -- --optimizer adam
//!
//! Each run has a warmup over a twentieth of its steps and then a cosine to 0, or neither with `--constant`. A run is
//! measured by its loss at the end, over training rows and over held-out rows; the median over seeds counts. `--only`
//! selects problems by a part of their names, `--tau` tries other bounds.

#[path = "../common/losses.rs"]
mod losses;
mod method;
#[path = "../governor/nets.rs"]
mod nets;
mod run;
mod table;
mod tasks;

use std::error::Error;

use clap::Parser;
use method::Method;
use run::Side;
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
    /// Bounds to try in addition to the default one.
    #[arg(long, value_delimiter = ',')]
    tau: Vec<f64>,
    /// Also tries the default bound with these as the most that the loss can relax it to.
    #[arg(long, value_delimiter = ',')]
    relaxed: Vec<f64>,
    /// Also tries a bound on how far a step moves the outputs.
    #[arg(long)]
    trust: bool,
    /// Uses a constant rate.
    #[arg(long)]
    constant: bool,
    /// Tries every other rate only.
    #[arg(long)]
    coarse: bool,
    /// Tries these rates only.
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
    sides.extend(arguments.relaxed.iter().map(|&tau| Side::Relaxed(tau)));
    if arguments.trust {
        sides.push(Side::Trust);
    }
    let table = Table::of(task, arguments, &sides)?;
    println!("{table}");
    lines.extend(table.lines());
    Ok(())
}
