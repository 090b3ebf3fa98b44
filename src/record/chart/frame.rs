//! What surrounds the numbers: title, axes, and the words at them.

use std::fmt::Write;

use super::scale::{Scale, brief, counted};
use crate::text::escaped;

/// Where the numbers are, and what is beside them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) size: (u32, u32),
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Frame {
    pub(super) fn new(size: (u32, u32), left: f64, right: f64) -> Self {
        let (width, height) = (f64::from(size.0), f64::from(size.1));
        Self { size, left, right: width - right, top: 42.0, bottom: height - 30.0 }
    }

    pub(super) fn x(&self, scale: &Scale, x: f64) -> f64 {
        self.left + scale.place(x) * (self.right - self.left)
    }

    pub(super) fn y(&self, scale: &Scale, y: f64) -> f64 {
        self.bottom - scale.place(y) * (self.bottom - self.top)
    }

    /// Paper, title, and a word on it.
    pub(super) fn begin(&self, title: &str, more: &str) -> String {
        let (width, height) = self.size;
        format!(
            "<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n<text class=\"t\" x=\"14\" \
             y=\"24\">{}<tspan class=\"k\" dx=\"8\">{more}</tspan></text>\n",
            escaped(title)
        )
    }

    /// The axis of steps, below.
    pub(super) fn steps(&self, scale: &Scale, to: &mut String) {
        let Self { left, right, bottom, .. } = *self;
        let _ = writeln!(to, "<path class=\"x\" d=\"M{left:.0} {bottom:.1}H{right:.0}\"/>");
        let count = ((right - left) / 90.0) as usize;
        for tick in scale.ticks(count.max(2)) {
            if tick < 0.0 || tick.fract() != 0.0 {
                continue;
            }
            let (x, y) = (self.x(scale, tick), bottom + 18.0);
            let _ = writeln!(
                to,
                "<path class=\"x\" d=\"M{x:.1} {bottom:.1}v4\"/><text class=\"l\" x=\"{x:.1}\" y=\"{y:.1}\" \
                 text-anchor=\"middle\">{}</text>",
                counted(tick as u64)
            );
        }
        let (x, y) = (14.0, bottom + 18.0);
        let _ = writeln!(to, "<text class=\"l\" x=\"{x}\" y=\"{y:.1}\">step</text>");
    }

    /// The axis of values, at the left.
    pub(super) fn values(&self, scale: &Scale, to: &mut String) {
        let Self { left, right, .. } = *self;
        let count = ((self.bottom - self.top) / 32.0) as usize;
        for tick in scale.ticks(count.max(2)) {
            let y = self.y(scale, tick);
            let _ = writeln!(
                to,
                "<path class=\"g\" d=\"M{left:.0} {y:.1}H{right:.0}\"/><text class=\"l\" x=\"{:.0}\" \
                 y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 8.0,
                y + 4.0,
                brief(tick)
            );
        }
    }
}

/// About how wide a text of this size is.
pub(super) fn width(text: &str, size: f64) -> f64 {
    0.53 * size * text.chars().count() as f64
}

/// The end of a text that is too long: of a path, that is what tells it apart.
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
