//! Scales: map numbers to positions in a chart.

use crate::text::short;

/// A linear or logarithmic scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Equal differences have equal lengths.
    Even,
    /// Equal ratios have equal lengths.
    Log,
    /// Linear, with ticks only at whole numbers from 0.
    Whole,
}

/// The ratio of the largest to the smallest value above which a scale is logarithmic.
const POWERS: f64 = 25.0;

impl Scale {
    /// Creates a scale that covers all finite values; logarithmic if they are above 0 and far apart.
    pub(super) fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let Some((low, high)) = ends(values.clone()) else { return Self::even((0.0, 1.0)) };
        // A few zeros, as in the warmup of a rate, are drawn at the bottom of a logarithmic scale.
        let finite = values.filter(|x| x.is_finite());
        let above = finite.clone().filter(|x| *x > 0.0).fold(f64::INFINITY, f64::min);
        match low >= 0.0 && above.is_finite() && high / above > POWERS && log_fits(finite) {
            true => Self::log((above.max(high * 1e-12) / 1.15, high * 1.15)),
            false => Self::around((low, high)),
        }
    }

    /// Creates a linear scale that covers all finite values.
    pub(super) fn even_of(values: impl Iterator<Item = f64> + Clone) -> Self {
        ends(values).map_or(Self::even((0.0, 1.0)), Self::around)
    }

    /// Creates a logarithmic scale that covers all finite values above 0.
    pub(super) fn log_of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let above = values.filter(|x| *x > 0.0).map(|x| x.max(1e-300));
        let (low, high) = ends(above).unwrap_or((0.15, 8.0));
        Self::log((low / 1.15, high * 1.15))
    }

    /// Creates a linear scale between the ends, with a small margin.
    fn around((low, high): (f64, f64)) -> Self {
        if low == 0.0 && high == 0.0 {
            return Self::even((0.0, 1.0));
        }
        let room = match 0.06 * (high - low) {
            room if room > 1e-9 * high.abs().max(low.abs()) => room,
            _ => (0.1 * low.abs()).max(1e-9),
        };
        // The margin does not go below 0: a negative rate would be misleading.
        let bottom = if low >= 0.0 { (low - room).max(0.0) } else { low - room };
        // A range that starts close to 0 is extended to 0.
        let bottom = if low >= 0.0 && low < 0.5 * high { 0.0 } else { bottom };
        Self::even((bottom, high + room))
    }

    /// Creates a linear scale between these ends.
    pub(super) fn even((low, high): (f64, f64)) -> Self {
        Self { low, high, kind: Kind::Even }
    }

    /// Creates a logarithmic scale between these ends, which are above 0.
    pub(super) fn log((low, high): (f64, f64)) -> Self {
        Self { low, high, kind: Kind::Log }
    }

    /// Creates a scale of whole steps from the first to the last, without a margin.
    pub(super) fn steps((first, last): (u64, u64)) -> Self {
        let (low, high) = (first as f64, last as f64);
        // A single step has a width too, which for a large number has to be more than a half.
        let lone = || ((low - 0.5).min(low.next_down()), (low + 0.5).max(low.next_up()));
        let (low, high) = if high > low { (low, high) } else { lone() };
        Self { low, high, kind: Kind::Whole }
    }

    pub(super) fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    pub(super) fn is_log(&self) -> bool {
        self.kind == Kind::Log
    }

    pub(super) fn is_whole(&self) -> bool {
        self.kind == Kind::Whole
    }

    /// Returns whether this number has a place on the scale.
    pub(super) fn has(&self, x: f64) -> bool {
        x.is_finite() && (x > 0.0 || !self.is_log())
    }

    /// Returns the position of a number, from 0 to 1; numbers beyond an end are placed at the end.
    pub(super) fn place(&self, x: f64) -> f64 {
        let share = match self.kind {
            // The ratio of the ends may overflow, so logarithms are subtracted.
            Kind::Log => {
                let (low, high) = (self.low.ln(), self.high.ln());
                (x.max(f64::MIN_POSITIVE).ln() - low) / (high - low)
            }
            Kind::Even | Kind::Whole => (x - self.low) / (self.high - self.low),
        };
        share.clamp(0.0, 1.0)
    }

    /// Returns round numbers to label the scale with, at most about `count`.
    pub(super) fn ticks(&self, count: usize) -> Vec<f64> {
        match self.kind {
            Kind::Log => self.powers(count),
            Kind::Even => self.even_ticks(count),
            Kind::Whole => {
                let whole = |x: &f64| *x >= 0.0 && x.fract() == 0.0;
                self.even_ticks(count).into_iter().filter(whole).collect()
            }
        }
    }

    /// Returns the ticks with their labels, which are all different.
    pub(super) fn labels(&self, count: usize) -> Vec<(f64, String)> {
        let ticks = self.ticks(count);
        let say = |say: &dyn Fn(f64) -> String| ticks.iter().map(|x| (*x, say(*x))).collect();
        if self.is_whole() && self.high < 1e7 {
            return say(&|x| counted(x as u64));
        }
        let all: Vec<(f64, String)> = say(&brief);
        let differ = |all: &[(f64, String)]| all.windows(2).all(|w| w[0].1 != w[1].1);
        // Three digits are too few for numbers that are far from 0 and close together.
        let more = (3..17).map(|digits| say(&|x| exact(x, digits)));
        std::iter::once(all.clone()).chain(more).find(|all| differ(all)).unwrap_or(all)
    }

    fn even_ticks(&self, count: usize) -> Vec<f64> {
        let least = (self.high - self.low) / count.max(1) as f64;
        let power = 10f64.powf(least.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= least);
        let step = step.unwrap_or(10.0 * power);
        let (from, to) = ((self.low / step).ceil(), (self.high / step).floor());
        if !(step > 0.0 && to - from < 100.0) {
            return vec![self.low];
        }
        (0..=(to - from) as u32).map(|k| (from + f64::from(k)) * step).collect()
    }

    /// Returns powers of ten, or every few of them; with 1, 2 and 5 times them if there are few, and the ticks of
    /// a linear scale if there are none.
    fn powers(&self, count: usize) -> Vec<f64> {
        let (from, to) = (self.low.log10().ceil() as i32, self.high.log10().floor() as i32);
        let inside = |x: &f64| (self.low..=self.high).contains(x);
        let tens = |every: i32| -> Vec<f64> {
            let powers = (from..=to).filter(|k| k.rem_euclid(every) == 0);
            powers.map(|k| 10f64.powi(k)).filter(inside).collect()
        };
        let most = (to - from + 1).max(1);
        // Which powers are labeled depends on the position of 0: one too few may become two too many.
        let fits = (most as usize).div_ceil(count.max(1)) as i32;
        let ticks = (1..=fits).rev().map(tens).find(|ticks| ticks.len() >= 2).unwrap_or_default();
        if ticks.len() >= 3 || most as usize > count {
            return ticks;
        }
        let decades = self.high.log10() - self.low.log10();
        // Labels can be told apart from half the usual distance on.
        let apart = |factor: f64| factor.log10() / decades >= 0.5 / count.max(1) as f64;
        for (steps, nearest) in [(&[1.0, 2.0, 5.0][..], 2.0), (&[1.0, 3.0], 3.0)] {
            let of = |k: i32| steps.iter().map(move |m| m * 10f64.powi(k));
            let between: Vec<f64> = (from - 1..=to).flat_map(of).filter(inside).collect();
            if between.len() >= 2 && apart(nearest) {
                return between;
            }
        }
        if ticks.len() >= 2 { ticks } else { self.even_ticks(count) }
    }
}

/// Returns the smallest and the largest finite value, clamped so that differences do not overflow.
fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.filter(|x| x.is_finite()).map(|x| x.clamp(-1e300, 1e300));
    let (low, high) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    (low <= high).then_some((low, high))
}

/// Returns whether nearly all values are above 0.
fn log_fits(values: impl Iterator<Item = f64> + Clone) -> bool {
    let zeros = values.clone().filter(|x| *x <= 0.0).count();
    20 * zeros <= values.count()
}

/// Formats a number for a sentence.
pub(super) fn number(x: f64) -> String {
    short(x)
}

/// Formats a number for an axis, where space is limited.
fn brief(x: f64) -> String {
    match x.abs() {
        1e-12..0.99e-3 | 0.999e5.. => format!("{:e}", format!("{x:.2e}").parse().unwrap_or(x)),
        _ => short(x),
    }
}

fn exact(x: f64, digits: usize) -> String {
    let rounded: f64 = format!("{x:.digits$e}").parse().unwrap_or(x);
    match rounded.abs() {
        0.0 | 1e-4..1e6 => format!("{rounded}"),
        _ => format!("{rounded:e}"),
    }
}

/// Formats a count, with a comma at each thousand.
pub(crate) fn counted(x: u64) -> String {
    let digits = x.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Scale {
        Scale::of(values.iter().copied())
    }

    #[test]
    fn places_run_from_end_to_end() {
        let even = of(&[2.0, 4.0]);
        assert!(!even.is_log() && even.place(2.0) < 0.2 && even.place(4.0) > 0.9);
        assert_eq!((even.place(-9.0), even.place(9.0)), (0.0, 1.0));
        let powers = of(&[1e-3, 1.0]);
        assert!(powers.is_log());
        let middle = powers.place(10f64.powf(-1.5));
        assert!((middle - 0.5).abs() < 1e-9, "{middle}");
        assert!(!of(&[-1.0, 1e6]).is_log());
        assert!(!Scale::even_of([1e-3, 1.0].into_iter()).is_log());
        assert!(Scale::log_of([1.0, 2.0].into_iter()).is_log());
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let close = |a: Vec<f64>, b: &[f64]| {
            assert_eq!(a.len(), b.len(), "{a:?}");
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs()), "{a:?}");
        };
        close(Scale::even((0.0, 1.06)).ticks(6), &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        close(Scale::log((0.5e-3, 2.0)).ticks(6), &[1e-3, 1e-2, 0.1, 1.0]);
        close(Scale::log((0.3, 9.0)).ticks(6), &[0.5, 1.0, 2.0, 5.0]);
        close(Scale::log((0.31, 0.44)).ticks(6), &[0.325, 0.35, 0.375, 0.4, 0.425]);
        close(Scale::steps((0, 99_999)).ticks(5), &[0.0, 2e4, 4e4, 6e4, 8e4]);
        close(Scale::steps((3, 5)).ticks(8), &[3.0, 4.0, 5.0]);
    }

    #[test]
    fn labels_tell_ticks_apart() {
        let words = |scale: Scale, count| -> Vec<String> {
            scale.labels(count).into_iter().map(|(_, words)| words).collect()
        };
        assert_eq!(words(Scale::even((0.0, 0.35)), 4), ["0", "0.1", "0.2", "0.3"]);
        assert_eq!(words(Scale::even((2.3011, 2.3042)), 4), ["2.302", "2.303", "2.304"]);
        assert_eq!(words(Scale::log((0.9e-5, 20.0)), 4), ["1e-4", "0.01", "1"]);
        assert_eq!(words(Scale::log((0.9e-6, 20.0)), 2), ["1e-4", "1"]);
        assert_eq!(words(Scale::steps((0, 2_500)), 3), ["0", "1,000", "2,000"]);
        assert_eq!(words(Scale::even((0.0, 3e5)), 3), ["0", "1e5", "2e5", "3e5"]);
    }

    #[test]
    fn any_values_have_a_scale() {
        let strange: [&[f64]; 7] = [
            &[],
            &[f64::NAN],
            &[0.0],
            &[1e-320, 0.0],
            &[f64::MAX, f64::MIN],
            &[1e16, 1e16 + 2.0],
            &[f64::INFINITY, 3.0],
        ];
        for values in strange {
            let all = || values.iter().copied();
            for scale in [Scale::of(all()), Scale::even_of(all()), Scale::log_of(all())] {
                for x in values.iter().chain(&[0.0]).filter(|x| !x.is_nan()) {
                    assert!((0.0..=1.0).contains(&scale.place(*x)), "{values:?} at {x}: {scale:?}");
                }
                let ticks = scale.labels(6);
                assert!(!ticks.is_empty() && ticks.len() < 30, "{values:?}: {ticks:?}");
            }
        }
    }

    #[test]
    fn one_step_is_in_the_middle_however_large() {
        for step in [0, 7, 1 << 53, u64::MAX] {
            let scale = Scale::steps((step, step));
            assert!((scale.place(step as f64) - 0.5).abs() < 0.2, "{step}");
        }
    }

    #[test]
    fn counts_have_commas() {
        assert_eq!([0, 999, 1000, 1_234_567].map(counted), ["0", "999", "1,000", "1,234,567"]);
    }
}
