//! Detection of a loss that has diverged and stays high.

use super::Guard;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::stat::Ema;
use crate::{Error, Reading, Verdict};

/// Rejects a step when the smoothed loss has stayed far above its best, or above where it started.
///
/// Let `s` be the exponentially weighted mean of the accepted losses, `b` its lowest value so far, and `s₀` its value
/// after `warmup` losses. A loss that would move `s` to `s'` is divergent if
///
/// ```text
/// s' > b + (k − 1)·max(|b|, floor, of_start·|s₀|)      or, on request,      s' > s₀
/// ```
///
/// For positive losses above the floors, the first condition is `s' > k·b`. The floor relative to the start is for
/// losses that go to 0, or are 0 for a while, as a hinge loss is: a loss that is small by the run's own scale has not
/// diverged. The guard rejects when more than `patience` losses in a row were divergent.
///
/// Verdict: [`Rewind`](Verdict::Rewind), because by then the weights are no longer good; use
/// [`answering`](Guard::answering) for another verdict. A single high loss is a spike, and a case for
/// [`LossSpike`](super::LossSpike); this guard catches what spike detection misses: a loss that climbs too slowly for
/// any single step to stand out.
///
/// After a rewind the guard is as it was at the snapshot; after a halt, `s` starts again from the best. A skipped step
/// leaves no trace.
///
/// Defaults: `k` 4, smoothing 0.9, patience 10, warmup 10, floor 0, floor of the start 0.2, no comparison with the
/// start.
///
/// Source: the divergence stop of the learning-rate range test (smoothed loss above 4 × best; Smith 2015, fastai), here
/// required to last. It is also defined for negative losses.
///
/// ```
/// use evenkeel::{Reading, Verdict};
/// use evenkeel::guard::{Divergence, Guard};
///
/// let mut guard = Divergence::above(2.0)?.patience(3).smoothing(0.0)?;
/// let mut step = |loss| {
///     let now = Reading::new(0).with_loss(loss);
///     let verdict = guard.judge(&now);
///     guard.record(&now, verdict);
///     verdict
/// };
/// (0..10).for_each(|_| assert_eq!(step(1.0), Verdict::Apply));
/// assert_eq!([2.5, 2.5, 2.5, 2.5].map(step)[2..], [Verdict::Apply, Verdict::Rewind]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Divergence {
    factor: f64,
    patience: u64,
    warmup: u64,
    floor: f64,
    of_start: f64,
    above_start: bool,
    smoothed: Ema<f64>,
    seen: u64,
    best: f64,
    start: f64,
    streak: u64,
}

const NAME: &str = "Divergence";

impl Default for Divergence {
    fn default() -> Self {
        Self {
            factor: 4.0,
            patience: 10,
            warmup: 10,
            floor: 0.0,
            of_start: 0.2,
            above_start: false,
            smoothed: Ema::new(0.9),
            seen: 0,
            best: f64::INFINITY,
            start: f64::INFINITY,
            streak: 0,
        }
    }
}

impl Divergence {
    /// Creates a guard for which a loss above `k` times the best is divergent.
    ///
    /// # Errors
    /// If `k` is not above 1 and finite.
    pub fn above(k: f64) -> Result<Self, Error> {
        match k > 1.0 && k.is_finite() {
            true => Ok(Self { factor: k, ..Self::default() }),
            false => Err(Error::parameter(NAME, "above", "above 1 and finite", k)),
        }
    }

    /// Sets how many divergent losses in a row are let through.
    #[must_use]
    pub fn patience(mut self, losses: u64) -> Self {
        self.patience = losses;
        self
    }

    /// Sets the smoothing: the loss accepted `i` updates ago has weight `decayⁱ` in the mean; 0 disables smoothing.
    ///
    /// # Errors
    /// If `decay` is negative, or not below 1.
    pub fn smoothing(mut self, decay: f64) -> Result<Self, Error> {
        if !(0.0..1.0).contains(&decay) {
            return Err(Error::parameter(NAME, "smoothing", "at least 0 and below 1", decay));
        }
        self.smoothed = Ema::new(decay);
        Ok(self)
    }

    /// Sets how many losses are accepted before any is judged. The start is the smoothed loss after them.
    ///
    /// # Errors
    /// If `warmup` is 0.
    pub fn warmup(mut self, warmup: u64) -> Result<Self, Error> {
        self.warmup = Param(NAME, "warmup").at_least(1, warmup)?;
        Ok(self)
    }

    /// Treats the best as at least this large, so that a loss near 0 may fluctuate.
    ///
    /// # Errors
    /// If `floor` is negative or not finite.
    pub fn floor(mut self, floor: f64) -> Result<Self, Error> {
        self.floor = Param(NAME, "floor").non_negative(floor)?;
        Ok(self)
    }

    /// Treats the best as at least this fraction of the loss at the start.
    ///
    /// # Errors
    /// If `fraction` is negative or not finite.
    pub fn start_floor(mut self, fraction: f64) -> Result<Self, Error> {
        self.of_start = Param(NAME, "start_floor").non_negative(fraction)?;
        Ok(self)
    }

    /// Makes a loss above where it started divergent too.
    #[must_use]
    pub fn or_above_start(mut self) -> Self {
        self.above_start = true;
        self
    }

    fn is_divergent(&self, loss: f64) -> bool {
        if self.seen < self.warmup || !loss.is_finite() {
            return false;
        }
        let Some(smoothed) = self.smoothed.with(loss).mean() else { return false };
        let least = self.floor.max(self.of_start * self.start.abs());
        let limit = self.best + (self.factor - 1.0) * self.best.abs().max(least);
        smoothed > limit || (self.above_start && smoothed > self.start)
    }

    /// Restarts the mean from the best, so that the next few losses are compared with it.
    fn begin_anew(&mut self) {
        let (_, [_, _, _]) = self.smoothed.parts();
        self.smoothed = self.smoothed.refilled(0, &[0.0; 3]).unwrap_or(self.smoothed);
        if self.best.is_finite() {
            self.smoothed.push(self.best);
        }
        self.streak = 0;
    }
}

impl Guard for Divergence {
    fn judge(&self, now: &Reading) -> Verdict {
        match self.is_divergent(now.loss) && self.streak >= self.patience {
            true => Verdict::Rewind,
            false => Verdict::Apply,
        }
    }

    fn record(&mut self, now: &Reading, ruling: Verdict) {
        match ruling {
            Verdict::Apply => {}
            Verdict::Skip => return,
            Verdict::Rewind | Verdict::Halt => return self.begin_anew(),
        }
        self.streak = if self.is_divergent(now.loss) { self.streak + 1 } else { 0 };
        self.smoothed.push(now.loss);
        self.seen += 1;
        if let Some(mean) = self.smoothed.mean() {
            if self.seen == self.warmup {
                self.start = mean;
            }
            if self.seen >= self.warmup {
                self.best = self.best.min(mean);
            }
        }
    }

    fn name(&self) -> &str {
        NAME
    }

    fn state(&self) -> State {
        let (count, parts) = self.smoothed.parts();
        State::new()
            .with_count("seen", self.seen)
            .with_count("streak", self.streak)
            .with_number("best", self.best)
            .with_number("start", self.start)
            .with_count("count", count)
            .with_list("ema", parts.to_vec())
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&["seen", "streak", "best", "start", "count", "ema"])?;
        let restored = Self {
            seen: state.counter("seen")?,
            streak: state.counter("streak")?,
            best: state.number("best")?,
            start: state.number("start")?,
            smoothed: self.smoothed.refilled(state.counter("count")?, state.list("ema")?)?,
            ..self.clone()
        };
        if restored.best.is_nan() || restored.start.is_nan() {
            return Err(Error::record("the best loss is NaN"));
        }
        *self = restored;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(guard: &mut Divergence, loss: f64) -> Verdict {
        let now = Reading::new(0).with_loss(loss);
        let verdict = guard.judge(&now);
        guard.record(&now, verdict);
        verdict
    }

    /// Too slow for any spike detector: two percent per step.
    #[test]
    fn a_slow_climb_is_seen() {
        let mut guard = Divergence::default();
        let mut loss = 1.0;
        (0..50).for_each(|_| assert_eq!(step(&mut guard, loss), Verdict::Apply));
        let caught = (0..200).find(|_| {
            loss *= 1.02;
            step(&mut guard, loss) == Verdict::Rewind
        });
        // The smoothed loss lags about nine steps behind a climb to 4 (70 steps), and the guard waits for ten more.
        assert!((80..100).contains(&caught.unwrap()), "{caught:?}");
    }

    #[test]
    fn a_single_high_loss_and_a_falling_one_are_fine() {
        let mut guard = Divergence::default();
        for t in 0..500 {
            let loss = if t % 50 == 49 { 100.0 } else { 1.0 / (1.0 + f64::from(t)) };
            let verdict = step(&mut guard.clone(), loss);
            assert_eq!(verdict, Verdict::Apply, "update {t}");
            if t % 50 != 49 {
                step(&mut guard, loss);
            }
        }
    }

    #[test]
    fn above_the_start_is_divergence_on_request() {
        let fed = |mut guard: Divergence| {
            (0..10).for_each(|_| {
                step(&mut guard, 10.0);
            });
            (0..100).map(|_| step(&mut guard, 12.0)).find(|v| *v != Verdict::Apply)
        };
        assert_eq!(fed(Divergence::default()), None);
        assert_eq!(fed(Divergence::default().or_above_start()), Some(Verdict::Rewind));
    }

    #[test]
    fn negative_losses_diverge_upwards() {
        let mut guard = Divergence::above(2.0).unwrap().smoothing(0.0).unwrap().patience(0);
        (0..10).for_each(|_| assert_eq!(step(&mut guard, -5.0), Verdict::Apply));
        // −5 + 5 = 0 is the limit.
        assert_eq!(step(&mut guard.clone(), -0.1), Verdict::Apply);
        assert_eq!(step(&mut guard, 0.1), Verdict::Rewind);
    }

    /// Otherwise the mean would still be high after the rewind, and would cause another one at once.
    #[test]
    fn after_a_rewind_it_begins_anew() {
        let mut guard = Divergence::default().patience(2);
        (0..20).for_each(|_| {
            step(&mut guard, 1.0);
        });
        let rewound = (0..50).find(|_| step(&mut guard, 9.0) == Verdict::Rewind);
        assert!(rewound.is_some());
        (0..20).for_each(|_| assert_eq!(step(&mut guard, 1.0), Verdict::Apply));
    }

    #[test]
    fn a_skipped_loss_leaves_no_trace() {
        let mut guard = Divergence::default();
        (0..20).for_each(|_| {
            step(&mut guard, 1.0);
        });
        let twin = guard.clone();
        guard.record(&Reading::new(0).with_loss(f64::NAN), Verdict::Skip);
        guard.record(&Reading::new(0).with_loss(1e9), Verdict::Skip);
        assert_eq!(guard, twin);
    }

    #[test]
    fn its_state_resumes_it_and_wrong_arguments_are_named() {
        let mut guard = Divergence::default();
        (0..20).for_each(|t| {
            step(&mut guard, f64::from(t));
        });
        let mut fresh = Divergence::default();
        fresh.restore(&guard.state()).unwrap();
        assert_eq!(fresh, guard);
        let said = |e: Result<Divergence, Error>| e.unwrap_err().to_string();
        assert_eq!(
            said(Divergence::above(1.0)),
            "`above` of Divergence must be above 1 and finite, got 1"
        );
        assert_eq!(
            said(Divergence::default().smoothing(1.0)),
            "`smoothing` of Divergence must be at least 0 and below 1, got 1"
        );
        assert_eq!(
            said(Divergence::default().warmup(0)),
            "`warmup` of Divergence must be at least 1, got 0"
        );
        assert!(said(Divergence::default().floor(f64::NAN)).starts_with("`floor`"));
    }

    /// The start counts a fifth, from the last loss of the warmup on; exactly at the limit is not above it.
    #[test]
    fn the_start_and_the_limit_are_where_the_formula_puts_them() {
        let warmed = || {
            let mut guard = Divergence::default().smoothing(0.0).unwrap().patience(0);
            (0..10).for_each(|_| assert_eq!(step(&mut guard, 10.0), Verdict::Apply));
            guard
        };
        let mut guard = warmed();
        assert_eq!(step(&mut guard, 0.0), Verdict::Apply);
        // 0 + 3·max(0, 0.2·10).
        assert_eq!(step(&mut guard.clone(), 6.0), Verdict::Apply);
        assert_eq!(step(&mut guard, 6.001), Verdict::Rewind);
        let mut strict = warmed().or_above_start();
        assert_eq!(step(&mut strict, 10.0), Verdict::Apply);
        assert_eq!(step(&mut strict, 10.001), Verdict::Rewind);
    }

    #[test]
    fn a_loss_that_is_not_finite_is_for_another_guard() {
        let mut guard = Divergence::default().patience(0);
        (0..20).for_each(|_| assert_eq!(step(&mut guard, 1.0), Verdict::Apply));
        assert_eq!(guard.judge(&Reading::new(0).with_loss(f64::INFINITY)), Verdict::Apply);
    }

    /// After a rewind the mean is the best: the next loss alone does not decide.
    #[test]
    fn after_a_rewind_the_mean_starts_from_the_best() {
        let mut guard = Divergence::default().patience(0);
        (0..20).for_each(|_| assert_eq!(step(&mut guard, 1.0), Verdict::Apply));
        assert!((0..50).any(|_| step(&mut guard, 9.0) == Verdict::Rewind));
        // (0.9·1 + 5)/1.9 is below 4, and 5 is not.
        assert_eq!(step(&mut guard, 5.0), Verdict::Apply);
    }

    #[test]
    fn a_state_with_nan_in_either_place_is_refused() {
        let good = Divergence::default().state();
        for name in ["best", "start"] {
            let damaged = good.clone().with_number(name, f64::NAN);
            assert!(Divergence::default().restore(&damaged).is_err(), "{name}");
        }
    }
}
