//! Results as a table.

use crate::losses::short;
use crate::sweep::Row;

/// The lowest loss of all rows.
fn lowest(rows: &[Row]) -> f64 {
    rows.iter().flat_map(|row| &row.losses).copied().fold(f64::INFINITY, f64::min)
}

/// The mean over rates of how far the loss is above `best`; a loss above the trivial one counts as that.
fn sensitivity(row: &Row, best: f64) -> f64 {
    row.losses.iter().map(|loss| loss - best).sum::<f64>() / row.losses.len() as f64
}

/// The rows of one problem as a table.
pub fn table(rows: &[Row]) -> Vec<String> {
    let mut lines = vec![
        "| set-up | trains at | up to | sensitivity | best loss | held out | updates | not finite |"
            .to_string(),
        "|---|---|---|---|---|---|---|---|".to_string(),
    ];
    let best = lowest(rows);
    lines.extend(rows.iter().map(|row| {
        let highest = row.highest.map_or("–".to_string(), |rate| format!("{rate:.2}"));
        let highest = match row.highest {
            Some(rate) if rate < 0.1 => format!("{rate:.0e}"),
            _ => highest,
        };
        let updates = row.updates.map_or("–".to_string(), |updates| updates.to_string());
        format!(
            "| {} | {} of {} | {highest} | {:.3} | {} at {:.0e} | {} | {updates} | {} |",
            row.setup,
            row.trains,
            row.of,
            sensitivity(row, best),
            short(row.best.0),
            row.best.1,
            short(row.held_out),
            row.broken
        )
    }));
    lines
}

/// The same for programs to read.
pub fn lines(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| line(row, lowest(rows))).collect()
}

fn line(row: &Row, best: f64) -> String {
    let name = row.setup.to_lowercase().replace([',', '\''], "").replace(' ', "-");
    format!(
        "bench suite {} {name} trains={}/{} highest={} sensitivity={:.4} best={:.4} held_out={:.4} updates={} broken={}",
        row.problem,
        row.trains,
        row.of,
        row.highest.map_or("none".to_string(), |rate| format!("{rate:.1e}")),
        sensitivity(row, best),
        row.best.0,
        row.held_out,
        row.updates.map_or("none".to_string(), |updates| updates.to_string()),
        row.broken
    )
}
