//! Charts as SVG: lines over steps, rates or anything else, alone or several on a sheet.
//!
//! A [`LineChart`] of [`Series`] over two [`Axis`] is drawn as a [`Chart`], and several charts make a [`Sheet`].
//! [`schedule::Plot`](crate::schedule::Plot), the page of a run ([`record::Overview`](crate::record::Overview))
//! and the page of the [advice](crate::advise::Advice::save_html) are drawn with this module.
//!
//! The same numbers give the same text, byte for byte. A chart has a title and a description for readers who
//! cannot see it, uses only system fonts, and links to nothing. On a screen it follows the reader's choice of
//! light or dark mode; on paper it is light, as it is in a program that does not support CSS variables.
//!
//! The SVG is written as text rather than with a drawing crate, because drawing crates do not write the elements
//! it needs: a name to hover over, a class that light and dark colors apply to, and a description.

mod axis;
mod frame;
mod heat;
mod lines;
pub(crate) mod reduce;
mod scale;
mod series;
mod sheet;
mod style;

pub use axis::Axis;
pub(crate) use heat::{Heat, Row, Shade};
pub use lines::LineChart;
pub(crate) use lines::Mark;
pub(crate) use scale::counted;
pub use series::Series;
pub use sheet::Sheet;
pub(crate) use style::page;

use std::fmt::Write;
use std::path::Path;

use crate::Error;
use crate::text::escaped;

/// A finished chart.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Chart {
    /// A short name, usable as a file name.
    pub name: String,
    /// The title.
    pub title: String,
    /// The width and height.
    pub size: (u32, u32),
    description: String,
    body: String,
    /// The numbers that a page shows under the pointer, as a JSON object.
    hover: String,
}

impl Chart {
    /// Returns the chart as a standalone SVG file.
    #[must_use]
    pub fn to_svg(&self) -> String {
        whole(
            self.size,
            &format!("{}<style>{}</style>\n{}", self.words(), style::alone(), self.body),
        )
    }

    /// Writes the chart to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        save(path.as_ref(), &self.to_svg())
    }

    /// Returns the chart for embedding in a page that has the style.
    pub(crate) fn inline(&self) -> String {
        let (width, height) = self.size;
        format!(
            "<svg class=\"ek\" role=\"img\" viewBox=\"0 0 {width} {height}\" data-hover=\"{}\">\n{}{}</svg>\n",
            escaped(&self.hover),
            self.words(),
            self.body
        )
    }

    /// Returns the chart placed in a larger one that has the style.
    fn nested(&self, (x, y): (u32, u32)) -> String {
        let (width, height) = self.size;
        format!(
            "<svg x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\
             \n{}{}</svg>\n",
            self.words(),
            self.body
        )
    }

    fn words(&self) -> String {
        let mut words = format!("<title>{}</title>", escaped(&self.title));
        let _ = writeln!(words, "<desc>{}</desc>", escaped(&self.description));
        words
    }
}

/// Wraps content in an SVG file.
fn whole((width, height): (u32, u32), inside: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"ek\" role=\"img\" width=\"{width}\" \
         height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n{inside}</svg>\n"
    )
}

pub(crate) fn save(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |cause| Error::io(format_args!("saving {}", path.display()), cause);
    std::fs::write(path, text).map_err(failed)
}

/// Returns a JSON list of numbers as they are displayed, to three digits; `null` for numbers that JSON cannot
/// represent.
fn listed(values: impl IntoIterator<Item = f64>) -> String {
    let one = |x: f64| match x.is_finite() {
        true => scale::number(x),
        false => "null".to_string(),
    };
    let values: Vec<String> = values.into_iter().map(one).collect();
    format!("[{}]", values.join(","))
}

/// Returns a JSON list of steps, each as the difference from the previous one.
fn steps(values: impl IntoIterator<Item = f64>) -> String {
    let mut last = 0.0;
    let values: Vec<String> =
        values.into_iter().map(|x| (x - std::mem::replace(&mut last, x)).to_string()).collect();
    format!("[{}]", values.join(","))
}

/// Returns the text as a JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests;
