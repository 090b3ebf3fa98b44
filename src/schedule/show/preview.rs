//! Values ahead of time, and a line of blocks to show them.

use std::fmt;
use std::ops::Range;

use crate::schedule::Schedule;
use crate::text::short;

/// A range of a schedule, to be read or printed; see [`Schedule::preview`].
///
/// [`Display`](fmt::Display) prints one line for a terminal, 60 blocks wide unless a width is
/// given. Each block is the mean of its updates, on a scale from the lowest to the highest value. A
/// value that is not finite is shown as `×`.
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe};
///
/// let rate = recipe::warmup_cosine(3e-3, 20, 100)?;
/// assert_eq!(
///     format!("{:20}", rate.preview(0..100)),
///     "▁▃▅▇████▇▆▆▅▄▃▃▂▁▁▁▁ updates 0 to 99, values 0 to 0.003",
/// );
/// assert_eq!(rate.preview(18..22).values().collect::<Vec<_>>().len(), 4);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Preview<'a, S: ?Sized> {
    schedule: &'a S,
    range: Range<u64>,
}

impl<'a, S: Schedule + ?Sized> Preview<'a, S> {
    pub(in crate::schedule) fn new(schedule: &'a S, range: Range<u64>) -> Self {
        Self { schedule, range }
    }

    /// Returns the value at every update of the range.
    pub fn values(&self) -> impl Iterator<Item = f64> + use<'a, S> {
        let schedule = self.schedule;
        self.range.clone().map(|t| schedule.at(t))
    }

    /// Returns up to `count` updates, evenly spaced from the first to the last, with their values.
    #[must_use]
    pub fn points(&self, count: usize) -> Vec<(u64, f64)> {
        let Range { start, end } = self.range;
        let updates = end.saturating_sub(start);
        let count = updates.min(count as u64);
        let at = |i: u64| match count {
            1 => start,
            _ => start + (u128::from(updates - 1) * u128::from(i) / u128::from(count - 1)) as u64,
        };
        (0..count).map(|i| (at(i), self.schedule.at(at(i)))).collect()
    }

    /// Returns a few points from each of `count` equal parts of the range, or of as many parts as
    /// there are updates.
    fn parts(&self, count: u64) -> Vec<Vec<f64>> {
        let Range { start, end } = self.range;
        let updates = end.saturating_sub(start);
        let count = count.min(updates);
        let begin = |i: u64| (u128::from(updates) * u128::from(i) / u128::from(count)) as u64;
        let part = |i: u64| {
            let part = Preview::new(self.schedule, start + begin(i)..start + begin(i + 1));
            part.points(16).into_iter().map(|(_, y)| y).collect()
        };
        (0..count).map(part).collect()
    }
}

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl<S: Schedule + ?Sized> fmt::Display for Preview<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts(f.width().unwrap_or(60) as u64);
        let finite = || parts.iter().flatten().copied().filter(|y| y.is_finite());
        let low = finite().fold(f64::INFINITY, f64::min);
        let high = finite().fold(f64::NEG_INFINITY, f64::max);
        let mean = |part: &Vec<f64>| part.iter().map(|y| y / part.len() as f64).sum();
        let block = |y: f64| match (y - low) / (high - low) {
            _ if !y.is_finite() => '×',
            _ if low == high => BLOCKS[3],
            part => BLOCKS[((part * 8.0) as usize).min(7)],
        };
        f.write_str(&parts.iter().map(|part| block(mean(part))).collect::<String>())?;
        match self.range.is_empty() {
            true => write!(f, "no updates"),
            false => write!(f, " updates {} to {}", self.range.start, self.range.end - 1),
        }?;
        match low <= high {
            true => write!(f, ", values {} to {}", short(low), short(high)),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Constant, Ramp, Step};

    #[test]
    fn points_reach_from_the_first_update_to_the_last() {
        let ramp = Ramp::new(0.0, 1.0, 100).unwrap();
        let at = |range: Range<u64>, count| -> Vec<u64> {
            ramp.preview(range).points(count).into_iter().map(|(t, _)| t).collect()
        };
        assert_eq!(at(0..101, 5), [0, 25, 50, 75, 100]);
        assert_eq!(at(10..13, 5), [10, 11, 12]);
        assert_eq!(at(7..8, 5), [7]);
        assert!(at(7..7, 5).is_empty() && at(0..9, 0).is_empty());
        assert_eq!(at(0..u64::MAX, 2), [0, u64::MAX - 1]);
    }

    #[test]
    fn a_line_of_blocks() {
        let line = |s: &dyn Schedule, range| format!("{:8}", Preview::new(s, range));
        let ramp = Ramp::new(0.0, 7.0, 7).unwrap();
        assert_eq!(line(&ramp, 0..8), "▁▂▃▄▅▆▇█ updates 0 to 7, values 0 to 7");
        let steps = Step::new(4e-9, 0.5, 2).unwrap();
        assert_eq!(line(&steps, 2..6), "██▁▁ updates 2 to 5, values 1e-9 to 2e-9");
        let level = Constant::new(0.1).unwrap();
        assert_eq!(line(&level, 0..4), "▄▄▄▄ updates 0 to 3, values 0.1 to 0.1");
        assert_eq!(line(&|_| f64::NAN, 0..3), "××× updates 0 to 2");
        assert_eq!(line(&level, 3..3), "no updates");
        assert_eq!(line(&level, 0..u64::MAX).chars().filter(|c| *c == '▄').count(), 8);
    }
}
