//! Bracketing and bisection, in plain numbers.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::ControlFlow;

use super::bracket::{Bracket, Next};
use super::range::{StableRange, Tried};
use super::{LossCurve, Progress, Refusal, ShortRun};
use crate::Error;
use crate::error::check::Param;

/// Finds the highest stable rate: the top of the stable rates that begin below, by short runs, for each seed.
///
/// A run of `n` updates is *stable* if
///
/// - every loss is finite, and there are `n` of them,
/// - no median of 5 losses in a row is above 100 times the first loss: momentum overshoots before it settles,
/// - the network did not [die](LossCurve): an output bias alone can lower a loss,
/// - the median of the last tenth is below the first loss.
///
/// A run without the last of these only has learnt nothing. Its rate is too low, unless a lower rate has brought
/// its loss down by a tenth of its start: then it is too high. A rate that is too high, and one whose run was lost
/// or died, *fails*.
///
/// # The search
/// Above the edge there are islands: rates at which a run blows up and happens to survive, or its network dies and
/// the loss still falls. So the answer is *the highest stable rate below the lowest that fails*, of all that
/// were tried, and these are, for each seed
///
/// ```text
/// start·4ᵏ                      up until one fails, or down, until one is stable and one above it fails
/// γ/√2, γ/2, … γ/8              below the highest stable rate γ; if one fails it goes on below that
/// γ·√2, 2γ, …                   up from there, until one fails
/// √(γ·γ′)                       between the last stable rate and the one that failed, until γ′/γ ≤ 1 + within
/// ```
///
/// Between tried rates that are stable another may fail: none that is wider than a factor of `√2` in the three
/// octaves below the answer, and `4` below that.
///
/// # The seeds
/// Seeds differ in their batches and in their first weights, for an edge that holds for one draw of the weights
/// says little of another. [`fresh_run`](super::fresh_run) makes a model for each seed: the interval is that of
/// first weights then. [`short_run`](super::short_run) has one model, which may be trained, and moves its
/// weights by up to 1 %: that parts runs from one another above the edge, and cannot say what other first
/// weights would do.
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
/// About 20 runs a seed: 6 below the edge, 3 and 5 around it, and one for each factor of 4 between it and the
/// start.
///
/// A search can be bounded in [updates](Self::budget) and in [seconds](Self::seconds_at_most), watched and
/// [stopped](Self::watch), and [resumed](Self::resume) with what it has found by then.
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
    /// Runs of so many updates, over 3 seeds, from a rate of 10⁻³, to 2 %.
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

    /// Over how many seeds.
    ///
    /// # Errors
    /// If it is 0.
    pub fn seeds(mut self, seeds: u64) -> Result<Self, Error> {
        self.seeds = Param(NAME, "seeds").at_least(1, seeds)?;
        Ok(self)
    }

    /// The rate to begin with: the nearer to the edge, the fewer runs.
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

    /// The most seconds of one call, by this clock: the search ends within an update of it, if `run` asks
    /// whether to [go on](ShortRun::go_on), as [`short_run`](super::short_run) does. Without a clock nothing
    /// depends on time.
    ///
    /// ```
    /// use evenkeel::finder::StableRate;
    ///
    /// let begun = std::time::Instant::now();
    /// let search = StableRate::new(200)?.seconds_at_most(60.0, || begun.elapsed().as_secs_f64())?;
    /// # let _ = search;
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `seconds` is not positive and finite.
    pub fn seconds_at_most(
        mut self,
        seconds: f64,
        clock: impl Fn() -> f64 + 'a,
    ) -> Result<Self, Error> {
        let seconds = Param(NAME, "seconds_at_most").positive(seconds)?;
        self.clock = Some((seconds, Box::new(clock)));
        Ok(self)
    }

    /// Told before every update how far the search is, for a progress bar, if `run` asks whether to
    /// [go on](ShortRun::go_on); otherwise before every run. [`Break`](ControlFlow::Break) ends the search,
    /// and what is known by then is what was found: it can be [resumed](Self::resume).
    pub fn watch(mut self, watch: impl FnMut(&Progress) -> ControlFlow<()> + 'a) -> Self {
        self.watch = Some(RefCell::new(Box::new(watch)));
        self
    }

    /// Runs, and says what was found. `run` gives the losses, one before each update, fewer if it
    /// [was hopeless](ShortRun::is_hopeless): as a [`LossCurve`], or as a `Vec<f64>` if it cannot tell whether the
    /// network died.
    ///
    /// A first loss that is not finite, or a network that is dead from its start, ends the search:
    /// [`StableRange::refusal`] says so.
    ///
    /// # Errors
    /// What `run` returns.
    pub fn find<E, R: Into<LossCurve>>(
        &self,
        run: impl FnMut(&ShortRun<'_>) -> Result<R, E>,
    ) -> Result<StableRange, E> {
        self.resume(StableRange::default(), run)
    }

    /// The same, with what an earlier search of the same settings has measured: it is not measured again.
    ///
    /// # Errors
    /// What `run` returns.
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

    /// Measures a rate; `false` if the search is to end.
    fn measure<E, R: Into<LossCurve>>(
        &self,
        found: &mut StableRange,
        rate: f64,
        seed: u64,
        until: Option<f64>,
        run: &mut impl FnMut(&ShortRun<'_>) -> Result<R, E>,
    ) -> Result<bool, E> {
        // Unless it comes to an end of its own.
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
        // What is wrong before any update is so at every rate.
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
        // One that watches from within itself is not told.
        match self.watch.as_ref().and_then(|watch| watch.try_borrow_mut().ok()) {
            Some(mut watch) => watch(now).is_continue(),
            None => true,
        }
    }
}
