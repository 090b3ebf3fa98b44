//! Search for the highest stable rate by bracketing and bisection, in plain numbers.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::ControlFlow;

use super::bracket::{Bracket, Next};
use super::range::{StableRange, Tried};
use super::{LossCurve, Progress, Refusal, ShortRun};
use crate::Error;
use crate::error::check::Param;

/// Finds the highest stable rate by short runs: for each seed, the upper end of the range of stable rates.
///
/// A run of `n` updates is *stable* if
///
/// - every loss is finite, and there are `n` of them,
/// - no median of 5 consecutive losses is above 100 times the first loss: momentum overshoots before it settles,
/// - the network did not [die](LossCurve): an output bias alone can lower a loss,
/// - the median of the last tenth of the losses is below the first loss.
///
/// A run that fails only the last condition has learned nothing. Its rate is too low, unless a lower rate reduced
/// the loss by a tenth of its initial value: then it is too high. A rate *fails* if it is too high in this sense,
/// or if its run was lost or died.
///
/// # The search
/// Above the edge there are islands: rates at which a run blows up and happens to survive, or at which the
/// network dies and the loss still falls. The result is therefore *the highest stable rate below the lowest that
/// fails*, of all rates that were tried. For each seed, these are
///
/// ```text
/// start·4ᵏ                      up until one fails, or down, until one is stable and one above it fails
/// γ/√2, γ/2, … γ/8              below the highest stable rate γ; if one fails, the search goes on below it
/// γ·√2, 2γ, …                   up from there, until one fails
/// √(γ·γ′)                       between the last stable rate and the one that failed, until γ′/γ ≤ 1 + within
/// ```
///
/// Between stable rates that were tried, others may fail, but no range of them is wider than a factor of `√2` in
/// the three octaves below the result, or a factor of `4` below those.
///
/// # The seeds
/// Seeds differ in their batches and initial weights, because the edge for one draw of the weights says little
/// about another. [`fresh_run`](super::fresh_run) creates a model for each seed, so the interval covers initial
/// weights. [`short_run`](super::short_run) uses one model, which may be trained, and perturbs its weights by up
/// to 1 %: this is enough for runs above the edge to diverge from one another, but it does not show what other
/// initial weights would do.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Distribution, Tensor};
/// use evenkeel::finder::{StableRate, fresh_run};
/// use evenkeel::optim::Sgd;
///
/// # fn main() -> Result<(), evenkeel::Error> {
/// let device = Device::default().autodiff();
/// let fresh = |seed: u64| {
///     device.seed(seed);
///     LinearConfig::new(4, 1).init(&device)
/// };
/// let batch = |_: u64| Tensor::<2>::random([16, 4], Distribution::Default, &device);
/// let loss = |model: &Linear, x: Tensor<2>| {
///     (model.forward(x.clone()) - x.sum_dim(1)).powi_scalar(2).mean()
/// };
///
/// let found = StableRate::new(50)?.find(|run| fresh_run(fresh, Sgd::new(), run, batch, loss))?;
/// match found.refusal() {
///     None => println!("{found}"),
///     Some(why) => println!("nothing to search: {why}"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Cost
/// About 20 runs per seed: 6 below the edge, 3 and 5 around it, and one for each factor of 4 between the edge and
/// the starting rate.
///
/// A search can be limited in [updates](Self::budget) and in [seconds](Self::budget_seconds), watched and
/// [stopped](Self::watch), and [resumed](Self::resume) from what it had found by then.
pub struct StableRate<'a> {
    over: u64,
    seeds: u64,
    start: f64,
    within: f64,
    budget: u64,
    between: (f64, f64),
    clock: Option<(f64, Clock<'a>)>,
    watch: Option<RefCell<Watch<'a>>>,
}

type Clock<'a> = Box<dyn Fn() -> f64 + 'a>;
type Watch<'a> = Box<dyn FnMut(&Progress) -> ControlFlow<()> + 'a>;

impl fmt::Debug for StableRate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StableRate")
            .field("over", &self.over)
            .field("seeds", &self.seeds)
            .field("start", &self.start)
            .field("within", &self.within)
            .field("budget", &self.budget)
            .field("between", &self.between)
            .finish_non_exhaustive()
    }
}

const NAME: &str = "StableRate";

impl<'a> StableRate<'a> {
    /// Creates a search by runs of `over` updates, with 3 seeds, from a rate of 10⁻³, to within 2 %.
    ///
    /// # Errors
    /// If `over` is below 10.
    pub fn new(over: u64) -> Result<Self, Error> {
        let over = Param(NAME, "over").at_least(10, over)?;
        let between = (1e-10, 1e6);
        Ok(Self {
            over,
            seeds: 3,
            start: 1e-3,
            within: 0.02,
            budget: u64::MAX,
            between,
            clock: None,
            watch: None,
        })
    }

    /// Sets the number of seeds.
    ///
    /// # Errors
    /// If it is 0.
    pub fn seeds(mut self, seeds: u64) -> Result<Self, Error> {
        self.seeds = Param(NAME, "seeds").at_least(1, seeds)?;
        Ok(self)
    }

    /// Sets the starting rate: the nearer to the edge, the fewer runs.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn start(mut self, rate: f64) -> Result<Self, Error> {
        self.start = Param(NAME, "start").positive(rate)?;
        Ok(self)
    }

    /// Sets how far apart, relatively, the two sides of the edge may be.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn within(mut self, part: f64) -> Result<Self, Error> {
        self.within = Param(NAME, "within").positive(part)?;
        Ok(self)
    }

    /// Limits the search to rates from `low` to `high`.
    ///
    /// # Errors
    /// If they are not positive and finite, or not in order.
    pub fn between(mut self, low: f64, high: f64) -> Result<Self, Error> {
        let low = Param(NAME, "low").positive(low)?;
        let fits = high.is_finite() && high > low;
        self.between = (low, Param(NAME, "high").must(fits, "a finite number above `low`", high)?);
        Ok(self)
    }

    /// Sets the maximum number of updates of all runs together: no run starts that would exceed it.
    #[must_use]
    pub fn budget(mut self, updates: u64) -> Self {
        self.budget = updates;
        self
    }

    /// Sets the maximum number of seconds per call, measured by this clock. The search ends within one update of
    /// the limit, if `run` checks whether to [go on](ShortRun::go_on), as [`short_run`](super::short_run) does.
    /// Without a clock, nothing depends on time.
    ///
    /// ```
    /// use evenkeel::finder::StableRate;
    ///
    /// let begun = std::time::Instant::now();
    /// let search = StableRate::new(200)?.budget_seconds(60.0, || begun.elapsed().as_secs_f64())?;
    /// # let _ = search;
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `seconds` is not positive and finite.
    pub fn budget_seconds(
        mut self,
        seconds: f64,
        clock: impl Fn() -> f64 + 'a,
    ) -> Result<Self, Error> {
        let seconds = Param(NAME, "budget_seconds").positive(seconds)?;
        self.clock = Some((seconds, Box::new(clock)));
        Ok(self)
    }

    /// Sets a function that receives the progress of the search, for a progress bar: before every update, if
    /// `run` checks whether to [go on](ShortRun::go_on), otherwise before every run.
    /// [`Break`](ControlFlow::Break) ends the search and returns what has been found so far, from which it can be
    /// [resumed](Self::resume).
    #[must_use]
    pub fn watch(mut self, watch: impl FnMut(&Progress) -> ControlFlow<()> + 'a) -> Self {
        self.watch = Some(RefCell::new(Box::new(watch)));
        self
    }

    /// Runs the search and returns what was found. `run` returns the losses, one before each update, and fewer if
    /// the run [was hopeless](ShortRun::is_hopeless): as a [`LossCurve`], or as a `Vec<f64>` if it cannot detect
    /// whether the network died.
    ///
    /// A first loss that is not finite, or a network that is dead from the start, ends the search;
    /// [`StableRange::refusal`] reports it.
    ///
    /// # Errors
    /// Any error that `run` returns.
    pub fn find<E, R: Into<LossCurve>>(
        &self,
        run: impl FnMut(&ShortRun<'_>) -> Result<R, E>,
    ) -> Result<StableRange, E> {
        self.resume(StableRange::default(), run)
    }

    /// Resumes an earlier search with the same settings: rates that it measured are not measured again.
    ///
    /// # Errors
    /// Any error that `run` returns.
    pub fn resume<E, R: Into<LossCurve>>(
        &self,
        known: StableRange,
        mut run: impl FnMut(&ShortRun<'_>) -> Result<R, E>,
    ) -> Result<StableRange, E> {
        let until = self.clock.as_ref().map(|(seconds, clock)| clock() + seconds);
        let (start, (low, high), within) = (self.start, self.between, self.within);
        let bracket = Bracket { start, low, high, within };
        let mut found = StableRange { edges: Vec::new(), complete: true, refusal: None, ..known };
        for seed in 0..self.seeds {
            loop {
                let known = found.points.iter().filter(|point| point.seed == seed);
                let rate = match bracket.next(&known.copied().collect::<Vec<_>>()) {
                    Next::Measure(rate) => rate,
                    Next::Found(edge) => {
                        found.edges.push(edge);
                        break;
                    }
                };
                if !self.measure(&mut found, rate, seed, until, &mut run)? {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// Measures a rate; returns `false` if the search must end.
    fn measure<E, R: Into<LossCurve>>(
        &self,
        found: &mut StableRange,
        rate: f64,
        seed: u64,
        until: Option<f64>,
        run: &mut impl FnMut(&ShortRun<'_>) -> Result<R, E>,
    ) -> Result<bool, E> {
        // Stays `false` unless the run finishes.
        found.complete = false;
        if found.updates.saturating_add(self.over) > self.budget {
            return Ok(false);
        }
        let (runs, before) = (found.points.len(), found.updates);
        let (seeds, over) = (self.seeds, self.over);
        let stopped = Cell::new(false);
        let go_on = |made: u64| {
            let updates = before.saturating_add(made);
            let now = Progress { rate, seed, seeds, runs, made, over, updates };
            let stop = stopped.get() || !self.may_go_on(&now, until);
            stopped.set(stop);
            !stop
        };
        if !go_on(0) {
            return Ok(false);
        }
        let first = seed.wrapping_mul(over);
        let asked = ShortRun { rate, over, seed, first, go_on: &go_on };
        let curve: LossCurve = run(&asked)?.into();
        found.updates += over.min(curve.losses.len() as u64);
        if stopped.get() {
            return Ok(false);
        }
        found.complete = true;
        // A problem before any update occurs at every rate.
        found.refusal = match (curve.losses.first(), curve.dead_from) {
            (Some(start), _) if !start.is_finite() => Some(Refusal::NotFinite),
            (_, Some(0)) => Some(Refusal::Dead { updates: 0 }),
            _ => None,
        };
        if found.refusal.is_some() {
            return Ok(false);
        }
        let outcome = asked.outcome(&curve);
        let start = curve.losses.first().copied().unwrap_or(f64::NAN);
        found.points.push(Tried::new(rate, seed, start, outcome));
        Ok(true)
    }

    fn may_go_on(&self, now: &Progress, until: Option<f64>) -> bool {
        let late = |(_, clock): &(f64, Clock<'a>)| until.is_some_and(|until| clock() >= until);
        if self.clock.as_ref().is_some_and(late) {
            return false;
        }
        // A check made from within the watch function is not reported to it.
        match self.watch.as_ref().and_then(|watch| watch.try_borrow_mut().ok()) {
            Some(mut watch) => watch(now).is_continue(),
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_just_fits_into_the_budget_is_made() {
        let runs = |budget: u64| {
            let search = StableRate::new(10).unwrap().budget(budget);
            let found = search.find(|run| Ok::<_, Error>(vec![1.0; run.over as usize])).unwrap();
            (found.points().len(), found.updates())
        };
        assert_eq!([9, 10, 19, 20].map(runs), [(0, 0), (1, 10), (1, 10), (2, 20)]);
    }
}
