//! What the guards cost a healthy run, which should be nothing, and what they keep out of a damaged one.
//!
//!     cargo run --example do_no_harm
//!     cargo run --example do_no_harm -- --quick
//!
//! Runs nine healthy problems with SGD, momentum and Adam, with and without the guard: the share of steps that it
//! rejected, and whether any of three losses (training, held out, worst training row) is worse with it, by a sign test
//! over the seeds. Then the same problems with five kinds of poison: how much of it was caught, and the training loss
//! relative to that of the clean run.

#[path = "../common/mlp.rs"]
mod mlp;
mod poison;
mod problems;
#[path = "../common/rows.rs"]
mod rows;
mod train;

use std::error::Error;

use clap::Parser;
use mlp::Method;
use poison::Poison;
use problems::Problem;
use rayon::prelude::*;
use train::{Run, Setting, train};

#[derive(Parser)]
#[command(about = "What the guards cost a healthy run, and what they keep out of a poisoned one")]
struct Args {
    /// Fewer seeds and shorter runs.
    #[arg(long)]
    quick: bool,
    /// Only problems whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Number of seeds.
    #[arg(long)]
    seeds: Option<u64>,
    /// Steps of each run.
    #[arg(long)]
    steps: Option<u64>,
    /// Only the healthy runs, or only the poisoned ones, which take eight times as long.
    #[arg(long, value_enum)]
    part: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Part {
    Healthy,
    Poisoned,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let seeds = args.seeds.unwrap_or(if args.quick { 5 } else { 10 });
    let steps = args.steps.unwrap_or(if args.quick { 200 } else { 1000 });
    let mut problems = problems::all();
    problems.retain(|problem| problem.name.contains(&args.only));

    let mut lines = Vec::new();
    if args.part != Some(Part::Poisoned) {
        println!(
            "{:<9} {:<9} {:>9} {:>6}   with the guard over without: training, held out, worst row",
            "healthy", "with", "rejected", "halts"
        );
        for problem in &problems {
            for method in Method::ALL {
                lines.push(harm(problem, method, seeds, steps)?);
            }
        }
        println!();
    }
    if args.part != Some(Part::Healthy) {
        for kind in Poison::ALL {
            lines.push(poisoned(&problems, kind, seeds, steps)?);
        }
    }
    println!("\n{}", lines.join("\n"));
    Ok(())
}

fn named(method: Method) -> String {
    method.name().to_lowercase()
}

fn runs(settings: Vec<Setting<'_>>) -> Result<Vec<Run>, evenkeel::Error> {
    settings.par_iter().map(train).collect()
}

fn harm(
    problem: &Problem,
    method: Method,
    seeds: u64,
    steps: u64,
) -> Result<String, evenkeel::Error> {
    let side = |guarded| {
        let one = |seed| Setting { problem, method, seed, steps, guarded, poison: None };
        runs((0..seeds).map(one).collect())
    };
    let (with, without) = (side(true)?, side(false)?);
    let asked: u64 = with.iter().map(|run| run.steps).sum();
    let rejected = with.iter().map(|run| run.rejected).sum::<u64>() as f64 / asked as f64;
    let halts = with.iter().filter(|run| run.halted).count();
    let (mut worse, mut ratios) = (halts > 0, Vec::new());
    for loss in 0..3 {
        let pairs: Vec<(f64, f64)> =
            with.iter().zip(&without).map(|(a, b)| (a.losses[loss], b.losses[loss])).collect();
        worse |= is_worse(&pairs);
        ratios.push(median(pairs.iter().map(|(a, b)| a / b).collect()));
    }
    println!(
        "{:<9} {:<9} {:>8.3}% {halts:>6}   {:.4}  {:.4}  {:.4}",
        problem.name,
        named(method),
        100.0 * rejected,
        ratios[0],
        ratios[1],
        ratios[2]
    );
    let worse = if worse { "yes" } else { "no" };
    Ok(format!(
        "bench harm {} {} rejected={rejected:.5} worse={worse}",
        problem.name,
        named(method)
    ))
}

fn poisoned(
    problems: &[Problem],
    kind: Poison,
    seeds: u64,
    steps: u64,
) -> Result<String, evenkeel::Error> {
    let (mut put, mut caught, mut ratios) = (0, 0, Vec::new());
    for problem in problems {
        for method in Method::ALL {
            let side = |guarded, poison| {
                let one = |seed| Setting { problem, method, seed, steps, guarded, poison };
                runs((0..seeds).map(one).collect())
            };
            let (clean, bad, bare) =
                (side(true, None)?, side(true, Some(kind))?, side(false, Some(kind))?);
            let [mine, of]: [u64; 2] =
                [bad.iter().map(|run| run.caught).sum(), bad.iter().map(|run| run.poisoned).sum()];
            let over = |runs: &[Run]| {
                median(runs.iter().zip(&clean).map(|(a, b)| a.losses[0] / b.losses[0]).collect())
            };
            let ratio = over(&bad);
            println!(
                "{:<9} {:<9} {:<9} caught {mine:>4} of {of:>4}, loss over the clean run's {ratio:.3} ({:.3e} without the guard){}",
                kind.name(),
                problem.name,
                named(method),
                over(&bare),
                match bad.iter().filter(|run| run.halted).count() {
                    0 => String::new(),
                    n => format!(", {n} halts"),
                }
            );
            put += of;
            caught += mine;
            ratios.push(ratio);
        }
    }
    let caught = caught as f64 / put.max(1) as f64;
    Ok(format!("bench poison {} caught={caught:.3} loss={:.3}", kind.name(), median(ratios)))
}

/// Whether the first of each pair is larger more often than by chance: a one-sided sign test at 5 %.
fn is_worse(pairs: &[(f64, f64)]) -> bool {
    // NaN counts as worse than any number.
    let larger = pairs.iter().filter(|(a, b)| a > b || (a.is_nan() && !b.is_nan())).count();
    let equal = pairs.iter().filter(|(a, b)| a == b).count();
    let n = pairs.len() - equal;
    let ways = |k: usize| (0..k).fold(1.0, |c, i| c * (n - i) as f64 / (i + 1) as f64);
    let tail: f64 = (larger..=n).map(ways).sum();
    n > 0 && tail / f64::powi(2.0, n as i32) < 0.05
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
