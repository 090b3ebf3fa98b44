//! One run at a rate: what is asked for, and what became of it.

use std::fmt;

use super::{LossCurve, median};

/// What a run is asked for.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ShortRun<'a> {
    /// The rate, constant.
    pub rate: f64,
    /// How many updates.
    pub over: u64,
    /// Which of the seeds: to make other first weights, and another order of the data.
    pub seed: u64,
    /// The number of its first batch. Seeds have different batches.
    pub first: u64,
    pub(super) go_on: &'a dyn Fn(u64) -> bool,
}

/// How far a search is: what [`StableRate::watch`](super::StableRate::watch) is told before each update.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The rate under measurement.
    pub rate: f64,
    /// With this seed.
    pub seed: u64,
    /// Of so many.
    pub seeds: u64,
    /// How many runs are done.
    pub runs: usize,
    /// How many updates this run has made.
    pub made: u64,
    /// Of at most so many.
    pub over: u64,
    /// How many updates all runs have made.
    pub updates: u64,
}

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Outcome {
    /// With the loss at the end.
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

/// How many losses have to agree that it is going wrong.
const WINDOW: usize = 5;
/// The loss that is not come back from, in units of the first.
const HOPELESS: f64 = 100.0;

impl ShortRun<'_> {
    /// Whether nothing that comes after can make it stable: it may be ended.
    pub fn is_hopeless(&self, losses: &[f64]) -> bool {
        let Some(first) = losses.first() else { return false };
        let last = &losses[losses.len().saturating_sub(WINDOW)..];
        losses.iter().any(|loss| !loss.is_finite()) || is_high(last, *first)
    }

    /// Whether it may go on after so many updates: a run that asks can be stopped in its middle, by the budget
    /// of seconds or by whoever [watches](super::StableRate::watch). What it has by then is to be returned,
    /// and is not taken for a result.
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
