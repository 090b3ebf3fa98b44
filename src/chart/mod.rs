//! Pictures as SVG: lines over steps, rates or anything else, alone or several on a sheet.
//!
//! A [`LineChart`] of [`Series`] over two [`Axis`] is drawn as a [`Chart`], and several of those are a
//! [`Sheet`]. It is what [`schedule::Plot`](crate::schedule::Plot), the page of a run
//! ([`record::Overview`](crate::record::Overview)) and that of the [advice](crate::advise::Advice::save_html)
//! are drawn with.
//!
//! The same numbers give the same text, byte by byte. A picture has a title and a description for who cannot
//! see it, no fonts but those of the system, and links to nothing. On a screen it follows the reader's choice
//! of light or dark, on paper it is light; a program that knows no CSS variables shows it in light.
//!
//! It is written as text, and not by a drawing crate: a name to hover over, a class that light and dark
//! colours apply to, and a description are elements that drawing crates do not write.

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

/// One finished picture.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Chart {
    /// A short word for it, fit for a file's name.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// Width and height.
    pub size: (u32, u32),
    description: String,
    body: String,
    /// The numbers behind it, for a page that shows them under the pointer: an object in JSON.
    hover: String,
}

impl Chart {
    /// The picture as a file of its own.
    pub fn to_svg(&self) -> String {
        whole(
            self.size,
            &format!("{}<style>{}</style>\n{}", self.words(), style::alone(), self.body),
        )
    }

    /// Writes the picture to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        save(path.as_ref(), &self.to_svg())
    }

    /// The picture as a part of a page, which has the style.
    pub(crate) fn inline(&self) -> String {
        let (width, height) = self.size;
        format!(
            "<svg class=\"ek\" role=\"img\" viewBox=\"0 0 {width} {height}\" data-hover=\"{}\">\n{}{}</svg>\n",
            escaped(&self.hover),
            self.words(),
            self.body
        )
    }

    /// The picture at a place in a larger one, which has the style.
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

/// A file of SVG around what is in it.
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

/// A list in JSON of numbers as they are shown, to three digits; `null` for those that it has no word for.
fn listed(values: impl IntoIterator<Item = f64>) -> String {
    let one = |x: f64| match x.is_finite() {
        true => scale::number(x),
        false => "null".to_string(),
    };
    let values: Vec<String> = values.into_iter().map(one).collect();
    format!("[{}]", values.join(","))
}

/// A list in JSON of steps, each as the difference to the one before it.
fn steps(values: impl IntoIterator<Item = f64>) -> String {
    let mut last = 0.0;
    let values: Vec<String> =
        values.into_iter().map(|x| (x - std::mem::replace(&mut last, x)).to_string()).collect();
    format!("[{}]", values.join(","))
}

/// Text in JSON.
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
