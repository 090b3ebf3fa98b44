//! Line charts, with marks for steps that were not applied.

use std::fmt::Write;
use std::path::Path;

use super::frame::{Frame, Key};
use super::reduce::{middles, reduced};
use super::scale::{Scale, number};
use super::series::Look;
use super::{Axis, Chart, Series, listed, quoted, steps};
use crate::error::check::Param;
use crate::text::escaped;
use crate::{Error, Verdict};

/// A step that was not applied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    pub(crate) at: f64,
    pub(crate) value: Option<f64>,
    pub(crate) verdict: Verdict,
    pub(crate) words: String,
}

/// A line chart, drawn as SVG.
///
/// ```
/// use evenkeel::chart::{Axis, LineChart, Series};
///
/// let rates = [1e-3, 1e-2, 1e-1, 1.0];
/// let chart = LineChart::new("Loss against rate")
///     .across(Axis::log("rate"))
///     .up(Axis::log("training loss"))
///     .series(Series::new("bare", rates.into_iter().zip([0.9, 0.3, 0.2, f64::INFINITY])).markers())
///     .series(Series::new("with bounds", rates.into_iter().zip([0.9, 0.3, 0.2, 0.2])).markers())
///     .level(0.35, "target")
///     .breaks("broke")
///     .draw();
/// assert!(chart.to_svg().contains("with bounds"));
/// ```
///
/// # Cost
/// Each line is drawn with at most four points for every three pixels of the width, including the lowest and the
/// highest value of each stretch, so that a single value that stands out is visible however many there are.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "`draw` or `save` draws it"]
pub struct LineChart {
    name: Option<String>,
    title: String,
    size: (u32, u32),
    across: Axis,
    up: Axis,
    series: Vec<Series>,
    marks: Vec<Mark>,
    /// A value for comparison, and its name.
    level: Option<(f64, String)>,
    breaks: Option<String>,
    legend: bool,
}

const LOG: &str = "log scale";
/// Marks closer than this, in pixels, are merged.
const CLOSE: f64 = 9.0;
/// The number of markers on a line with many points.
const MARKERS: usize = 7;
/// The distance between rows of crosses.
const ROW: f64 = 10.0;

/// Both scales, and the frame of the plot area.
struct Place {
    frame: Frame,
    across: Scale,
    up: Scale,
    /// The height of the lane above all values, for values that are not finite.
    lane: f64,
}

impl Place {
    fn has(&self, (x, y): (f64, f64)) -> bool {
        self.across.has(x) && self.up.has(y)
    }

    fn of(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.frame.x(&self.across, x), self.frame.y(&self.up, y))
    }
}

impl LineChart {
    /// Creates a chart without lines, 720 wide and 360 high.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            name: None,
            title: title.into(),
            size: (720, 360),
            across: Axis::auto(""),
            up: Axis::auto(""),
            series: Vec::new(),
            marks: Vec::new(),
            level: None,
            breaks: None,
            legend: true,
        }
    }

    /// Sets width and height, in pixels of an unscaled chart. Below a width of 300, letters are small and axes
    /// have no names.
    ///
    /// # Errors
    /// If either is 0.
    pub fn size(self, width: u32, height: u32) -> Result<Self, Error> {
        Param("LineChart", "size").at_least(1, width.min(height).into())?;
        Ok(self.sized((width, height)))
    }

    /// Sets the horizontal axis.
    pub fn across(self, axis: Axis) -> Self {
        Self { across: axis, ..self }
    }

    /// Sets the vertical axis.
    pub fn up(self, axis: Axis) -> Self {
        Self { up: axis, ..self }
    }

    /// Adds a line. Later ones are drawn over earlier ones.
    pub fn series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// Draws a dotted line at this value for comparison, named in the legend. It is left out if the value isn't
    /// finite.
    pub fn level(self, value: f64, name: impl Into<String>) -> Self {
        Self { level: value.is_finite().then(|| (value, name.into())), ..self }
    }

    /// Marks non-finite values with crosses, in a lane of this name above all values, with one row for each line.
    /// A line with [markers](Series::markers) has a cross for every non-finite value, any other line only for the
    /// first one after each finite value.
    pub fn breaks(self, name: impl Into<String>) -> Self {
        Self { breaks: Some(name.into()), ..self }
    }

    /// Leaves out the legend, for charts in a [`Sheet`](super::Sheet) that share the same lines.
    pub fn without_legend(self) -> Self {
        Self { legend: false, ..self }
    }

    pub(crate) fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    pub(crate) fn sized(self, size: (u32, u32)) -> Self {
        Self { size, ..self }
    }

    pub(crate) fn marks(self, marks: Vec<Mark>) -> Self {
        Self { marks, ..self }
    }

    /// Draws the chart.
    #[must_use]
    pub fn draw(&self) -> Chart {
        let xs = self.series.iter().flat_map(|line| line.points.iter().map(|(x, _)| *x));
        let across = self.across.scale(xs);
        let up = self.scale();
        let kinds = self.kinds();
        let keys = if self.legend { self.keys(&kinds, true) } else { Vec::new() };
        let scaled = [self.up.name.as_str(), if up.is_log() { LOG } else { "" }];
        let more: Vec<&str> = scaled.into_iter().filter(|words| !words.is_empty()).collect();
        let more = more.join(", ");
        let frame = Frame::new(self.size, 58.0, 18.0).with(&keys, &self.title, &more);
        let frame = frame.beside(&up).named(&self.across.name);
        let lane = self.lane();
        let top = (frame.top + lane).min(frame.bottom - 1.0);
        let place = Place { frame: Frame { top, ..frame }, across, up, lane };

        let mut body = frame.begin(&self.title, &more);
        place.frame.values(&up, &mut body);
        frame.across(&across, &self.across.name, &mut body);
        if let Some((value, _)) = &self.level {
            let y = place.frame.y(&up, *value);
            let _ = writeln!(
                body,
                "<path class=\"usual\" d=\"M{:.0} {y:.1}H{:.0}\"/>",
                frame.left, frame.right
            );
        }
        let mut row = 0;
        for (at, line) in self.series.iter().enumerate() {
            self.line(at, line, &place, &mut body);
            row += usize::from(self.crosses(at, line, row, &place, &mut body));
        }
        self.lane_name(row, &place, &mut body);
        self.draw_marks(&place, &mut body);
        frame.legend(&keys, &self.title, &more, &mut body);
        Chart {
            name: self.name.clone().unwrap_or_else(|| slug(&self.title)),
            title: self.title.clone(),
            size: self.size,
            description: self.description(&across, &kinds),
            body,
            hover: self.hover(&place),
        }
    }

    /// Draws the chart and writes it to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.draw().save(path)
    }

    fn scale(&self) -> Scale {
        let values = self.series.iter().flat_map(|line| {
            let ends = line.band.iter().flat_map(|(_, low, high)| [*low, *high]);
            line.points.iter().map(|(_, y)| *y).chain(ends)
        });
        self.up.scale(values.chain(self.level.as_ref().map(|(value, _)| *value)))
    }

    fn line(&self, at: usize, line: &Series, place: &Place, to: &mut String) {
        let bins = self.size.0 as usize / 3;
        let class = line.class(at);
        band(line, class, place, to);
        let across = |x: f64| place.across.place(x);
        let shown = reduced(&line.points, bins, across);
        match line.look {
            Look::Smoothed if line.is_smoothed() => {
                // Medians over at least ten points each; otherwise they would be as noisy as the values.
                let few = (line.points.len() / 10).min(bins / 3);
                path(&shown, place, false, &format!("{class} raw"), to);
                path(&middles(&line.points, few, across), place, false, class, to);
            }
            Look::Plain | Look::Smoothed | Look::Faint => path(&shown, place, false, class, to),
            Look::Thin => path(&shown, place, false, &format!("{class} thin"), to),
            Look::Held => path(&shown, place, true, &format!("{class} dash"), to),
            Look::Markers => {
                path(&shown, place, false, class, to);
                for point in line.points.iter().filter(|point| place.has(**point)) {
                    to.push_str(&line.marker(at, place.of(*point)));
                }
                to.push('\n');
            }
        }
        if self.has_markers(line) {
            for point in self.on_the_way(at, &shown, place) {
                to.push_str(&line.marker(at, place.of(point)));
            }
            to.push('\n');
        }
    }

    /// If there are several plain lines, a few markers tell them apart.
    fn has_markers(&self, line: &Series) -> bool {
        let plain = |line: &&Series| matches!(line.look, Look::Plain | Look::Smoothed);
        line.look == Look::Plain && self.series.iter().filter(plain).count() > 1
    }

    /// Returns points at even distances, at other positions than those of the other lines.
    fn on_the_way(&self, at: usize, points: &[(f64, f64)], place: &Place) -> Vec<(f64, f64)> {
        let Frame { left, right, .. } = place.frame;
        let shift = (at as f64 + 0.5) / self.series.len() as f64;
        let mut found: Vec<(f64, f64)> = Vec::new();
        for k in 0..MARKERS {
            let goal = left + (right - left) * (k as f64 + shift) / MARKERS as f64;
            let far = |point: &(f64, f64)| (place.of(*point).0 - goal).abs();
            let shown = points.iter().copied().filter(|point| place.has(*point));
            let nearest = shown.min_by(|a, b| far(a).total_cmp(&far(b)));
            let close = (right - left) / MARKERS as f64;
            let nearest = nearest.filter(|p| far(p) <= close && found.last() != Some(p));
            found.extend(nearest);
        }
        found
    }

    /// Returns whether this line is marked where it has non-finite values.
    fn breaks_in(&self, line: &Series) -> bool {
        let finite = |point: &(f64, f64)| point.1.is_finite();
        self.breaks.is_some() && line.look != Look::Faint && !line.points.iter().all(finite)
    }

    fn lane(&self) -> f64 {
        let rows = self.series.iter().filter(|line| self.breaks_in(line)).count();
        if rows > 0 { ROW * rows as f64 + 10.0 } else { 0.0 }
    }

    /// Draws crosses at non-finite values, and returns whether there are any.
    fn crosses(
        &self,
        at: usize,
        line: &Series,
        row: usize,
        place: &Place,
        to: &mut String,
    ) -> bool {
        if !self.breaks_in(line) {
            return false;
        }
        let y = place.frame.top - place.lane + 5.0 + ROW * row as f64;
        let mut before = true;
        for (x, value) in &line.points {
            let is_first = std::mem::replace(&mut before, value.is_finite());
            let is_shown = is_first || line.look == Look::Markers;
            if !value.is_finite() && is_shown && place.across.has(*x) {
                let x = place.frame.x(&place.across, *x);
                let class = line.class(at);
                let _ = write!(
                    to,
                    "<path class=\"{class}\" d=\"M{x:.1} {y:.1}m-3 -3l6 6m0 -6l-6 6\"/>"
                );
            }
        }
        to.push('\n');
        true
    }

    fn lane_name(&self, rows: usize, place: &Place, to: &mut String) {
        let (Some(name), true) = (&self.breaks, rows > 0) else { return };
        let Frame { left, right, top, small, .. } = place.frame;
        let (y, bottom) = (top - place.lane + 5.0 + ROW * (rows - 1) as f64 / 2.0 + 4.0, top - 2.0);
        let class = if small { "l s" } else { "l" };
        let _ = writeln!(
            to,
            "<path class=\"g\" d=\"M{left:.0} {bottom:.1}H{right:.0}\"/><text class=\"{class}\" x=\"{:.0}\" \
             y=\"{y:.1}\" text-anchor=\"end\">{}</text>",
            left - 8.0,
            escaped(name)
        );
    }

    /// Returns the kinds of marks, and the number of each.
    fn kinds(&self) -> Vec<(Verdict, usize)> {
        let count = |verdict| self.marks.iter().filter(|mark| mark.verdict == verdict).count();
        let all = [Verdict::Skip, Verdict::Rewind, Verdict::Halt].map(|v| (v, count(v)));
        all.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Draws the marks, merging those that lie close together.
    fn draw_marks(&self, place: &Place, to: &mut String) {
        for (verdict, _) in self.kinds() {
            let marks: Vec<&Mark> = self.marks.iter().filter(|m| m.verdict == verdict).collect();
            let x = |at: f64| place.frame.x(&place.across, at);
            let slot = |mark: &Mark| (x(mark.at) / CLOSE) as u64;
            for close in marks.chunk_by(|a, b| slot(a) == slot(b)) {
                let (first, last) = (close[0], close[close.len() - 1]);
                let x = x((first.at + last.at) / 2.0);
                let values = close.iter().filter_map(|m| m.value).filter(|y| y.is_finite());
                // A mark without a number is drawn above all values.
                let y = values.reduce(f64::max);
                let y = y.map_or(place.frame.top, |value| place.frame.y(&place.up, value));
                let words = match close.len() {
                    1 => first.words.clone(),
                    n => format!("{n} of these close together, the first: {}", first.words),
                };
                let _ = writeln!(to, "{}", shape(verdict, (x, y), Some(&words)));
            }
        }
    }

    /// Returns the entries of the legend; none for a single line that the title describes.
    fn keys(&self, kinds: &[(Verdict, usize)], with_value: bool) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        let key = |drawing: String, name: &str| Key { drawing, name: name.to_string() };
        let stroke = |class: &str| format!("<path class=\"{class}\" d=\"M0 0h20\"/>");
        let several = self.series.len() > 1 || self.level.is_some() || !kinds.is_empty();
        for (at, line) in self.series.iter().enumerate() {
            let class = line.class(at);
            if line.is_smoothed() {
                keys.push(key(stroke(&format!("{class} raw")), &line.name));
                keys.push(key(stroke(class), "median"));
                continue;
            }
            let marked = self.has_markers(line) || line.look == Look::Markers;
            let drawing = match line.look {
                Look::Thin => stroke(&format!("{class} thin")),
                Look::Held => stroke(&format!("{class} dash")),
                _ if marked => stroke(class) + &line.marker(at, (10.0, 0.0)),
                _ => stroke(class),
            };
            if several && line.look != Look::Faint {
                keys.push(key(drawing, &line.name));
            }
        }
        if let Some((value, name)) = &self.level {
            let value = if with_value { format!(" {}", number(*value)) } else { String::new() };
            keys.push(key(stroke("usual"), &format!("{name}{value}")));
        }
        for (verdict, count) in kinds {
            let drawing = shape(*verdict, (10.0, 0.0), None);
            keys.push(key(drawing, &format!("{verdict} ({count})")));
        }
        keys
    }

    /// Returns the legend for several charts. The value of a level may differ between them.
    pub(super) fn legend(&self) -> Vec<Key> {
        self.keys(&self.kinds(), false)
    }

    fn description(&self, across: &Scale, kinds: &[(Verdict, usize)]) -> String {
        let (first, last) = across.ends();
        let mut words = match (across.is_whole(), self.across.name.as_str()) {
            (true, name) => format!("Over {name}s {first} to {last}."),
            (false, "") => format!("From {} to {}.", number(first), number(last)),
            (false, name) => format!("Over {name} from {} to {}.", number(first), number(last)),
        };
        for line in self.series.iter().filter(|line| line.look != Look::Faint) {
            let values = || line.points.iter().map(|(_, y)| *y).filter(|y| y.is_finite());
            let (Some(start), Some(end)) = (values().next(), values().next_back()) else {
                continue;
            };
            let low = values().fold(f64::INFINITY, f64::min);
            let high = values().fold(f64::NEG_INFINITY, f64::max);
            let [start, end, low, high] = [start, end, low, high].map(number);
            let _ =
                write!(words, " {}: from {start} to {end}, between {low} and {high}.", line.name);
        }
        for (verdict, count) in kinds {
            let _ = write!(words, " {count} steps {verdict}.");
        }
        words
    }

    fn hover(&self, place: &Place) -> String {
        let (first, last) = place.across.ends();
        let whole = place.across.is_whole();
        let one = |line: &Series| {
            let points = reduced(&line.points, self.size.0 as usize / 8, |x| place.across.place(x));
            let xs = points.iter().map(|p| p.0);
            format!(
                "{{\"n\":{},\"x\":{},\"y\":{}}}",
                quoted(&line.name),
                if whole { steps(xs) } else { listed(xs) },
                listed(points.iter().map(|p| p.1))
            )
        };
        let named = self.series.iter().filter(|line| line.look != Look::Faint);
        let lines: Vec<String> = named.map(one).collect();
        let Frame { left, right, bottom, .. } = place.frame;
        let top = place.frame.top - place.lane;
        format!(
            "{{\"box\":[{left},{right},{top},{bottom}],\"a\":{first},\"b\":{last},\"of\":{},\"whole\":{whole},\
             \"log\":{},\"lines\":[{}]}}",
            quoted(&self.across.name),
            place.across.is_log(),
            lines.join(",")
        )
    }
}

/// Converts a title to a file name.
fn slug(title: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = title.chars().map(safe).collect();
    let words: Vec<&str> = name.split('-').filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "chart".to_string() } else { words.join("-") }
}

/// Draws a line through the points that have a place on both scales; a single point between gaps becomes a dot.
fn path(points: &[(f64, f64)], place: &Place, held: bool, class: &str, to: &mut String) {
    let (mut d, mut dots) = (String::new(), String::new());
    for part in points.split(|point| !place.has(*point)) {
        if let [one] = part {
            let (x, y) = place.of(*one);
            let _ = write!(
                dots,
                "<circle class=\"{class} dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>"
            );
            continue;
        }
        for (at, point) in part.iter().enumerate() {
            let (x, y) = place.of(*point);
            let _ = match (at, held) {
                (0, _) => write!(d, "M{x:.1} {y:.1}"),
                (_, true) => write!(d, "H{x:.1}V{y:.1}"),
                _ => write!(d, "L{x:.1} {y:.1}"),
            };
        }
    }
    if !d.is_empty() {
        let _ = writeln!(to, "<path class=\"{class}\" d=\"{d}\"/>");
    }
    to.push_str(&dots);
}

/// Draws the area between the ends of a band.
fn band(line: &Series, class: &str, place: &Place, to: &mut String) {
    let has = |&(x, low, high): &(f64, f64, f64)| place.has((x, low)) && place.has((x, high));
    for part in line.band.split(|ends| !has(ends)).filter(|part| part.len() > 1) {
        let upper = part.iter().map(|&(x, _, high)| place.of((x, high)));
        let lower = part.iter().rev().map(|&(x, low, _)| place.of((x, low)));
        let corners: Vec<String> =
            upper.chain(lower).map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        let _ = writeln!(to, "<path class=\"{class} band\" d=\"M{}z\"/>", corners.join("L"));
    }
}

/// Draws the shape of a verdict. Each has a different one, for readers who cannot tell the colors apart.
fn shape(verdict: Verdict, (x, y): (f64, f64), words: Option<&str>) -> String {
    let (class, d) = match verdict {
        Verdict::Apply => return String::new(),
        Verdict::Skip => ("skip", "m-5 -5h10l-5 9z"),
        Verdict::Rewind => ("rewind", "m7 -7v14l-13 -7z"),
        Verdict::Halt => ("halt", "m-6 -6h12v12h-12z"),
    };
    let words = words.map_or(String::new(), |words| format!("<title>{}</title>", escaped(words)));
    format!("<path class=\"mark {class}\" d=\"M{x:.1} {y:.1}{d}\">{words}</path>")
}
