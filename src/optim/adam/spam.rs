//! Spike-aware clipping with momentum reset (SPAM).

use crate::Error;
use crate::error::check::Param;

/// SPAM: cuts elements of the gradient that are far larger than usual, and resets the moments at intervals
/// ([Huang et al. 2025](https://arxiv.org/abs/2501.06842)).
///
/// ```text
/// g ← sign(g)·√(θ·v̂)    where g² > θ·v̂ and v̂ > 0, with the v̂ of before this update
/// ```
///
/// After every `reset_every` updates of a tensor its moments are reset to 0, bias is corrected as at the start, and for
/// `warmup` updates the rate is multiplied by `1 − 0.99·½(1 + cos πs/N)`, where `s` counts from 0 and `N` is
/// `warmup`.
///
/// Defaults: `θ` = 5000, a reset after 500 updates, a warmup of 150 updates.
///
/// # Differences
/// From the paper: `v̂` is corrected for bias, so `θ` means the same at the second update as later; and an element
/// whose `v̂` is 0 is not cut, because otherwise it could never start to learn. From the code published with the paper:
/// there the cut is made on a copy of the gradient, and has no effect.
///
/// # Limits
/// It guards single elements. For a batch that is bad as a whole, use [`LossSpike`](crate::guard::LossSpike) and
/// [`GlobalNorm`](crate::clip::GlobalNorm).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spam {
    pub(in super::super) threshold: f64,
    pub(in super::super) reset_every: u64,
    pub(in super::super) warmup: u64,
}

impl Default for Spam {
    fn default() -> Self {
        Self { threshold: 5000.0, reset_every: 500, warmup: 150 }
    }
}

impl Spam {
    /// Sets `θ`: how many times its mean a squared gradient may be.
    ///
    /// # Errors
    /// If `θ` is not positive and finite.
    pub fn threshold(mut self, theta: f64) -> Result<Self, Error> {
        self.threshold = Param("Spam", "threshold").positive(theta)?;
        Ok(self)
    }

    /// Sets after how many updates the moments are reset.
    ///
    /// # Errors
    /// If it is 0.
    pub fn reset_every(mut self, updates: u64) -> Result<Self, Error> {
        self.reset_every = Param("Spam", "reset_every").at_least(1, updates)?;
        Ok(self)
    }

    /// Sets over how many updates the rate rises again after a reset; 0 for no warmup.
    #[must_use]
    pub fn warmup(mut self, over: u64) -> Self {
        self.warmup = over;
        self
    }

    /// Returns the number of updates since the moments last started, for a tensor that has seen `time` updates.
    pub(super) fn since(&self, time: u64) -> u64 {
        time % self.reset_every
    }

    /// Returns the factor on the rate: 1 up to the first reset.
    pub(super) fn warmth(&self, time: u64) -> f64 {
        let since = self.since(time);
        match time >= self.reset_every && since < self.warmup {
            true => {
                let part = since as f64 / self.warmup as f64;
                1.0 - 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * part).cos())
            }
            false => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_again_after_each_reset() {
        let spam = Spam::default().reset_every(10).unwrap().warmup(4);
        let warmth: Vec<f64> = (0..22).map(|time| spam.warmth(time)).collect();
        assert!(warmth[..10].iter().all(|w| *w == 1.0), "{warmth:?}");
        let rise = [0.01, 0.154_982_143_312_659_02, 0.505, 0.855_017_856_687_341];
        for (w, expected) in warmth[10..14].iter().zip(rise) {
            assert!((w - expected).abs() < 1e-12, "{warmth:?}");
        }
        assert!(warmth[14..20].iter().all(|w| *w == 1.0), "{warmth:?}");
        assert_eq!(warmth[20], warmth[10]);
        assert_eq!(spam.warmup(0).warmth(10), 1.0);
    }
}
