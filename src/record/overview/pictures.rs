//! The charts of a run.

use super::Overview;
use crate::chart::{Axis, Chart, Heat, LineChart, Mark, Row, Series, Shade};
use crate::metric::VALIDATION_LOSSES;
use crate::page::Width;
use crate::record::columns::{self, Point};
use crate::text::short;

/// The largest number of rows in a chart.
const ROWS: usize = 64;
/// The largest number of charts of numbers that are not known by name.
const OTHERS: usize = 9;

/// Names that have a chart, or are part of one.
const KNOWN: &[&str] = &[
    "loss",
    "lr",
    "effective_lr",
    "factor",
    "clip_bound",
    "grad_norm",
    "update_ratio",
    "update_norm",
    "param_norm",
    "clip_rate",
    "skip_rate",
];

pub(super) fn all(of: &Overview<'_>) -> Vec<(Width, Chart)> {
    let Some(span) = of.columns.span() else { return Vec::new() };
    let charts =
        [loss(of, span), rate(of, span), gradient(of, span), update(of, span), weights(of, span)];
    let mut charts: Vec<(Width, Chart)> = charts.into_iter().flatten().collect();
    heats(of, span, &mut charts);
    let shown = |name: &&str| {
        let values = of.columns.finite(name);
        let fault = *name == "grad_nonfinite" && values.iter().all(|x| *x == 0.0);
        let known = KNOWN.contains(name) || VALIDATION_LOSSES.contains(name);
        !known && !values.is_empty() && !fault
    };
    charts.extend(of.columns.whole().filter(shown).take(OTHERS).map(|name| {
        let line = line(name, of.columns.line(name)).smoothed();
        // A custom name may not be a valid file name.
        let safe = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let file: String = name.chars().map(safe).collect();
        (Width::Third, chart((&file, titled(name)), Width::Third, span).series(line).draw())
    }));
    unique(&mut charts);
    charts
}

/// Returns the title of a number that a watch records.
fn titled(name: &str) -> &str {
    match name {
        "lr_cap" => "Bound on the highest rate",
        "grad_zeros" => "Zeros in the gradient",
        "grad_nonfinite" => "Non-finite in the gradient",
        "grad_cosine" => "Cosine of gradients",
        "grad_snr" => "Gradient signal to noise",
        name => name,
    }
}

/// Makes names unique: two may become the same once they are valid file names.
fn unique(charts: &mut [(Width, Chart)]) {
    for at in 1..charts.len() {
        let (before, rest) = charts.split_at_mut(at);
        let taken = |name: &str| before.iter().any(|(_, chart)| chart.name == name);
        let name = rest[0].1.name.clone();
        let free = (2..).map(|k| format!("{name}-{k}")).find(|name| !taken(name));
        if let Some(free) = free.filter(|_| taken(&name)) {
            rest[0].1.name = free;
        }
    }
}

fn line(name: impl Into<String>, points: &[Point]) -> Series {
    Series::new(name, points.iter().map(|p| (p.attempt as f64, p.value)))
}

fn chart((name, title): (&str, &str), width: Width, span: (u64, u64)) -> LineChart {
    let steps = Axis::whole("step", span);
    LineChart::new(title).named(name).sized(width.size()).across(steps)
}

fn loss(of: &Overview<'_>, span: (u64, u64)) -> Option<(Width, Chart)> {
    let incidents = of.incidents();
    let points = of.columns.line("loss");
    if points.is_empty() && incidents.is_empty() {
        return None;
    }
    let mut loss =
        chart(("loss", "Loss"), Width::Full, span).series(line("loss", points).smoothed());
    for name in VALIDATION_LOSSES.iter().filter(|name| !of.columns.finite(name).is_empty()) {
        loss = loss.series(line(*name, of.columns.line(name)));
    }
    let mark = |entry: &&crate::record::Entry| Mark {
        at: entry.attempt as f64,
        value: entry.get("loss"),
        verdict: entry.verdict,
        words: entry
            .why
            .clone()
            .unwrap_or_else(|| format!("update {} {}", entry.update, entry.verdict)),
    };
    let marks = incidents.iter().map(mark).collect();
    Some((Width::Full, loss.marks(marks).draw()))
}

fn rate(of: &Overview<'_>, span: (u64, u64)) -> Option<(Width, Chart)> {
    let rates = of.columns.line("lr");
    let left = of.columns.line("effective_lr");
    let differs =
        rates.len() != left.len() || rates.iter().zip(left).any(|(a, b)| a.value != b.value);
    let mut drawn = chart(("rate", "Learning rate"), Width::Half, span);
    if differs && !left.is_empty() {
        drawn = drawn.series(line("after clips", left).thin().color(1));
    }
    let drawn = drawn.series(line("rate", rates).color(0));
    (!rates.is_empty()).then(|| (Width::Half, drawn.draw()))
}

fn gradient(of: &Overview<'_>, span: (u64, u64)) -> Option<(Width, Chart)> {
    let norms = of.columns.line("grad_norm");
    let bound = of.columns.line("clip_bound");
    let mut drawn = chart(("gradient", "Gradient norm"), Width::Half, span)
        .series(line("norm", norms).smoothed());
    let values = || bound.iter().map(|p| p.value).filter(|x| x.is_finite());
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    if low <= high {
        let (first, last) = (span.0 as f64, span.1 as f64);
        // A run of one step is drawn as wide as that step.
        let lone = if span.0 == span.1 { 0.5 } else { 0.0 };
        let clip = match high - low <= 0.01 * high {
            // A constant threshold is drawn as a line from end to end.
            true => Series::new(
                format!("clipped to {}", short(high)),
                [(first - lone, high), (last + lone, high)],
            ),
            false => line("clipped to", bound),
        };
        drawn = drawn.series(clip.held());
    }
    (!norms.is_empty()).then(|| (Width::Half, drawn.draw()))
}

fn update(of: &Overview<'_>, span: (u64, u64)) -> Option<(Width, Chart)> {
    let ratios = of.columns.line("update_ratio");
    let drawn = chart(("update", "Update / weights"), Width::Half, span)
        .series(line("ratio", ratios).smoothed())
        .level(1e-3, "usual");
    (!ratios.is_empty()).then(|| (Width::Half, drawn.draw()))
}

fn weights(of: &Overview<'_>, span: (u64, u64)) -> Option<(Width, Chart)> {
    let norms = of.columns.line("param_norm");
    let drawn = chart(("weights", "Norm of the weights"), Width::Half, span);
    (!norms.is_empty()).then(|| (Width::Half, drawn.series(line("norm", norms)).draw()))
}

fn heats(of: &Overview<'_>, span: (u64, u64), to: &mut Vec<(Width, Chart)>) {
    let columns = &of.columns;
    let any = |row: &Row| row.finite().any(|x| x > 0.0);
    let rows_of = |row: columns::Row| Row {
        name: row.name,
        points: row.points.iter().map(|p| (p.attempt, p.value)).collect(),
    };
    let heats = [
        (
            "layers",
            "Gradient norm of each layer",
            columns.layers_within("grad_norm", ROWS),
            Shade::Powers,
        ),
        (
            "updates",
            "Update / weights of each layer",
            columns.update_ratios_within(ROWS),
            Shade::Powers,
        ),
        ("dead", "Dead units", columns.parts("dead"), Shade::Share),
        ("saturated", "Saturated units", columns.parts("saturated"), Shade::Share),
        ("deviation", "Standard deviation of activations", columns.parts("std"), Shade::Powers),
    ];
    for (name, title, rows, shade) in heats {
        let rows: Vec<Row> = rows.into_iter().take(ROWS).map(rows_of).collect();
        if rows.iter().any(any) {
            let width = Width::Full.size().0;
            let heat = Heat { name, title, width, span, rows: &rows, shade };
            to.push((Width::Full, heat.draw()));
        }
    }
}
