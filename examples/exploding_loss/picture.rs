//! Draws the picture: loss curves before and after.

use std::path::Path;

use evenkeel::Error;
use evenkeel::chart::{Axis, Chart, LineChart, Series, Sheet};

use crate::run::Outcome;

const LOSSES: (f64, f64) = (0.1, 1e5);

/// One curve: a rate and the outcome of its run.
pub type Curve = (f64, Outcome);

/// Draws two panels side by side, on the same axes.
pub fn draw(path: &Path, steps: usize, before: &[Curve], after: &[Curve]) -> Result<(), Error> {
    let left = panel("Burn's SGD, bare", steps, before)?;
    let right = panel("The same optimizer through evenkeel", steps, after)?;
    Sheet::new("").gap(8).row([left, right]).save(path)
}

fn panel(title: &str, steps: usize, curves: &[Curve]) -> Result<Chart, Error> {
    let mut chart = LineChart::new(title)
        .size(560, 440)?
        .across(Axis::log("step, log scale").between(1.0, steps as f64)?)
        .up(Axis::log("training loss").between(LOSSES.0, LOSSES.1)?)
        .breaks("NaN");
    for (rate, outcome) in curves {
        let mut name = format!("rate {}", crate::table::rate(*rate));
        if let Some(step) = outcome.broke_at {
            name += &format!(": NaN at step {step}");
        }
        chart = chart.series(Series::new(name, smoothed(&outcome.losses)));
    }
    Ok(chart.draw())
}

/// A running mean over a tenth of the steps so far, so that early steps are visible one by one and late ones don't
/// merge into a band. It ends where the loss is not finite.
fn smoothed(losses: &[f64]) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let mut mean = 0.0;
    for (step, loss) in losses.iter().enumerate() {
        let weight = 1.0 / (1.0 + step as f64 / 10.0).min(20.0);
        mean += (loss - mean) * weight;
        points.push((step as f64 + 1.0, mean));
        if !loss.is_finite() {
            break;
        }
    }
    points
}
