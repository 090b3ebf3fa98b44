//! A factor that falls when a metric stops getting better.

use super::metric::{Better, Threshold, same_settings};
use crate::Error;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::shared::Shared;

/// A factor that falls when a metric has stopped getting better.
///
/// It starts at 1. Each [recorded](Self::record) metric either beats the best one so far or is bad. After more than
/// `patience` bad metrics in a row, the factor is multiplied by `factor`, and none of the next `cooldown` metrics
/// counts as bad. With `best` the best metric so far,
///
/// ```text
/// better  ⇔  metric < best − relative·|best|     or   metric < best − absolute
/// ```
///
/// and with the signs reversed if higher is better.
///
/// Multiply it with a schedule, at any place in one. Clones share their memory: keep one to record the metrics.
///
/// Defaults: factor 0.1, patience 10, relative threshold 10⁻⁴, no cooldown, no floor, as in torch.
///
/// Edges: a metric that is not finite is an error, and changes nothing. The first metric is the best so far. With a
/// patience of 0, the first bad metric has an effect.
///
/// Source: agrees with torch `ReduceLROnPlateau`, except that in torch a NaN is a bad metric, and the relative
/// threshold is `best·(1 − relative)`, by which a negative metric "gets better" when it gets worse. optax and Keras act
/// one metric earlier.
///
/// ```
/// use evenkeel::schedule::{Constant, Plateau, Schedule};
///
/// let plateau = Plateau::minimizing().factor(0.5)?.patience(1);
/// let mut schedule = Constant::new(0.1)?.times(plateau.clone()).start();
///
/// for (loss, factor) in [(1.0, 1.0), (0.9, 1.0), (0.9, 1.0), (0.9, 0.5), (0.8, 0.5)] {
///     assert_eq!(plateau.record(loss)?, factor);
/// }
/// assert_eq!(schedule.step(), 0.05);
/// assert!(plateau.record(f64::NAN).is_err());
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[doc(alias = "ReduceLROnPlateau")]
#[doc(alias = "reduce_on_plateau")]
pub struct Plateau {
    pub(in crate::schedule) better: Better,
    pub(in crate::schedule) factor: f64,
    pub(in crate::schedule) patience: u64,
    pub(in crate::schedule) cooldown: u64,
    pub(in crate::schedule) floor: f64,
    pub(in crate::schedule) average: u64,
    memory: Shared<Memory>,
}

#[derive(Debug, Clone, PartialEq)]
struct Memory {
    factor: f64,
    best: Option<f64>,
    bad: u64,
    cooling: u64,
    /// The part of an average that has been recorded so far.
    sum: f64,
    summed: u64,
}

const NAME: &str = "Plateau";

impl Plateau {
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
        let fresh = Memory { factor: 1.0, best: None, bad: 0, cooling: 0, sum: 0.0, summed: 0 };
        Self {
            better: Better { higher, threshold: Threshold::Relative(1e-4) },
            factor: 0.1,
            patience: 10,
            cooldown: 0,
            floor: 0.0,
            average: 1,
            memory: Shared::new(fresh),
        }
    }

    /// Sets what the factor is multiplied by each time.
    ///
    /// # Errors
    /// If it is not above 0 and at most 1.
    pub fn factor(mut self, factor: f64) -> Result<Self, Error> {
        self.factor = Param(NAME, "factor").fraction(factor)?;
        Ok(self)
    }

    /// Sets how many bad metrics in a row are tolerated.
    #[must_use]
    pub fn patience(mut self, metrics: u64) -> Self {
        self.patience = metrics;
        self
    }

    /// Sets for how many metrics after a reduction none counts as bad.
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

    /// Sets the lowest value of the factor. To bound the rate itself, put [`max`](Schedule::max) or
    /// [`clamp`](Schedule::clamp) around the product.
    ///
    /// # Errors
    /// If it is not at least 0 and at most 1.
    pub fn floor(mut self, floor: f64) -> Result<Self, Error> {
        let fits = (0.0..=1.0).contains(&floor);
        self.floor = Param(NAME, "floor").must(fits, "at least 0 and at most 1", floor)?;
        Ok(self)
    }

    /// Averages every `metrics` recorded metrics into one: for a noisy metric, such as the loss of a batch.
    ///
    /// # Errors
    /// If it is 0.
    pub fn average(mut self, metrics: u64) -> Result<Self, Error> {
        self.average = Param(NAME, "average").at_least(1, metrics)?;
        Ok(self)
    }

    /// Records a metric, and returns the factor from now on.
    ///
    /// # Errors
    /// If the metric is not finite; nothing is changed then.
    pub fn record(&self, metric: f64) -> Result<f64, Error> {
        let metric = Param(NAME, "metric").finite(metric)?;
        Ok(self.memory.with(|memory| {
            memory.sum += metric / self.average as f64;
            memory.summed += 1;
            if memory.summed == self.average {
                let mean = std::mem::take(&mut memory.sum);
                memory.summed = 0;
                self.judge(memory, mean);
            }
            memory.factor
        }))
    }

    fn judge(&self, memory: &mut Memory, metric: f64) {
        if self.better.is(metric, memory.best) {
            memory.best = Some(metric);
            memory.bad = 0;
        } else {
            memory.bad += 1;
        }
        if memory.cooling > 0 {
            memory.cooling -= 1;
            memory.bad = 0;
        }
        if memory.bad > self.patience {
            memory.factor = (memory.factor * self.factor).max(self.floor);
            memory.cooling = self.cooldown;
            memory.bad = 0;
        }
    }

    fn settings(&self) -> Vec<f64> {
        let mut all = self.better.settings().to_vec();
        let counts = [self.patience, self.cooldown, self.average].map(|count| count as f64);
        all.extend([self.factor, self.floor]);
        all.extend(counts);
        all
    }
}

impl Schedule for Plateau {
    fn at(&self, _update: u64) -> f64 {
        self.memory.with(|memory| memory.factor)
    }

    fn state(&self) -> State {
        let memory = self.memory.with(|memory| memory.clone());
        State::new()
            .with_list("settings", self.settings())
            .with_number("factor", memory.factor)
            .with_list("best", memory.best.into_iter().collect())
            .with_count("bad", memory.bad)
            .with_count("cooling", memory.cooling)
            .with_number("sum", memory.sum)
            .with_count("summed", memory.summed)
    }

    fn restore(&self, state: &State) -> Result<(), Error> {
        state.only(&["settings", "factor", "best", "bad", "cooling", "sum", "summed"])?;
        same_settings("plateau", state.list("settings")?, &self.settings())?;
        let memory = Memory {
            factor: state.number("factor")?,
            best: state.list("best")?.first().copied(),
            bad: state.count("bad")?,
            cooling: state.count("cooling")?,
            sum: state.number("sum")?,
            summed: state.count("summed")?,
        };
        let finite = memory.sum.is_finite() && memory.best.is_none_or(f64::is_finite);
        if !((0.0..=1.0).contains(&memory.factor) && finite && memory.summed < self.average) {
            return Err(Error::record("a plateau's numbers are out of range"));
        }
        self.memory.with(|own| *own = memory);
        Ok(())
    }
}
