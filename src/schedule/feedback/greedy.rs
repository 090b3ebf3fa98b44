//! A factor that rises while a metric gets better, and falls when it doesn't.

use std::collections::VecDeque;

use super::metric::{Better, Threshold, same_settings};
use crate::Error;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::shared::Shared;

/// A factor that rises while a metric gets better, and falls when it doesn't.
///
/// It starts at 1. After more than `patience` consecutive [recorded](Self::record) metrics that each beat the best one
/// before, it is divided by `factor`; after as many that didn't, it is multiplied by `factor`. After a rise, the next
/// `warmup` metrics are not counted; after a fall, the next `cooldown` metrics are not counted. When it has been asked
/// to fall `reset_after` times at its floor, it is reset.
///
/// Multiply it with a schedule, at any place in one. Clones share their memory: keep one to record the metrics.
///
/// Defaults: factor 0.95, patience 10, absolute threshold 10⁻⁶, no warmup, no cooldown, no smoothing, between 0.01 and
/// 10, reset after 500.
///
/// Edges: a metric that is not finite is an error, and changes nothing. The first metric counts as better.
///
/// Source: GreedyLR (arXiv 2512.14527). Agrees with transformers' `GreedyLR`, except that its bounds are rates, 10⁻³
/// and 1, and that it leaves out changes of the rate below 10⁻⁸.
///
/// ```
/// use evenkeel::schedule::{Constant, Greedy, Schedule};
///
/// let greedy = Greedy::minimizing().factor(0.5)?.patience(1);
/// let schedule = Constant::new(0.1)?.times(greedy.clone());
/// for (loss, factor) in [(1.0, 1.0), (0.9, 2.0), (0.9, 2.0), (0.9, 1.0)] {
///     assert_eq!(greedy.record(loss)?, factor);
/// }
/// assert_eq!(schedule.at(4), 0.1);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[doc(alias = "GreedyLR")]
pub struct Greedy {
    pub(in crate::schedule) better: Better,
    pub(in crate::schedule) factor: f64,
    pub(in crate::schedule) patience: u64,
    pub(in crate::schedule) warmup: u64,
    pub(in crate::schedule) cooldown: u64,
    pub(in crate::schedule) floor: f64,
    pub(in crate::schedule) ceiling: f64,
    pub(in crate::schedule) average: u64,
    pub(in crate::schedule) reset_after: u64,
    memory: Shared<Memory>,
}

#[derive(Debug, Clone, PartialEq)]
struct Memory {
    factor: f64,
    best: Option<f64>,
    good: u64,
    bad: u64,
    /// How many of the next metrics are not counted.
    waiting: u64,
    /// How often it was asked to fall at the floor.
    floored: u64,
    /// The last metrics, for smoothing.
    last: VecDeque<f64>,
}

impl Memory {
    fn fresh() -> Self {
        let (good, bad, waiting, floored) = (0, 0, 0, 0);
        Self { factor: 1.0, best: None, good, bad, waiting, floored, last: VecDeque::new() }
    }
}

const NAME: &str = "Greedy";

impl Greedy {
    /// Creates a factor for a metric that is better when it is lower, such as a loss.
    #[must_use]
    pub fn minimizing() -> Self {
        Self::of(false)
    }

    /// Creates a factor for a metric that is better when it is higher, such as an accuracy.
    #[must_use]
    pub fn maximizing() -> Self {
        Self::of(true)
    }

    pub(in crate::schedule) fn of(higher: bool) -> Self {
        Self {
            better: Better { higher, threshold: Threshold::Absolute(1e-6) },
            factor: 0.95,
            patience: 10,
            warmup: 0,
            cooldown: 0,
            floor: 0.01,
            ceiling: 10.0,
            average: 1,
            reset_after: 500,
            memory: Shared::new(Memory::fresh()),
        }
    }

    /// Sets what the factor is multiplied by when it falls, and divided by when it rises.
    ///
    /// # Errors
    /// If it is not above 0 and at most 1.
    pub fn factor(mut self, factor: f64) -> Result<Self, Error> {
        self.factor = Param(NAME, "factor").fraction(factor)?;
        Ok(self)
    }

    /// Sets how many consecutive better metrics, or worse ones, have no effect yet.
    #[must_use]
    pub fn patience(mut self, metrics: u64) -> Self {
        self.patience = metrics;
        self
    }

    /// Sets how many metrics after a rise are not counted.
    #[must_use]
    pub fn warmup(mut self, metrics: u64) -> Self {
        self.warmup = metrics;
        self
    }

    /// Sets how many metrics after a fall are not counted.
    #[must_use]
    pub fn cooldown(mut self, metrics: u64) -> Self {
        self.cooldown = metrics;
        self
    }

    /// Sets a relative threshold: the best metric must be beaten by this fraction of its size.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn relative(mut self, fraction: f64) -> Result<Self, Error> {
        self.better.threshold = Threshold::relative(NAME, fraction)?;
        Ok(self)
    }

    /// Sets an absolute threshold: the best metric must be beaten by this much.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn absolute(mut self, amount: f64) -> Result<Self, Error> {
        self.better.threshold = Threshold::absolute(NAME, amount)?;
        Ok(self)
    }

    /// Sets the range of the factor.
    ///
    /// # Errors
    /// If `low` is not above 0 and at most 1, or `high` is below 1 or not finite: the factor starts at 1.
    pub fn between(mut self, low: f64, high: f64) -> Result<Self, Error> {
        self.floor = Param(NAME, "low").fraction(low)?;
        let fits = high.is_finite() && high >= 1.0;
        self.ceiling = Param(NAME, "high").must(fits, "a finite number of at least 1", high)?;
        Ok(self)
    }

    /// Replaces each metric by the mean of the last `metrics` metrics.
    ///
    /// # Errors
    /// If it is 0.
    pub fn average(mut self, metrics: u64) -> Result<Self, Error> {
        self.average = Param(NAME, "average").at_least(1, metrics)?;
        Ok(self)
    }

    /// Resets the factor when it has been asked to fall `falls` times at its floor.
    ///
    /// # Errors
    /// If it is 0.
    pub fn reset_after(mut self, falls: u64) -> Result<Self, Error> {
        self.reset_after = Param(NAME, "reset_after").at_least(1, falls)?;
        Ok(self)
    }

    /// Records a metric, and returns the factor from now on.
    ///
    /// # Errors
    /// If the metric is not finite; nothing is changed then.
    pub fn record(&self, metric: f64) -> Result<f64, Error> {
        let metric = Param(NAME, "metric").finite(metric)?;
        Ok(self.memory.with(|memory| {
            memory.last.push_back(metric);
            if memory.last.len() as u64 > self.average {
                memory.last.pop_front();
            }
            let n = memory.last.len() as f64;
            let mean = memory.last.iter().map(|x| x / n).sum();
            self.judge(memory, mean);
            memory.factor
        }))
    }

    fn judge(&self, memory: &mut Memory, metric: f64) {
        if memory.waiting > 0 {
            memory.waiting -= 1;
            return;
        }
        if self.better.is(metric, memory.best) {
            memory.best = Some(metric);
            memory.good += 1;
            memory.bad = 0;
        } else {
            memory.bad += 1;
            memory.good = 0;
        }
        if memory.good > self.patience {
            memory.factor = (memory.factor / self.factor).min(self.ceiling);
            (memory.good, memory.waiting, memory.floored) = (0, self.warmup, 0);
        } else if memory.bad > self.patience {
            memory.factor = (memory.factor * self.factor).max(self.floor);
            (memory.bad, memory.waiting) = (0, self.cooldown);
            if memory.factor <= self.floor {
                memory.floored += 1;
            }
            if memory.floored >= self.reset_after {
                *memory = Memory { waiting: self.cooldown, ..Memory::fresh() };
            }
        }
    }

    fn settings(&self) -> Vec<f64> {
        let mut all = self.better.settings().to_vec();
        let counts = [self.patience, self.warmup, self.cooldown, self.average, self.reset_after];
        all.extend([self.factor, self.floor, self.ceiling]);
        all.extend(counts.map(|count| count as f64));
        all
    }
}

impl Schedule for Greedy {
    fn at(&self, _update: u64) -> f64 {
        self.memory.with(|memory| memory.factor)
    }

    fn state(&self) -> State {
        let memory = self.memory.with(|memory| memory.clone());
        State::new()
            .with_list("settings", self.settings())
            .with_number("factor", memory.factor)
            .with_list("best", memory.best.into_iter().collect())
            .with_count("good", memory.good)
            .with_count("bad", memory.bad)
            .with_count("waiting", memory.waiting)
            .with_count("floored", memory.floored)
            .with_list("last", memory.last.into())
    }

    fn restore(&self, state: &State) -> Result<(), Error> {
        let names = ["settings", "factor", "best", "good", "bad", "waiting", "floored", "last"];
        state.only(&names)?;
        same_settings("greedy factor", state.list("settings")?, &self.settings())?;
        let memory = Memory {
            factor: state.number("factor")?,
            best: state.list("best")?.first().copied(),
            good: state.count("good")?,
            bad: state.count("bad")?,
            waiting: state.count("waiting")?,
            floored: state.count("floored")?,
            last: state.list("last")?.to_vec().into(),
        };
        let finite = memory.last.iter().chain(&memory.best).all(|x| x.is_finite());
        let fits = (self.floor..=self.ceiling).contains(&memory.factor);
        if !(fits && finite && memory.last.len() as u64 <= self.average) {
            return Err(Error::record("a greedy factor's numbers are out of range"));
        }
        self.memory.with(|own| *own = memory);
        Ok(())
    }
}
