//! The same as one page.

use std::fmt::Write;

use super::pictures::{self, Width};
use super::terminal::counts;
use super::{History, Overview};
use crate::doctor::{Finding, Severity};
use crate::record::Sign;
use crate::record::chart::{counted, page as style};
use crate::record::findings::percent;
use crate::text::escaped;
use crate::text::short;

/// A run at a glance as one page of HTML, which needs nothing beside it: [`Overview::to_html`] with the
/// title it has unless told otherwise.
pub fn html(history: &History) -> String {
    Overview::of(history).to_html()
}

const LAYOUT: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Rows of the table of incidents; more would be the page.
const INCIDENTS: usize = 200;
/// More than these are folded away until asked for.
const OPEN: usize = 40;

pub(super) fn page(of: &Overview<'_>) -> String {
    let title = escaped(&of.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\">\n<title>{title}</title>\n<link rel=\"icon\" \
         href=\"data:,\">\n<style>{}{LAYOUT}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p \
         class=\"muted\">{}</p>\n",
        style(),
        counts(of)
    );
    tiles(of, &mut page);
    findings(of.findings(), &mut page);
    page.push_str("<section class=\"charts\" aria-label=\"pictures\">\n");
    for (width, chart) in pictures::all(of) {
        let class = match width {
            Width::Full => "full",
            Width::Half => "half",
            Width::Third => "third",
        };
        let _ = writeln!(page, "<figure class=\"card {class}\">{}</figure>", chart.inline());
    }
    page.push_str("</section>\n");
    incidents(of, &mut page);
    let _ = writeln!(
        page,
        "<footer>evenkeel {}. {} of {} steps are kept; the lowest and highest losses and gradient norms, and \
         steps that were not applied, stay. Steps count what was asked for, updates what was applied.</footer>",
        env!("CARGO_PKG_VERSION"),
        counted(of.history.len() as u64),
        counted(of.history.steps())
    );
    let _ = write!(page, "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    page
}

fn tiles(of: &Overview<'_>, to: &mut String) {
    let mut tiles: Vec<(&str, String, String)> = Vec::new();
    if let Some([first, last, lowest]) = of.losses() {
        tiles.push((
            "loss at the end",
            short(last),
            format!("{} at first, lowest {}", short(first), short(lowest)),
        ));
    }
    let steps = of.history.steps();
    tiles.push(("steps", counted(steps), format!("{} not applied", counted(of.rejected()))));
    let rates = of.columns.finite("lr");
    let highest = rates.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if let Some(last) = rates.last() {
        tiles.push(("highest rate", short(highest), format!("{} at the end", short(*last))));
    }
    if !of.columns.line("factor").is_empty() {
        let bound = of.columns.finite("clip_bound");
        let to = bound
            .last()
            .map_or("no clip was active".into(), |to| format!("last clipped to {}", short(*to)));
        tiles.push(("clipped updates", percent(of.clipped()), to));
    }
    let severe = of.findings.iter().filter(|f| f.severity == Severity::Severe).count();
    tiles.push(("findings", of.findings.len().to_string(), format!("{severe} severe")));
    to.push_str("<dl class=\"tiles\">\n");
    for (name, value, more) in tiles {
        let _ = writeln!(
            to,
            "<div class=\"card\"><dt class=\"muted\">{name}</dt><dd>{value}<small class=\"muted\">{more}</small>\
             </dd></div>"
        );
    }
    to.push_str("</dl>\n");
}

fn findings(found: &[Finding<Sign>], to: &mut String) {
    to.push_str("<section class=\"card text\">\n<h2>What stands out</h2>\n");
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
}

/// What stands between grave accents is code; a single one is itself.
fn coded(text: &str) -> String {
    let text = escaped(text);
    let parts: Vec<&str> = text.split('`').collect();
    let mut coded = String::new();
    for (at, part) in parts.iter().enumerate() {
        coded.push_str(match at % 2 {
            _ if at == 0 => "",
            1 if at + 1 == parts.len() => "`",
            1 => "<code>",
            _ => "</code>",
        });
        coded.push_str(part);
    }
    coded
}

fn incidents(of: &Overview<'_>, to: &mut String) {
    let all = of.incidents();
    if all.is_empty() {
        return;
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
}
