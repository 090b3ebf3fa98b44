//! Detection of spikes in the gradient norm.

use super::Guard;
use super::allowance::Allowance;
use super::spike::Spike;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::{Error, Reading, Verdict};

/// Rejects a step whose gradient norm is far above the recent ones.
/// The test is a z-score of the norm's logarithm over accepted steps. With `m` and `σ` the median and robust deviation
/// of `ln‖g‖` over the last `window` accepted steps,
///
/// ```text
/// spike  ⇔  ln‖g‖ > max(m₀ + ln 3, min(m + k · max(σ, floor), L + ln 3))
/// σ = 1.4826·median(|ln‖g‖ᵢ − m|)
/// ```
///
/// with `L` the largest of them, and `m₀` the median of the first `warmup`: a gradient that is no larger than those at
/// the start of the run does no harm, however small the recent ones are.
///
/// Norms spread over orders of magnitude, and only upwards; their logarithms are nearly symmetric, so `k` means the
/// same at a norm of 0.01 and at one of 100.
///
/// Verdict: [`Skip`](Verdict::Skip) on a spike, one-sided, after `warmup` accepted norms, and once `patience` spikes
/// in a row have been let through. A norm of 0 is never a spike, and does not enter the baseline. Only accepted norms
/// do, measured before any clipping; clips and this guard see the same numbers.
///
/// The guard may reject 20 steps, and after those one in twenty of all steps ([`at_most`](Self::at_most)). Beyond that
/// it stands down and learns a new baseline, as [`LossSpike`](super::LossSpike) does. After a rewind the baseline is
/// the snapshot's.
///
/// Defaults: `k` 6, window 128, warmup 10, floor 0.1 (a sigma is at least a factor of 1.1), patience 0, at most 0.05.
///
/// Source: the rule of OLMo-core and of ZClip (arXiv 2504.02507, equation 4), applied to logarithms, with a robust
/// center and spread. Both take every norm into their statistics, including NaN.
///
/// ```
/// use evenkeel::{Reading, Verdict};
/// use evenkeel::guard::{Guard, NormSpike};
///
/// let mut guard = NormSpike::default().warmup(4)?;
/// for (update, norm) in [1.0, 1.1, 0.9, 1.0].into_iter().enumerate() {
///     guard.record(&Reading::new(update as u64).with_grad_norm(norm), Verdict::Apply);
/// }
/// let judge = |norm| guard.judge(&Reading::new(4).with_grad_norm(norm));
/// // The start decides: three times the median.
/// assert_eq!(judge(2.9), Verdict::Apply);
/// assert_eq!(judge(3.1), Verdict::Skip);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NormSpike {
    spike: Spike,
    allowance: Allowance,
}

const NAME: &str = "NormSpike";

/// A spike's gradient norm is above this multiple of the norm at the start.
const REACH: f64 = 3.0;

impl Default for NormSpike {
    fn default() -> Self {
        let mut spike = Spike::new(NAME);
        (spike.warmup, spike.absolute, spike.reach) = (10, 0.1, Some(REACH.ln()));
        Self { spike, allowance: Allowance::new(NAME) }
    }
}

impl NormSpike {
    /// Creates a guard for which a spike begins `k` sigmas above the center of the logarithms.
    ///
    /// # Errors
    /// If `k` is not positive and finite.
    pub fn above(k: f64) -> Result<Self, Error> {
        Self::default().with(|spike| spike.above(k))
    }

    fn with(mut self, change: impl Fn(Spike) -> Result<Spike, Error>) -> Result<Self, Error> {
        self.spike = change(self.spike)?;
        Ok(self)
    }

    /// Sets how many accepted norms are remembered. Forgets the norms seen so far.
    ///
    /// # Errors
    /// If `window` is below 3.
    pub fn window(self, window: usize) -> Result<Self, Error> {
        self.with(|spike| spike.window(window))
    }

    /// Uses an exponentially weighted mean and deviation of the logarithms as the baseline. Forgets the norms seen so
    /// far.
    ///
    /// # Errors
    /// If `decay` is not above 0 and below 1.
    pub fn ema(self, decay: f64) -> Result<Self, Error> {
        self.with(|spike| spike.ema(decay))
    }

    /// Sets how many norms must have been accepted before any is judged.
    ///
    /// # Errors
    /// If `warmup` is below 3.
    pub fn warmup(self, warmup: u64) -> Result<Self, Error> {
        self.with(|spike| spike.warmup(warmup))
    }

    /// Sets the minimum sigma of the logarithm.
    ///
    /// # Errors
    /// If `floor` is negative or not finite.
    pub fn floor(mut self, floor: f64) -> Result<Self, Error> {
        self.spike.absolute = Param(NAME, "floor").non_negative(floor)?;
        Ok(self)
    }

    /// Sets the share of all steps that the guard may reject, after the first 20 rejections.
    ///
    /// # Errors
    /// If `share` is not above 0 and at most 1.
    pub fn at_most(mut self, share: f64) -> Result<Self, Error> {
        self.allowance = self.allowance.share(share)?;
        Ok(self)
    }

    /// Sets how many spikes in a row are let through before one is rejected.
    #[must_use]
    pub fn patience(mut self, spikes: u64) -> Self {
        self.spike.patience = spikes;
        self
    }

    /// Returns the norm above which a step is currently a spike; `None` during warmup.
    pub fn threshold(&self) -> Option<f64> {
        self.spike.threshold().map(f64::exp)
    }
}

impl Guard for NormSpike {
    fn judge(&self, now: &Reading) -> Verdict {
        // The logarithm of 0 is −∞, which is not a spike and doesn't enter the baseline.
        match self.allowance.is_down() {
            true => Verdict::Apply,
            false => self.spike.judge(now.grad_norm.ln()),
        }
    }

    fn record(&mut self, now: &Reading, ruling: Verdict) {
        let value = now.grad_norm.ln();
        if ruling != Verdict::Apply {
            // Rejections by others don't use up the allowance.
            if self.judge(now) != Verdict::Apply && self.allowance.record(ruling) {
                self.spike.forget();
            }
            return;
        }
        self.allowance.record(ruling);
        self.spike.accept(value, self.spike.is_spike(value));
    }

    fn rewound(&mut self, then: &State) -> Result<(), Error> {
        let before = self.allowance.clone();
        self.restore(then)?;
        self.allowance.keep_no_more_than(&before);
        Ok(())
    }

    fn notice(&self) -> Option<String> {
        self.allowance.notice()
    }

    fn name(&self) -> &str {
        NAME
    }

    fn state(&self) -> State {
        State::new()
            .with_part("norm", self.spike.state())
            .with_part("allowance", self.allowance.state())
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let mut restored = self.clone();
        restored.spike.restore(&state.part("norm"))?;
        restored.allowance = self.allowance.restored(&state.part("allowance"))?;
        *self = restored;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(guard: &mut NormSpike, norm: f64) -> Verdict {
        let now = Reading::new(0).with_grad_norm(norm);
        let verdict = guard.judge(&now);
        guard.record(&now, verdict);
        verdict
    }

    /// The flaw of z-scores that include every value: a spike raises σ, and the next one passes.
    #[test]
    fn every_spike_of_a_series_is_caught() {
        let mut guard = NormSpike::default();
        let mut caught = 0;
        for t in 0..200 {
            let calm = 1.0 + 0.2 * f64::sin(t as f64);
            let spiked = t >= 30 && t % 7 == 0;
            let verdict = step(&mut guard, if spiked { 30.0 * calm } else { calm });
            assert_eq!(verdict == Verdict::Skip, spiked, "update {t}");
            caught += u64::from(spiked);
        }
        assert_eq!(caught, 24);
    }

    #[test]
    fn it_scales_with_the_norm_and_ignores_zero_and_the_non_finite() {
        let (mut small, mut large) = (NormSpike::default(), NormSpike::default());
        for t in 0..40 {
            let calm = f64::exp(0.3 * f64::cos(t as f64));
            assert_eq!(step(&mut small, 1e-6 * calm), Verdict::Apply);
            assert_eq!(step(&mut large, 1e6 * calm), Verdict::Apply);
        }
        let ratio = large.threshold().unwrap() / small.threshold().unwrap();
        assert!((ratio / 1e12 - 1.0).abs() < 1e-9);
        let twin = small.clone();
        assert_eq!(step(&mut small, 0.0), Verdict::Apply);
        assert_eq!(small, twin);
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(small.judge(&Reading::new(0).with_grad_norm(bad)), Verdict::Apply);
        }
    }

    #[test]
    fn its_state_resumes_it() {
        let mut guard = NormSpike::default();
        (0..30).for_each(|t| {
            step(&mut guard, 1.0 + t as f64);
        });
        let mut fresh = NormSpike::default();
        fresh.restore(&guard.state()).unwrap();
        assert_eq!(fresh, guard);
    }

    /// Its own rejections use up the allowance, those of others don't.
    #[test]
    fn it_stands_down_for_its_own_rejections() {
        let mut guard = NormSpike::default();
        (0..60).for_each(|t| {
            step(&mut guard, 1.0 + 0.01 * f64::from(t % 7));
        });
        let mut other = guard.clone();
        (0..40).for_each(|_| other.record(&Reading::new(0).with_grad_norm(1.0), Verdict::Skip));
        assert_eq!(other.notice(), None);
        let rejected = (0..40).take_while(|_| step(&mut guard, 1e6) == Verdict::Skip).count();
        assert_eq!(rejected, 20);
        assert!(guard.notice().is_some_and(|text| text.contains("once")));
    }
}
