//! The columns of the input.

use super::finding::{Check, Finding, Severity, above, named};
use crate::standardize::Column;
use crate::text::short;

/// One column's finite values, and how many are not finite.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) values: Column,
    pub(super) broken: u64,
}

impl Seen {
    pub(super) fn push(&mut self, x: f64) {
        match x.is_finite() {
            true => self.values.push(x),
            false => self.broken += 1,
        }
    }

    /// The typical size of its values: `√(μ² + σ²)`.
    pub(super) fn size(&self) -> f64 {
        self.values.mean.hypot(self.values.deviation())
    }
}

/// Columns may differ by 10 in scale, and be of sizes up to 1000.
const STANDARDIZE: &str = "put a `Standardize`, fitted on the training data, in front of the model";

pub(super) fn check(columns: &[Seen]) -> Vec<Finding> {
    [non_finite("features", columns), constant(columns), scale(columns), offset(columns)]
        .into_iter()
        .flatten()
        .collect()
}

pub(super) fn non_finite(of: &str, columns: &[Seen]) -> Option<Finding> {
    let broken: u64 = columns.iter().map(|column| column.broken).sum();
    let found = above(broken as f64, 0.0, 0.0)?;
    let which = columns.iter().enumerate().filter(|(_, c)| c.broken > 0).map(|(at, _)| at);
    Some(Finding::new(
        Check::NonFiniteData,
        found,
        format!("{broken} values of the {of} are NaN or infinite, in column {}", named(which)),
        "leave these rows out, or fill the gaps and add a column that says where they were",
    ))
}

fn constant(columns: &[Seen]) -> Option<Finding> {
    // Of a single row nothing can be said.
    let constant = |c: &Seen| c.values.count > 1 && c.values.is_constant();
    let which: Vec<usize> = (0..columns.len()).filter(|&at| constant(&columns[at])).collect();
    let size = which.iter().map(|&at| columns[at].size()).fold(0.0, f64::max);
    let severity = if size > 10.0 { Severity::Warning } else { Severity::Note };
    (!which.is_empty()).then(|| {
        Finding::new(
            Check::ConstantFeature,
            (which.len() as f64, 0.0, severity),
            format!("{} columns have one value in all rows: {}", which.len(), named(&which)),
            "drop them: they say nothing, and a large one acts as a large bias",
        )
    })
}

/// Index and deviation of each column that varies.
fn varying(columns: &[Seen]) -> impl Iterator<Item = (usize, f64)> {
    let varies = |(_, c): &(usize, &Seen)| c.values.count > 1 && !c.values.is_constant();
    columns.iter().enumerate().filter(varies).map(|(at, c)| (at, c.values.deviation()))
}

/// The spread of deviations over 10, or a size over 10; severe over 1000 either way.
fn scale(columns: &[Seen]) -> Option<Finding> {
    let least = varying(columns).min_by(|a, b| a.1.total_cmp(&b.1))?;
    let most = varying(columns).max_by(|a, b| a.1.total_cmp(&b.1))?;
    let large = varying(columns).map(|(at, _)| (at, columns[at].size()));
    let large = large.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let spread = above(most.1 / least.1, 10.0, 1e3).map(|found| {
        let text = format!(
            "column {} has a deviation of {}, column {} one of {}",
            most.0,
            short(most.1),
            least.0,
            short(least.1)
        );
        (found, text)
    });
    let size = above(large.1, 10.0, 1e3)
        .map(|found| (found, format!("column {} has values around {}", large.0, short(large.1))));
    // The worse of the two; the spread says more where both are as bad.
    let worse = match (spread, size) {
        (Some(a), Some(b)) if b.0.2 > a.0.2 => b,
        (Some(a), _) => a,
        (None, b) => b?,
    };
    Some(Finding::new(Check::FeatureScale, worse.0, worse.1, STANDARDIZE))
}

/// `|μ|/σ` over 10; severe over 1000.
fn offset(columns: &[Seen]) -> Option<Finding> {
    let offsets = varying(columns).map(|(at, sigma)| (at, columns[at].values.mean.abs() / sigma));
    let (at, most) = offsets.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let found = above(most, 10.0, 1e3)?;
    let Column { mean, .. } = columns[at].values;
    let text = format!(
        "column {at} has a mean of {} with a deviation of {}",
        short(mean),
        short(columns[at].values.deviation())
    );
    Some(Finding::new(Check::FeatureOffset, found, text, STANDARDIZE))
}
