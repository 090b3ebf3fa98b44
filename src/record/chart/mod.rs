//! Pictures of numbers over a run, as SVG.
//!
//! They are written as text, and not by a drawing crate: a name to hover over, a class that the page's
//! light and dark colours apply to, and a description for who cannot see them are elements that drawing
//! crates do not write.

mod frame;
mod heat;
mod lines;
pub(super) mod reduce;
mod scale;
mod style;

pub(super) use heat::{Heat, Shade};
pub(super) use lines::{Kind, Line, Lines, Mark};
pub(super) use scale::counted;
pub(super) use style::{alone, page};

use std::fmt::Write;

use crate::text::escaped;

/// One picture of a run.
///
/// It has no colours or fonts but those of the system, and links to nothing.
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
        let (width, height) = self.size;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"ek\" role=\"img\" width=\"{width}\" \
             height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n{}<style>{}</style>\n{}</svg>\n",
            self.words(),
            alone(),
            self.body
        )
    }

    /// The picture as a part of a page, which has the style.
    pub(super) fn inline(&self) -> String {
        let (width, height) = self.size;
        format!(
            "<svg class=\"ek\" role=\"img\" viewBox=\"0 0 {width} {height}\" data-hover=\"{}\">\n{}{}</svg>\n",
            escaped(&self.hover),
            self.words(),
            self.body
        )
    }

    /// The picture at a place in a larger one, which has the style.
    pub(super) fn nested(&self, (x, y): (u32, u32)) -> String {
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
