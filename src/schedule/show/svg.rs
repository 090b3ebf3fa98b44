//! Curves as pictures.

use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::Preview;
use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::text::short;

/// A picture of one or several schedules, as SVG.
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

/// How many updates of a curve are drawn: more than the picture is wide.
const POINTS: usize = 2000;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Plot {
    /// A picture of these updates, 720 wide and 360 high.
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

    /// What stands above it.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Width and height.
    pub fn size(mut self, width: u32, height: u32) -> Self {
        self.size = (width, height);
        self
    }

    /// A logarithmic scale of the values; those that are not above 0 are left out.
    pub fn log_scale(mut self) -> Self {
        self.log = true;
        self
    }

    /// The values from the bottom to the top, which follow from the curves otherwise.
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

    /// Adds a schedule. Where there are several, a legend has their names.
    pub fn curve(mut self, name: impl Into<String>, schedule: &impl Schedule) -> Self {
        let points = Preview::new(schedule, self.range.clone()).points(POINTS);
        self.curves.push((name.into(), points));
        self
    }

    /// The picture.
    ///
    /// # Errors
    /// If it has no width or height.
    pub fn to_svg(&self) -> Result<String, Error> {
        Self::grid(1, std::slice::from_ref(self))
    }

    /// Writes the picture to a file.
    ///
    /// # Errors
    /// If it has no width or height, or the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let failed = |cause| Error::io(format_args!("saving {}", path.display()), cause);
        std::fs::write(path, self.to_svg()?).map_err(failed)
    }

    /// Several plots in one picture, in rows of `columns`. All are as large as the first one.
    ///
    /// # Errors
    /// If there is no plot, `columns` is 0, or a plot has no width or height.
    pub fn grid(columns: usize, plots: &[Self]) -> Result<String, Error> {
        Param("Plot", "columns").at_least(1, columns as u64)?;
        let Some(first) = plots.first() else {
            return Err(Error::parameter("Plot", "plots", "at least one", 0));
        };
        let (width, height) = first.size;
        Param("Plot", "size").at_least(1, width.min(height).into())?;
        let columns = columns.min(plots.len());
        let rows = plots.len().div_ceil(columns);
        let mut picture = String::new();
        {
            let size = (width * columns as u32, height * rows as u32);
            let sheet = SVGBackend::with_string(&mut picture, size).into_drawing_area();
            let failed = |cause: String| Error::io("drawing schedules", cause);
            sheet.fill(&WHITE).map_err(|e| failed(e.to_string()))?;
            for (area, plot) in sheet.split_evenly((rows, columns)).iter().zip(plots) {
                plot.draw(area).map_err(|e| failed(e.to_string()))?;
            }
            sheet.present().map_err(|e| failed(e.to_string()))?;
        }
        Ok(picture)
    }

    fn drawn(&self) -> impl Iterator<Item = f64> {
        let values = self.curves.iter().flat_map(|(_, points)| points.iter().map(|(_, y)| *y));
        values.filter(|&y| self.shows(y))
    }

    fn shows(&self, y: f64) -> bool {
        y.is_finite() && (!self.log || y > 0.0)
    }

    /// What was asked for, or from the least value to the greatest, with some room.
    fn values(&self) -> Range<f64> {
        match &self.between {
            Some(values) if !self.log || values.start > 0.0 => return values.clone(),
            _ => {}
        }
        let low = self.drawn().fold(f64::INFINITY, f64::min);
        let high = self.drawn().fold(f64::NEG_INFINITY, f64::max);
        // Far from where adding to them or dividing by them leaves the numbers.
        let (low, high) = match low <= high {
            true => (low.clamp(-1e300, 1e300), high.clamp(-1e300, 1e300)),
            false => (0.0, 1.0),
        };
        match self.log {
            true => low.max(1e-300) / 1.5..high.max(1e-300) * 1.5,
            false => {
                let room = match 0.06 * (high - low) {
                    0.0 => low.abs().max(1e-300) / 2.0,
                    room => room,
                };
                // Not below 0 for the sake of room: a rate of less than nothing would mislead.
                let bottom = if low >= 0.0 { (low - room).max(0.0) } else { low - room };
                bottom..high + room
            }
        }
    }

    fn draw(&self, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let small = self.size.0 < 400;
        let (title, label) = if small { (15, 11) } else { (20, 14) };
        let mut chart = ChartBuilder::on(area);
        chart.margin(8).margin_right(if small { 16 } else { 26 });
        chart.x_label_area_size(if small { 22 } else { 42 });
        chart.y_label_area_size(if small { 46 } else { 66 });
        if !self.title.is_empty() {
            chart.caption(&self.title, ("sans-serif", title));
        }
        let updates = self.range.start as f64..self.range.end.max(self.range.start + 1) as f64;
        // The two scales are two types: the same lines are drawn on either.
        macro_rules! on {
            ($values:expr) => {{
                let mut chart = chart.build_cartesian_2d(updates, $values)?;
                let mut mesh = chart.configure_mesh();
                mesh.light_line_style(TRANSPARENT).bold_line_style(BLACK.mix(0.1));
                if small {
                    mesh.x_labels(3).y_labels(4);
                } else {
                    mesh.x_desc("update").x_labels(8).y_labels(6);
                }
                mesh.x_label_formatter(&|x| short(*x)).y_label_formatter(&|y| short(*y));
                mesh.label_style(("sans-serif", label)).draw()?;
                for (at, (name, points)) in self.curves.iter().enumerate() {
                    let line = ShapeStyle { color: shade(at), filled: false, stroke_width: 2 };
                    let mut named = false;
                    // A gap ends one line and begins another.
                    for part in points.split(|(_, y)| !self.shows(*y)) {
                        let part = part.iter().map(|(t, y)| (*t as f64, *y));
                        let drawn = chart.draw_series(LineSeries::new(part, line))?;
                        if !std::mem::replace(&mut named, true) {
                            drawn.label(name).legend(move |(x, y)| {
                                PathElement::new([(x, y), (x + 18, y)], line)
                            });
                        }
                    }
                }
                if self.curves.len() > 1 {
                    let mut legend = chart.configure_series_labels();
                    legend.background_style(WHITE.mix(0.85)).border_style(BLACK.mix(0.2));
                    legend.position(SeriesLabelPosition::UpperRight);
                    legend.label_font(("sans-serif", label)).draw()?;
                }
            }};
        }
        match self.log {
            true => on!(self.values().log_scale()),
            false => on!(self.values()),
        }
        Ok(())
    }
}

/// Okabe and Ito's colours, which differ for every kind of colour vision.
fn shade(at: usize) -> RGBAColor {
    const COLORS: [RGBColor; 7] = [
        RGBColor(0x00, 0x72, 0xb2),
        RGBColor(0xd5, 0x5e, 0x00),
        RGBColor(0x00, 0x9e, 0x73),
        RGBColor(0xcc, 0x79, 0xa7),
        RGBColor(0xe6, 0x9f, 0x00),
        RGBColor(0x56, 0xb4, 0xe9),
        RGBColor(0x00, 0x00, 0x00),
    ];
    COLORS[at % COLORS.len()].to_rgba()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Constant, Ramp};

    fn lines(svg: &str) -> usize {
        let blue = svg.lines().filter(|line| line.contains("#0072B2"));
        blue.filter(|line| line.starts_with("<polyline")).count()
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
            assert!(svg.lines().any(|line| line == text), "{text}");
        }
        let one = plot().to_svg().unwrap();
        assert!(!one.lines().any(|line| line == "ramp"), "one curve needs no legend");
        let grid = Plot::grid(2, &[plot(), plot(), plot()]).unwrap();
        assert_eq!(grid.lines().filter(|line| *line == "rates").count(), 3);
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
        assert_eq!(plot.between(-1.0..2.0).unwrap().values(), -1.0..2.0);
    }
}
