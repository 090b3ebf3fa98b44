//! Heat maps: many rows of numbers over steps, as colors.

use std::fmt::Write;

use super::frame::{Frame, ending};
use super::scale::{Scale, number};
use super::style::{LEVELS, color};
use super::{Chart, listed, quoted};
use crate::text::escaped;

/// What a color represents.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shade {
    /// Powers of ten, for values above 0.
    Powers,
    /// A share of all, from 0 to 1.
    Share,
}

/// A row: a name, and values over steps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) points: Vec<(u64, f64)>,
}

impl Row {
    pub(crate) fn finite(&self) -> impl DoubleEndedIterator<Item = f64> {
        self.points.iter().map(|(_, value)| *value).filter(|x| x.is_finite())
    }
}

/// A heat map.
#[derive(Debug, Clone)]
pub(crate) struct Heat<'a> {
    pub(crate) name: &'a str,
    pub(crate) title: &'a str,
    pub(crate) width: u32,
    pub(crate) span: (u64, u64),
    pub(crate) rows: &'a [Row],
    pub(crate) shade: Shade,
}

/// The largest number of columns: more could not be told apart.
const COLUMNS: usize = 160;
/// The number of powers of ten below the largest value that are distinguished.
const DECADES: f64 = 8.0;

impl Heat<'_> {
    pub(crate) fn draw(&self) -> Chart {
        let longest = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let letters = longest.clamp(4, 26);
        let tall = if self.rows.len() <= 24 { 20.0 } else { 14.0 };
        let height = 42.0 + tall * self.rows.len() as f64 + 30.0;
        let size = (self.width, height as u32);
        let frame = Frame::new(size, 26.0 + 6.8 * letters as f64, 66.0);
        let across = Scale::steps(self.span);
        let cells: Vec<Vec<Option<f64>>> = self.rows.iter().map(|row| self.cells(row)).collect();
        let range = self.range(&cells);

        let mut body = frame.begin(self.title, "");
        let _ = writeln!(
            body,
            "<rect class=\"none\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            frame.left,
            frame.top,
            frame.right - frame.left,
            frame.bottom - frame.top
        );
        self.colors(&frame, tall, &cells, range, &mut body);
        for (at, row) in self.rows.iter().enumerate() {
            let y = frame.top + tall * at as f64;
            let last = row.finite().next_back().map_or("–".to_string(), |x| self.shown(x));
            let _ = writeln!(
                body,
                "<text class=\"l\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text><text class=\"l\" \
                 x=\"{:.1}\" y=\"{:.1}\">{last}</text><rect class=\"over\" x=\"0\" y=\"{y:.1}\" \
                 width=\"{}\" height=\"{tall}\"><title>{}</title></rect>",
                frame.left - 8.0,
                y + tall / 2.0 + 4.0,
                escaped(&ending(&row.name, letters)),
                frame.right + 8.0,
                y + tall / 2.0 + 4.0,
                self.width,
                escaped(&self.words(row))
            );
        }
        frame.across(&across, "step", &mut body);
        let _ = writeln!(
            body,
            "<text class=\"l\" x=\"{:.1}\" y=\"{:.1}\">last</text>",
            frame.right + 8.0,
            frame.bottom + 18.0
        );
        self.legend(&frame, range, &mut body);
        Chart {
            name: self.name.to_string(),
            title: self.title.to_string(),
            size,
            description: self.rows.iter().map(|row| self.words(row) + ". ").collect(),
            body,
            hover: self.hover(&frame, tall, &cells),
        }
    }

    /// Returns the largest value of each column, so that outliers are not lost; a column without values repeats
    /// the previous one.
    fn cells(&self, row: &Row) -> Vec<Option<f64>> {
        let (first, last) = self.span;
        let steps = (last - first).saturating_add(1);
        let count = (steps as usize).clamp(1, COLUMNS);
        let mut cells: Vec<Option<f64>> = vec![None; count];
        for (step, value) in row.points.iter().filter(|(_, value)| value.is_finite()) {
            let at =
                (step.saturating_sub(first) as u128 * count as u128 / u128::from(steps)) as usize;
            let cell = &mut cells[at.min(count - 1)];
            *cell = Some(cell.map_or(*value, |known| known.max(*value)));
        }
        let mut held = None;
        for cell in &mut cells {
            held = cell.or(held);
            *cell = held;
        }
        cells
    }

    fn range(&self, cells: &[Vec<Option<f64>>]) -> (f64, f64) {
        if self.shade == Shade::Share {
            return (0.0, 1.0);
        }
        let some = || cells.iter().flatten().flatten().copied().filter(|x| *x > 0.0);
        let (low, high) =
            some().fold((f64::INFINITY, 0f64), |(low, high), x| (low.min(x), high.max(x)));
        match low <= high {
            // If all values are equal, the range is widened around them, so that the color shows their position
            // in it.
            true if low == high => (low / 10.0, high * 10.0),
            true => (low.max(high * 10f64.powf(-DECADES)), high),
            false => (0.1, 1.0),
        }
    }

    fn level(&self, x: f64, (low, high): (f64, f64)) -> usize {
        let share = match self.shade {
            Shade::Powers => (x.max(low) / low).ln() / (high / low).ln(),
            Shade::Share => x,
        };
        (share.clamp(0.0, 1.0) * (LEVELS - 1) as f64).round() as usize
    }

    /// Draws all cells of a color as one path, with neighbors joined: a tenth of the size of single rectangles.
    fn colors(
        &self,
        frame: &Frame,
        tall: f64,
        cells: &[Vec<Option<f64>>],
        range: (f64, f64),
        to: &mut String,
    ) {
        let mut paths = vec![String::new(); LEVELS];
        for (at, row) in cells.iter().enumerate() {
            let y = frame.top + tall * at as f64;
            let wide = (frame.right - frame.left) / row.len() as f64;
            let levels: Vec<Option<usize>> =
                row.iter().map(|cell| cell.map(|x| self.level(x, range))).collect();
            let mut from = 0;
            for same in levels.chunk_by(|a, b| a == b) {
                let (x, end) = (
                    frame.left + wide * from as f64,
                    frame.left + wide * (from + same.len()) as f64,
                );
                from += same.len();
                if let Some(level) = same[0] {
                    let _ = write!(paths[level], "M{x:.1} {y}H{end:.1}v{}H{x:.1}z", tall - 1.0);
                }
            }
        }
        for (level, d) in paths.iter().enumerate().filter(|(_, d)| !d.is_empty()) {
            let _ = writeln!(to, "<path class=\"heat\" fill=\"{}\" d=\"{d}\"/>", color(level));
        }
    }

    fn legend(&self, frame: &Frame, (low, high): (f64, f64), to: &mut String) {
        let wide = 5.0;
        let (x, y) = (frame.right - wide * LEVELS as f64, 13.0);
        for level in 0..LEVELS {
            let _ = write!(
                to,
                "<rect class=\"heat\" x=\"{:.1}\" y=\"{y}\" width=\"{wide}\" height=\"11\" fill=\"{}\"/>",
                x + wide * level as f64,
                color(level)
            );
        }
        let _ = writeln!(
            to,
            "<text class=\"k\" x=\"{:.1}\" y=\"23\" text-anchor=\"end\">{}</text><text class=\"k\" \
             x=\"{:.1}\" y=\"23\">{}</text>",
            x - 6.0,
            self.shown(low),
            x + wide * LEVELS as f64 + 6.0,
            self.shown(high)
        );
    }

    fn shown(&self, x: f64) -> String {
        match self.shade {
            Shade::Powers => number(format!("{x:.1e}").parse().unwrap_or(x)),
            Shade::Share => format!("{:.0} %", 100.0 * x),
        }
    }

    fn words(&self, row: &Row) -> String {
        let low = row.finite().fold(f64::INFINITY, f64::min);
        let high = row.finite().fold(f64::NEG_INFINITY, f64::max);
        let Some(last) = row.finite().next_back() else {
            return format!("{}: not finite", row.name);
        };
        let [low, high, last] = [low, high, last].map(|x| self.shown(x));
        format!("{}: between {low} and {high}, {last} at the end", row.name)
    }

    fn hover(&self, frame: &Frame, tall: f64, cells: &[Vec<Option<f64>>]) -> String {
        let (first, last) = Scale::steps(self.span).ends();
        let row = |(row, cells): (&Row, &Vec<Option<f64>>)| {
            let values = cells.iter().map(|cell| cell.unwrap_or(f64::NAN));
            let short = values.map(|x| format!("{x:.1e}").parse().unwrap_or(x));
            format!("{{\"n\":{},\"y\":{}}}", quoted(&row.name), listed(short))
        };
        let rows: Vec<String> = self.rows.iter().zip(cells).map(row).collect();
        let Frame { left, right, top, bottom, .. } = frame;
        format!(
            "{{\"box\":[{left:.1},{right:.1},{top},{bottom}],\"a\":{first},\"b\":{last},\"of\":\"step\",\"whole\":true,\
             \"tall\":{tall},\"rows\":[{}]}}",
            rows.join(",")
        )
    }
}
