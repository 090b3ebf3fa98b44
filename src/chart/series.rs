//! One line of a picture, and how it is drawn.

use super::style::{LINES, class};

/// Numbers over numbers, drawn as one line of a [`LineChart`](super::LineChart).
///
/// A value that is not finite leaves a gap. The colour follows from the place among the lines of the picture,
/// unless [`color`](Self::color) says otherwise.
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
    /// Place, lower and upper end.
    pub(super) band: Vec<(f64, f64, f64)>,
    pub(super) look: Look,
    pub(super) color: Option<usize>,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// As it is; beside others of its kind with a few markers on the way.
    Plain,
    /// Where there are many points faintly, and their middle over it.
    Smoothed,
    /// Thin, and beside nothing.
    Thin,
    /// Dashed, and holding its value from point to point.
    Held,
    /// With a marker at each point.
    Markers,
    /// Thin, grey, and not in the legend.
    Faint,
}

impl Series {
    /// A line through these points, from the left to the right.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let points = points.into_iter().collect();
        Self { name: name.into(), points, band: Vec::new(), look: Look::Plain, color: None }
    }

    /// Draws a noisy line of more than 240 points faintly, and over it the medians of its stretches.
    pub fn smoothed(self) -> Self {
        Self { look: Look::Smoothed, ..self }
    }

    /// Puts a marker at each point. It has another shape for each colour.
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

    /// Draws a thin grey line without an entry in the legend: one of many that are there for comparison.
    pub fn faint(self) -> Self {
        Self { look: Look::Faint, ..self }
    }

    /// Fills the area between a lower and an upper value at each place, in the colour of the line. Where an
    /// end is not finite there is a gap.
    pub fn band(self, ends: impl IntoIterator<Item = (f64, f64, f64)>) -> Self {
        Self { band: ends.into_iter().collect(), ..self }
    }

    /// Chooses the colour by its number. There are eight, and after the last comes the first.
    pub fn color(self, number: usize) -> Self {
        Self { color: Some(number), ..self }
    }

    /// The name, as it is in the legend.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn class(&self, at: usize) -> &'static str {
        match self.look {
            Look::Faint => "faint",
            _ => class(self.color.unwrap_or(at)),
        }
    }

    /// Above so many points a noisy line is drawn faintly, and its middle over it.
    pub(super) fn is_smoothed(&self) -> bool {
        const MANY: usize = 240;
        self.look == Look::Smoothed && self.points.len() > MANY
    }

    /// The marker at a place, of the shape that goes with the colour.
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
