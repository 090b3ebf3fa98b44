//! The lines of a chart, and how they are drawn.

use super::style::{LINES, class};

/// A series of points, drawn as one line of a [`LineChart`](super::LineChart).
///
/// A non-finite value leaves a gap. The color follows from the position among the lines of the chart, unless
/// [`color`](Self::color) sets it.
///
/// ```
/// use evenkeel::chart::Series;
///
/// let losses = Series::new("training loss", (0..100).map(|k| (f64::from(k), 1.0 / f64::from(k + 1))));
/// let rates = Series::new("Adam", [(1e-3, 0.4), (1e-2, 0.2), (1e-1, f64::NAN)]).markers();
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "`LineChart::series` draws it"]
pub struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    /// Position, lower and upper end.
    pub(super) band: Vec<(f64, f64, f64)>,
    pub(super) look: Look,
    pub(super) color: Option<usize>,
}

/// The style of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Solid; with a few markers if there are several lines of this style.
    Plain,
    /// If there are many points, drawn faintly, with medians over them.
    Smoothed,
    /// Thin, without markers.
    Thin,
    /// Dashed, holding each value until the next point.
    Held,
    /// With a marker at each point.
    Markers,
    /// Thin, grey, and not in the legend.
    Faint,
}

impl Series {
    /// Creates a line through these points, from left to right.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let points = points.into_iter().collect();
        Self { name: name.into(), points, band: Vec::new(), look: Look::Plain, color: None }
    }

    /// Draws a noisy line of more than 240 points faintly, with the medians of its stretches over it.
    pub fn smoothed(self) -> Self {
        Self { look: Look::Smoothed, ..self }
    }

    /// Puts a marker at each point. Its shape differs for each color.
    pub fn markers(self) -> Self {
        Self { look: Look::Markers, ..self }
    }

    /// Draws a thin line.
    pub fn thin(self) -> Self {
        Self { look: Look::Thin, ..self }
    }

    /// Draws a dashed line that holds each value until the next one.
    pub fn held(self) -> Self {
        Self { look: Look::Held, ..self }
    }

    /// Draws a thin grey line without an entry in the legend: one of many shown for comparison.
    pub fn faint(self) -> Self {
        Self { look: Look::Faint, ..self }
    }

    /// Fills the area between a lower and an upper value at each position, in the color of the line. A
    /// non-finite end leaves a gap.
    pub fn band(self, ends: impl IntoIterator<Item = (f64, f64, f64)>) -> Self {
        Self { band: ends.into_iter().collect(), ..self }
    }

    /// Sets the color by number. There are eight, and numbers wrap around after the last.
    pub fn color(self, number: usize) -> Self {
        Self { color: Some(number), ..self }
    }

    /// Returns the name shown in the legend.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn class(&self, at: usize) -> &'static str {
        match self.look {
            Look::Faint => "faint",
            _ => class(self.color.unwrap_or(at)),
        }
    }

    /// Returns whether the line is drawn faintly with its medians over it, as noisy lines with many points are.
    pub(super) fn is_smoothed(&self) -> bool {
        const MANY: usize = 240;
        self.look == Look::Smoothed && self.points.len() > MANY
    }

    /// Returns the marker at a position, in the shape that belongs to the color.
    pub(super) fn marker(&self, at: usize, (x, y): (f64, f64)) -> String {
        const SHAPES: [&str; LINES] = [
            // Circle, square, diamond, triangles up and down, to the right and to the left, a flat box.
            "m-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0 -6.8 0z",
            "m-3.2 -3.2h6.4v6.4h-6.4z",
            "m0 -4.4l4.4 4.4l-4.4 4.4l-4.4 -4.4z",
            "m0 -4.4l4.2 7.4h-8.4z",
            "m0 4.4l4.2 -7.4h-8.4z",
            "m4.4 0l-7.4 4.2v-8.4z",
            "m-4.4 0l7.4 4.2v-8.4z",
            "m-4.2 -2h8.4v4h-8.4z",
        ];
        let at = self.color.unwrap_or(at);
        let shape = SHAPES[at % LINES];
        format!("<path class=\"{} pt\" d=\"M{x:.1} {y:.1}{shape}\"/>", class(at))
    }
}
