//! Exponential moving average.

use super::Average;
use crate::Error;

/// Exponential moving average of the weights.
///
/// ```text
/// a ← d·a + (1 − d)·p           d = decay
///                               d = min(decay, (1 + n)/(10 + n))   with warmup, n = updates taken
/// ```
///
/// The average reaches back about `1/(1 − decay)` updates. Without warmup it starts at the weights of the first update
/// and stays near them for as long; with warmup it follows quickly at first.
///
/// Source: Polyak & Juditsky 1992 for averaging; the warmup is that of TensorFlow's
/// `ExponentialMovingAverage(num_updates)`. torch's `get_ema_multi_avg_fn` has none.
///
/// ```
/// use evenkeel::average::{Average, Ema};
///
/// assert_eq!(Ema::new(0.75)?.weight(7, 7), Some(0.25));
/// let warm = Ema::new(0.999)?.warmup();
/// assert_eq!(warm.weight(2, 2), Some(0.75));
/// assert!((warm.weight(100_000, 100_000).unwrap() - 0.001).abs() < 1e-12);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "AveragedModel")]
#[doc(alias = "EMAWeightAveraging")]
#[doc(alias = "ModelEma")]
#[doc(alias = "polyak")]
#[doc(alias = "ExponentialMovingAverage")]
pub struct Ema {
    decay: f64,
    warmup: bool,
}

impl Ema {
    /// Creates an average that keeps the share `decay` of itself at every update.
    ///
    /// # Errors
    /// If `decay` is not at least 0 and below 1.
    pub fn new(decay: f64) -> Result<Self, Error> {
        match (0.0..1.0).contains(&decay) {
            true => Ok(Self { decay, warmup: false }),
            false => Err(Error::parameter("Ema", "decay", "at least 0 and below 1", decay)),
        }
    }

    /// Creates an average with a half-life: the weights from `updates` updates ago count half as much as the current
    /// ones.
    ///
    /// `decay = ½^(1/updates)`
    ///
    /// # Errors
    /// If `updates` is 0, or so large that an update would contribute nothing.
    pub fn half_life(updates: u64) -> Result<Self, Error> {
        let decay = 0.5f64.powf(1.0 / updates as f64);
        match updates > 0 && decay < 1.0 {
            true => Self::new(decay),
            false => {
                Err(Error::parameter("Ema", "half_life", "at least 1 and below 6e15", updates))
            }
        }
    }

    /// Starts with a small decay, which grows to its full value.
    #[must_use]
    pub fn warmup(mut self) -> Self {
        self.warmup = true;
        self
    }
}

impl Average for Ema {
    fn weight(&self, _update: u64, taken: u64) -> Option<f64> {
        let n = taken as f64;
        let decay = match self.warmup {
            true => self.decay.min((1.0 + n) / (10.0 + n)),
            false => self.decay,
        };
        Some(1.0 - decay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_arguments_are_named() {
        for bad in [1.0, -0.1, f64::NAN] {
            let said = Ema::new(bad).unwrap_err().to_string();
            assert_eq!(said, format!("`decay` of Ema must be at least 0 and below 1, got {bad}"));
        }
        for bad in [0, u64::MAX] {
            let said = Ema::half_life(bad).unwrap_err().to_string();
            assert_eq!(
                said,
                format!("`half_life` of Ema must be at least 1 and below 6e15, got {bad}")
            );
        }
    }

    #[test]
    fn after_a_half_life_half_is_left() {
        let Some(w) = Ema::half_life(10).unwrap().weight(0, 0) else { panic!() };
        assert!(((1.0 - w).powi(10) - 0.5).abs() < 1e-12);
    }

    /// `min(decay, (1 + n)/(10 + n))` of the past is kept, after `n` updates.
    #[test]
    fn the_warmup_keeps_less_of_the_past_at_first() {
        let ema = Ema::new(0.99).unwrap().warmup();
        for (taken, kept) in
            [(0, 0.1), (1, 2.0 / 11.0), (90, 0.91), (889, 890.0 / 899.0), (2000, 0.99)]
        {
            let weight = ema.weight(7, taken).unwrap();
            assert!((weight - (1.0 - kept)).abs() < 1e-12, "{taken}: {weight}");
        }
    }
}
