//! The HTML pages of a run and of an advice: one style, and nothing that isn't in the file.

use std::fmt::Write;

use crate::chart::{Chart, page as style};
use crate::text::escaped;

const LAYOUT: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The share of a page's width that a chart takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Full,
    Half,
    Third,
}

impl Width {
    pub(crate) fn size(self) -> (u32, u32) {
        match self {
            Self::Full => (1140, 340),
            Self::Half => (562, 250),
            Self::Third => (369, 200),
        }
    }

    /// Returns how many fit side by side.
    pub(crate) fn beside(self) -> usize {
        match self {
            Self::Full => 1,
            Self::Half => 2,
            Self::Third => 3,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Half => "half",
            Self::Third => "third",
        }
    }
}

/// A headline number: its name, its value, and a remark.
#[derive(Debug, Clone)]
pub(crate) struct Tile {
    name: &'static str,
    value: String,
    more: String,
}

impl Tile {
    pub(crate) fn new(name: &'static str, value: String, more: String) -> Self {
        Self { name, value, more }
    }
}

/// A page under construction.
#[derive(Debug)]
pub(crate) struct Page(String);

impl Page {
    /// Starts a page with its heading and a line below it.
    pub(crate) fn new(title: &str, more: &str) -> Self {
        let (title, more) = (escaped(title), escaped(more));
        Self(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width,initial-scale=1\">\n<title>{title}</title>\n<link rel=\"icon\" \
             href=\"data:,\">\n<style>{}{LAYOUT}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p \
             class=\"muted\">{more}</p>\n",
            style()
        ))
    }

    /// Adds headline numbers, side by side.
    pub(crate) fn tiles(&mut self, tiles: &[Tile]) {
        self.0.push_str("<dl class=\"tiles\">\n");
        for Tile { name, value, more } in tiles {
            let (value, more) = (escaped(value), escaped(more));
            let _ = writeln!(
                self.0,
                "<div class=\"card\"><dt class=\"muted\">{name}</dt><dd>{value}<small class=\"muted\">{more}</small>\
                 </dd></div>"
            );
        }
        self.0.push_str("</dl>\n");
    }

    /// Adds charts, as many side by side as fit.
    pub(crate) fn charts(&mut self, charts: &[(Width, Chart)]) {
        self.0.push_str("<section class=\"charts\" aria-label=\"pictures\">\n");
        for (width, chart) in charts {
            let class = width.class();
            let _ = writeln!(self.0, "<figure class=\"card {class}\">{}</figure>", chart.inline());
        }
        self.0.push_str("</section>\n");
    }

    /// Adds HTML verbatim.
    pub(crate) fn push(&mut self, html: &str) {
        self.0.push_str(html);
    }

    /// Returns the finished page, with a footer line.
    pub(crate) fn finish(mut self, foot: &str) -> String {
        let _ = write!(
            self.0,
            "<footer>evenkeel {}. {}</footer>\n</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
            env!("CARGO_PKG_VERSION"),
            escaped(foot)
        );
        self.0
    }
}

/// Escapes the text and marks what stands between backticks as code; a single backtick is kept.
pub(crate) fn coded(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::coded;

    #[test]
    fn what_stands_between_grave_accents_is_code() {
        assert_eq!(coded("use `a < b` or `c`."), "use <code>a &lt; b</code> or <code>c</code>.");
        assert_eq!(coded("one ` alone"), "one ` alone");
        assert_eq!(coded("`a` and `"), "<code>a</code> and `");
    }
}
