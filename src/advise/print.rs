//! The advice as text, 80 columns wide.

use std::fmt;

use super::outcome::{Objective, Outcome};
use super::{Advice, table};
use crate::text::short;

const WIDE: usize = 80;
/// The number of recipes shown.
const SHOWN: usize = 10;
/// The width of a number.
const NUMBER: usize = 9;

/// Wraps `text` into lines of at most `wide`, with all lines after the first indented by `set_in`.
fn wrapped(text: &str, wide: usize, set_in: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        // Every line after the first begins with a word.
        let begun = !line.is_empty();
        if begun && line.chars().count() + 1 + word.chars().count() > wide {
            lines.push(format!("{}{word}", " ".repeat(set_in)));
            continue;
        }
        if begun {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines
}

/// Cells of numbers, aligned right.
fn numbers(cells: &[String]) -> String {
    cells.iter().map(|cell| format!("{cell:>NUMBER$} ")).collect()
}

fn or_dash(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(x) if x.is_finite() => short(x),
        Some(_) => "broke".into(),
    }
}

/// The changes to make, the most important first.
fn changes(advice: &Advice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(recommended) = advice.recommended() else { return Ok(()) };
    let worths = advice.worths();
    if worths.is_empty() {
        return Ok(());
    }
    // An infinite loss is that of a run that broke, and an infinite number of updates that of one that didn't arrive.
    let (unit, endless) = match advice.objective() {
        Objective::FastestTo(_) => ("updates", "never"),
        _ => ("loss", "broke"),
    };
    let cell = |cost: Option<f64>| match cost {
        Some(cost) if cost.is_infinite() => endless.into(),
        cost => or_dash(cost),
    };
    let cost = |outcome: Option<&Outcome>| {
        let point = outcome.and_then(|outcome| outcome.believed(advice.objective()));
        cell(point.map(|point| point.score(advice.objective()).0))
    };
    let head = numbers(&["alone".into(), "without".into()]);
    writeln!(f, "{head} what to change, the most important first ({unit})")?;
    let none = || String::new();
    writeln!(f, "{} SGD as it is", numbers(&[cost(advice.baseline()), none()]))?;
    for worth in &worths {
        let cells = numbers(&[cell(worth.alone), cell(worth.without)]);
        writeln!(f, "{cells}   + {}", worth.name)?;
    }
    writeln!(f, "{} all of it\n", numbers(&[cost(Some(recommended)), none()]))
}

/// The best recipes, and the number of the others.
fn ranking(advice: &Advice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let held_out = advice.held_out().is_some();
    let timed = matches!(advice.objective(), Objective::FastestTo(_));
    let mut heads = vec!["loss".to_string()];
    if held_out {
        heads = vec!["held out".into(), "training".into()];
    }
    if timed {
        heads.push("updates".into());
    }
    heads.extend(["rate".into(), "stable to".into()]);
    let wide = WIDE - (heads.len() * (NUMBER + 1) + 1);
    writeln!(f, "{} recipe", numbers(&heads))?;
    let baseline = advice.baseline().map(|outcome| &outcome.recipe);
    let recommended = advice.recommended().map(|outcome| &outcome.recipe);
    let mut more = 0;
    for (at, outcome) in advice.outcomes().iter().enumerate() {
        let named = [baseline, recommended].contains(&Some(&outcome.recipe));
        if at >= SHOWN && !named {
            more += 1;
            continue;
        }
        let point = outcome.believed(advice.objective());
        let mut cells = vec![or_dash(point.map(|point| point.loss()))];
        if held_out {
            cells.push(or_dash(point.map(|point| point.training_loss())));
        }
        if timed {
            cells.push(or_dash(point.and_then(|point| point.updates())));
        }
        cells.push(or_dash(outcome.rate(advice.objective())));
        cells.push(match (outcome.highest_stable(), outcome.first_unstable()) {
            (Some(rate), None) => format!("≥ {}", short(rate)),
            (rate, _) => or_dash(rate),
        });
        let names = wrapped(&outcome.recipe.to_string(), wide, 2);
        for (line, name) in names.iter().enumerate() {
            match line {
                0 => writeln!(f, "{} {name}", numbers(&cells))?,
                _ => writeln!(f, "{} {name}", numbers(&vec![String::new(); cells.len()]))?,
            }
        }
    }
    match more {
        0 => Ok(()),
        1 => writeln!(f, "1 more was measured, and is in `outcomes()`."),
        more => writeln!(f, "{more} more were measured, and are in `outcomes()`."),
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in wrapped(&table::heading(self), WIDE, 0) {
            writeln!(f, "{line}")?;
        }
        writeln!(f)?;
        changes(self, f)?;
        if !self.outcomes().is_empty() {
            ranking(self, f)?;
        }
        for sentence in table::summary(self) {
            for line in wrapped(&sentence, WIDE, 0) {
                write!(f, "\n{line}")?;
            }
        }
        match self.code() {
            Some(code) => write!(f, "\n\n{code}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_no_wider_than_asked_for() {
        let text = "one two three four five sixteen-letters-long";
        let lines = wrapped(text, 12, 2);
        assert_eq!(lines, ["one two", "  three four", "  five", "  sixteen-letters-long"]);
        assert_eq!(wrapped("", 10, 0), [""]);
        // A first word that is shorter than the indentation is a word too.
        assert_eq!(wrapped("a bc def", 6, 4), ["a bc", "    def"]);
    }
}
