//! Findings from the activations seen by a probe.

use super::{Columns, FindingKind, middle, percent};
use crate::doctor::finding::above;
use crate::doctor::{Finding, Severity};
use crate::record::columns::Row;
use crate::text::short;

type Found = Finding<FindingKind>;

/// The number of places that are reported, the worst ones.
const SHOWN: usize = 4;

pub(super) fn check(columns: &Columns<'_>) -> Vec<Found> {
    let mut found = units(
        columns,
        ("dead", "are dead", FindingKind::DeadUnits),
        "dead units learn nothing more: lower the rate or make the warmup longer, or use a function that is \
         flat nowhere, such as leaky ReLU or GELU",
    );
    found.extend(units(
        columns,
        ("saturated", "are saturated", FindingKind::SaturatedUnits),
        "hardly any gradient passes there: normalize before it, or start with smaller weights",
    ));
    found.extend(headroom(columns));
    found
}

/// Returns the median of the last three samples.
fn now(row: &Row) -> Option<f64> {
    let last: Vec<f64> = row.finite().rev().take(3).collect();
    (last.len() == 3).then(|| middle(last)).flatten()
}

fn units(
    columns: &Columns<'_>,
    (quantity, are, sign): (&str, &str, FindingKind),
    remedy: &str,
) -> Vec<Found> {
    let one = |row: &Row| {
        let share = now(row)?;
        let found = above(share, 0.3, 0.9)?;
        let still = row.points.iter().rev().take_while(|p| p.value > 0.3);
        let since = match still.last() {
            Some(p) if p.entry == row.points.first()?.entry => "the first sample".to_string(),
            Some(p) => format!("update {}", columns.entries[p.entry].update),
            None => return None,
        };
        let text = format!("{} of units of `{}` {are} since {since}", percent(share), row.name);
        Some(Finding::new(sign, found, text, remedy))
    };
    let mut found: Vec<Found> = columns.parts(quantity).iter().filter_map(one).collect();
    found.sort_by(|a, b| b.measured.total_cmp(&a.measured));
    found.truncate(SHOWN);
    found
}

fn headroom(columns: &Columns<'_>) -> Option<Found> {
    let rows = columns.parts("headroom");
    let least = |row: &Row| row.finite().fold(f64::INFINITY, f64::min);
    let worst = rows.iter().min_by(|a, b| least(a).total_cmp(&least(b)))?;
    let bits = least(worst);
    let (limit, severity) = match bits {
        b if b < 1.0 => (1.0, Severity::Severe),
        b if b < 3.0 => (3.0, Severity::Warning),
        _ => return None,
    };
    let lowest = worst.points.iter().filter(|p| p.value == bits).map(|p| p.entry).next()?;
    Some(Finding::new(
        FindingKind::LittleHeadroom,
        (bits, limit, severity),
        format!(
            "`{}` came within {} doublings of overflow, at update {}",
            worst.name,
            short(bits),
            columns.entries[lowest].update
        ),
        "compute this part in a type of wider range, such as bf16 or f32, or normalize before it",
    ))
}
