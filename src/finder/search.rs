//! Bracketing and bisection, in plain numbers.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::ControlFlow;

use super::range::{Edge, StableRange, Tried};
use super::run::Outcome;
use super::{Progress, ShortRun};
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
/// The third leaves out rates that are so low that nothing is learnt in `n` updates: where the first rate is
/// such a one, stable ones are looked for above it, and then below. Between a stable rate and an unstable one above it there may be
/// more than one edge: the one that is found is a place where stable becomes unstable.
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
    /// [was hopeless](ShortRun::is_hopeless).
    ///
    /// # Errors
    /// What `run` returns.
    pub fn find<E>(
        &self,
        run: impl FnMut(&ShortRun<'_>) -> Result<Vec<f64>, E>,
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
        mut run: impl FnMut(&ShortRun<'_>) -> Result<Vec<f64>, E>,
    ) -> Result<StableRange, E> {
        let until = self.clock.as_ref().map(|(seconds, clock)| clock() + seconds);
        let mut found = StableRange { edges: Vec::new(), complete: true, ..known };
        for seed in 0..self.seeds {
            let mut measure = |rate: f64| self.measure(&mut found, rate, seed, until, &mut run);
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

    /// What becomes of a run; `None` if the search is to end.
    fn measure<E>(
        &self,
        found: &mut StableRange,
        rate: f64,
        seed: u64,
        until: Option<f64>,
        run: &mut impl FnMut(&ShortRun<'_>) -> Result<Vec<f64>, E>,
    ) -> Result<Option<Outcome>, E> {
        let is_it = |point: &&Tried| point.seed == seed && point.rate == rate;
        if let Some(point) = found.points.iter().find(is_it) {
            return Ok(Some(point.outcome()));
        }
        if found.updates.saturating_add(self.over) > self.budget {
            return Ok(None);
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
            return Ok(None);
        }
        let first = seed.wrapping_mul(over);
        let asked = ShortRun { rate, over, seed, first, go_on: &go_on };
        let losses = run(&asked)?;
        found.updates += losses.len() as u64;
        if stopped.get() {
            return Ok(None);
        }
        let outcome = asked.outcome(&losses);
        let start = losses.first().copied().unwrap_or(f64::NAN);
        found.points.push(Tried::new(rate, seed, start, outcome));
        Ok(Some(outcome))
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

    /// The edge for one seed; `None` if the search is to end.
    fn bracket<E>(
        &self,
        measure: &mut impl FnMut(f64) -> Result<Option<Outcome>, E>,
    ) -> Result<Option<Edge>, E> {
        let (low, high) = self.between;
        let begin = self.start.clamp(low, high);
        let (mut stable, mut unstable) = (None, None);

        // Up by factors of 4 until it was stable and then was not; or at once down, if all is lost.
        let mut rate = begin;
        loop {
            let Some(outcome) = measure(rate)? else { return Ok(None) };
            match outcome {
                Outcome::Stable(_) => stable = Some(rate),
                Outcome::Stuck if stable.is_none() => {}
                _ => {
                    unstable = Some(rate);
                    break;
                }
            }
            let next = (rate * 4.0).min(high);
            if next == rate {
                break;
            }
            rate = next;
        }
        if stable.is_none() {
            // Where it began it was not stable.
            (rate, unstable) = (begin, Some(begin));
        }
        while stable.is_none() {
            let next = (rate / 4.0).max(low);
            if next == rate {
                break;
            }
            rate = next;
            match measure(rate)? {
                None => return Ok(None),
                Some(Outcome::Stable(_)) => stable = Some(rate),
                Some(_) => unstable = Some(rate),
            }
        }
        while let (Some(below), Some(above)) = (stable, unstable)
            && above / below > 1.0 + self.within
        {
            let middle = (below * above).sqrt();
            match measure(middle)? {
                None => return Ok(None),
                Some(Outcome::Stable(_)) => stable = Some(middle),
                Some(_) => unstable = Some(middle),
            }
        }
        Ok(Some(Edge { stable, unstable }))
    }
}
