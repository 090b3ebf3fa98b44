//! Detection of loss spikes: a high loss together with a large gradient.

use super::Guard;
use super::allowance::Allowance;
use super::spike::Spike;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::{Error, Reading, Verdict};

/// Rejects a step whose loss is far above the recent ones and whose gradient norm is as well.
///
/// Let `m` be the median and `d` the median absolute deviation of the last `window` accepted losses, `M` and `D` the
/// same for `ln‖g‖`, `L` the largest `ln‖g‖` in the window, and `m₀` and `M₀` the medians of the first `warmup`
/// values. Then
///
/// ```text
/// spike  ⇔  loss  > m + k · max(σ, relative·|m|, of_start·|m₀|, absolute)       σ = 1.4826·d
///      and  ln‖g‖ > max(M₀ + ln 6, min(M + k · max(1.4826·D, 0.1), L + ln 6))
/// ```
///
/// The factor 1.4826 makes `d` an estimate of the standard deviation of a normal distribution, so `k` counts sigmas.
/// With [`ema`](Self::ema), an exponentially weighted mean and standard deviation replace median and deviation; they
/// follow faster and are less robust.
///
/// Both must be far above, because a high loss alone doesn't harm the weights. Once a classifier fits its data, the
/// losses are near 0 and batches with a hard row in them are rare; rejecting those would keep the model from learning
/// them. Their gradients are no larger than those at the start of the run, and `M₀ + ln 6` lets them through. If the
/// spread is so wide that six sigmas are out of reach, six times the largest gradient norm in the window is enough.
/// [`by_loss_alone`](Self::by_loss_alone) drops the second condition.
///
/// Verdict: [`Skip`](Verdict::Skip) on a spike, once `patience` spikes in a row have been let through. The test is
/// one-sided: a sudden *drop* of the loss is welcome. Until `warmup` losses have been accepted, every step passes. A
/// non-finite loss is handled by [`NonFinite`](super::NonFinite), and is not a spike here.
///
/// Only accepted losses enter the baseline, and no spike does. So a spike can't raise the threshold for the next one,
/// and a NaN can't disable the guard; both happen to spike detectors that average over every value they see.
///
/// The guard may reject 20 steps, and after those one in twenty of all steps: see [`at_most`](Self::at_most). Beyond
/// that it stands down, forgets its baseline, learns a new one from the losses that follow, and resumes once half of
/// that reserve is earned; its [notice](Guard::notice) says so. In a [`Keel`](crate::Keel), more than ten rejections in
/// a row lead to a rewind before that.
///
/// After a rewind the baseline is the snapshot's, but the used part of the allowance stays used.
///
/// Defaults: `k` 6, window 128, warmup 10, relative floor 0.05, floor of the start 0.05, absolute floor 0, patience 0,
/// at most 0.05.
///
/// Source: the skipping rule of OLMo-core (6 σ of the last 128, of loss or norm, two-sided, outliers and NaN included).
/// Here it has a robust center and spread (Hampel's identifier, 1974), is one-sided, learns from accepted losses only,
/// and combines loss and norm.
///
/// ```
/// use evenkeel::{Reading, Verdict};
/// use evenkeel::guard::{Guard, LossSpike};
///
/// let mut guard = LossSpike::default().warmup(4)?;
/// let reading = |loss, norm| Reading::new(0).with_loss(loss).with_grad_norm(norm);
/// for loss in [1.0, 1.1, 0.9, 1.0] {
///     guard.record(&reading(loss, 2.0), Verdict::Apply);
/// }
/// // m = 1, d = 0.05: the threshold is 1 + 6·0.07413, for gradients above 6·2.
/// assert_eq!(guard.judge(&reading(1.45, 13.0)), Verdict::Skip);
/// assert_eq!(guard.judge(&reading(1.44, 13.0)), Verdict::Apply);
/// assert_eq!(guard.judge(&reading(1.45, 11.0)), Verdict::Apply);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LossSpike {
    loss: Spike,
    /// The rule for `ln‖g‖`; `None` to judge by the loss alone.
    norm: Option<Spike>,
    allowance: Allowance,
}

const NAME: &str = "LossSpike";

/// A spike's gradient norm is above this multiple of the norm at the start. With 3, the rows of a heavy-tailed target are
/// rejected often enough for the training loss to be higher, over ten runs of a thousand steps.
const REACH: f64 = 6.0;

impl Default for LossSpike {
    fn default() -> Self {
        let mut loss = Spike::new(NAME);
        (loss.warmup, loss.relative, loss.of_start) = (10, 0.05, 0.05);
        let mut norm = Spike::new(NAME);
        (norm.warmup, norm.absolute, norm.reach) = (10, 0.1, Some(REACH.ln()));
        Self { loss, norm: Some(norm), allowance: Allowance::new(NAME) }
    }
}

impl LossSpike {
    /// Creates a guard for which a spike begins `k` sigmas above the center.
    ///
    /// # Errors
    /// If `k` is not positive and finite.
    pub fn above(k: f64) -> Result<Self, Error> {
        Self::default().with(|spike| spike.above(k))
    }

    /// Applies the same change to the rules for the loss and the norm.
    fn with(mut self, change: impl Fn(Spike) -> Result<Spike, Error>) -> Result<Self, Error> {
        self.loss = change(self.loss)?;
        self.norm = self.norm.map(change).transpose()?;
        Ok(self)
    }

    /// Sets how many accepted losses are remembered for median and spread. Forgets the losses seen so far.
    ///
    /// # Errors
    /// If `window` is below 3, because fewer values have no spread.
    pub fn window(self, window: usize) -> Result<Self, Error> {
        self.with(|spike| spike.window(window))
    }

    /// Uses an exponentially weighted mean and deviation as the baseline: the loss accepted `i` updates ago has weight
    /// `decayⁱ`. Forgets the losses seen so far.
    ///
    /// # Errors
    /// If `decay` is not above 0 and below 1.
    pub fn ema(self, decay: f64) -> Result<Self, Error> {
        self.with(|spike| spike.ema(decay))
    }

    /// Sets how many losses must have been accepted before any is judged. A number larger than the window means a full
    /// window.
    ///
    /// # Errors
    /// If `warmup` is below 3, because fewer values have no spread.
    pub fn warmup(self, warmup: u64) -> Result<Self, Error> {
        self.with(|spike| spike.warmup(warmup))
    }

    /// Sets the minimum sigma, as a fraction of the center.
    ///
    /// # Errors
    /// If `fraction` is negative or not finite.
    pub fn relative_floor(mut self, fraction: f64) -> Result<Self, Error> {
        self.loss.relative = Param(NAME, "relative_floor").non_negative(fraction)?;
        Ok(self)
    }

    /// Sets the minimum sigma, as a fraction of the loss at the start, which is the median of the warmup. A rise that
    /// is small by the run's own scale is not a spike, even if most losses are equal.
    ///
    /// # Errors
    /// If `fraction` is negative or not finite.
    pub fn start_floor(mut self, fraction: f64) -> Result<Self, Error> {
        self.loss.of_start = Param(NAME, "start_floor").non_negative(fraction)?;
        Ok(self)
    }

    /// Sets the minimum sigma, in units of the loss.
    ///
    /// # Errors
    /// If `floor` is negative or not finite.
    pub fn absolute_floor(mut self, floor: f64) -> Result<Self, Error> {
        self.loss.absolute = Param(NAME, "absolute_floor").non_negative(floor)?;
        Ok(self)
    }

    /// Judges by the loss alone, whatever the gradient is.
    #[must_use]
    pub fn by_loss_alone(mut self) -> Self {
        self.norm = None;
        self
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
        self.loss.patience = spikes;
        self
    }

    /// Returns the loss above which a step is currently a spike, if its gradient is large too; `None` during warmup.
    #[must_use]
    pub fn threshold(&self) -> Option<f64> {
        self.loss.threshold()
    }

    /// Returns the gradient norm above which a step with a high loss is currently a spike; `None` during warmup, and if
    /// the loss alone decides.
    pub fn norm_threshold(&self) -> Option<f64> {
        self.norm.as_ref().and_then(Spike::threshold).map(f64::exp)
    }

    fn is_spike(&self, now: &Reading) -> bool {
        let long = |norm: &Spike| norm.is_spike(now.grad_norm.ln());
        self.loss.is_spike(now.loss) && self.norm.as_ref().is_none_or(long)
    }
}

impl Guard for LossSpike {
    fn judge(&self, now: &Reading) -> Verdict {
        match self.is_spike(now) && !self.loss.is_patient() && !self.allowance.is_down() {
            true => Verdict::Skip,
            false => Verdict::Apply,
        }
    }

    fn record(&mut self, now: &Reading, ruling: Verdict) {
        if ruling != Verdict::Apply {
            // Rejections by others don't use up the allowance.
            if self.judge(now) != Verdict::Apply && self.allowance.record(ruling) {
                self.loss.forget();
                self.norm.iter_mut().for_each(Spike::forget);
            }
            return;
        }
        self.allowance.record(ruling);
        let spike = self.is_spike(now);
        self.loss.accept(now.loss, spike);
        if let Some(norm) = &mut self.norm {
            // The logarithm of 0 is −∞, which the baseline ignores.
            norm.accept(now.grad_norm.ln(), spike);
        }
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
        let state = State::new()
            .with_part("loss", self.loss.state())
            .with_part("allowance", self.allowance.state());
        match &self.norm {
            Some(norm) => state.with_part("norm", norm.state()),
            None => state,
        }
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let mut restored = self.clone();
        restored.loss.restore(&state.part("loss"))?;
        match &mut restored.norm {
            Some(norm) => norm.restore(&state.part("norm"))?,
            None => state.part("norm").only(&[])?,
        }
        restored.allowance = self.allowance.restored(&state.part("allowance"))?;
        *self = restored;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gradients of norm 1 for the warmup losses, and of norm 1000 for the losses that are judged.
    fn seen(losses: &[f64]) -> LossSpike {
        let mut guard = LossSpike::default().warmup(3).unwrap();
        for &loss in losses {
            guard.record(&reading(loss, 1.0), Verdict::Apply);
        }
        guard
    }

    fn reading(loss: f64, norm: f64) -> Reading {
        Reading::new(99).with_loss(loss).with_grad_norm(norm)
    }

    fn judge(guard: &LossSpike, loss: f64) -> Verdict {
        guard.judge(&reading(loss, 1e3))
    }

    #[test]
    fn nothing_is_judged_during_warmup() {
        assert_eq!(judge(&seen(&[1.0, 1.0]), 1e30), Verdict::Apply);
        assert_eq!(judge(&seen(&[1.0, 1.0, 1.0]), 1e30), Verdict::Skip);
    }

    #[test]
    fn a_short_window_ends_the_warmup_when_it_is_full() {
        let mut guard = LossSpike::default().window(4).unwrap();
        for _ in 0..4 {
            guard.record(&reading(1.0, 1.0), Verdict::Apply);
        }
        assert_eq!(judge(&guard, 2.0), Verdict::Skip);
    }

    #[test]
    fn it_is_one_sided() {
        assert_eq!(judge(&seen(&[5.0, 5.1, 4.9]), -1e30), Verdict::Apply);
    }

    #[test]
    fn floors_hold_when_the_losses_are_even() {
        // m = 2 and d = 0, so a sigma is the relative floor of 0.1.
        assert_eq!(seen(&[2.0; 5]).threshold(), Some(2.0 + 6.0 * 0.1));
        let floored = seen(&[0.0; 5]).absolute_floor(0.5).unwrap();
        assert_eq!(floored.threshold(), Some(3.0));
    }

    #[test]
    fn a_negative_loss_has_a_threshold_above_it() {
        assert!(seen(&[-2.0; 5]).threshold().is_some_and(|t| t > -2.0));
    }

    /// The flaw of averaging detectors: after one spike the next one passes, and a NaN blinds them.
    #[test]
    fn rejected_losses_change_nothing() {
        let (mut guard, twin) = (seen(&[1.0, 1.1, 0.9, 1.0]), seen(&[1.0, 1.1, 0.9, 1.0]));
        for (loss, ruling) in [
            (1e6, Verdict::Skip),
            (f64::NAN, Verdict::Skip),
            (f64::INFINITY, Verdict::Rewind),
            (1.0, Verdict::Halt),
        ] {
            guard.record(&Reading::new(9).with_loss(loss), ruling);
        }
        assert_eq!(guard, twin);
    }

    /// A batch with one hard row, for a model that fits its data: a loss far above the others, and a gradient as large
    /// as those at the start of the run.
    #[test]
    fn a_high_loss_with_an_ordinary_gradient_is_learned_from() {
        let mut guard = LossSpike::default();
        for t in 0..300 {
            let fit = f64::exp(-0.05 * f64::from(t));
            guard.record(&reading(0.7 * fit, 2.0 * fit), Verdict::Apply);
        }
        assert_eq!(guard.judge(&reading(0.6, 2.0)), Verdict::Apply);
        assert_eq!(guard.judge(&reading(0.6, 13.0)), Verdict::Skip);
        assert_eq!(guard.clone().by_loss_alone().judge(&reading(0.6, 2.0)), Verdict::Skip);
        // Small relative to the start, however equal the last ones are.
        assert_eq!(guard.judge(&reading(0.15, 13.0)), Verdict::Apply);
    }

    /// Most batches of a hinge loss are exactly 0.
    #[test]
    fn a_spread_of_nothing_makes_no_spike() {
        let mut guard = LossSpike::default();
        for t in 0..300 {
            let now = if t < 20 || t % 8 == 0 { reading(0.5, 1.0) } else { reading(0.0, 0.0) };
            assert_eq!(guard.judge(&now), Verdict::Apply, "update {t}");
            guard.record(&now, Verdict::Apply);
        }
    }

    /// However wide the spread, six times the largest norm of the window is beyond it.
    #[test]
    fn what_is_beyond_all_that_was_seen_is_a_spike() {
        let mut guard = LossSpike::default();
        for t in 0..100 {
            guard.record(&reading(1.0, f64::powi(10.0, t % 5)), Verdict::Apply);
        }
        assert_eq!(guard.judge(&reading(9.0, 5.9e4)), Verdict::Apply);
        assert_eq!(guard.judge(&reading(9.0, 6.1e4)), Verdict::Skip);
    }

    /// A level that has moved permanently must not block the run indefinitely.
    #[test]
    fn it_stands_down_and_learns_the_new_level() {
        let mut guard = seen(&[1.0; 30]);
        let mut rejected = 0;
        for _ in 0..400 {
            let now = reading(50.0, 1e3);
            let verdict = guard.judge(&now);
            rejected += u64::from(verdict != Verdict::Apply);
            guard.record(&now, verdict);
        }
        assert_eq!(rejected, 20);
        assert!(
            guard.notice().is_some_and(|text| text.starts_with("LossSpike has stood down once"))
        );
        assert_eq!(judge(&guard, 1e6), Verdict::Apply, "six times its norm is the least");
        assert_eq!(guard.judge(&reading(1e6, 1e9)), Verdict::Skip, "on duty again");
    }

    /// The cause of runs that halted again and again: losses of an abandoned future.
    #[test]
    fn back_at_a_snapshot_it_knows_what_it_knew_there() {
        let mut guard = seen(&[5.0, 5.1, 4.9, 5.0]);
        let then = guard.state();
        for _ in 0..200 {
            guard.record(&reading(0.1, 0.01), Verdict::Apply);
        }
        guard.record(&reading(9.0, 1e3), Verdict::Rewind);
        guard.rewound(&then).unwrap();
        let mut fresh = seen(&[]);
        fresh.restore(&then).unwrap();
        assert_eq!((guard.loss.clone(), guard.norm.clone()), (fresh.loss, fresh.norm));
        assert_ne!(guard.allowance, fresh.allowance, "what was used up stays used up");
        assert_eq!(guard.judge(&reading(5.0, 1.0)), Verdict::Apply);
    }

    #[test]
    fn a_non_finite_loss_is_not_this_guards_business() {
        let guard = seen(&[1.0, 1.1, 0.9]);
        assert_eq!(judge(&guard, f64::INFINITY), Verdict::Apply);
        assert_eq!(judge(&guard, f64::NAN), Verdict::Apply);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let said = |e: Result<LossSpike, Error>| e.unwrap_err().to_string();
        assert_eq!(
            said(LossSpike::above(f64::NAN)),
            "`above` of LossSpike must be a positive finite number, got NaN"
        );
        assert_eq!(
            said(LossSpike::default().window(0)),
            "`window` of LossSpike must be at least 3, got 0"
        );
        assert_eq!(
            said(LossSpike::default().warmup(2)),
            "`warmup` of LossSpike must be at least 3, got 2"
        );
        assert_eq!(
            said(LossSpike::default().relative_floor(-1.0)),
            "`relative_floor` of LossSpike must be a finite number of at least 0, got -1"
        );
    }

    #[test]
    fn its_state_resumes_it() {
        let guard = seen(&[1.0, 1.1, 0.9]);
        let mut fresh = seen(&[]);
        fresh.restore(&guard.state()).unwrap();
        assert_eq!(fresh, guard);

        let streak = State::new().with_count("streak", 0);
        let too_many = streak.clone().with_list("accepted", vec![1.0; 200]);
        assert!(fresh.restore(&too_many).unwrap_err().is_record());
        let poisoned = streak.with_list("accepted", vec![f64::NAN]);
        assert!(fresh.restore(&poisoned).unwrap_err().is_record());
        assert_eq!(fresh, guard);
    }

    #[test]
    fn patience_lets_the_first_spikes_through_but_not_into_the_baseline() {
        let mut guard = seen(&[1.0, 1.1, 0.9]).patience(2);
        let threshold = guard.threshold();
        for _ in 0..2 {
            assert_eq!(judge(&guard, 50.0), Verdict::Apply);
            guard.record(&reading(50.0, 1e3), Verdict::Apply);
        }
        assert_eq!(judge(&guard, 50.0), Verdict::Skip);
        guard.record(&reading(50.0, 1e3), Verdict::Skip);
        assert_eq!(judge(&guard, 50.0), Verdict::Skip, "a rejection is not forgotten");
        assert_eq!(guard.threshold(), threshold);

        guard.record(&reading(1.0, 1.0), Verdict::Apply);
        assert_eq!(judge(&guard, 50.0), Verdict::Apply, "patience begins anew after a calm step");
    }

    #[test]
    fn a_weighted_baseline_follows_a_falling_loss() {
        let fresh = LossSpike::above(4.0).unwrap().ema(0.5).unwrap().warmup(3).unwrap();
        let fresh = fresh.start_floor(0.0).unwrap();
        let mut guard = fresh.clone();
        for t in 0..40 {
            let loss = 100.0 * f64::powi(0.8, t);
            assert_eq!(judge(&guard, loss), Verdict::Apply);
            guard.record(&reading(loss, 1.0), Verdict::Apply);
        }
        // 0.017 now; a loss that was usual at the start is a spike.
        assert_eq!(judge(&guard, 1.0), Verdict::Skip);
        let mut fresh = fresh;
        fresh.restore(&guard.state()).unwrap();
        assert_eq!(fresh, guard);
        assert!(LossSpike::default().restore(&guard.state()).unwrap_err().is_record());
        assert_eq!(
            LossSpike::default().ema(1.0).unwrap_err().to_string(),
            "`ema` of LossSpike must be above 0 and below 1, got 1"
        );
    }

    /// The threshold itself is no spike, and a weighted baseline is warm from the last loss of the warmup on.
    #[test]
    fn only_what_is_above_the_threshold_is_a_spike() {
        let fresh = LossSpike::above(4.0).unwrap().ema(0.5).unwrap().warmup(3).unwrap();
        let mut guard = fresh.start_floor(0.0).unwrap();
        for loss in [1.0, 2.0, 1.0] {
            assert_eq!(guard.threshold(), None);
            guard.record(&reading(loss, 1.0), Verdict::Apply);
        }
        let threshold = guard.threshold().unwrap();
        assert_eq!(guard.loss.judge(threshold), Verdict::Apply);
        assert_eq!(guard.loss.judge(threshold.next_up()), Verdict::Skip);
        for decay in [0.0, 1.0, f64::NAN] {
            assert!(LossSpike::default().ema(decay).is_err(), "{decay}");
        }
    }
}
