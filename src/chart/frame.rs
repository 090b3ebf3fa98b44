//! The frame of a chart: title, axes, legend, and their labels.

use std::fmt::Write;

use super::scale::Scale;
use crate::text::escaped;

/// The plot area, and the space around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) size: (u32, u32),
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    /// Whether the chart is small: small charts have small letters and no axis names.
    pub(super) small: bool,
}

/// An entry of a legend: a name, and the symbol to its left, 20 wide and vertically centerd on its origin.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) drawing: String,
    pub(super) name: String,
}

/// Charts narrower than this are small.
const SMALL: u32 = 300;
/// The distance between rows of a legend.
const ROW: f64 = 19.0;
/// The width of a legend entry without its name.
const KEY: f64 = 40.0;

impl Frame {
    pub(super) fn new(size: (u32, u32), left: f64, right: f64) -> Self {
        let (width, height) = (f64::from(size.0), f64::from(size.1));
        let small = size.0 < SMALL;
        let (left, right, top, bottom) = match small {
            true => (left.min(40.0), right.min(12.0), 26.0, 20.0),
            false => (left, right, 42.0, 30.0),
        };
        // However small the chart is, the ends stay in order.
        let right = (width - right).max(left + 1.0);
        Self { size, left, right, top, bottom: (height - bottom).max(top + 1.0), small }
    }

    pub(super) fn x(&self, scale: &Scale, x: f64) -> f64 {
        self.left + scale.place(x) * (self.right - self.left)
    }

    pub(super) fn y(&self, scale: &Scale, y: f64) -> f64 {
        self.bottom - scale.place(y) * (self.bottom - self.top)
    }

    fn letters(&self) -> &'static str {
        if self.small { "l s" } else { "l" }
    }

    /// Draws the background, the title, and the text beside it.
    pub(super) fn begin(&self, title: &str, more: &str) -> String {
        let (width, height) = self.size;
        let (x, y) = if self.small { (10.0, 17) } else { (14.0, 24) };
        let room = f64::from(width) - 2.0 * x;
        // A long title is set smaller, and cut if that is not enough.
        let long = self.small || bold(title, 15.0) > room;
        let (class, size) = if long { ("t s", 12.5) } else { ("t", 15.0) };
        let title = beginning(title, (room / bold("x", size)) as usize);
        let fits = bold(&title, size) + 8.0 + self::width(more, 12.0) <= room;
        let more = match more.is_empty() || self.small || !fits {
            true => String::new(),
            false => format!("<tspan class=\"k\" dx=\"8\">{}</tspan>", escaped(more)),
        };
        let title = escaped(&title);
        format!(
            "<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n<text class=\"{class}\" x=\"{x}\" \
             y=\"{y}\">{title}{more}</text>\n"
        )
    }

    /// Draws the horizontal axis.
    pub(super) fn across(&self, scale: &Scale, name: &str, to: &mut String) {
        let Self { left, right, bottom, .. } = *self;
        let _ = writeln!(to, "<path class=\"x\" d=\"M{left:.0} {bottom:.1}H{right:.0}\"/>");
        // Counts are wider than other numbers.
        let each = if scale.is_whole() && !self.small { 90.0 } else { 55.0 };
        let letters = self.letters();
        let (below, size) = if self.small { (14.0, 10.5) } else { (18.0, 12.0) };
        let most = (((right - left) / each) as usize).max(2);
        let apart = |labels: &Vec<(f64, String)>| {
            let half = |words: &str| width(words, size) / 2.0 + 2.0;
            labels.windows(2).all(|pair| {
                let distance = self.x(scale, pair[1].0) - self.x(scale, pair[0].0);
                distance >= half(&pair[0].1) + half(&pair[1].1)
            })
        };
        let labels = (1..=most).rev().map(|count| scale.labels(count)).find(apart);
        for (tick, words) in labels.unwrap_or_default() {
            let (x, y) = (self.x(scale, tick), bottom + below);
            // The last label is shifted if it would leave the chart.
            let half = width(&words, size) / 2.0;
            let at = x.min(f64::from(self.size.0) - half - 2.0);
            let _ = writeln!(
                to,
                "<path class=\"x\" d=\"M{x:.1} {bottom:.1}v4\"/><text class=\"{letters}\" x=\"{at:.1}\" y=\"{y:.1}\" \
                 text-anchor=\"middle\">{words}</text>"
            );
        }
        if self.small || name.is_empty() {
            return;
        }
        let (x, y, anchor) = match fits_beside(name, left) {
            true => (14.0, bottom + 18.0, "start"),
            false => ((left + right) / 2.0, bottom + 36.0, "middle"),
        };
        let _ = writeln!(
            to,
            "<text class=\"l\" x=\"{x}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escaped(name)
        );
    }

    /// Makes room for the name of the horizontal axis if it does not fit beside the ticks.
    pub(super) fn named(self, name: &str) -> Self {
        match self.small || fits_beside(name, self.left) {
            true => self,
            false => Self { bottom: (self.bottom - 18.0).max(self.top + 1.0), ..self },
        }
    }

    fn value_labels(&self, scale: &Scale) -> Vec<(f64, String)> {
        let each = if self.small { 24.0 } else { 32.0 };
        let count = (((self.bottom - self.top) / each) as usize).max(2);
        // A single label does not show the scale: a few more than usual are better.
        let mut more = (count + 1..count + 3).map(|count| scale.labels(count));
        let usual = scale.labels(count);
        match usual.len() {
            0 | 1 => more.find(|labels| labels.len() > 1).unwrap_or(usual),
            _ => usual,
        }
    }

    /// Makes room at the left for long numbers.
    pub(super) fn beside(self, scale: &Scale) -> Self {
        let size = if self.small { 10.5 } else { 12.0 };
        let labels = self.value_labels(scale);
        let longest = labels.iter().map(|(_, words)| width(words, size)).fold(0.0, f64::max);
        let left = self.left.max((longest + 12.0).ceil());
        Self { left, right: self.right.max(left + 1.0), ..self }
    }

    /// Draws the vertical axis, at the left.
    pub(super) fn values(&self, scale: &Scale, to: &mut String) {
        let Self { left, right, .. } = *self;
        let letters = self.letters();
        for (tick, words) in self.value_labels(scale) {
            let y = self.y(scale, tick);
            let _ = writeln!(
                to,
                "<path class=\"g\" d=\"M{left:.0} {y:.1}H{right:.0}\"/><text class=\"{letters}\" x=\"{:.0}\" \
                 y=\"{:.1}\" text-anchor=\"end\">{words}</text>",
                left - if self.small { 5.0 } else { 8.0 },
                y + 4.0,
            );
        }
    }

    /// Makes room for a legend below the title if it does not fit beside it.
    pub(super) fn with(self, keys: &[Key], title: &str, more: &str) -> Self {
        match self.is_beside(keys, title, more) {
            true => self,
            false => {
                let (_, rows) = self.grid(keys);
                let top = self.top + ROW * rows as f64 - 4.0;
                Self { top, bottom: self.bottom.max(top + 1.0), ..self }
            }
        }
    }

    /// Draws the legend: beside the title if it fits there, in rows below it otherwise.
    pub(super) fn legend(&self, keys: &[Key], title: &str, more: &str, to: &mut String) {
        if self.is_beside(keys, title, more) {
            let mut x = (self.right + 14.0 - row(keys)).max(titled(title, more));
            for key in keys {
                key.draw(x, 20.0, to);
                x += key.width();
            }
            return;
        }
        let (columns, _) = self.grid(keys);
        let wide = keys.iter().map(Key::width).fold(0.0, f64::max);
        for (at, key) in keys.iter().enumerate() {
            let (row, column) = (at / columns, at % columns);
            key.draw(16.0 + wide * column as f64, 43.0 + ROW * row as f64, to);
        }
    }

    fn is_beside(&self, keys: &[Key], title: &str, more: &str) -> bool {
        keys.is_empty() || titled(title, more) + row(keys) <= self.right + 14.0
    }

    /// Returns the number of columns and rows of a legend below the title.
    fn grid(&self, keys: &[Key]) -> (usize, usize) {
        let wide = keys.iter().map(Key::width).fold(1.0, f64::max);
        let columns = (((self.right - 2.0) / wide) as usize).clamp(1, keys.len().max(1));
        (columns, keys.len().div_ceil(columns))
    }
}

impl Key {
    pub(super) fn width(&self) -> f64 {
        width(&self.name, 12.0) + KEY
    }

    pub(super) fn draw(&self, x: f64, y: f64, to: &mut String) {
        let _ = writeln!(
            to,
            "<g transform=\"translate({x:.0} {y:.0})\">{}<text class=\"k\" x=\"26\" y=\"4\">{}</text></g>",
            self.drawing,
            escaped(&self.name)
        );
    }
}

fn row(keys: &[Key]) -> f64 {
    keys.iter().map(Key::width).sum()
}

fn titled(title: &str, more: &str) -> f64 {
    let more = if more.is_empty() { 16.0 } else { width(more, 12.0) + 40.0 };
    14.0 + bold(title, 15.0) + more
}

fn fits_beside(name: &str, left: f64) -> bool {
    14.0 + width(name, 12.0) <= left - 14.0
}

/// Estimates the width of a text of this size.
pub(super) fn width(text: &str, size: f64) -> f64 {
    0.56 * size * text.chars().count() as f64
}

/// Estimates the width of a title of this size.
fn bold(text: &str, size: f64) -> f64 {
    0.64 * size * text.chars().count() as f64
}

/// Returns the start of a text that is too long.
fn beginning(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_string(),
    }
}

/// Returns the end of a text that is too long: the end of a path is what identifies it.
pub(super) fn ending(text: &str, most: usize) -> String {
    let count = text.chars().count();
    match count > most {
        true => {
            let end: String = text.chars().skip(count + 1 - most).collect();
            format!("…{end}")
        }
        false => text.to_string(),
    }
}
