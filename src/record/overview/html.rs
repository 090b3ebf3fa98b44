//! The overview as one HTML page.

use std::fmt::Write;

use super::terminal::counts;
use super::{History, Overview, pictures};
use crate::chart::counted;
use crate::doctor::{Finding, Severity};
use crate::page::{Page, Tile, coded};
use crate::record::FindingKind;
use crate::record::findings::percent;
use crate::text::{escaped, short};

/// Returns a summary of a run as one self-contained HTML page: [`Overview::to_html`] with the default title.
///
/// ```
/// use evenkeel::record::{Entry, History, html};
///
/// let mut history = History::default();
/// for k in 0..50 {
///     history.push(&Entry::new(k, k).value("loss", 1.0 / (1.0 + k as f64)));
/// }
/// let page = html(&history);
/// assert!(page.contains("<h1>a training run</h1>") && page.contains("</svg>"));
/// ```
#[must_use]
pub fn html(history: &History) -> String {
    Overview::of(history).to_html()
}

/// The largest number of rows in the table of incidents; more would dominate the page.
const INCIDENTS: usize = 200;
/// With more rows than this, the table is collapsed until it is opened.
const OPEN: usize = 40;

pub(super) fn page(of: &Overview<'_>) -> String {
    let mut page = Page::new(&of.title, &counts(of));
    page.tiles(&tiles(of));
    page.push(&findings(of.findings()));
    page.charts(&pictures::all(of));
    page.push(&incidents(of));
    page.finish(&format!(
        "{} of {} steps are kept; the lowest and highest losses and gradient norms, and steps that were not \
         applied, stay. Steps count what was asked for, updates what was applied.",
        counted(of.history.len() as u64),
        counted(of.history.steps())
    ))
}

fn tiles(of: &Overview<'_>) -> Vec<Tile> {
    let mut tiles = Vec::new();
    if let Some([first, last, lowest]) = of.losses() {
        let more = format!("{} at first, lowest {}", short(first), short(lowest));
        tiles.push(Tile::new("loss at the end", short(last), more));
    }
    let steps = of.history.steps();
    let rejected = format!("{} not applied", counted(of.rejected()));
    tiles.push(Tile::new("steps", counted(steps), rejected));
    let rates = of.columns.finite("lr");
    let highest = rates.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if let Some(last) = rates.last() {
        let more = format!("{} at the end", short(*last));
        tiles.push(Tile::new("highest rate", short(highest), more));
    }
    if !of.columns.line("factor").is_empty() {
        let bound = of.columns.finite("clip_bound");
        let to = bound
            .last()
            .map_or("no clip was active".into(), |to| format!("last clipped to {}", short(*to)));
        tiles.push(Tile::new("clipped updates", percent(of.clipped()), to));
    }
    let severe = of.findings.iter().filter(|f| f.severity == Severity::Severe).count();
    let found = of.findings.len().to_string();
    tiles.push(Tile::new("findings", found, format!("{severe} severe")));
    tiles
}

fn findings(found: &[Finding<FindingKind>]) -> String {
    let mut to = String::from("<section class=\"card text\">\n<h2>What stands out</h2>\n");
    if found.is_empty() {
        to.push_str("<p>Nothing, in the numbers that were recorded.</p>\n");
    } else {
        to.push_str("<ul class=\"findings\">\n");
    }
    for finding in found {
        let (class, shape) = match finding.severity {
            Severity::Severe => ("severe", "M1 1h10v10H1z"),
            Severity::Warning => ("warning", "M6 0l6 11H0z"),
            Severity::Note => ("note", "M6 1a5 5 0 1 0 .01 0z"),
        };
        let _ = writeln!(
            to,
            "<li><span class=\"tag {class}\"><svg viewBox=\"0 0 12 12\" aria-hidden=\"true\"><path \
             d=\"{shape}\"/></svg>{}</span><div>{}<p class=\"muted\">{}</p></div></li>",
            finding.severity,
            coded(&finding.evidence),
            coded(&finding.remedy)
        );
    }
    to.push_str(if found.is_empty() { "</section>\n" } else { "</ul>\n</section>\n" });
    to
}

fn incidents(of: &Overview<'_>) -> String {
    let mut to = String::new();
    let all = of.incidents();
    if all.is_empty() {
        return to;
    }
    let open = if all.len() <= OPEN { " open" } else { "" };
    let latest = &all[all.len().saturating_sub(INCIDENTS)..];
    let which = match latest.len() < of.rejected() as usize {
        true => format!("the latest {} of {}", latest.len(), counted(of.rejected())),
        false => format!("{}", latest.len()),
    };
    let _ = writeln!(
        to,
        "<section class=\"card text\"><details{open}><summary>Steps that were not applied ({which})</summary>\n\
         <table><thead><tr><th class=\"number\">step</th><th class=\"number\">update</th><th>what</th>\
         <th>why</th></tr></thead><tbody>"
    );
    for entry in latest {
        let _ = writeln!(
            to,
            "<tr><td class=\"number\">{}</td><td class=\"number\">{}</td><td>{}</td><td>{}</td></tr>",
            counted(entry.attempt),
            counted(entry.update),
            entry.verdict,
            escaped(entry.why.as_deref().unwrap_or(""))
        );
    }
    to.push_str("</tbody></table></details></section>\n");
    to
}
