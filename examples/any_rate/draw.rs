//! Draws the picture.

use std::path::Path;

use evenkeel::Error;
use evenkeel::chart::{Axis, LineChart, Series, Sheet};

use crate::{Panel, rates};

const HEADING: &str = "Training loss against learning rate";

pub fn draw(path: &Path, panels: &[Panel]) -> Result<(), Error> {
    let charts = panels.iter().map(chart).collect::<Result<Vec<_>, _>>()?;
    let mut sheet = Sheet::new(HEADING).gap(8);
    if let Some(first) = charts.first() {
        sheet = sheet.legend_of(first);
    }
    let drawn = charts.into_iter().map(|chart| chart.without_legend().draw());
    sheet.grid(3, drawn)?.save(path)
}

fn chart(panel: &Panel) -> Result<LineChart, Error> {
    let finite = panel.losses.iter().flatten().map(|of| of[0]).filter(|loss| loss.is_finite());
    let low = finite.fold(panel.target, f64::min) / 1.3;
    // Higher losses are drawn at the edge: these runs have not trained.
    let high = panel.target * 20.0;
    let line = |side: usize| {
        let all = rates().into_iter().zip(&panel.losses);
        let name = ["bare", "with the recommended set-up"][side];
        // As in the other pictures, evenkeel has the first color.
        Series::new(name, all.map(move |(rate, of)| (rate, of[side][0]))).markers().color(1 - side)
    };
    Ok(LineChart::new(&panel.title)
        .size(316, 240)?
        .across(Axis::log("rate"))
        .up(Axis::log("").between(low, high)?)
        .series(line(0))
        .series(line(1))
        .level(panel.target, "target")
        .breaks("broke"))
}
