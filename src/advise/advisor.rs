//! Asking for advice.

use std::fmt;
use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::Tensor;

use super::advice::Wanted;
use super::outcome::Aim;
use super::session::Session;
use super::trial::{self, Order, Trial};
use super::{Advice, Recipe};
use crate::Error;
use crate::error::check::Param;
use crate::standardize::Moments;

/// Trains a fresh model in the way it is told.
pub(super) type Runner<'a, B> = Box<dyn Fn(Order<'_, B>) -> Result<Trial, Error> + 'a>;
/// What is done to a batch first, made from the batches of a run.
pub(super) type Preparing<'a, B> =
    Box<dyn Fn(u64, &dyn Fn(u64) -> B) -> Result<Prepare<'a, B>, Error> + 'a>;
pub(super) type Prepare<'a, B> = Box<dyn Fn(B) -> B + 'a>;

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
    /// How many parts of the search are done: a part is a recipe, and later a closer look at one.
    pub done: usize,
    /// How many there are, as far as is known: combinations come when the rest is measured, and the closer
    /// look after them.
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
/// Some 25 recipes, each at 4 to 10 rates with each seed: 120 to 250 runs a seed, of which the broken and the
/// hopeless end early; then 4 to 8 rates with each seed, and a run with each fresh one, for each of up to six
/// recipes. A forward and a backward pass, an update, and one readback for each update, and 4 forward passes
/// for each run. A governor takes one more gradient where it measures; it is not counted as an update, but
/// it is in the seconds.
#[must_use = "`run` measures"]
pub struct Advisor<'a, B> {
    pub(super) base: Runner<'a, B>,
    pub(super) variants: Vec<(String, Runner<'a, B>)>,
    pub(super) batch: Box<dyn Fn(u64) -> B + 'a>,
    pub(super) prepare: Option<Preparing<'a, B>>,
    pub(super) aim: Aim,
    target: Option<f64>,
    pub(super) over: u64,
    pub(super) seeds: u64,
    pub(super) first_seed: u64,
    /// How many recipes are confirmed, and with how many seeds.
    pub(super) confirm: (usize, u64),
    pub(super) rates: (f64, f64),
    pub(super) every_rate: bool,
    budget: Option<u64>,
    /// The time from which on nothing is begun, once it runs: at first, for how long.
    seconds: Option<f64>,
    pub(super) clock: Option<Clock<'a>>,
    watch: Option<Watch<'a>>,
}

type Clock<'a> = Box<dyn Fn() -> f64 + 'a>;
pub(super) type Watch<'a> = Box<dyn FnMut(&Stage<'_>) -> ControlFlow<()> + 'a>;

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
            target: None,
            over: 200,
            seeds: 2,
            first_seed: 0,
            confirm: (5, 10),
            rates: (1e-6, 1e2),
            every_rate: false,
            budget: None,
            seconds: None,
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

    /// The loss that updates are counted to, whatever the aim is. Unless said otherwise here, or by an aim of
    /// [`FastestTo`](Aim::FastestTo), it is what plain descent comes to at its best rate.
    ///
    /// # Errors
    /// If it is not finite.
    pub fn target(mut self, loss: f64) -> Result<Self, Error> {
        self.target = Some(Param(NAME, "target").finite(loss)?);
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

    /// The number of the first seed: 0, unless said otherwise here.
    pub fn seeds_from(mut self, first: u64) -> Self {
        self.first_seed = first;
        self
    }

    /// How many of the best recipes are looked at more closely, plain descent beside them: best rate and edge
    /// between the rungs, and then a run at the best rate with each of so many fresh seeds, which had no say
    /// in what is best. Where one of them is not stable, the next lower rate that is good, up to four times. The
    /// best 5 with 10 seeds, unless said otherwise here; of 0 recipes, none.
    ///
    /// Fewer than 10 seeds cannot tell the best of 5, and plain descent, apart with confidence. For the
    /// [highest rate](Aim::HighestRate) edges are made finer, and no fresh seed is run.
    pub fn confirm(mut self, recipes: usize, seeds: u64) -> Self {
        self.confirm = (recipes, seeds);
        self
    }

    /// Measures every recipe at every rate, two a decade, instead of going up and down from where it works: a
    /// grid to hold the advice against, at several times the cost.
    pub fn every_rate(mut self) -> Self {
        self.every_rate = true;
        self
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

    /// The seconds of all runs together, by the [clock](Self::clock), which has to be given too. When they are
    /// over, the advice is what is known by then, and [not complete](Advice::is_complete). What is known by
    /// then depends on the machine: a budget of updates does not.
    ///
    /// # Errors
    /// If they are negative or not finite.
    pub fn budget_seconds(mut self, seconds: f64) -> Result<Self, Error> {
        self.seconds = Some(Param(NAME, "budget_seconds").non_negative(seconds)?);
        Ok(self)
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
    /// If a model cannot be trained at all, features cannot be standardized, a device fails, or there is a
    /// budget of seconds and no clock.
    pub fn run(mut self) -> Result<Advice, Error> {
        if let Some(seconds) = self.seconds {
            let Some(clock) = &self.clock else {
                return Err(Error::parameter(
                    NAME,
                    "clock",
                    "given, for seconds to be counted",
                    "none",
                ));
            };
            self.seconds = Some(clock() + seconds);
        }
        let prepare = match &self.prepare {
            Some(prepare) => Some(prepare(self.over, &*self.batch)?),
            None => None,
        };
        let watch = self.watch.take();
        Session::new(&self, prepare, watch).run()
    }

    /// Whether a budget is used up.
    pub(super) fn is_spent(&self, updates: u64) -> bool {
        let late = || self.seconds.zip(self.clock.as_ref()).is_some_and(|(end, now)| now() >= end);
        self.budget.is_some_and(|budget| updates >= budget) || late()
    }

    /// The first seed that the search does not use.
    pub(super) fn fresh_seed(&self) -> u64 {
        self.first_seed.saturating_add(self.seeds)
    }

    pub(super) fn counted_to(&self) -> Option<f64> {
        match self.aim {
            Aim::FastestTo(target) => Some(target),
            _ => self.target,
        }
    }

    pub(super) fn wanted(&self) -> Wanted {
        Wanted { aim: self.aim, over: self.over, seeds: self.seeds, confirm: self.confirm }
    }
}
