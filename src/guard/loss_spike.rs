//! A loss far above what it has been.

use super::Guard;
use super::spike::Spike;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::{Error, Reading, Verdict};

/// Rejects a step whose loss is far above the recent ones.
///
/// With `m` the median and `d` the median absolute deviation of the last `window` accepted losses,
///
/// ```text
/// spike  ⇔  loss > m + k · max(σ, relative·|m|, absolute)       σ = 1.4826·d
/// ```
///
/// 1.4826 makes `d` estimate the standard deviation of a normal distribution, so `k` counts sigmas.
/// With [`ema`](Self::ema), `m` and `σ` are an exponentially weighted mean and standard deviation
/// instead, which follow faster and are less robust. The floors keep a very even stretch of losses
/// from making every wobble a spike.
///
/// Verdict: [`Skip`](Verdict::Skip) on a spike, once `patience` spikes in a row have been let through.
/// One-sided: a sudden *drop* of the loss is welcome. Until `warm_up` losses were accepted it lets
/// everything through; a non-finite loss is for [`NonFinite`](super::NonFinite), and is not a spike
/// here.
///
/// Only accepted losses enter the baseline, and no spike does. A spike therefore cannot raise the
/// threshold for the next one, nor can a NaN switch the guard off: both happen to spike detectors
/// that average over whatever they see. If the loss has moved to a higher level for good, the guard
/// keeps rejecting, and [`Keel`](crate::Keel)'s bound on rejections in a row ends that in a rewind or
/// a halt.
///
/// Defaults: `k` 6, window 128, warm-up 20, relative floor 0.05, absolute floor 0, patience 0.
///
/// Source: the skipping rule of OLMo-core (6 σ of the last 128, two-sided, outliers and NaN
/// included), with a robust centre and spread (Hampel's identifier, 1974), one-sided, and over
/// accepted losses only.
///
/// ```
/// use evenkeel::{Reading, Verdict};
/// use evenkeel::guard::{Guard, LossSpike};
///
/// let mut guard = LossSpike::default().warm_up(4)?;
/// for (update, loss) in [1.0, 1.1, 0.9, 1.0].into_iter().enumerate() {
///     guard.record(&Reading::new(update as u64).with_loss(loss), Verdict::Apply);
/// }
/// let judge = |loss| guard.judge(&Reading::new(4).with_loss(loss));
/// // m = 1, d = 0.05: the threshold is 1 + 6·0.07413.
/// assert_eq!(judge(1.44), Verdict::Apply);
/// assert_eq!(judge(1.45), Verdict::Skip);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LossSpike(Spike);

const NAME: &str = "LossSpike";

impl Default for LossSpike {
    fn default() -> Self {
        let mut spike = Spike::new(NAME);
        spike.relative = 0.05;
        Self(spike)
    }
}

impl LossSpike {
    /// A spike begins `k` sigmas above the centre.
    ///
    /// # Errors
    /// If `k` is not positive and finite.
    pub fn above(k: f64) -> Result<Self, Error> {
        Self::default().0.above(k).map(Self)
    }

    /// How many accepted losses are remembered, for median and spread. Forgets those seen so far.
    ///
    /// # Errors
    /// If `window` is below 3: fewer have no spread.
    pub fn window(self, window: usize) -> Result<Self, Error> {
        self.0.window(window).map(Self)
    }

    /// An exponentially weighted mean and deviation as the baseline: the loss accepted `i` updates
    /// ago has weight `decayⁱ`. Forgets those seen so far.
    ///
    /// # Errors
    /// If `decay` is not above 0 and below 1.
    pub fn ema(self, decay: f64) -> Result<Self, Error> {
        self.0.ema(decay).map(Self)
    }

    /// How many losses must have been accepted before any is judged; more than the window holds
    /// means when the window is full.
    ///
    /// # Errors
    /// If `warm_up` is below 3: fewer have no spread.
    pub fn warm_up(self, warm_up: u64) -> Result<Self, Error> {
        self.0.warm_up(warm_up).map(Self)
    }

    /// A sigma is at least this fraction of the centre.
    ///
    /// # Errors
    /// If `fraction` is negative or not finite.
    pub fn relative_floor(mut self, fraction: f64) -> Result<Self, Error> {
        self.0.relative = Param(NAME, "relative_floor").non_negative(fraction)?;
        Ok(self)
    }

    /// A sigma is at least this much, in units of the loss.
    ///
    /// # Errors
    /// If `floor` is negative or not finite.
    pub fn absolute_floor(mut self, floor: f64) -> Result<Self, Error> {
        self.0.absolute = Param(NAME, "absolute_floor").non_negative(floor)?;
        Ok(self)
    }

    /// How many spikes in a row are let through before one is rejected.
    pub fn patience(mut self, spikes: u64) -> Self {
        self.0.patience = spikes;
        self
    }

    /// The loss above which a step is a spike now; `None` during warm-up.
    pub fn threshold(&self) -> Option<f64> {
        self.0.threshold()
    }
}

impl Guard for LossSpike {
    fn judge(&self, now: &Reading) -> Verdict {
        self.0.judge(now.loss)
    }

    fn record(&mut self, now: &Reading, ruling: Verdict) {
        self.0.record(now.loss, ruling);
    }

    fn name(&self) -> &str {
        NAME
    }

    fn state(&self) -> State {
        self.0.state()
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        self.0.restore(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(losses: &[f64]) -> LossSpike {
        let mut guard = LossSpike::default().warm_up(3).unwrap();
        for (t, &loss) in losses.iter().enumerate() {
            guard.record(&Reading::new(t as u64).with_loss(loss), Verdict::Apply);
        }
        guard
    }

    fn judge(guard: &LossSpike, loss: f64) -> Verdict {
        guard.judge(&Reading::new(99).with_loss(loss))
    }

    #[test]
    fn nothing_is_judged_during_warm_up() {
        assert_eq!(judge(&seen(&[1.0, 1.0]), 1e30), Verdict::Apply);
        assert_eq!(judge(&seen(&[1.0, 1.0, 1.0]), 1e30), Verdict::Skip);
    }

    #[test]
    fn a_short_window_ends_the_warm_up_when_it_is_full() {
        let mut guard = LossSpike::default().window(4).unwrap();
        for t in 0..4 {
            guard.record(&Reading::new(t).with_loss(1.0), Verdict::Apply);
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

    /// The flaw of averaging detectors: after one spike the next passes, and a NaN blinds them.
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
            said(LossSpike::default().warm_up(2)),
            "`warm_up` of LossSpike must be at least 3, got 2"
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
            guard.record(&Reading::new(9).with_loss(50.0), Verdict::Apply);
        }
        assert_eq!(judge(&guard, 50.0), Verdict::Skip);
        guard.record(&Reading::new(9).with_loss(50.0), Verdict::Skip);
        assert_eq!(judge(&guard, 50.0), Verdict::Skip, "a rejection is not forgotten");
        assert_eq!(guard.threshold(), threshold);

        guard.record(&Reading::new(9).with_loss(1.0), Verdict::Apply);
        assert_eq!(judge(&guard, 50.0), Verdict::Apply, "patience begins anew after a calm step");
    }

    #[test]
    fn a_weighted_baseline_follows_a_falling_loss() {
        let mut guard = LossSpike::above(4.0).unwrap().ema(0.5).unwrap().warm_up(3).unwrap();
        for t in 0..40 {
            let loss = 100.0 * f64::powi(0.8, t);
            assert_eq!(judge(&guard, loss), Verdict::Apply);
            guard.record(&Reading::new(t as u64).with_loss(loss), Verdict::Apply);
        }
        // 0.017 now; what was usual at the start is a spike.
        assert_eq!(judge(&guard, 1.0), Verdict::Skip);
        let mut fresh = LossSpike::above(4.0).unwrap().ema(0.5).unwrap().warm_up(3).unwrap();
        fresh.restore(&guard.state()).unwrap();
        assert_eq!(fresh, guard);
        assert!(LossSpike::default().restore(&guard.state()).unwrap_err().is_record());
        assert_eq!(
            LossSpike::default().ema(1.0).unwrap_err().to_string(),
            "`ema` of LossSpike must be above 0 and below 1, got 1"
        );
    }
}
