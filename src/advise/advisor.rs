//! Asking for advice.

use std::fmt;
use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::Tensor;

use super::outcome::{Aim, Outcome, Point};
use super::trial::{self, End, Order, Trial};
use super::{Advice, Recipe, plan, search};
use crate::Error;
use crate::error::check::Param;
use crate::standardize::Moments;

/// Trains a fresh model in the way it is told.
type Runner<'a, B> = Box<dyn Fn(Order<'_, B>) -> Result<Trial, Error> + 'a>;
/// What is done to a batch first, made from the batches of a run.
type Preparing<'a, B> = Box<dyn Fn(u64, &dyn Fn(u64) -> B) -> Result<Prepare<'a, B>, Error> + 'a>;
type Prepare<'a, B> = Box<dyn Fn(B) -> B + 'a>;

/// How far a search is: what [`Advisor::watch`] is told before each update.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Stage<'a> {
    /// The recipe under measurement.
    pub recipe: &'a Recipe,
    /// At this rate.
    pub rate: f64,
    /// With this seed.
    pub seed: u64,
    /// How many recipes are done.
    pub done: usize,
    /// How many there are, as far as is known: combinations come when the rest is measured.
    pub of: usize,
    /// How many updates have been made so far.
    pub updates: u64,
}

/// Measures remedies: see [the module](super).
///
/// Nothing of the caller's is changed: every run has a model of its own from `build`, and asks for its
/// batches by position. What `build` and `loss` do to the device's random numbers is theirs.
///
/// Two searches with the same settings give the same advice, if `build(seed)`, `loss` and `batch(k)` give the
/// same for the same arguments: seed the device in `build`.
///
/// # Cost
/// Some 20 recipes, each at 4 to 10 rates with each seed: 100 to 200 runs a seed, of which the broken and the
/// hopeless end early. A forward and a backward pass, an update, and one readback for each update, and 4
/// forward passes for each run.
#[must_use = "`run` measures"]
pub struct Advisor<'a, B> {
    base: Runner<'a, B>,
    variants: Vec<(String, Runner<'a, B>)>,
    batch: Box<dyn Fn(u64) -> B + 'a>,
    prepare: Option<Preparing<'a, B>>,
    aim: Aim,
    over: u64,
    seeds: u64,
    rates: (f64, f64),
    budget: Option<u64>,
    clock: Option<Box<dyn Fn() -> f64 + 'a>>,
    watch: Option<Watch<'a>>,
}

type Watch<'a> = Box<dyn FnMut(&Stage<'_>) -> ControlFlow<()> + 'a>;

impl<B> fmt::Debug for Advisor<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Advisor").finish_non_exhaustive()
    }
}

const NAME: &str = "Advisor";

impl<'a, B> Advisor<'a, B> {
    /// About the model that `build` makes from a seed, its mean `loss` on a batch, and the batches by
    /// position, of which there is no end: take the remainder.
    pub fn new<M: Module + 'static>(
        build: impl Fn(u64) -> M + 'a,
        loss: impl Fn(&M, B) -> Tensor<1> + 'a,
        batch: impl Fn(u64) -> B + 'a,
    ) -> Self {
        Self {
            base: Box::new(move |order| trial::run(&build, &loss, order)),
            variants: Vec::new(),
            batch: Box::new(batch),
            prepare: None,
            aim: Aim::LowestLoss,
            over: 200,
            seeds: 2,
            rates: (1e-6, 1e2),
            budget: None,
            clock: None,
            watch: None,
        }
    }

    /// Another model for the same batches, whose loss means the same: with BatchNorm, say. A variant that
    /// standardizes targets has to give its loss in the targets' own units.
    pub fn variant<M: Module + 'static>(
        mut self,
        name: impl Into<String>,
        build: impl Fn(u64) -> M + 'a,
        loss: impl Fn(&M, B) -> Tensor<1> + 'a,
    ) -> Self {
        let run: Runner<'a, B> = Box::new(move |order| trial::run(&build, &loss, order));
        self.variants.push((name.into(), run));
        self
    }

    /// Measures standardized features too: `get` gives the features of a batch, columns along the last
    /// axis, and `set` puts others in their place.
    ///
    /// They are fitted on the batches of the first run.
    pub fn standardizing<const D: usize>(
        mut self,
        get: impl Fn(&B) -> Tensor<D> + Clone + 'a,
        set: impl Fn(B, Tensor<D>) -> B + Clone + 'a,
    ) -> Self {
        self.prepare = Some(Box::new(move |over, batch| {
            let mut moments = Moments::new();
            (0..over).try_for_each(|k| moments.push(get(&batch(k))))?;
            let (layer, get, set) = (moments.standardize()?, get.clone(), set.clone());
            let prepare = move |batch| {
                let z = layer.forward(get(&batch));
                set(batch, z)
            };
            Ok(Box::new(prepare) as Prepare<'a, B>)
        }));
        self
    }

    /// What is wanted: the lowest loss, unless said otherwise here.
    ///
    /// # Errors
    /// If a target is not finite.
    pub fn aim(mut self, aim: Aim) -> Result<Self, Error> {
        if let Aim::FastestTo(target) = aim {
            Param(NAME, "aim").finite(target)?;
        }
        self.aim = aim;
        Ok(self)
    }

    /// How many updates a run has: 200, unless said otherwise here.
    ///
    /// # Errors
    /// If fewer than 10.
    pub fn over(mut self, updates: u64) -> Result<Self, Error> {
        self.over = Param(NAME, "over").at_least(10, updates)?;
        Ok(self)
    }

    /// How many seeds each rate is tried with: 2, unless said otherwise here. One says nothing of chance.
    ///
    /// # Errors
    /// If 0.
    pub fn seeds(mut self, n: u64) -> Result<Self, Error> {
        self.seeds = Param(NAME, "seeds").at_least(1, n)?;
        Ok(self)
    }

    /// The rates between which to look, rounded to half decades: 10⁻⁶ to 100, unless said otherwise here.
    ///
    /// # Errors
    /// If they are not positive and finite, or the highest is below the lowest.
    pub fn rates(mut self, from: f64, to: f64) -> Result<Self, Error> {
        let from = Param(NAME, "rates").positive(from)?;
        let must = format_args!("finite, and at least {from}");
        let to = Param(NAME, "rates").must(to.is_finite() && to >= from, must, to)?;
        self.rates = (from, to);
        Ok(self)
    }

    /// The updates of all runs together. When they are used up, the advice is what is known by then, and
    /// [not complete](Advice::is_complete).
    pub fn budget(mut self, updates: u64) -> Self {
        self.budget = Some(updates);
        self
    }

    /// A clock, in seconds, to measure the cost of updates by. Without one nothing depends on time.
    ///
    /// ```
    /// # let advisor = evenkeel::advise::Advisor::new(
    /// #     |_| burn::nn::LinearConfig::new(1, 1).init(&burn::tensor::Device::default()),
    /// #     |_: &burn::nn::Linear, _: ()| unreachable!(),
    /// #     |_| (),
    /// # );
    /// let begun = std::time::Instant::now();
    /// let advisor = advisor.clock(move || begun.elapsed().as_secs_f64());
    /// ```
    pub fn clock(mut self, seconds: impl Fn() -> f64 + 'a) -> Self {
        self.clock = Some(Box::new(seconds));
        self
    }

    /// Told before every update how far the search is; [`Break`](ControlFlow::Break) ends it, and the
    /// advice is what is known by then.
    pub fn watch(mut self, watch: impl FnMut(&Stage<'_>) -> ControlFlow<()> + 'a) -> Self {
        self.watch = Some(Box::new(watch));
        self
    }

    /// Measures.
    ///
    /// # Errors
    /// If a model cannot be trained at all, features cannot be standardized, or a device fails.
    pub fn run(mut self) -> Result<Advice, Error> {
        let prepare = match &self.prepare {
            Some(prepare) => Some(prepare(self.over, &*self.batch)?),
            None => None,
        };
        let mut watch = self.watch.take();
        let ladder = search::ladder(self.rates.0, self.rates.1);
        let mut session = Session {
            advisor: &self,
            prepare,
            ladder: &ladder,
            outcomes: Vec::new(),
            updates: 0,
            stopped: false,
        };

        let names: Vec<String> = self.variants.iter().map(|(name, _)| name.clone()).collect();
        let singles = plan::singles(self.over, self.prepare.is_some(), &names);
        session.measure(singles, &mut watch)?;
        if !session.stopped {
            let more = plan::combinations(self.over, self.aim, &session.outcomes);
            session.measure(more, &mut watch)?;
        }
        let Session { outcomes, updates, stopped, .. } = session;
        Ok(Advice::new(self.aim, self.over, self.seeds, updates, !stopped, outcomes))
    }
}

/// A search under way.
struct Session<'s, 'a, B> {
    advisor: &'s Advisor<'a, B>,
    prepare: Option<Prepare<'a, B>>,
    ladder: &'s [f64],
    outcomes: Vec<Outcome>,
    updates: u64,
    stopped: bool,
}

impl<'a, B> Session<'_, 'a, B> {
    fn measure(
        &mut self,
        recipes: Vec<Recipe>,
        watch: &mut Option<Watch<'a>>,
    ) -> Result<(), Error> {
        let (done, of) = (self.outcomes.len(), self.outcomes.len() + recipes.len());
        for (at, recipe) in recipes.into_iter().enumerate() {
            if self.stopped {
                break;
            }
            let mut failed = None;
            // The rate that was best last is near the best of this one, more often than not.
            let start = self.start();
            let rungs = self.ladder;
            let (points, complete) = search::climb(rungs.len(), start, self.advisor.aim, |rung| {
                let counts = (done + at, of);
                self.point(&recipe, rungs[rung], counts, watch).unwrap_or_else(|error| {
                    failed = Some(error);
                    None
                })
            });
            if let Some(error) = failed {
                return Err(error);
            }
            self.stopped |= !complete;
            if !points.is_empty() {
                self.outcomes.push(Outcome::new(recipe, points));
            }
        }
        Ok(())
    }

    fn start(&self) -> usize {
        let best = self.outcomes.last().and_then(|o| o.best(self.advisor.aim)).map(|p| p.rate);
        let near = best.unwrap_or(1e-2);
        let below = |rate: &&f64| **rate < near * 0.99;
        self.ladder.iter().take_while(below).count().min(self.ladder.len().saturating_sub(1))
    }

    /// All seeds at one rate; `None` if it was told to stop.
    fn point(
        &mut self,
        recipe: &Recipe,
        rate: f64,
        (done, of): (usize, usize),
        watch: &mut Option<Watch<'a>>,
    ) -> Result<Option<Point>, Error> {
        let advisor = self.advisor;
        let named = |(name, _): &&(String, Runner<'a, B>)| *name == recipe.variant;
        let runner = advisor.variants.iter().find(named).map_or(&advisor.base, |(_, run)| run);
        let prepared = |k: u64| {
            let batch = (advisor.batch)(k);
            match self.prepare.as_ref().filter(|_| recipe.standardized) {
                Some(prepare) => prepare(batch),
                None => batch,
            }
        };
        let mut point = Point {
            rate,
            losses: Vec::new(),
            reached: Vec::new(),
            broke: 0,
            stable: true,
            seconds: None,
        };
        let now = || advisor.clock.as_ref().map(|clock| clock());
        let (mut seconds, mut made) = (0.0, 0u64);
        for seed in 0..advisor.seeds {
            let updates = &mut self.updates;
            let mut go_on = || {
                let stage = Stage { recipe, rate, seed, done, of, updates: *updates };
                let stop = advisor.budget.is_some_and(|budget| *updates >= budget)
                    || watch.as_mut().is_some_and(|watch| watch(&stage).is_break());
                *updates += u64::from(!stop);
                !stop
            };
            let over = advisor.over;
            let begun = now();
            let order = Order { recipe, rate, seed, over, batch: &prepared, go_on: &mut go_on };
            let trial = runner(order)?;
            if trial.end == End::Stopped {
                return Ok(None);
            }
            seconds += now().zip(begun).map_or(0.0, |(end, begun)| end - begun);
            made += trial.losses.len() as u64;
            let loss = trial.reached();
            point.stable &= loss.is_some_and(|loss| loss <= trial.start);
            point.losses.push(loss);
            point.broke += usize::from(trial.end == End::Broke);
            point.reached.push(match advisor.aim {
                Aim::FastestTo(target) => trial.updates_to(target, over).filter(|_| loss.is_some()),
                _ => None,
            });
        }
        point.seconds = advisor.clock.as_ref().map(|_| seconds / made.max(1) as f64);
        Ok(Some(point))
    }
}
