//! Rules that read a rate off a loss curve.

use std::fmt;

/// A rule that reads a rate off the curve of a sweep; these are fastai's four.
///
/// ```
/// use evenkeel::finder::Suggestion;
///
/// let rates = [1e-4, 1e-3, 1e-2, 1e-1, 1.0];
/// let losses = [2.0, 1.9, 1.2, 1.0, 4.0];
/// assert_eq!(Suggestion::Steep.place(&rates, &losses), Some(1));
/// assert_eq!(Suggestion::Minimum.rate(&rates, &losses), Some(1e-2));
/// ```
///
/// Source: `valley`, `slide`, `minimum` and `steep` of fastai 2.8 (`fastai.callback.schedule`), which choose the
/// same points on every curve that was tried. There are two intended differences: a curve too short for a rule
/// gives no rate, where fastai's `slide` fails; and a curve ends before the first loss that is not finite, where
/// fastai keeps infinities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Suggestion {
    /// The rate half of the way down the longest stretch over which the loss falls: fastai's default. The stretch
    /// is as long as the longest falling subsequence, and ends with it.
    Valley,
    /// The rate at the lower end of an interval of 15 points, which is moved down from the end of the curve for
    /// as long as the slopes of the loss at its two ends differ by more than 0.005. It depends on the unit of the
    /// loss and on the number of points per decade.
    Slide,
    /// A tenth of the rate with the lowest loss.
    Minimum,
    /// The rate at which the loss falls fastest per decade of the rate.
    Steep,
}

/// The number of points in the interval of `Slide`, and its threshold for the difference of slopes.
const SLIDE: (usize, f64) = (15, 0.005);

impl Suggestion {
    /// All rules.
    pub const ALL: [Self; 4] = [Self::Valley, Self::Slide, Self::Minimum, Self::Steep];

    /// Returns the rate that the rule suggests. `None` if the curve is too short for it.
    ///
    /// `rates` must be increasing; everything after a loss that is not finite is left out.
    #[must_use]
    pub fn rate(self, rates: &[f64], losses: &[f64]) -> Option<f64> {
        let rate = *rates.get(self.place(rates, losses)?)?;
        Some(if self == Self::Minimum { rate / 10.0 } else { rate })
    }

    /// Returns the index of the point that the rule chooses; for [`Minimum`](Self::Minimum), that of the lowest
    /// loss.
    #[must_use]
    pub fn place(self, rates: &[f64], losses: &[f64]) -> Option<usize> {
        let finite = losses.iter().take_while(|loss| loss.is_finite()).count();
        let count = finite.min(rates.len());
        let (rates, losses) = (&rates[..count], &losses[..count]);
        match self {
            Self::Valley => valley(losses),
            Self::Slide => slide(losses),
            Self::Minimum => lowest(losses.iter().copied()),
            Self::Steep => {
                let pairs = losses.windows(2).zip(rates.windows(2));
                lowest(
                    pairs.map(|(loss, rate)| (loss[1] - loss[0]) / (rate[1].ln() - rate[0].ln())),
                )
            }
        }
    }

    /// Returns the name, in one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Valley => "valley",
            Self::Slide => "slide",
            Self::Minimum => "minimum/10",
            Self::Steep => "steepest",
        }
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Returns the index of the lowest value, the first one if there are several.
fn lowest(values: impl Iterator<Item = f64>) -> Option<usize> {
    values.enumerate().reduce(|low, x| if x.1 < low.1 { x } else { low }).map(|(at, _)| at)
}

fn valley(losses: &[f64]) -> Option<usize> {
    // For each length, the highest value that a falling subsequence of that length can end with; this gives the
    // longest so far and where it first ends, in n·log n.
    let mut ends: Vec<f64> = Vec::new();
    let mut last = 0;
    for (at, &loss) in losses.iter().enumerate() {
        let length = ends.partition_point(|end| *end > loss);
        if length < ends.len() {
            ends[length] = loss;
        } else {
            ends.push(loss);
            last = at;
        }
    }
    if last == 0 {
        return (!losses.is_empty()).then_some(0);
    }
    // One before its first point, as in fastai: -1 where the whole curve falls.
    let (end, length) = (last as i64, ends.len() as i64);
    let at = end - length + length / 3 + length / 6;
    // In fastai, -1 means the last point.
    usize::try_from(if at < 0 { at + losses.len() as i64 } else { at }).ok()
}

fn slide(losses: &[f64]) -> Option<usize> {
    let slopes = slopes(losses);
    let (over, differs) = SLIDE;
    let mut low = losses.len().checked_sub(1 + over)?;
    let mut found = low;
    while (slopes[low + over] - slopes[low]).abs() > differs {
        found = low;
        match low.checked_sub(1) {
            Some(next) => low = next,
            None => break,
        }
    }
    Some(found)
}

/// Central differences, one-sided at the ends.
fn slopes(y: &[f64]) -> Vec<f64> {
    let last = y.len().saturating_sub(1);
    let slope = |at: usize| {
        let (from, to) = (at.saturating_sub(1), (at + 1).min(last));
        (y[to] - y[from]) / (to - from).max(1) as f64
    };
    (0..y.len()).map(slope).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As written in fastai, in n².
    fn valley_as_written(losses: &[f64]) -> usize {
        let (mut start, mut end) = (0i64, 0usize);
        let mut lengths = vec![1i64; losses.len()];
        for i in 1..losses.len() {
            for j in 0..i {
                if losses[i] < losses[j] && lengths[i] < lengths[j] + 1 {
                    lengths[i] = lengths[j] + 1;
                }
                if lengths[end] < lengths[i] {
                    end = i;
                    start = end as i64 - lengths[end];
                }
            }
        }
        let sections = (end as i64 - start) as f64 / 3.0;
        let at = start + sections as i64 + (sections / 2.0) as i64;
        at.rem_euclid(losses.len() as i64) as usize
    }

    #[test]
    fn the_valley_is_fastais_on_any_curve() {
        let mut state = 1u64;
        for len in 1..60 {
            for _ in 0..40 {
                let mut next = || {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    // Few distinct values, so that there are ties.
                    ((state >> 40) % 12) as f64
                };
                let drift = next() / 10.0 - 0.6;
                let losses: Vec<f64> = (0..len).map(|k| next() + drift * k as f64).collect();
                assert_eq!(valley(&losses), Some(valley_as_written(&losses)), "{losses:?}");
            }
        }
    }

    #[test]
    fn a_curve_that_is_too_short_has_no_answer() {
        for rule in Suggestion::ALL {
            assert_eq!(rule.rate(&[], &[]), None);
            assert_eq!(rule.rate(&[1.0], &[f64::NAN]), None);
        }
        assert_eq!(Suggestion::Steep.place(&[1.0], &[1.0]), None);
        assert_eq!(Suggestion::Slide.place(&[1.0; 15], &[1.0; 15]), None);
        assert_eq!(Suggestion::Slide.place(&[1.0; 16], &[1.0; 16]), Some(0));
    }

    /// At the last interval the slopes are 0 and 0.01, at the one below 0 and exactly 0.005.
    #[test]
    fn an_interval_slides_on_only_if_its_slopes_differ_by_more_than_the_threshold() {
        let mut losses = [0.0; 17];
        losses[16] = 0.01;
        assert_eq!(slide(&losses), Some(1));
        losses[16] = 0.0101;
        assert_eq!(slide(&losses), Some(0));
    }
}
