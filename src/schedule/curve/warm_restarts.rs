//! Cosine decay with warm restarts.

use std::f64::consts::PI;

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::{lerp, power, saturate};

/// Cosine decay with warm restarts (SGDR): half a cosine, a jump back up, a longer half cosine, and
/// so on.
///
/// With `m` the period factor, `d` the peak factor and `bᵢ` the update at which cycle `i` begins,
///
/// ```text
/// bᵢ = first·(1 + m + m² + … + mⁱ⁻¹)       rounded to a whole update
/// y(t) = to + (from − to)·dⁱ·(1 + cos(π·(t − bᵢ)/(bᵢ₊₁ − bᵢ)))/2   for bᵢ ≤ t < bᵢ₊₁
/// ```
///
/// `first` is a length in updates. `m` and `d` are 1 unless set by
/// [`period_factor`](Self::period_factor) and [`peak_factor`](Self::peak_factor). There is no last
/// cycle unless [`cycles`](Self::cycles) sets their number.
///
/// Edges: `at(bᵢ)` is the peak of its cycle at every restart, whatever `m` is. The value `to` itself
/// is reached only after the last cycle, and then held.
///
/// Source: Loshchilov & Hutter 2017 (arXiv 1608.03983). Agrees with torch
/// `CosineAnnealingWarmRestarts`, optax `sgdr_schedule`, timm's `cosine` with `cycle_mul`, and Keras
/// `CosineDecayRestarts`, with two exceptions: torch's `step(epoch)` and timm find the cycle with a logarithm, which
/// is wrong at some restarts, such as the fifth for `m = 3`, where they give `to` instead of the peak; and if `m`
/// is not a whole number, timm's restarts fall between updates.
///
/// ```
/// use evenkeel::schedule::{Schedule, WarmRestarts};
///
/// let rate = WarmRestarts::new(1.0, 0.0, 10)?.period_factor(3.0)?;
/// // Cycles begin at 0, 10, 40, 130, 400 and 1210.
/// assert_eq!([0, 10, 40, 130, 400, 1210].map(|t| rate.at(t)), [1.0; 6]);
/// assert!(rate.at(1209) < 1e-5);
///
/// let rate = rate.peak_factor(0.5)?.cycles(2);
/// assert_eq!([10, 39, 40].map(|t| (rate.at(t) * 100.0).round()), [50.0, 0.0, 0.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "CosineAnnealingWarmRestarts")]
#[doc(alias = "SGDR")]
#[doc(alias = "CosineDecayRestarts")]
#[doc(alias = "sgdr_schedule")]
pub struct WarmRestarts {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) to: f64,
    pub(in crate::schedule) first: u64,
    pub(in crate::schedule) period_factor: f64,
    pub(in crate::schedule) peak_factor: f64,
    pub(in crate::schedule) cycles: Option<u64>,
}

impl WarmRestarts {
    /// Creates cosines from `from` to `to`, the first of which is `first` updates long.
    ///
    /// # Errors
    /// If `from` or `to` is not finite, or `first` is 0.
    pub fn new(from: f64, to: f64, first: u64) -> Result<Self, Error> {
        Ok(Self {
            from: Param("WarmRestarts", "from").finite(from)?,
            to: Param("WarmRestarts", "to").finite(to)?,
            first: Param("WarmRestarts", "first").at_least(1, first)?,
            period_factor: 1.0,
            peak_factor: 1.0,
            cycles: None,
        })
    }

    /// Makes every cycle `m` times as long as the one before.
    ///
    /// # Errors
    /// If `m` is below 1 or not finite.
    pub fn period_factor(mut self, m: f64) -> Result<Self, Error> {
        let fits = m.is_finite() && m >= 1.0;
        self.period_factor = Param("WarmRestarts", "period_factor").must(
            fits,
            "a finite number of at least 1",
            m,
        )?;
        Ok(self)
    }

    /// Makes every cycle begin at `d` times the height of the one before, measured from `to`.
    ///
    /// # Errors
    /// If `d` is negative or not finite.
    pub fn peak_factor(mut self, d: f64) -> Result<Self, Error> {
        self.peak_factor = Param("WarmRestarts", "peak_factor").non_negative(d)?;
        Ok(self)
    }

    /// Ends the schedule after `count` cycles, and then holds `to`.
    #[must_use]
    pub fn cycles(mut self, count: u64) -> Self {
        self.cycles = Some(count);
        self
    }

    /// Returns `bᵢ`, or `u64::MAX` if it is greater.
    fn begin(&self, i: u64) -> u64 {
        let m = self.period_factor;
        if m == 1.0 {
            return self.first.saturating_mul(i);
        }
        // Whole factors are computed in integers, which are exact.
        if m.fract() == 0.0 && m < 1e9 {
            let m = m as u128;
            let power = u32::try_from(i).ok().and_then(|i| m.checked_pow(i));
            let begin = power.and_then(|p| ((p - 1) / (m - 1)).checked_mul(self.first.into()));
            return begin.and_then(|b| u64::try_from(b).ok()).unwrap_or(u64::MAX);
        }
        // (mⁱ − 1)/(m − 1), without the cancellation for m close to 1. The cast saturates.
        let rate = m - 1.0;
        (self.first as f64 * ((i as f64 * rate.ln_1p()).exp_m1() / rate)).round() as u64
    }

    /// Returns the cycle that contains `t`: its number, its first update and its length.
    fn cycle(&self, t: u64) -> (u64, u64, u64) {
        let m = self.period_factor;
        if m == 1.0 {
            let i = t / self.first;
            return (i, i * self.first, self.first);
        }
        // From mⁱ = 1 + x, with x = t·(m − 1)/first, which may not be finite.
        let rate = m - 1.0;
        let ln_x = (t as f64 / self.first as f64).ln() + rate.ln();
        let ln_grown = match ln_x > 30.0 {
            true => ln_x,
            false => ln_x.exp().ln_1p(),
        };
        // This may be off by one; the comparison with the actual beginnings decides.
        let mut i = (ln_grown / rate.ln_1p()) as u64;
        while i > 0 && self.begin(i) > t {
            i -= 1;
        }
        loop {
            let next = self.begin(i + 1);
            if next > t || next == u64::MAX {
                let begin = self.begin(i);
                return (i, begin, next - begin);
            }
            i += 1;
        }
    }
}

impl Schedule for WarmRestarts {
    fn at(&self, t: u64) -> f64 {
        let Self { from, to, peak_factor, .. } = *self;
        let (i, begin, length) = self.cycle(t);
        if self.cycles.is_some_and(|cycles| i >= cycles) {
            return to;
        }
        let peak = match peak_factor {
            1.0 => from,
            d => lerp(to, from, power(d, i as f64)),
        };
        let p = (t - begin) as f64 / length.max(1) as f64;
        saturate(lerp(to, peak, (1.0 + (PI * p).cos()) / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares every beginning with a sum accumulated cycle by cycle.
    #[test]
    fn restarts_are_where_the_periods_add_up_to() {
        for (first, m) in [(1, 2u64), (1, 3), (7, 2), (3, 10), (5, 1), (1000, 4)] {
            let curve = WarmRestarts::new(1.0, 0.0, first).unwrap();
            let curve = curve.period_factor(m as f64).unwrap();
            let (mut begin, mut period) = (0u64, first);
            for i in 0..15 {
                assert_eq!(curve.cycle(begin), (i, begin, period), "m {m}");
                assert_eq!(curve.cycle(begin + period - 1).0, i, "m {m}");
                assert_eq!(curve.at(begin), 1.0, "m {m}, restart {i}");
                begin += period;
                period *= m;
            }
        }
    }

    #[test]
    fn any_factor_restarts_at_its_peak() {
        for m in [1.0 + 1e-12, 1.000_001, 1.1, 1.5, 2.5, 1e9, 1e300] {
            let curve = WarmRestarts::new(0.55, 0.1, 10).unwrap().period_factor(m).unwrap();
            let mut seen = 0;
            for t in (0..3000).chain([1 << 40, 1 << 60, u64::MAX - 1, u64::MAX]) {
                let (i, begin, length) = curve.cycle(t);
                assert!(begin <= t && t - begin <= length, "m {m} at {t}");
                assert!(i >= seen, "m {m} at {t}");
                seen = i;
                if t == begin {
                    assert_eq!(curve.at(t), 0.55, "m {m} at {t}");
                }
                assert!(curve.at(t) >= 0.1 && curve.at(t) <= 0.55, "m {m} at {t}");
            }
        }
    }
}
