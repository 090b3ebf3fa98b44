//! What each remedy is worth: ten measurements on small problems, with published figures to set beside them.
//!
//!     cargo run --example suite
//!     cargo run --example suite -- --quick
//!
//! Each set-up is trained at thirteen rates from 10⁻⁴ to 100 with five seeds. The first one of each problem is Burn's
//! own optimizer at a constant rate. `--only` selects problems by a part of their names, and `--page` writes the tables
//! to a file.

#[path = "../common/losses.rs"]
mod losses;
#[path = "../step_bounds/method.rs"]
mod method;
#[path = "../governor/nets.rs"]
#[allow(dead_code, reason = "another example goes through all kinds")]
mod nets;
#[path = "../step_bounds/tasks.rs"]
#[allow(dead_code, reason = "the problems of another example, of which the suite has some")]
mod tasks;

mod checks;
mod cost;
mod problems;
mod setup;
mod sweep;
mod table;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use method::Method;
use nets::Kind;
use problems::{Letters, Limits, Recurrence, Start, Started, eight_layers};
use setup::{Setup, With};
use sweep::{Plan, Row, sweep};
use tasks::{Deep, Rows, Task};

#[derive(Parser)]
#[command(about = "Ten measurements of what remedies are worth")]
struct Arguments {
    /// Few updates at few rates, of the first problem and the last measurements: about three minutes.
    #[arg(long)]
    quick: bool,
    /// Only problems whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// File to write the tables to, in Markdown.
    #[arg(long)]
    page: Option<PathBuf>,
}

/// Results so far, and how to get more.
struct Suite {
    plan: Plan,
    only: String,
    page: Vec<String>,
    rows: Vec<Row>,
}

const BURN: &str = "Burn's optimizer";
const SCHEDULED: &str = "warmup and cosine";
const RECOMMENDED: &str = "recommended";

fn setup(method: Method, scheduled: bool, with: With) -> Setup {
    Setup { method, scheduled, with }
}

/// A measurement that is no sweep: its lines.
type Check<'a> = &'a dyn Fn() -> Result<Vec<String>, evenkeel::Error>;

/// What is compared on every problem.
fn usual(method: Method) -> Vec<(&'static str, Setup)> {
    vec![
        (BURN, setup(method, false, With::Nothing)),
        ("clip at 1", setup(method, false, With::Clip)),
        (SCHEDULED, setup(method, true, With::Nothing)),
        ("clip, warmup and cosine", setup(method, true, With::Clip)),
        (RECOMMENDED, setup(method, true, With::Recommended)),
    ]
}

/// The same, and bounds that take another forward or backward pass.
fn bounded(method: Method) -> Vec<(&'static str, Setup)> {
    let mut setups = usual(method);
    setups.push(("governor", setup(method, false, With::Governor)));
    setups.push(("trust region, warmup and cosine", setup(method, true, With::Trust)));
    setups
}

/// An optimizer or a change of the net, alone and in the recommended set-up.
fn both<'n>(alone: &'n str, recommended: &'n str, method: Method) -> [(&'n str, Setup); 2] {
    [
        (alone, setup(method, false, With::Nothing)),
        (recommended, setup(method, true, With::Recommended)),
    ]
}

impl Suite {
    fn is_wanted(&self, title: &str) -> bool {
        title.to_lowercase().contains(&self.only)
    }

    fn heading(&mut self, title: &str) {
        println!("\n{title}\n");
        self.page.extend([String::new(), format!("## {title}"), String::new()]);
    }

    fn lines(&mut self, lines: Vec<String>) {
        println!("{}", lines.join("\n"));
        self.page.extend(lines);
    }

    fn run<T: Task>(&mut self, task: &T, setups: &[(&str, Setup)]) -> Result<(), evenkeel::Error> {
        for (name, setup) in setups {
            eprintln!("{}: {name}", task.name());
            let row = sweep(task, *setup, name, &self.plan)?;
            self.rows.push(row);
        }
        Ok(())
    }

    /// Runs a problem if it is wanted, and prints its rows.
    fn section(
        &mut self,
        title: &str,
        run: impl FnOnce(&mut Self) -> Result<(), Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        if self.is_wanted(title) {
            self.heading(title);
            run(self)?;
            self.end();
        }
        Ok(())
    }

    /// Prints the rows since the heading.
    fn end(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        if let Some(row) = rows.first() {
            let text = format!("A run counts as trained from a loss of {:.4}.", row.target);
            self.lines(vec![text, String::new()]);
        }
        self.lines(table::table(&rows));
        println!();
        println!("{}", table::lines(&rows).join("\n"));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let begun = Instant::now();
    let quick = arguments.quick;
    let mut rates: Vec<f64> = (-8..=4).map(|half: i32| 10f64.powf(f64::from(half) / 2.0)).collect();
    if quick {
        rates
            .retain(|rate| [1e-4, 1e-2, 1.0, 100.0].iter().any(|of| (rate / of - 1.0).abs() < 0.1));
    }
    let seeds = if quick { 1 } else { arguments.seeds };
    let updates = if quick { 150 } else { 300 };
    let plan = Plan { rates, seeds, updates, batch: 64 };
    let only = arguments.only.to_lowercase();
    let mut suite = Suite { plan, only, page: Vec::new(), rows: Vec::new() };

    regression(&mut suite)?;
    if !quick {
        plain(&mut suite)?;
        residual(&mut suite)?;
        optimizers(&mut suite)?;
        letters(&mut suite)?;
        recurrence(&mut suite)?;
    }
    let (digits, eights) = (eight_layers()?, Rows::imbalanced()?);
    let checks: [(&str, Check<'_>); 3] = [
        ("B7 poisoned batches", &|| checks::poison(&digits, seeds, updates)),
        ("B8 half precision", &|| checks::half(&eights, seeds, updates)),
        ("B9 edge of stability", &|| checks::edge(&digits, if quick { 300 } else { 3000 })),
    ];
    for (title, check) in checks {
        if suite.is_wanted(title) {
            suite.heading(title);
            suite.lines(check()?);
        }
    }
    if !quick && suite.is_wanted(COST) {
        suite.heading(COST);
        suite.lines(costs(suite.plan.batch)?);
    }
    println!("\n{:.0} s.", begun.elapsed().as_secs_f64());
    if let Some(page) = arguments.page {
        fs::write(page, suite.page.join("\n") + "\n")?;
    }
    Ok(())
}

const COST: &str = "Cost of an update";

/// With nothing else running, as the figures are times.
fn costs(batch: usize) -> Result<Vec<String>, Box<dyn Error>> {
    let mut lines = cost::head();
    lines.push(cost::row(&Rows::raw_wine()?, batch)?);
    lines.push(cost::row(&Deep::digits(Kind::Plain)?, batch)?);
    lines.push(cost::row(&Deep::digits(Kind::Conv)?, batch)?);
    lines.push(cost::row(&Letters::new(Limits::NONE), batch)?);
    lines.push(cost::row(&Recurrence::digits()?, batch)?);
    Ok(lines)
}

fn regression(suite: &mut Suite) -> Result<(), Box<dyn Error>> {
    suite.section("B1 regression on raw columns", |suite| {
        let method = Method::Momentum;
        let raw = Rows::raw_wine()?;
        let bounded = bounded(method);
        suite.run(&raw, &bounded)?;
        suite.end();
        suite.lines(vec![String::new(), "With standardized columns:".to_string(), String::new()]);
        let some = [
            (BURN, setup(method, false, With::Nothing)),
            (SCHEDULED, setup(method, true, With::Nothing)),
            (RECOMMENDED, setup(method, true, With::Recommended)),
        ];
        suite.run(&Rows::standardized_wine()?, &some)?;
        Ok(())
    })
}

fn plain(suite: &mut Suite) -> Result<(), Box<dyn Error>> {
    suite.section("B2 sixteen layers", |suite| {
        let method = Method::Momentum;
        let bounded = bounded(method);
        suite.run(&Deep::digits(Kind::Plain)?, &bounded)?;
        let lsuv = Started { deep: Deep::digits(Kind::Plain)?, start: Start::Lsuv };
        suite.run(
            &lsuv,
            &[
                ("LSUV", setup(method, false, With::Nothing)),
                ("LSUV, warmup and cosine", setup(method, true, With::Nothing)),
            ],
        )?;
        suite.run(
            &Deep::digits(Kind::BatchNorm)?,
            &both("BatchNorm", "BatchNorm, recommended", method),
        )?;
        Ok(())
    })
}

fn residual(suite: &mut Suite) -> Result<(), Box<dyn Error>> {
    suite.section("B3 residual connections", |suite| {
        let method = Method::Momentum;
        let mut usual = usual(method);
        usual.push(("governor", setup(method, false, With::Governor)));
        suite.run(&Deep::digits(Kind::Residual)?, &usual)?;
        let scaled = Started { deep: Deep::digits(Kind::Residual)?, start: Start::ScaledResiduals };
        suite.run(&scaled, &both("scaled branches", "scaled branches, recommended", method))?;
        suite.run(
            &Deep::digits(Kind::PreNorm)?,
            &both("pre-norm", "pre-norm, recommended", method),
        )?;
        Ok(())
    })
}

fn optimizers(suite: &mut Suite) -> Result<(), Box<dyn Error>> {
    suite.section("B4 optimizers on eight layers", |suite| {
        let task = eight_layers()?;
        for (bare, kept, method) in [
            ("SGD", "SGD, recommended", Method::Sgd),
            ("momentum", "momentum, recommended", Method::Momentum),
            ("Adam", "Adam, recommended", Method::Adam),
            ("AdamW", "AdamW, recommended", Method::AdamW),
            ("Lion", "Lion, recommended", Method::Lion),
            ("Muon", "Muon, recommended", Method::Muon),
        ] {
            suite.run(&task, &both(bare, kept, method))?;
        }
        Ok(())
    })
}

fn letters(suite: &mut Suite) -> Result<(), Box<dyn Error>> {
    suite.section("B5 a transformer on letters", |suite| {
        let method = Method::Adam;
        let mut usual = usual(method);
        usual.push(("1 % a matrix, warmup and cosine", setup(method, true, With::PerMatrix)));
        suite.run(&Letters::new(Limits::NONE), &usual)?;
        let scheduled = setup(method, true, With::Nothing);
        for (name, limits) in [
            ("QK-norm, warmup and cosine", Limits { qk_norm: true, ..Limits::NONE }),
            ("soft caps, warmup and cosine", Limits { caps: true, ..Limits::NONE }),
            ("z-loss, warmup and cosine", Limits { z_loss: true, ..Limits::NONE }),
            ("all three, warmup and cosine", Limits::ALL),
        ] {
            suite.run(&Letters::new(limits), &[(name, scheduled)])?;
        }
        let all = [("all three, recommended", setup(method, true, With::Recommended))];
        suite.run(&Letters::new(Limits::ALL), &all)?;
        Ok(())
    })
}

fn recurrence(suite: &mut Suite) -> Result<(), Box<dyn Error>> {
    let method = Method::Momentum;
    for (title, task) in [
        ("B6 digits as a sequence, by a recurrent net", Recurrence::digits()?),
        ("B6 the adding problem, by a recurrent net", Recurrence::adding()),
    ] {
        suite.section(title, |suite| Ok(suite.run(&task, &usual(method))?))?;
    }
    Ok(())
}
