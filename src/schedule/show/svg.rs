//! Plots of schedules.

use std::ops::Range;
use std::path::Path;

use super::Preview;
use crate::Error;
use crate::chart::{Axis, Chart, LineChart, Series, Sheet, save};
use crate::error::check::Param;
use crate::schedule::Schedule;

/// A plot of one or several schedules, as SVG.
///
/// ```
/// use evenkeel::schedule::{Plot, recipe};
///
/// let picture = Plot::over(0..1000)
///     .title("two ways to end")
///     .curve("cosine", &recipe::warmup_cosine(3e-3, 100, 1000)?)
///     .curve("wsd", &recipe::wsd(3e-3, 100, 1000)?)
///     .to_svg()?;
/// assert!(picture.contains("</svg>"));
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// Values that are not finite leave a gap.
#[derive(Debug, Clone)]
#[must_use = "`to_svg` or `save` draws it"]
pub struct Plot {
    range: Range<u64>,
    title: String,
    size: (u32, u32),
    log: bool,
    between: Option<Range<f64>>,
    curves: Vec<(String, Vec<(u64, f64)>)>,
}

/// How many updates of a curve are drawn: more than the plot is wide.
const POINTS: usize = 2000;

impl Plot {
    /// Creates a plot of these updates, 720 wide and 360 high.
    pub fn over(updates: Range<u64>) -> Self {
        Self {
            range: updates,
            title: String::new(),
            size: (720, 360),
            log: false,
            between: None,
            curves: Vec::new(),
        }
    }

    /// Sets the title.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets the width and the height.
    pub fn size(mut self, width: u32, height: u32) -> Self {
        self.size = (width, height);
        self
    }

    /// Uses a logarithmic scale for the values; those that are not above 0 are left out.
    pub fn log_scale(mut self) -> Self {
        self.log = true;
        self
    }

    /// Sets the values at the bottom and the top, which are otherwise derived from the curves.
    ///
    /// # Errors
    /// If they are not finite, or the top is not above the bottom.
    pub fn between(mut self, values: Range<f64>) -> Result<Self, Error> {
        let Range { start, end } = values;
        let start = Param("Plot", "between").finite(start)?;
        let must = format_args!("finite, and above {start}");
        let end = Param("Plot", "between").must(end.is_finite() && end > start, must, end)?;
        self.between = Some(start..end);
        Ok(self)
    }

    /// Adds a schedule. If there are several, a legend shows their names.
    pub fn curve(mut self, name: impl Into<String>, schedule: &impl Schedule) -> Self {
        let points = Preview::new(schedule, self.range.clone()).points(POINTS);
        self.curves.push((name.into(), points));
        self
    }

    /// Returns the plot as SVG.
    ///
    /// # Errors
    /// If it has no width or height.
    pub fn to_svg(&self) -> Result<String, Error> {
        Ok(self.draw(self.size)?.to_svg())
    }

    /// Writes the plot to a file, as SVG.
    ///
    /// # Errors
    /// If it has no width or height, or the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        save(path.as_ref(), &self.to_svg()?)
    }

    /// Returns several plots in one SVG, in rows of `columns`. All are as large as the first one.
    ///
    /// # Errors
    /// If there is no plot, `columns` is 0, or a plot has no width or height.
    pub fn grid(columns: usize, plots: &[Self]) -> Result<String, Error> {
        Param("Plot", "columns").at_least(1, columns as u64)?;
        let Some(first) = plots.first() else {
            return Err(Error::parameter("Plot", "plots", "at least one", 0));
        };
        let charts: Result<Vec<Chart>, Error> =
            plots.iter().map(|plot| plot.draw(first.size)).collect();
        Ok(Sheet::new("").gap(0).grid(columns, charts?)?.to_svg())
    }

    fn draw(&self, size: (u32, u32)) -> Result<Chart, Error> {
        Param("Plot", "size").at_least(1, size.0.min(size.1).into())?;
        let Range { start, end } = self.range;
        let end = end.max(start.saturating_add(1));
        let updates = Axis::whole("update", (start, end));
        let values = if self.log { Axis::log("") } else { Axis::even("") };
        let values = match &self.between {
            Some(Range { start, end }) if !self.log || *start > 0.0 => {
                values.between(*start, *end)?
            }
            _ => values,
        };
        let mut chart = LineChart::new(&self.title).sized(size).across(updates).up(values);
        for (name, points) in &self.curves {
            let points = points.iter().map(|(t, y)| (*t as f64, *y));
            chart = chart.series(Series::new(name, points));
        }
        Ok(chart.draw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Constant, Ramp};

    /// How many lines are drawn in the first color, one for each stretch without a gap.
    fn lines(svg: &str) -> usize {
        let first = svg.lines().filter_map(|line| line.strip_prefix("<path class=\"a\" d=\""));
        first.map(|d| d.matches('M').count()).sum()
    }

    #[test]
    fn a_gap_ends_a_line() {
        let whole = Ramp::new(0.0, 1.0, 50).unwrap();
        let torn = move |t: u64| if t == 20 { f64::NAN } else { whole.at(t) };
        assert_eq!(lines(&Plot::over(0..50).curve("a", &whole).to_svg().unwrap()), 1);
        assert_eq!(lines(&Plot::over(0..50).curve("a", &torn).to_svg().unwrap()), 2);
        // On a logarithmic scale there is no 0.
        let svg = Plot::over(0..50).log_scale().curve("a", &whole).to_svg().unwrap();
        assert_eq!(lines(&svg), 1);
    }

    #[test]
    fn titles_and_names_are_in_the_picture() {
        let plot = || Plot::over(0..9).title("rates").curve("ramp", &|t| t as f64);
        let svg = plot().curve("level", &Constant::new(1.0).unwrap()).to_svg().unwrap();
        for text in ["rates", "ramp", "level"] {
            assert!(svg.contains(&format!(">{text}</text>")), "{text}");
        }
        let one = plot().to_svg().unwrap();
        assert!(!one.contains(">ramp</text>"), "one curve needs no legend");
        let grid = Plot::grid(2, &[plot(), plot(), plot()]).unwrap();
        assert_eq!(grid.matches(">rates</text>").count(), 3);
        assert!(grid.contains("width=\"1440\" height=\"720\""));
    }

    #[test]
    fn any_values_can_be_drawn() {
        let all: [&dyn Schedule; 5] =
            [&|_| 0.0, &|_| f64::NAN, &|_| f64::MAX, &|t| -1e308 * t as f64, &|_| 1e-320];
        for schedule in all {
            for range in [0..0, 0..1, 5..9, 0..u64::MAX] {
                let plot = Plot::over(range).curve("a", &|t: u64| schedule.at(t));
                assert!(plot.to_svg().unwrap().ends_with("</svg>\n"));
                assert!(plot.log_scale().to_svg().unwrap().ends_with("</svg>\n"));
            }
        }
    }

    #[test]
    fn wrong_settings_are_named() {
        let said = |e: Result<String, Error>| e.unwrap_err().to_string();
        let plot = Plot::over(0..9);
        assert!(said(plot.clone().size(0, 9).to_svg()).starts_with("`size` of Plot"));
        assert!(said(Plot::grid(0, std::slice::from_ref(&plot))).starts_with("`columns` of Plot"));
        assert!(said(Plot::grid(1, &[])).starts_with("`plots` of Plot must be at least one"));
        for bad in [1.0..1.0, f64::NAN..1.0, 0.0..f64::INFINITY] {
            assert!(plot.clone().between(bad).is_err());
        }
        // Values outside the range are drawn at its edge; a logarithmic scale has no -1 to begin
        // with.
        let plot = plot.between(-1.0..2.0).unwrap().curve("a", &|t: u64| t as f64);
        let highest = |svg: &str| svg.matches(" 42.0L").count();
        assert!(highest(&plot.to_svg().unwrap()) >= 6);
        assert_eq!(highest(&plot.log_scale().to_svg().unwrap()), 0);
    }
}
