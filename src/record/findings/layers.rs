//! Findings from comparing layers with each other.

use super::{Columns, FindingKind, middle};
use crate::doctor::finding::{above, named};
use crate::doctor::{Finding, Severity};
use crate::record::columns::Row;
use crate::text::short;

type Found = Finding<FindingKind>;
/// The name of a layer, and a median.
type Layer = (String, f64);

/// The number of samples below which a layer is ignored.
const ENOUGH: usize = 3;

pub(super) fn check(columns: &Columns<'_>) -> Vec<Found> {
    let mut found: Vec<Found> = non_finite(columns).into_iter().collect();
    let grads = late_medians(&columns.layers("grad_norm"));
    found.extend(none(&grads));
    found.extend(vanishing(&grads));
    let mut ratios = late_medians(&columns.update_ratios());
    let whole = columns.finite("update_ratio");
    if ratios.is_empty()
        && whole.len() >= ENOUGH
        && let Some(ratio) = middle(whole)
    {
        ratios.push(("all weights".into(), ratio));
    }
    found.extend(large(&ratios));
    found.extend(small(&ratios));
    found
}

/// Returns the median of each layer over the later half of its samples.
fn late_medians(rows: &[Row]) -> Vec<Layer> {
    let of = |row: &Row| {
        let values: Vec<f64> = row.finite().collect();
        let late = values[values.len() / 2..].iter().copied();
        let enough = values.len() >= ENOUGH;
        Some((row.name.clone(), middle(late)?)).filter(|_| enough)
    };
    rows.iter().filter_map(of).collect()
}

/// Returns the layers with the smallest and the largest value.
fn ends(of: &[Layer]) -> Option<(&Layer, &Layer)> {
    let by = |a: &&Layer, b: &&Layer| a.1.total_cmp(&b.1);
    Some((of.iter().min_by(by)?, of.iter().max_by(by)?))
}

fn non_finite(columns: &Columns<'_>) -> Option<Found> {
    let rows = columns.parts("grad_nonfinite");
    let share = |row: &Row| row.finite().fold(0.0, f64::max);
    let bad: Vec<&Row> = rows.iter().filter(|row| share(row) > 0.0).collect();
    let worst = bad.iter().map(|row| share(row)).fold(0.0, f64::max);
    let first = bad.iter().flat_map(|row| &row.points).filter(|p| p.value > 0.0);
    let first = first.min_by_key(|p| p.entry)?;
    Some(Finding::new(
        FindingKind::NonFinite,
        (worst, 0.0, Severity::Warning),
        format!(
            "gradients with NaN or infinity in {}, first at update {}",
            named(bad.iter().map(|row| format!("`{}`", row.name))),
            columns.entries[first.entry].update
        ),
        "look for divisions, roots and logarithms of 0 behind these layers, and in half precision for \
         overflow",
    ))
}

fn none(grads: &[Layer]) -> Option<Found> {
    let none: Vec<String> =
        grads.iter().filter(|g| g.1 == 0.0).map(|g| format!("`{}`", g.0)).collect();
    (!none.is_empty()).then(|| {
        Finding::new(
            FindingKind::NoGradient,
            (none.len() as f64, 0.0, Severity::Warning),
            format!("no gradient but 0 reaches {}", named(none)),
            "a `detach`, units that are all dead, or weights of 0 behind them can be why; what is not to be \
             trained should be frozen",
        )
    })
}

fn vanishing(grads: &[Layer]) -> Option<Found> {
    let some: Vec<Layer> = grads.iter().filter(|g| g.1 > 0.0).cloned().collect();
    let (least, most) = ends(&some)?;
    let (_, limit, severity) = above(most.1 / least.1, 1e4, 1e6)?;
    let share = least.1 / most.1;
    Some(Finding::new(
        FindingKind::VanishingGradient,
        (share, 1.0 / limit, severity),
        format!("`{}` receives {share:.0e} of `{}`'s gradient", least.0, most.0),
        "initialize for the function that is used, normalize between layers, or add skip connections; an \
         optimizer with a rate for each element, such as Adam, bears more of it than descent",
    ))
}

fn large(ratios: &[Layer]) -> Option<Found> {
    let (_, most) = ends(ratios)?;
    let (measured, limit, severity) = above(most.1, 0.1, 1.0)?;
    let names = ratios.iter().filter(|r| r.1 > 0.1).map(|r| format!("{} {}", r.0, short(r.1)));
    Some(Finding::new(
        FindingKind::LargeUpdates,
        (measured, limit, severity),
        format!("an update moves weights by over a tenth of their norm: {}", named(names)),
        "lower the rate: around 1e-3 of the norm is usual",
    ))
}

fn small(ratios: &[Layer]) -> Option<Found> {
    let (least, _) = ends(ratios)?;
    let names = ratios.iter().filter(|r| r.1 < 1e-5).map(|r| format!("{} {}", r.0, short(r.1)));
    (least.1 < 1e-5).then(|| {
        Finding::new(
            FindingKind::SmallUpdates,
            (least.1, 1e-5, Severity::Warning),
            format!("an update moves weights by less than 1e-5 of their norm: {}", named(names)),
            "raise the rate, or look whether gradients arrive: around 1e-3 of the norm is usual",
        )
    })
}
