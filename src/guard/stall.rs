//! Detection of a loss that no longer falls.

use super::Guard;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::stat::Ema;
use crate::{Error, Reading, Verdict};

/// Halts when the smoothed loss has not improved for a number of updates.
///
/// With `s` the exponentially weighted mean of the accepted losses and `b` its lowest value so far, an update improves
/// if
///
/// ```text
/// s < b − relative·|b| − absolute
/// ```
///
/// Verdict: [`Halt`](Verdict::Halt) once `over` updates in a row have been accepted without an improvement. The first
/// `1/(1 − decay)` losses only fill the mean. Use [`answering`](Guard::answering) for a rewind with another rate
/// instead.
///
/// The relative threshold is a fraction of `|b|`, so that it works for negative losses too. A skipped step does not
/// count; after a rewind the count starts at 0, with the mean and the best of the snapshot.
///
/// Defaults: smoothing 0.98, relative 0.001, absolute 0.
///
/// To end training normally by a metric on held-out data, use [`EarlyStopping`](crate::metric::EarlyStopping).
///
/// Source: `EarlyStopping` of Lightning and Keras, but counted in updates and on a smoothed training loss. It ignores
/// NaN, which [`NonFinite`](super::NonFinite) handles.
///
/// ```
/// use evenkeel::{Reading, Verdict};
/// use evenkeel::guard::{Guard, Stall};
///
/// let mut guard = Stall::over(100)?.smoothing(0.9)?;
/// let mut step = |loss| {
///     let now = Reading::new(0).with_loss(loss);
///     let verdict = guard.judge(&now);
///     guard.record(&now, verdict);
///     verdict
/// };
/// let halted = (0..200).position(|_| step(1.0) == Verdict::Halt);
/// assert_eq!(halted, Some(110));
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Stall {
    over: u64,
    relative: f64,
    absolute: f64,
    decay: f64,
    smoothed: Ema<f64>,
    best: f64,
    since: u64,
}

const NAME: &str = "Stall";

impl Stall {
    /// Creates a guard that halts after `over` updates without an improvement.
    ///
    /// # Errors
    /// If `over` is 0.
    pub fn over(over: u64) -> Result<Self, Error> {
        Ok(Self {
            over: Param(NAME, "over").at_least(1, over)?,
            relative: 1e-3,
            absolute: 0.0,
            decay: 0.98,
            smoothed: Ema::new(0.98),
            best: f64::INFINITY,
            since: 0,
        })
    }

    /// Sets the smoothing: the loss accepted `i` updates ago has weight `decayⁱ` in the mean; 0 disables smoothing.
    ///
    /// # Errors
    /// If `decay` is negative, or not below 1.
    pub fn smoothing(mut self, decay: f64) -> Result<Self, Error> {
        if !(0.0..1.0).contains(&decay) {
            return Err(Error::parameter(NAME, "smoothing", "at least 0 and below 1", decay));
        }
        (self.decay, self.smoothed) = (decay, Ema::new(decay));
        Ok(self)
    }

    /// Sets what an improvement must exceed, as a fraction of the best.
    ///
    /// # Errors
    /// If `fraction` is negative or not finite.
    pub fn relative(mut self, fraction: f64) -> Result<Self, Error> {
        self.relative = Param(NAME, "relative").non_negative(fraction)?;
        Ok(self)
    }

    /// Sets what an improvement must exceed, in units of the loss.
    ///
    /// # Errors
    /// If `amount` is negative or not finite.
    pub fn absolute(mut self, amount: f64) -> Result<Self, Error> {
        self.absolute = Param(NAME, "absolute").non_negative(amount)?;
        Ok(self)
    }

    /// Returns whether the mean covers as many losses as it is meant to. The best of the first few would be a matter of
    /// luck.
    fn is_mature(&self) -> bool {
        self.smoothed.count() as f64 >= (1.0 / (1.0 - self.decay)).round()
    }

    fn improves(&self, smoothed: f64) -> bool {
        // Anything improves on an infinite best; ∞ − ∞ must not say otherwise.
        self.best.is_infinite()
            || smoothed < self.best - self.relative * self.best.abs() - self.absolute
    }
}

impl Guard for Stall {
    fn judge(&self, now: &Reading) -> Verdict {
        let improves = self.smoothed.with(now.loss).mean().is_some_and(|s| self.improves(s));
        match self.since >= self.over && !improves {
            true => Verdict::Halt,
            false => Verdict::Apply,
        }
    }

    fn record(&mut self, now: &Reading, ruling: Verdict) {
        match ruling {
            Verdict::Apply => {}
            Verdict::Skip => return,
            // A halt that the caller ignores, or a rewind outside a keel.
            Verdict::Rewind | Verdict::Halt => {
                self.since = 0;
                return;
            }
        }
        self.smoothed.push(now.loss);
        if !self.is_mature() {
            return;
        }
        self.since += 1;
        if let Some(mean) = self.smoothed.mean()
            && self.improves(mean)
        {
            self.best = mean;
            self.since = 0;
        }
    }

    fn name(&self) -> &str {
        NAME
    }

    /// Restores the mean and the best of the snapshot, and starts the count at 0: the updates counted there were
    /// followed by an abandoned future.
    fn rewound(&mut self, then: &State) -> Result<(), Error> {
        self.restore(then)?;
        self.since = 0;
        Ok(())
    }

    fn state(&self) -> State {
        let (count, parts) = self.smoothed.parts();
        State::new()
            .with_number("best", self.best)
            .with_count("since", self.since)
            .with_count("count", count)
            .with_list("ema", parts.to_vec())
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&["best", "since", "count", "ema"])?;
        let best = state.number("best")?;
        if best.is_nan() {
            return Err(Error::record("the best loss is NaN"));
        }
        let since = state.counter("since")?;
        self.smoothed = self.smoothed.refilled(state.counter("count")?, state.list("ema")?)?;
        (self.best, self.since) = (best, since);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(mut guard: Stall, loss: impl Fn(u64) -> f64) -> Option<u64> {
        (0..2000).find(|&t| {
            let now = Reading::new(t).with_loss(loss(t));
            let verdict = guard.judge(&now);
            guard.record(&now, verdict);
            verdict == Verdict::Halt
        })
    }

    fn raw(over: u64) -> Stall {
        Stall::over(over).unwrap().smoothing(0.0).unwrap()
    }

    #[test]
    fn a_falling_loss_never_stalls_and_a_level_one_does() {
        assert_eq!(run(raw(20), |t| 1.0 / (1.0 + t as f64)), None);
        assert_eq!(run(raw(20), |t| -(t as f64)), None);
        assert_eq!(run(raw(20), |_| 0.0), Some(21));
        assert_eq!(run(raw(20), |_| -3.0), Some(21));
    }

    #[test]
    fn improvements_below_the_threshold_do_not_count() {
        let creep = |t: u64| 10.0 - 1e-3 * t as f64;
        assert_eq!(run(raw(5), creep), Some(6));
        assert_eq!(run(raw(5).relative(0.0).unwrap(), creep), None);
        assert_eq!(run(raw(5).relative(0.0).unwrap().absolute(0.1).unwrap(), creep), Some(6));
    }

    #[test]
    fn noise_does_not_hide_progress_from_the_mean() {
        let noisy = |t: u64| 5.0 - 0.002 * t as f64 + f64::from((t * 7919 % 13) as u32) / 13.0;
        assert_eq!(run(Stall::over(100).unwrap(), noisy), None);
    }

    #[test]
    fn skips_leave_no_trace_and_a_rewind_begins_anew() {
        let mut guard = raw(3);
        let now = Reading::new(0).with_loss(1.0);
        (0..4).for_each(|_| guard.record(&now, Verdict::Apply));
        let twin = guard.clone();
        guard.record(&Reading::new(0).with_loss(f64::NAN), Verdict::Skip);
        assert_eq!(guard, twin);
        assert_eq!(guard.judge(&now), Verdict::Halt);
        guard.record(&now, Verdict::Rewind);
        assert_eq!(guard.judge(&now), Verdict::Apply);
        let mut fresh = raw(3);
        fresh.restore(&guard.state()).unwrap();
        assert_eq!(fresh, guard);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let said = |e: Result<Stall, Error>| e.unwrap_err().to_string();
        assert_eq!(said(Stall::over(0)), "`over` of Stall must be at least 1, got 0");
        assert!(said(raw(1).smoothing(f64::NAN)).starts_with("`smoothing` of Stall"));
        assert!(said(raw(1).relative(-1.0)).starts_with("`relative` of Stall"));
        assert!(said(raw(1).absolute(f64::INFINITY)).starts_with("`absolute` of Stall"));
    }
}
