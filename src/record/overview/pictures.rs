//! Which pictures there are of a run.

use super::Overview;
use crate::metric::VALIDATION_LOSSES;
use crate::record::chart::{Chart, Heat, Kind, Line, Lines, Mark, Shade};
use crate::record::columns::{Point, Row};
use crate::text::short;

/// How much of a page's width a picture takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Full,
    Half,
    Third,
}

impl Width {
    pub(super) fn size(self) -> (u32, u32) {
        match self {
            Self::Full => (1140, 340),
            Self::Half => (562, 250),
            Self::Third => (369, 200),
        }
    }
}

/// Rows that a picture has at most.
const ROWS: usize = 64;
/// Pictures of numbers that are not known by name.
const OTHERS: usize = 9;

/// Names that have a picture, or are part of one.
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
        let line = line(name, of.columns.line(name));
        // A name of the user's may be no name for a file.
        let safe = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let file: String = name.chars().map(safe).collect();
        let lines = lines((&file, titled(name)), Width::Third, span, vec![line]);
        (Width::Third, lines.draw())
    }));
    unique(&mut charts);
    charts
}

/// What a watch calls by a name.
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

/// Two names may be the same once they are fit for a file.
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

fn line(name: &str, points: &[Point]) -> Line {
    let points = points.iter().map(|p| (p.attempt as f64, p.value)).collect();
    Line { name: name.to_string(), points, kind: Kind::Noisy }
}

fn lines<'n>(
    (name, title): (&'n str, &'n str),
    width: Width,
    span: (u64, u64),
    lines: Vec<Line>,
) -> Lines<'n> {
    Lines { name, title, size: width.size(), span, lines, marks: Vec::new(), usual: None }
}

fn loss(of: &Overview<'_>, span: (u64, u64)) -> Option<(Width, Chart)> {
    let incidents = of.incidents();
    let points = of.columns.line("loss");
    if points.is_empty() && incidents.is_empty() {
        return None;
    }
    let mut all = vec![line("loss", points)];
    let held_out = VALIDATION_LOSSES.iter().map(|name| (*name, of.columns.line(name)));
    let held_out = held_out.filter(|(name, _)| !of.columns.finite(name).is_empty());
    all.extend(held_out.map(|(name, points)| Line { kind: Kind::Plain, ..line(name, points) }));
    let mut loss = lines(("loss", "Loss"), Width::Full, span, all);
    let mark = |entry: &&crate::record::Entry| Mark {
        at: entry.attempt as f64,
        value: entry.get("loss"),
        verdict: entry.verdict,
        words: entry
            .why
            .clone()
            .unwrap_or_else(|| format!("update {} {}", entry.update, entry.verdict)),
    };
    loss.marks = incidents.iter().map(mark).collect();
    Some((Width::Full, loss.draw()))
}

fn rate(of: &Overview<'_>, span: (u64, u64)) -> Option<(Width, Chart)> {
    let rates = of.columns.line("lr");
    let left = of.columns.line("effective_lr");
    let differs =
        rates.len() != left.len() || rates.iter().zip(left).any(|(a, b)| a.value != b.value);
    let mut all = Vec::new();
    if differs && !left.is_empty() {
        all.push(Line { kind: Kind::Under, ..line("after clips", left) });
    }
    all.push(Line { kind: Kind::Plain, ..line("rate", rates) });
    let drawn = lines(("rate", "Learning rate"), Width::Half, span, all);
    (!rates.is_empty()).then(|| (Width::Half, drawn.draw()))
}

fn gradient(of: &Overview<'_>, span: (u64, u64)) -> Option<(Width, Chart)> {
    let norms = of.columns.line("grad_norm");
    let bound = of.columns.line("clip_bound");
    let mut all = vec![line("norm", norms)];
    let values = || bound.iter().map(|p| p.value).filter(|x| x.is_finite());
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    if low <= high {
        let (first, last) = (span.0 as f64, span.1 as f64);
        // A run of one step is as wide as that step.
        let lone = if span.0 == span.1 { 0.5 } else { 0.0 };
        let clip = match high - low <= 0.01 * high {
            // One threshold throughout is a line from end to end.
            true => Line {
                name: format!("clipped to {}", short(high)),
                points: vec![(first - lone, high), (last + lone, high)],
                kind: Kind::Bound,
            },
            false => Line { kind: Kind::Bound, ..line("clipped to", bound) },
        };
        all.push(clip);
    }
    let drawn = lines(("gradient", "Gradient norm"), Width::Half, span, all);
    (!norms.is_empty()).then(|| (Width::Half, drawn.draw()))
}

fn update(of: &Overview<'_>, span: (u64, u64)) -> Option<(Width, Chart)> {
    let ratios = of.columns.line("update_ratio");
    let mut drawn =
        lines(("update", "Update / weights"), Width::Half, span, vec![line("ratio", ratios)]);
    drawn.usual = Some((1e-3, "usual"));
    (!ratios.is_empty()).then(|| (Width::Half, drawn.draw()))
}

fn weights(of: &Overview<'_>, span: (u64, u64)) -> Option<(Width, Chart)> {
    let norms = of.columns.line("param_norm");
    let drawn = lines(
        ("weights", "Norm of the weights"),
        Width::Half,
        span,
        vec![Line { kind: Kind::Plain, ..line("norm", norms) }],
    );
    (!norms.is_empty()).then(|| (Width::Half, drawn.draw()))
}

fn heats(of: &Overview<'_>, span: (u64, u64), to: &mut Vec<(Width, Chart)>) {
    let columns = &of.columns;
    let any = |row: &Row| row.finite().any(|x| x > 0.0);
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
    for (name, title, mut rows, shade) in heats {
        rows.truncate(ROWS);
        if rows.iter().any(any) {
            let width = Width::Full.size().0;
            let heat = Heat { name, title, width, span, rows: &rows, shade };
            to.push((Width::Full, heat.draw()));
        }
    }
}
