//! Prints the tables.

use crate::run::Outcome;

/// The outcome of one rate, over all seeds.
pub struct Rung {
    pub rate: f64,
    /// The median error; infinite if half of the models are broken.
    pub error: f64,
    pub trained: bool,
    /// The number of seeds that met a non-finite loss, and the earliest and the latest step.
    broke: Option<(usize, usize, usize)>,
    seeds: usize,
    skipped: usize,
    rewound: usize,
    lowered_to: f64,
    halted: usize,
}

impl Rung {
    pub fn new(rate: f64, outcomes: &[Outcome], guess: f64) -> Self {
        let middle = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let broke: Vec<usize> = outcomes.iter().filter_map(|o| o.broke_at).collect();
        let span = broke.iter().min().zip(broke.iter().max());
        Self {
            rate,
            error: middle(outcomes.iter().map(|o| o.error).collect()),
            trained: outcomes.iter().all(|o| o.error < 0.9 * guess && o.halted.is_none()),
            broke: span.map(|(first, last)| (broke.len(), *first, *last)),
            seeds: outcomes.len(),
            skipped: outcomes.iter().map(|o| o.skipped).sum(),
            rewound: outcomes.iter().map(|o| o.rewound).sum(),
            lowered_to: middle(outcomes.iter().map(|o| o.lowered_to).collect()),
            halted: outcomes.iter().filter(|o| o.halted.is_some()).count(),
        }
    }

    fn said(&self) -> &'static str {
        if self.trained { "trained" } else { "" }
    }

    /// Describes the runs without a guard.
    fn fate(&self) -> String {
        match self.broke {
            Some((seeds, first, last)) if first == last => {
                format!("NaN at step {first} ({seeds} of {})", self.seeds)
            }
            Some((seeds, first, last)) => {
                format!("NaN at step {first}–{last} ({seeds} of {})", self.seeds)
            }
            None => self.said().to_string(),
        }
    }

    /// Describes what evenkeel did.
    fn rescue(&self) -> String {
        let mut said = self.said().to_string();
        let mut add = |text: String| {
            if !said.is_empty() {
                said.push_str(", ");
            }
            said.push_str(&text);
        };
        if self.skipped > 0 {
            add(format!("{} skips", self.skipped));
        }
        if self.rewound > 0 {
            add(format!("{} rewinds, rate × {}", self.rewound, power(self.lowered_to)));
        }
        if self.halted > 0 {
            add(format!("{} halted", self.halted));
        }
        said
    }
}

/// Formats a power of one half.
fn power(factor: f64) -> String {
    match factor {
        1.0 => "1".to_string(),
        _ => format!("1/{:.0}", 1.0 / factor),
    }
}

fn error(x: f64) -> String {
    match x {
        x if !x.is_finite() => "NaN".to_string(),
        x if x >= 1e4 => format!("{x:.0e}"),
        x => format!("{x:.3}"),
    }
}

/// Formats a rate.
pub fn rate(x: f64) -> String {
    if x < 0.01 { format!("{x:e}") } else { x.to_string() }
}

/// Prints the same rates without and with evenkeel.
pub fn ladder(bare: &[Rung], kept: &[Rung]) {
    println!("{:>7}   {:<35}   through evenkeel", "", "Burn's SGD, bare");
    println!("{:>7}   {:>7}  {:<26}   {:>7}", "rate", "error", "", "error");
    for (bare, kept) in bare.iter().zip(kept) {
        let line = format!(
            "{:>7}   {:>7}  {:<26}   {:>7}  {}",
            rate(bare.rate),
            error(bare.error),
            bare.fate(),
            error(kept.error),
            kept.rescue(),
        );
        println!("{}", line.trim_end());
    }
}

/// Prints one line for each remedy: the highest rate that trained, and the lowest error, with its rate.
pub fn remedies(all: &[(&str, Vec<Rung>)]) {
    println!("\n{:<38} {:>13}   {:>10}   {:>7}", "", "highest rate", "lowest", "at rate");
    println!("{:<38} {:>13}   {:>10}", "remedy", "that trained", "error");
    for (name, rungs) in all {
        let highest = rungs.iter().rev().find(|rung| rung.trained);
        let best = rungs.iter().min_by(|a, b| a.error.total_cmp(&b.error));
        println!(
            "{name:<38} {:>13}   {:>10}   {:>7}",
            highest.map_or("none".to_string(), |rung| rate(rung.rate)),
            best.map_or(String::new(), |rung| error(rung.error)),
            best.map_or(String::new(), |rung| rate(rung.rate)),
        );
    }
}
