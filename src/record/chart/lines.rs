//! Numbers over steps, as lines, and what happened on the way, as marks.

use std::fmt::Write;

use super::frame::{Frame, width};
use super::reduce::{middles, reduced};
use super::scale::{Scale, number};
use super::{Chart, listed, quoted, steps};
use crate::Verdict;
use crate::text::escaped;

/// One line.
#[derive(Debug, Clone)]
pub(in crate::record) struct Line {
    pub(in crate::record) name: String,
    pub(in crate::record) points: Vec<(f64, f64)>,
    pub(in crate::record) kind: Kind,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::record) enum Kind {
    /// As it is.
    Plain,
    /// Where there are many points faintly, and their middle over it.
    Noisy,
    /// Thin, in the second colour.
    Under,
    /// Dashed, in the second colour, and holding its value from point to point.
    Bound,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Self::Plain | Self::Noisy => "a",
            Self::Under => "b thin",
            Self::Bound => "b",
        }
    }
}

/// A step that was not applied.
#[derive(Debug, Clone)]
pub(in crate::record) struct Mark {
    pub(in crate::record) at: f64,
    pub(in crate::record) value: Option<f64>,
    pub(in crate::record) verdict: Verdict,
    pub(in crate::record) words: String,
}

/// A picture of lines.
#[derive(Debug, Clone)]
pub(in crate::record) struct Lines<'a> {
    pub(in crate::record) name: &'a str,
    pub(in crate::record) title: &'a str,
    pub(in crate::record) size: (u32, u32),
    pub(in crate::record) span: (u64, u64),
    pub(in crate::record) lines: Vec<Line>,
    pub(in crate::record) marks: Vec<Mark>,
    /// A value for comparison, and what it is.
    pub(in crate::record) usual: Option<(f64, &'a str)>,
}

const LOG: &str = "log scale";
/// Above so many points the line is drawn faintly, and its middle over it.
const MANY: usize = 240;
/// Marks closer than this, in pixels, are one.
const CLOSE: f64 = 9.0;

impl Line {
    fn is_smoothed(&self) -> bool {
        self.kind == Kind::Noisy && self.points.len() > MANY
    }
}

impl Lines<'_> {
    pub(in crate::record) fn draw(&self) -> Chart {
        let frame = Frame::new(self.size, 58.0, 18.0);
        let (across, up) = (Scale::steps(self.span), self.scale());
        let mut body = frame.begin(self.title, if up.is_log() { LOG } else { "" });
        frame.values(&up, &mut body);
        frame.steps(&across, &mut body);
        if let Some((value, _)) = self.usual {
            let _ = writeln!(
                body,
                "<path class=\"usual\" d=\"M{:.0} {:.1}H{:.0}\"/>",
                frame.left,
                frame.y(&up, value),
                frame.right
            );
        }
        let place = |&(x, y): &(f64, f64)| (frame.x(&across, x), frame.y(&up, y));
        let bins = self.size.0 as usize / 3;
        for line in &self.lines {
            let points = reduced(&line.points, bins);
            // Of ten each at least, or the middle would be as restless as they are.
            let few = (line.points.len() / 10).min(bins / 3);
            let (class, held) = (line.kind.class(), line.kind == Kind::Bound);
            if line.is_smoothed() {
                path(&points, place, false, &format!("{class} raw"), &mut body);
                path(&middles(&line.points, few), place, false, class, &mut body);
            } else {
                path(&points, place, held, class, &mut body);
            }
        }
        let kinds = self.marks(&frame, &across, &up, &mut body);
        self.legend(&frame, &kinds, &mut body);
        Chart {
            name: self.name.to_string(),
            title: self.title.to_string(),
            size: self.size,
            description: self.description(&kinds),
            body,
            hover: self.hover(&frame),
        }
    }

    fn scale(&self) -> Scale {
        let values = self.lines.iter().flat_map(|line| line.points.iter().map(|(_, y)| *y));
        Scale::of(values.chain(self.usual.map(|(value, _)| value)))
    }

    /// Draws the marks, those that lie close as one, and says which kinds there are.
    fn marks(
        &self,
        frame: &Frame,
        across: &Scale,
        up: &Scale,
        to: &mut String,
    ) -> Vec<(Verdict, usize)> {
        let mut kinds = Vec::new();
        for verdict in [Verdict::Skip, Verdict::Rewind, Verdict::Halt] {
            let marks: Vec<&Mark> = self.marks.iter().filter(|m| m.verdict == verdict).collect();
            if marks.is_empty() {
                continue;
            }
            kinds.push((verdict, marks.len()));
            let slot = |mark: &Mark| (frame.x(across, mark.at) / CLOSE) as u64;
            for close in marks.chunk_by(|a, b| slot(a) == slot(b)) {
                let (first, last) = (close[0], close[close.len() - 1]);
                let x = frame.x(across, (first.at + last.at) / 2.0);
                let values = close.iter().filter_map(|m| m.value).filter(|y| y.is_finite());
                // Where there is no number, it is beyond all of them.
                let y = values.reduce(f64::max).map_or(frame.top, |value| frame.y(up, value));
                let words = match close.len() {
                    1 => first.words.clone(),
                    n => format!("{n} of these close together, the first: {}", first.words),
                };
                let _ = writeln!(to, "{}", shape(verdict, (x, y), Some(&words)));
            }
        }
        kinds
    }

    fn legend(&self, frame: &Frame, kinds: &[(Verdict, usize)], to: &mut String) {
        let mut keys: Vec<(String, String)> = Vec::new();
        let stroke = |class: &str| format!("<path class=\"{class}\" d=\"M0 0h20\"/>");
        let several = self.lines.len() > 1 || self.usual.is_some() || !kinds.is_empty();
        for line in &self.lines {
            if line.is_smoothed() {
                keys.push((stroke(&format!("{} raw", line.kind.class())), line.name.clone()));
                keys.push((stroke(line.kind.class()), "median".to_string()));
            } else if several {
                keys.push((stroke(line.kind.class()), line.name.clone()));
            }
        }
        if let Some((value, name)) = self.usual {
            keys.push((stroke("usual"), format!("{name} {}", number(value))));
        }
        for (verdict, count) in kinds {
            keys.push((shape(*verdict, (10.0, 0.0), None), format!("{verdict} ({count})")));
        }
        let wide = |name: &str| width(name, 12.0) + 40.0;
        let title = 14.0 + width(self.title, 16.0) + wide(LOG);
        let needed: f64 = keys.iter().map(|(_, name)| wide(name)).sum();
        let mut x = (frame.right + 14.0 - needed).max(title);
        for (key, name) in keys {
            let _ = writeln!(
                to,
                "<g transform=\"translate({x:.0} 20)\">{key}<text class=\"k\" x=\"26\" y=\"4\">{}</text></g>",
                escaped(&name)
            );
            x += wide(&name);
        }
    }

    fn description(&self, kinds: &[(Verdict, usize)]) -> String {
        let (first, last) = self.span;
        let mut words = format!("Over steps {first} to {last}.");
        for line in &self.lines {
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

    fn hover(&self, frame: &Frame) -> String {
        let (first, last) = Scale::steps(self.span).ends();
        let one = |line: &Line| {
            let points = reduced(&line.points, self.size.0 as usize / 8);
            format!(
                "{{\"n\":{},\"x\":{},\"y\":{}}}",
                quoted(&line.name),
                steps(points.iter().map(|p| p.0)),
                listed(points.iter().map(|p| p.1))
            )
        };
        let lines: Vec<String> = self.lines.iter().map(one).collect();
        let Frame { left, right, top, bottom, .. } = frame;
        format!(
            "{{\"box\":[{left},{right},{top},{bottom}],\"a\":{first},\"b\":{last},\"lines\":[{}]}}",
            lines.join(",")
        )
    }
}

/// A line through what is finite; a single point between gaps is a dot.
fn path(
    points: &[(f64, f64)],
    place: impl Fn(&(f64, f64)) -> (f64, f64),
    held: bool,
    class: &str,
    to: &mut String,
) {
    let (mut d, mut dots) = (String::new(), String::new());
    for part in points.split(|(_, y)| !y.is_finite()) {
        if let [one] = part {
            let (x, y) = place(one);
            let _ = write!(dots, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>");
            continue;
        }
        for (at, point) in part.iter().enumerate() {
            let (x, y) = place(point);
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

/// Each verdict has a shape of its own, for who does not tell the colours apart.
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
