//! The overview for a terminal.

use std::fmt;

use super::Overview;
use crate::Verdict;
use crate::chart::counted;
use crate::chart::reduce::middles;
use crate::record::findings::percent;
use crate::text::short;

/// The number of columns for the bars of a line.
const COLUMNS: usize = 48;

impl fmt::Display for Overview<'_> {
    /// Writes the counts of steps, a line of bars each for loss, rate and gradient norm, and the findings.
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

/// Returns the number of steps, in all and by verdict.
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

/// Returns one bar for each stretch of the run, as high as its median, on a logarithmic scale if all values are
/// above 0 and far apart; also returns the lowest and the highest of all values.
fn bars(points: &[(f64, f64)]) -> Option<(String, [f64; 2])> {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let ends = |points: &[(f64, f64)]| {
        let finite = points.iter().map(|(_, y)| *y).filter(|y| y.is_finite());
        finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], y| [low.min(y), high.max(y)])
    };
    let bins = middles(points, COLUMNS.min(points.len()), |x| x);
    let [low, high] = ends(&bins);
    if low > high {
        return None;
    }
    let level = |y: f64| match low > 0.0 && high / low > 25.0 {
        true => (y / low).ln() / (high / low).ln(),
        false if high > low => (y / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0),
        false => 0.5,
    };
    let bar = |&(_, y): &(f64, f64)| BARS[((level(y) * 8.0) as usize).min(7)];
    Some((bins.iter().map(bar).collect(), ends(points)))
}
