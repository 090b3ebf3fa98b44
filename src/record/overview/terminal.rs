//! The same for a terminal.

use std::fmt;

use super::Overview;
use crate::Verdict;
use crate::record::chart::counted;
use crate::record::findings::percent;
use crate::schedule::short;

/// How many columns a line has for its picture.
const COLUMNS: usize = 48;

impl fmt::Display for Overview<'_> {
    /// What was done, a line of bars for loss, rate and gradient norm, and the findings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.title, counts(self))?;
        if let Some([first, last, lowest]) = self.losses() {
            let [first, last, lowest] = [first, last, lowest].map(short);
            writeln!(f, "loss from {first} to {last}, {lowest} at the lowest")?;
        }
        for (name, title) in [("loss", "loss"), ("lr", "rate"), ("grad_norm", "gradient")] {
            let points: Vec<(f64, f64)> =
                self.columns.line(name).iter().map(|p| (p.attempt as f64, p.value)).collect();
            if let Some((bars, [low, high])) = bars(&points) {
                writeln!(f, "{title:<9} {bars} {} to {}", short(low), short(high))?;
            }
        }
        if self.findings.is_empty() {
            return f.write_str("nothing stands out in what was recorded");
        }
        for (at, finding) in self.findings.iter().enumerate() {
            let end = if at + 1 < self.findings.len() { "\n" } else { "" };
            write!(f, "{finding}{end}")?;
        }
        Ok(())
    }
}

/// How many steps there were, and what became of them.
pub(super) fn counts(of: &Overview<'_>) -> String {
    let steps = of.history.steps();
    let mut words = match steps {
        1 => "1 step".to_string(),
        _ => format!("{} steps", counted(steps)),
    };
    for verdict in [Verdict::Apply, Verdict::Skip, Verdict::Rewind, Verdict::Halt] {
        let count = of.history.count(verdict);
        if count > 0 && !(verdict == Verdict::Apply && count == steps) {
            words += &format!(", {} {verdict}", counted(count));
        }
    }
    if of.clipped() > 0.0 {
        words += &format!(", {} of updates clipped", percent(of.clipped()));
    }
    words
}

/// One bar for each stretch of the run, as high as its mean; on a scale of powers where all are above 0
/// and far apart. A stretch without a finite number is blank.
fn bars(points: &[(f64, f64)]) -> Option<(String, [f64; 2])> {
    let finite = || points.iter().filter(|(_, y)| y.is_finite());
    let low = finite().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let high = finite().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    let (start, end) = (points.first()?.0, points.last()?.0);
    if low > high {
        return None;
    }
    let log = low > 0.0 && high / low > 25.0;
    let level = |y: f64| match log {
        true => (y / low).ln() / (high / low).ln(),
        false if high > low => (y / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0),
        false => 0.5,
    };
    let columns = COLUMNS.min(points.len());
    let mut sums = vec![(0.0, 0u32); columns];
    for (x, y) in finite() {
        let at = (x - start) / (end - start).max(1.0) * columns as f64;
        let (sum, count) = &mut sums[(at as usize).min(columns - 1)];
        *sum += level(*y);
        *count += 1;
    }
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let bar = |(sum, count): (f64, u32)| match count {
        0 => ' ',
        n => BARS[((sum / f64::from(n) * 8.0) as usize).min(7)],
    };
    Some((sums.into_iter().map(bar).collect(), [low, high]))
}
