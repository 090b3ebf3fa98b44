//! Bracketing and bisection, in plain numbers.

use super::range::{Edge, StableRange, Tried};
use crate::Error;
use crate::error::check::Param;

/// The highest stable rate: doubled or halved from where it is told to begin until the edge lies between
/// two rates, and then bisected in the logarithm, for each seed.
///
/// A run of `n` updates is *stable* if
///
/// - every loss is finite, and there are `n` of them,
/// - no median of 5 losses in a row is above 100 times the first loss: momentum overshoots before it settles,
/// - the median of the last tenth is below the first loss.
///
/// The third leaves out rates that are so low that nothing is learnt in `n` updates; the edge is looked for
/// above the lowest rate that is stable. Between a stable rate and an unstable one above it there may be
/// more than one edge: the one that is found is a place where stable becomes unstable.
#[derive(Debug, Clone, PartialEq)]
pub struct StableRate {
    over: u64,
    seeds: u64,
    start: f64,
    within: f64,
    budget: u64,
    between: (f64, f64),
}

/// What a run is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ShortRun {
    /// The rate, constant.
    pub rate: f64,
    /// How many updates.
    pub over: u64,
    /// Which of the seeds: to make another model, or another order of the data.
    pub seed: u64,
    /// The number of its first batch. Seeds have different batches.
    pub first: u64,
}

const NAME: &str = "StableRate";

/// How many losses have to agree that it is going wrong.
const WINDOW: usize = 5;
/// The loss that is not come back from, in units of the first.
const HOPELESS: f64 = 100.0;

impl ShortRun {
    /// Whether nothing that comes after can make it stable: it may be ended.
    pub fn is_hopeless(&self, losses: &[f64]) -> bool {
        let Some(first) = losses.first() else { return false };
        let last = &losses[losses.len().saturating_sub(WINDOW)..];
        losses.iter().any(|loss| !loss.is_finite())
            || (last.len() == WINDOW && median(last) > HOPELESS * first.abs())
    }

    /// The median of the last tenth, if the run is stable.
    fn end(&self, losses: &[f64]) -> Option<f64> {
        let first = *losses.first()?;
        let whole = losses.len() as u64 == self.over && losses.iter().all(|loss| loss.is_finite());
        let high = |window: &[f64]| median(window) > HOPELESS * first.abs();
        let end = median(&losses[losses.len() - losses.len().div_ceil(10)..]);
        (whole && !losses.windows(WINDOW).any(high) && end < first).then_some(end)
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

impl StableRate {
    /// Runs of so many updates, over 3 seeds, from a rate of 10⁻³, to 2 %.
    ///
    /// # Errors
    /// If `over` is below 10.
    pub fn new(over: u64) -> Result<Self, Error> {
        let over = Param(NAME, "over").at_least(10, over)?;
        let between = (1e-10, 1e6);
        Ok(Self { over, seeds: 3, start: 1e-3, within: 0.02, budget: u64::MAX, between })
    }

    /// Over how many seeds.
    ///
    /// # Errors
    /// If it is 0.
    pub fn seeds(mut self, seeds: u64) -> Result<Self, Error> {
        self.seeds = Param(NAME, "seeds").at_least(1, seeds)?;
        Ok(self)
    }

    /// The rate to begin with.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn start(mut self, rate: f64) -> Result<Self, Error> {
        self.start = Param(NAME, "start").positive(rate)?;
        Ok(self)
    }

    /// How far apart the two sides of the edge may be, relatively.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn within(mut self, part: f64) -> Result<Self, Error> {
        self.within = Param(NAME, "within").positive(part)?;
        Ok(self)
    }

    /// No rate below `low` or above `high` is tried.
    ///
    /// # Errors
    /// If they are not positive and finite, or not in order.
    pub fn between(mut self, low: f64, high: f64) -> Result<Self, Error> {
        let low = Param(NAME, "low").positive(low)?;
        let fits = high.is_finite() && high > low;
        self.between = (low, Param(NAME, "high").must(fits, "a finite number above `low`", high)?);
        Ok(self)
    }

    /// The most updates of all runs together: no run is begun that would exceed it.
    pub fn budget(mut self, updates: u64) -> Self {
        self.budget = updates;
        self
    }

    /// Runs, and says what was found. `run` gives the losses, one before each update, fewer if it
    /// [was hopeless](ShortRun::is_hopeless).
    ///
    /// # Errors
    /// What `run` returns.
    pub fn find<E>(
        &self,
        run: impl FnMut(&ShortRun) -> Result<Vec<f64>, E>,
    ) -> Result<StableRange, E> {
        self.resume(StableRange::default(), run)
    }

    /// The same, with what an earlier search of the same settings has measured: it is not measured again.
    ///
    /// # Errors
    /// What `run` returns.
    pub fn resume<E>(
        &self,
        known: StableRange,
        mut run: impl FnMut(&ShortRun) -> Result<Vec<f64>, E>,
    ) -> Result<StableRange, E> {
        let mut found = StableRange { edges: Vec::new(), complete: true, ..known };
        for seed in 0..self.seeds {
            let mut measure = |rate: f64| self.measure(&mut found, rate, seed, &mut run);
            let edge = self.bracket(&mut measure)?;
            match edge {
                Some(edge) => found.edges.push(edge),
                None => {
                    found.complete = false;
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Whether a rate is stable; `None` if the budget is used up.
    fn measure<E>(
        &self,
        found: &mut StableRange,
        rate: f64,
        seed: u64,
        run: &mut impl FnMut(&ShortRun) -> Result<Vec<f64>, E>,
    ) -> Result<Option<bool>, E> {
        let is_it = |point: &&Tried| point.seed == seed && point.rate == rate;
        if let Some(point) = found.points.iter().find(is_it) {
            return Ok(Some(point.end.is_some()));
        }
        if found.updates.saturating_add(self.over) > self.budget {
            return Ok(None);
        }
        let asked = ShortRun { rate, over: self.over, seed, first: seed.wrapping_mul(self.over) };
        let losses = run(&asked)?;
        found.updates += losses.len() as u64;
        let end = asked.end(&losses);
        let start = losses.first().copied().unwrap_or(f64::NAN);
        found.points.push(Tried { rate, seed, start, end });
        Ok(Some(end.is_some()))
    }

    /// The edge for one seed; `None` if the budget is used up.
    fn bracket<E>(
        &self,
        measure: &mut impl FnMut(f64) -> Result<Option<bool>, E>,
    ) -> Result<Option<Edge>, E> {
        let (low, high) = self.between;
        let mut rate = self.start.clamp(low, high);
        let mut stable = None;
        let mut unstable = None;
        // Up or down by factors of 4, until it has been both.
        loop {
            match measure(rate)? {
                None => return Ok(None),
                Some(true) => stable = Some(rate),
                Some(false) => unstable = Some(rate),
            }
            let next = match (stable, unstable) {
                (Some(_), Some(_)) => break,
                (Some(_), None) => (rate * 4.0).min(high),
                _ => (rate / 4.0).max(low),
            };
            if next == rate {
                return Ok(Some(Edge { stable, unstable }));
            }
            rate = next;
        }
        while let (Some(below), Some(above)) = (stable, unstable)
            && above / below > 1.0 + self.within
        {
            let middle = (below * above).sqrt();
            match measure(middle)? {
                None => return Ok(None),
                Some(true) => stable = Some(middle),
                Some(false) => unstable = Some(middle),
            }
        }
        Ok(Some(Edge { stable, unstable }))
    }
}
