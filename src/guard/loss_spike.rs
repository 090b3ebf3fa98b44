//! A loss far above what it has been.

use super::Guard;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::stat::Window;
use crate::{Error, Reading, Verdict};

/// Rejects a step whose loss is far above the recent ones.
///
/// With `m` the median and `d` the median absolute deviation of the last `window` accepted losses,
///
/// ```text
/// spike  ⇔  loss > m + k · max(1.4826·d, relative·|m|, absolute)
/// ```
///
/// 1.4826 makes `d` estimate the standard deviation of a normal distribution, so `k` counts sigmas.
/// The floors keep a very even stretch of losses from making every wobble a spike.
///
/// Verdict: [`Skip`](Verdict::Skip) on a spike. One-sided: a sudden *drop* of the loss is welcome.
/// Until `warm_up` losses were accepted it lets everything through; a non-finite loss is for
/// [`NonFinite`](super::NonFinite), and is not a spike here.
///
/// Only accepted losses enter the window. A spike therefore cannot raise the threshold for the
/// next one, nor can a NaN switch the guard off: both happen to spike detectors that average over
/// whatever they see. If the loss has moved to a higher level for good, the guard keeps rejecting,
/// and [`Keel`](crate::Keel)'s bound on rejections in a row ends that in a rewind or a halt.
///
/// Defaults: `k` 6, window 128, warm-up 20, relative floor 0.05, absolute floor 0.
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
pub struct LossSpike {
    sigmas: f64,
    warm_up: u64,
    relative: f64,
    absolute: f64,
    accepted: Window<f64>,
}

const NAME: &str = "LossSpike";

/// `1/Φ⁻¹(3/4)`: what turns the median absolute deviation of a normal variable into its σ.
const MAD_TO_SIGMA: f64 = 1.482_602_218_505_602;

impl Default for LossSpike {
    fn default() -> Self {
        Self { sigmas: 6.0, warm_up: 20, relative: 0.05, absolute: 0.0, accepted: Window::new(128) }
    }
}

impl LossSpike {
    /// A spike begins `k` robust sigmas above the median.
    ///
    /// # Errors
    /// If `k` is not positive and finite.
    pub fn above(k: f64) -> Result<Self, Error> {
        Ok(Self { sigmas: Param(NAME, "above").positive(k)?, ..Self::default() })
    }

    /// How many accepted losses are remembered. Forgets those seen so far.
    ///
    /// # Errors
    /// If `window` is below 3: fewer have no spread.
    pub fn window(mut self, window: usize) -> Result<Self, Error> {
        let window = Param(NAME, "window").at_least(3, window as u64)?;
        self.accepted = Window::new(window as usize);
        Ok(self)
    }

    /// How many losses must have been accepted before any is judged; more than the window holds
    /// means when the window is full.
    ///
    /// # Errors
    /// If `warm_up` is below 3: fewer have no spread.
    pub fn warm_up(mut self, warm_up: u64) -> Result<Self, Error> {
        self.warm_up = Param(NAME, "warm_up").at_least(3, warm_up)?;
        Ok(self)
    }

    /// A sigma is at least this fraction of the median.
    ///
    /// # Errors
    /// If `fraction` is negative or not finite.
    pub fn relative_floor(mut self, fraction: f64) -> Result<Self, Error> {
        self.relative = Param(NAME, "relative_floor").non_negative(fraction)?;
        Ok(self)
    }

    /// A sigma is at least this much, in units of the loss.
    ///
    /// # Errors
    /// If `floor` is negative or not finite.
    pub fn absolute_floor(mut self, floor: f64) -> Result<Self, Error> {
        self.absolute = Param(NAME, "absolute_floor").non_negative(floor)?;
        Ok(self)
    }

    /// The loss above which a step is a spike now; `None` during warm-up.
    pub fn threshold(&self) -> Option<f64> {
        let full = self.accepted.len() as u64 >= self.warm_up.min(self.accepted.capacity() as u64);
        let (median, mad) = full.then(|| self.accepted.median_and_mad())??;
        let sigma = (MAD_TO_SIGMA * mad).max(self.relative * median.abs()).max(self.absolute);
        Some(median + self.sigmas * sigma)
    }
}

impl Guard for LossSpike {
    fn judge(&self, now: &Reading) -> Verdict {
        match self.threshold() {
            Some(threshold) if now.loss > threshold && now.loss.is_finite() => Verdict::Skip,
            _ => Verdict::Apply,
        }
    }

    fn record(&mut self, now: &Reading, ruling: Verdict) {
        if ruling == Verdict::Apply {
            self.accepted.push(now.loss);
        }
    }

    fn name(&self) -> &str {
        NAME
    }

    fn state(&self) -> State {
        State::new().with_list("accepted", self.accepted.values().collect())
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&["accepted"])?;
        self.accepted = self.accepted.refilled(state.list("accepted")?)?;
        Ok(())
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

        let too_many = State::new().with_list("accepted", vec![1.0; 200]);
        assert!(fresh.restore(&too_many).unwrap_err().is_record());
        let poisoned = State::new().with_list("accepted", vec![f64::NAN]);
        assert!(fresh.restore(&poisoned).unwrap_err().is_record());
        assert_eq!(fresh, guard);
    }
}
