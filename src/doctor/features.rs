//! The columns of the features.

use super::finding::{Check, Finding, Severity, above, named};
use crate::standardize::{Column, quantile, spread};
use crate::text::short;

/// One column: its finite values, and the number of non-finite ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) values: Column,
    pub(super) broken: u64,
    /// The finite values, each with the index of its row.
    all: Vec<(f64, usize)>,
    /// Median and spread, which a few outliers don't move.
    pub(super) median: f64,
    pub(super) spread: f64,
    /// The deviation from the median, where each value counts for at most 10 spreads, but no less than the spread: the
    /// quartiles of a pixel that is mostly dark say little about how much it varies.
    deviation: f64,
    /// Whether the quartiles differ: if most values are equal, there is no scale to measure the others by.
    pub(super) spreads: bool,
}

impl Seen {
    pub(super) fn push(&mut self, x: f64, row: usize) {
        match x.is_finite() {
            true => {
                self.values.push(x);
                self.all.push((x, row));
            }
            false => self.broken += 1,
        }
    }

    /// Called once all values have been pushed.
    pub(super) fn settle(&mut self) {
        let mut sorted: Vec<f64> = self.all.iter().map(|(x, _)| *x).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        if sorted.is_empty() {
            return;
        }
        (self.median, self.spread) = (quantile(&sorted, 0.5), spread(&sorted));
        self.spreads = quantile(&sorted, 0.75) > quantile(&sorted, 0.25);
        let most = FAR * self.spread;
        let square = |x: &f64| (x - self.median).clamp(-most, most).powi(2);
        let mean = sorted.iter().map(square).sum::<f64>() / sorted.len() as f64;
        self.deviation = mean.sqrt().max(self.spread);
    }

    /// The typical size of its values: `√(m² + s²)` of median and spread.
    pub(super) fn size(&self) -> f64 {
        self.median.hypot(self.spread)
    }

    /// The lowest and the highest finite value.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        let all = || self.all.iter().map(|(x, _)| *x);
        Some((all().reduce(f64::min)?, all().reduce(f64::max)?))
    }

    pub(super) fn varies(&self) -> bool {
        self.values.count > 1 && !self.values.is_constant()
    }

    /// The distance of each value from the median, in spreads, with its row.
    fn distances(&self) -> impl Iterator<Item = (f64, usize)> {
        let far = |(x, row): &(f64, usize)| ((x - self.median).abs() / self.spread, *row);
        self.all.iter().filter(|_| self.spreads && self.spread > 0.0).map(far)
    }
}

/// The remedy for columns of unsuitable scale or offset.
const STANDARDIZE: &str = "put a `Standardize`, fitted on the training data, in front of the model: `fit_robust`, if some rows are wild";

/// The distance from the median, in spreads, from which a value is an outlier: for a normal distribution, one value in
/// 10²³.
const FAR: f64 = 10.0;
/// The distances from which an outlier is a warning, and severe.
const VERY_FAR: f64 = 100.0;
const ABSURD: f64 = 1000.0;

/// Rows with a value more than 10 spreads from the median: a note, a warning beyond 100, severe beyond 1000.
pub(super) fn outliers(of: &str, columns: &[Seen]) -> Option<Finding> {
    let mut rows: Vec<usize> = Vec::new();
    let mut which: Vec<usize> = Vec::new();
    let mut most: f64 = 0.0;
    for (at, column) in columns.iter().enumerate() {
        let far = column.distances().filter(|(distance, _)| *distance > FAR);
        let before = rows.len();
        for (distance, row) in far {
            most = most.max(distance);
            rows.push(row);
        }
        which.extend((rows.len() > before).then_some(at));
    }
    rows.sort_unstable();
    rows.dedup();
    let found = above(most, VERY_FAR, ABSURD).unwrap_or((most, FAR, Severity::Note));
    let many = rows.len();
    (many > 0).then(|| {
        Finding::new(
            Check::OutlierRows,
            found,
            format!(
                "{many} rows have {of} of up to {} spreads from the median, in column {}: row {}",
                short(most),
                named(which),
                named(rows)
            ),
            "look at these rows. If they are mistakes, leave them out; if not, `Standardize::fit_robust` holds \
             them to 10 spreads, and a loss that grows slower than the square keeps them from leading",
        )
    })
}

pub(super) fn check(columns: &[Seen]) -> Vec<Finding> {
    [
        non_finite("features", columns),
        outliers("features", columns),
        constant(columns),
        scale(columns),
        offset(columns),
    ]
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
    // A single row cannot show that a column is constant.
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

/// The index and the spread of each column that varies.
fn varying(columns: &[Seen]) -> impl Iterator<Item = (usize, f64)> {
    columns.iter().enumerate().filter(|(_, c)| c.varies()).map(|(at, c)| (at, c.spread))
}

/// The varying columns whose quartiles differ. A pixel at the edge of a picture that is dark but once has no scale to
/// compare others with.
fn spreading(columns: &[Seen]) -> impl Iterator<Item = (usize, f64)> {
    varying(columns).filter(|(at, _)| columns[*at].spreads)
}

/// A spread more than 10 times another column's deviation, or a size above 10; severe above 1000 in either case.
fn scale(columns: &[Seen]) -> Option<Finding> {
    let deviations = spreading(columns).map(|(at, _)| (at, columns[at].deviation));
    let least = deviations.min_by(|a, b| a.1.total_cmp(&b.1));
    let most = spreading(columns).max_by(|a, b| a.1.total_cmp(&b.1));
    let large = varying(columns).map(|(at, _)| (at, columns[at].size()));
    let large = large.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let spread = least.zip(most).and_then(|(least, most)| {
        let found = above(most.1 / least.1, 10.0, 1e3)?;
        let text = format!(
            "column {} varies by {}, column {} by {}",
            most.0,
            short(most.1),
            least.0,
            short(least.1)
        );
        Some((found, text))
    });
    let size = above(large.1, 10.0, 1e3)
        .map(|found| (found, format!("column {} has values around {}", large.0, short(large.1))));
    // The worse of the two; if they are equally bad, the spread, which is more informative.
    let worse = match (spread, size) {
        (Some(a), Some(b)) if b.0.2 > a.0.2 => b,
        (Some(a), _) => a,
        (None, b) => b?,
    };
    Some(Finding::new(Check::FeatureScale, worse.0, worse.1, STANDARDIZE))
}

/// A median of more than 10 deviations; severe above 1000.
fn offset(columns: &[Seen]) -> Option<Finding> {
    let offset = |(at, _): (usize, f64)| (at, columns[at].median.abs() / columns[at].deviation);
    let (at, most) = spreading(columns).map(offset).max_by(|a, b| a.1.total_cmp(&b.1))?;
    let found = above(most, 10.0, 1e3)?;
    let text = format!(
        "column {at} has a median of {} and varies by {}",
        short(columns[at].median),
        short(columns[at].deviation)
    );
    Some(Finding::new(Check::FeatureOffset, found, text, STANDARDIZE))
}
