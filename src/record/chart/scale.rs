//! From numbers to places in a picture.

use crate::text::short;

/// Numbers along a line: even, or as powers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    log: bool,
}

/// How much larger the largest has to be for a scale of powers.
const POWERS: f64 = 25.0;

impl Scale {
    /// Wide enough for all of these that are finite; powers where all are above 0 and far apart.
    pub(super) fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        // Far from where differences overflow.
        let finite = values.filter(|x| x.is_finite()).map(|x| x.clamp(-1e300, 1e300));
        let (low, high) = finite
            .clone()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        if low > high {
            return Self { low: 0.0, high: 1.0, log: false };
        }
        // A few zeros, of a rate that warms up, are at the bottom of powers.
        let above = finite.clone().filter(|x| *x > 0.0).fold(f64::INFINITY, f64::min);
        if low >= 0.0 && above.is_finite() && high / above > POWERS && log_fits(finite) {
            return Self { low: above.max(high * 1e-12) / 1.15, high: high * 1.15, log: true };
        }
        if low == 0.0 && high == 0.0 {
            return Self { low: 0.0, high: 1.0, log: false };
        }
        let room = match 0.06 * (high - low) {
            room if room > 1e-9 * high.abs().max(low.abs()) => room,
            _ => (0.1 * low.abs()).max(1e-9),
        };
        let bottom = if low >= 0.0 { (low - room).max(0.0) } else { low - room };
        // What is not far from 0 is shown from 0.
        let bottom = if low >= 0.0 && low < 0.5 * high { 0.0 } else { bottom };
        Self { low: bottom, high: high + room, log: false }
    }

    /// Whole steps from the first to the last, with no room beside them.
    pub(super) fn steps((first, last): (u64, u64)) -> Self {
        let (low, high) = (first as f64, last as f64);
        match high > low {
            true => Self { low, high, log: false },
            false => Self { low: low - 0.5, high: low + 0.5, log: false },
        }
    }

    pub(super) fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    pub(super) fn is_log(&self) -> bool {
        self.log
    }

    /// From 0 to 1; what lies beyond is at the end.
    pub(super) fn place(&self, x: f64) -> f64 {
        let share = match self.log {
            true => (x.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln(),
            false => (x - self.low) / (self.high - self.low),
        };
        share.clamp(0.0, 1.0)
    }

    /// Round numbers to be written at it, at most about `count`.
    pub(super) fn ticks(&self, count: usize) -> Vec<f64> {
        match self.log {
            true => self.powers(count),
            false => self.even(count),
        }
    }

    fn even(&self, count: usize) -> Vec<f64> {
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

    fn powers(&self, count: usize) -> Vec<f64> {
        let (from, to) = (self.low.log10().ceil() as i32, self.high.log10().floor() as i32);
        let every = ((to - from + 1).max(1) as usize).div_ceil(count.max(1)) as i32;
        let tens = (from..=to).filter(|k| k.rem_euclid(every) == 0).map(|k| 10f64.powi(k));
        let mut ticks: Vec<f64> = tens.collect();
        if ticks.len() < 3 {
            let between = (from - 1..=to).flat_map(|k| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(k)));
            ticks = between.filter(|x| (self.low..=self.high).contains(x)).collect();
        }
        ticks
    }
}

/// Whether nearly all are above 0.
fn log_fits(values: impl Iterator<Item = f64> + Clone) -> bool {
    let zeros = values.clone().filter(|x| *x <= 0.0).count();
    20 * zeros <= values.count()
}

/// A number at an axis, or in a sentence.
pub(super) fn number(x: f64) -> String {
    short(x)
}

/// The same where there is little room: at an axis.
pub(super) fn brief(x: f64) -> String {
    match x.abs() {
        1e-12..0.99e-3 => format!("{:e}", format!("{x:.2e}").parse().unwrap_or(x)),
        _ => short(x),
    }
}

/// A count, with a comma at each thousand.
pub(in crate::record) fn counted(x: u64) -> String {
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
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let close = |a: Vec<f64>, b: &[f64]| {
            assert_eq!(a.len(), b.len(), "{a:?}");
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs()), "{a:?}");
        };
        close(Scale { low: 0.0, high: 1.06, log: false }.ticks(6), &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        close(Scale { low: 0.5e-3, high: 2.0, log: true }.ticks(6), &[1e-3, 1e-2, 0.1, 1.0]);
        close(Scale { low: 0.3, high: 9.0, log: true }.ticks(6), &[0.5, 1.0, 2.0, 5.0]);
        close(Scale::steps((0, 99_999)).ticks(5), &[0.0, 2e4, 4e4, 6e4, 8e4]);
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
            let scale = of(values);
            for x in values.iter().chain(&[0.0]).filter(|x| !x.is_nan()) {
                assert!((0.0..=1.0).contains(&scale.place(*x)), "{values:?} at {x}: {scale:?}");
            }
            let ticks = scale.ticks(6);
            assert!(!ticks.is_empty() && ticks.len() < 30, "{values:?}: {ticks:?}");
        }
    }

    #[test]
    fn counts_have_commas() {
        assert_eq!([0, 999, 1000, 1_234_567].map(counted), ["0", "999", "1,000", "1,234,567"]);
    }
}
