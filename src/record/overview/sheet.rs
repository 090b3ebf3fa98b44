//! All charts of an overview in one image.

use std::fmt::Write;

use super::pictures::Width;
use crate::record::chart::{Chart, alone};
use crate::text::escaped;

const WIDTH: u32 = 1140;
const GAP: u32 = 16;

pub(super) fn of(charts: &[(Width, Chart)], title: &str) -> String {
    let (mut body, mut y) = (String::new(), GAP);
    for row in rows(charts) {
        let mut x = GAP;
        for (_, chart) in row {
            body.push_str(&chart.nested((x, y)));
            x += chart.size.0 + GAP;
        }
        y += row.iter().map(|(_, chart)| chart.size.1).max().unwrap_or(0) + GAP;
    }
    let width = WIDTH + 2 * GAP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"ek\" role=\"img\" width=\"{width}\" \
         height=\"{y}\" viewBox=\"0 0 {width} {y}\">\n<title>{}</title>\n<style>{}</style>\n<rect \
         class=\"paper\" width=\"{width}\" height=\"{y}\"/>\n",
        escaped(title),
        alone()
    );
    let _ = writeln!(svg, "{body}</svg>");
    svg
}

/// Groups neighbors of the same width that fit side by side.
fn rows(charts: &[(Width, Chart)]) -> impl Iterator<Item = &[(Width, Chart)]> {
    charts.chunk_by(|a, b| a.0 == b.0).flat_map(|same| {
        same.chunks(match same[0].0 {
            Width::Full => 1,
            Width::Half => 2,
            Width::Third => 3,
        })
    })
}
