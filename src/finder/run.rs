//! One run at a constant rate: its parameters and its outcome.

use std::fmt;

use super::{LossCurve, median};

/// The parameters of one run.
///
/// ```
/// use evenkeel::finder::StableRate;
///
/// let found = StableRate::new(100)?.seeds(1)?.find(|run| {
///     let (mut w, mut losses) = (1.0_f64, Vec::new());
///     for made in 0..run.over {
///         losses.push(w * w);
///         if run.is_hopeless(&losses) || !run.go_on(made) {
///             break;
///         }
///         w -= run.rate * 2.0 * w;
///     }
///     Ok::<_, evenkeel::Error>(losses)
/// })?;
/// assert!((found.rate().unwrap() - 1.0).abs() < 0.03);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ShortRun<'a> {
    /// The rate, which is constant.
    pub rate: f64,
    /// The number of updates.
    pub over: u64,
    /// The seed: use it to draw other initial weights and another order of the data.
    pub seed: u64,
    /// The index of its first batch. Seeds use different batches.
    pub first: u64,
    pub(super) go_on: &'a dyn Fn(u64) -> bool,
}

/// The progress of a search, as passed to [`StableRate::watch`](super::StableRate::watch) before each update.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use evenkeel::finder::StableRate;
///
/// let search = StableRate::new(10)?.watch(|now| {
///     println!("seed {}, rate {}: {} updates in all", now.seed, now.rate, now.updates);
///     if now.runs < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
/// });
/// let found = search.find(|run| Ok::<_, evenkeel::Error>(vec![1.0; run.over as usize]))?;
/// assert_eq!((found.points().len(), found.is_complete()), (3, false));
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The rate being measured.
    pub rate: f64,
    /// The seed of the current run.
    pub seed: u64,
    /// The number of seeds.
    pub seeds: u64,
    /// The number of completed runs.
    pub runs: usize,
    /// The number of updates that the current run has made.
    pub made: u64,
    /// The maximum number of updates of the current run.
    pub over: u64,
    /// The number of updates that all runs have made.
    pub updates: u64,
}

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Outcome {
    /// Stable, with the loss at the end.
    Stable(f64),
    /// Finite, and not below its start: the rate is a little too high, or far too low.
    Stuck,
    /// The network was dead from this update to the end.
    Dead(u64),
    /// Not finite, or hopeless.
    Lost,
}

impl fmt::Debug for ShortRun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShortRun")
            .field("rate", &self.rate)
            .field("over", &self.over)
            .field("seed", &self.seed)
            .field("first", &self.first)
            .finish()
    }
}

/// How many losses enter the median that decides whether a run is hopeless.
const WINDOW: usize = 5;
/// A loss from which a run does not recover, in units of the first loss.
const HOPELESS: f64 = 100.0;

impl ShortRun<'_> {
    /// Returns whether the run can no longer become stable, so that it can be ended.
    #[must_use]
    pub fn is_hopeless(&self, losses: &[f64]) -> bool {
        let Some(first) = losses.first() else { return false };
        let last = &losses[losses.len().saturating_sub(WINDOW)..];
        losses.iter().any(|loss| !loss.is_finite()) || is_high(last, *first)
    }

    /// Returns whether the run may continue after `made` updates. Checking this lets a run be stopped partway, by
    /// the limit in seconds or by the [watch function](super::StableRate::watch). The run should then return what
    /// it has; it does not count as a result.
    #[must_use]
    pub fn go_on(&self, made: u64) -> bool {
        (self.go_on)(made)
    }

    pub(super) fn outcome(&self, curve: &LossCurve) -> Outcome {
        let losses = curve.losses.as_slice();
        let Some(&first) = losses.first() else { return Outcome::Lost };
        let whole = losses.len() as u64 == self.over && losses.iter().all(|loss| loss.is_finite());
        if !whole || losses.windows(WINDOW).any(|window| is_high(window, first)) {
            return Outcome::Lost;
        }
        if let Some(from) = curve.dead_from {
            return Outcome::Dead(from);
        }
        match median(&losses[losses.len() - losses.len().div_ceil(10)..]) {
            end if end < first => Outcome::Stable(end),
            _ => Outcome::Stuck,
        }
    }
}

fn is_high(window: &[f64], first: f64) -> bool {
    window.len() == WINDOW && median(window) > HOPELESS * first.abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(over: u64) -> ShortRun<'static> {
        ShortRun { rate: 0.1, over, seed: 0, first: 0, go_on: &|_| true }
    }

    fn outcome(losses: &[f64]) -> Outcome {
        run(10).outcome(&LossCurve::new(losses.to_vec()))
    }

    #[test]
    fn a_run_is_hopeless_if_a_loss_is_not_finite_or_five_are_high() {
        let hopeless = |losses: &[f64]| run(10).is_hopeless(losses);
        assert!(hopeless(&[1.0, f64::NAN]));
        let high = |by: f64| hopeless(&[1.0, by, by, by, by, by]);
        assert!(high(101.0) && !high(100.0));
        assert!(!hopeless(&[]) && !hopeless(&[1.0, 1e9, 1e9]));
    }

    #[test]
    fn a_run_is_stable_only_if_all_of_its_losses_are_there_and_finite() {
        let mut losses = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];
        assert_eq!(outcome(&losses), Outcome::Stable(0.1));
        assert_eq!(outcome(&losses[..9]), Outcome::Lost);
        losses[4] = f64::NAN;
        assert_eq!(outcome(&losses), Outcome::Lost);
    }

    #[test]
    fn five_losses_in_a_row_may_reach_a_hundred_times_the_first() {
        let with = |high: f64| outcome(&[2.0, high, high, high, high, high, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!((with(200.0), with(201.0)), (Outcome::Stable(1.0), Outcome::Lost));
        assert!(!is_high(&[300.0; 4], 2.0) && is_high(&[300.0; 5], -2.0));
    }
}
