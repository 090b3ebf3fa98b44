//! Asking for advice.

use std::fmt;
use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::Tensor;

use super::advice::Wanted;
use super::outcome::Aim;
use super::plan::Choice;
use super::predictor::Predictor;
use super::run::Trial;
use super::session::Session;
use super::split::Split;
use super::trial::{self, Cost, Order};
use super::{Advice, Recipe};
use crate::Error;
use crate::error::check::Param;
use crate::standardize::{Quantiles, Standardize};

/// Trains a fresh model in the way it is told.
pub(super) type Runner<'a, B> = Box<dyn Fn(Order<'_, B>) -> Result<Trial, Error> + 'a>;
/// What is done to a batch first, made from the batches of a run.
pub(super) type Preparing<'a, B> =
    Box<dyn Fn(u64, &dyn Fn(u64) -> B) -> Result<Prepare<'a, B>, Error> + 'a>;
pub(super) type Prepare<'a, B> = Box<dyn Fn(B) -> B + 'a>;
/// What targets are standardized by, made from so many batches.
pub(super) type Fit<'a, B> = Box<dyn Fn(u64, &dyn Fn(u64) -> B) -> Result<Standardize, Error> + 'a>;

/// The most batches that a standardization is fitted on.
const FITTED: u64 = 64;

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
    /// The best so far: its recipe, its rate, and the loss that it comes to. Before anything is stable, `None`.
    pub so_far: Option<(&'a Recipe, f64, f64)>,
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
/// Some 35 recipes, each at 6 to 10 rates with one seed and at 3 to 6 with every one, of which the broken and
/// the hopeless end early. Then up to six of them, and what the best one is with each of its parts left out, at a
/// few rates more, and once with each fresh seed. A remedy more costs one search more. A forward and a backward
/// pass, an update, and one readback for each update; 4 forward passes for each run, and where batches are held
/// out, one for each of them and each twentieth of a run. A governor takes one more gradient where it measures;
/// it is not counted as an update, but it is in the seconds.
#[must_use = "`run` measures"]
pub struct Advisor<'a, B> {
    pub(super) base: Runner<'a, B>,
    /// The names of other models, how they are trained, and whether their targets can be standardized.
    pub(super) variants: Vec<(String, Runner<'a, B>, bool)>,
    pub(super) batch: Box<dyn Fn(u64) -> B + 'a>,
    pub(super) split: Option<Split<'a, B>>,
    features: Option<Preparing<'a, B>>,
    targets: Option<Fit<'a, B>>,
    tolerance: f64,
    pub(super) recipes: Option<Vec<Recipe>>,
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
    ///
    /// One of [`held_out`](Self::held_out), [`holding_out`](Self::holding_out) and
    /// [`by_training_loss`](Self::by_training_loss) has to follow.
    pub fn new<M: Module + 'static>(
        build: impl Fn(u64) -> M + 'a,
        loss: impl Fn(&M, B) -> Tensor<1> + 'a,
        batch: impl Fn(u64) -> B + 'a,
    ) -> Self {
        Self::of(by_loss(build, loss), Box::new(batch))
    }

    /// The same about a model whose predictions are known: standardized targets are measured too.
    pub fn predicting<M: Module + 'static, const D: usize>(
        model: Predictor<'a, M, B, D>,
        batch: impl Fn(u64) -> B + 'a,
    ) -> Self
    where
        B: 'a,
    {
        let (run, fit) = model.parted();
        Self { targets: Some(fit), ..Self::of(run, Box::new(batch)) }
    }

    fn of(base: Runner<'a, B>, batch: Box<dyn Fn(u64) -> B + 'a>) -> Self {
        Self {
            base,
            variants: Vec::new(),
            batch,
            split: None,
            features: None,
            targets: None,
            tolerance: 0.05,
            recipes: None,
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

    /// Ranks recipes, and chooses rates, by the loss on `n` batches that nothing is trained on: the median over
    /// these batches, so that a wild row in one of them doesn't decide. The training loss stands beside it.
    ///
    /// The model is [frozen](burn::module::Module::freeze) for it: nothing is dropped out, and BatchNorm takes
    /// its running statistics.
    ///
    /// # Errors
    /// If `n` is 0.
    pub fn held_out(mut self, n: u64, batch: impl Fn(u64) -> B + 'a) -> Result<Self, Error> {
        let n = Param(NAME, "held_out").at_least(1, n)?;
        self.split = Some(Split::Given(n, Box::new(batch)));
        Ok(self)
    }

    /// Holds out every fifth of the batches, of which there are `n` different ones, `0..n`, and trains on the
    /// others, round and round. Of fewer than five, the last one. See [`held_out`](Self::held_out).
    ///
    /// Rows that are like each other should be in one batch, or they are on both sides.
    ///
    /// # Errors
    /// If there are fewer than 2: a single batch can't be on both sides.
    pub fn holding_out(mut self, n: u64) -> Result<Self, Error> {
        self.split = Some(Split::of(Param(NAME, "holding_out").at_least(2, n)?));
        Ok(self)
    }

    /// Ranks recipes, and chooses rates, by training loss: for data without end, of which nothing is seen twice,
    /// or where fitting the data is all that is wanted. Otherwise it favours what fits the training rows by heart.
    pub fn by_training_loss(mut self) -> Self {
        self.split = Some(Split::Training);
        self
    }

    /// Another model for the same batches, whose loss means the same: with BatchNorm, say. A variant that
    /// standardizes targets has to give its loss in the targets' own units.
    pub fn variant<M: Module + 'static>(
        mut self,
        name: impl Into<String>,
        build: impl Fn(u64) -> M + 'a,
        loss: impl Fn(&M, B) -> Tensor<1> + 'a,
    ) -> Self {
        self.variants.push((name.into(), by_loss(build, loss), false));
        self
    }

    /// Another model whose predictions are known, for the same targets: see
    /// [`predicting`](Self::predicting).
    pub fn variant_predicting<M: Module + 'static, const D: usize>(
        mut self,
        name: impl Into<String>,
        model: Predictor<'a, M, B, D>,
    ) -> Self
    where
        B: 'a,
    {
        self.variants.push((name.into(), model.parted().0, true));
        self
    }

    /// Measures standardized features too: `get` gives the features of a batch, columns along the last
    /// axis, and `set` puts others in their place.
    ///
    /// They are standardized by [median and quartiles](Standardize::fit_robust), fitted on the training batches
    /// of the first run, 64 at most.
    pub fn standardizing<const D: usize>(
        mut self,
        get: impl Fn(&B) -> Tensor<D> + Clone + 'a,
        set: impl Fn(B, Tensor<D>) -> B + Clone + 'a,
    ) -> Self {
        self.features = Some(Box::new(move |n, batch| {
            let mut quantiles = Quantiles::new();
            (0..n).try_for_each(|k| quantiles.push(get(&batch(k))))?;
            let (layer, get, set) = (quantiles.standardize()?, get.clone(), set.clone());
            let prepare = move |batch| {
                let z = layer.forward(get(&batch));
                set(batch, z)
            };
            Ok(Box::new(prepare) as Prepare<'a, B>)
        }));
        self
    }

    /// The share of what the best recipe gains over plain descent that a simpler one may lack and still be
    /// [recommended](Advice::recommended): 0.05, unless said otherwise here. With 0, what is behind by more than
    /// chance is not as good.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn tolerance(mut self, share: f64) -> Result<Self, Error> {
        self.tolerance = Param(NAME, "tolerance").non_negative(share)?;
        Ok(self)
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
    /// [`FastestTo`](Aim::FastestTo), it is what plain descent comes to at its best rate with each
    /// seed.
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

    /// How many of the best recipes are looked at more closely, plain descent beside them: the best rate between
    /// the rungs, and then a run at it with each of so many fresh seeds, which had no say in what is best. Where
    /// one of them is not stable, the next lower rate that is good, up to four times. Then the same for what is
    /// left of the best one without each of its parts. The best 5 with 10 seeds, unless said otherwise here; of 0
    /// recipes, none.
    ///
    /// Fewer than 10 seeds cannot tell the best of 5, and plain descent, apart with confidence. For the
    /// [highest rate](Aim::HighestRate) edges are made finer, and no fresh seed is run.
    pub fn confirm(mut self, recipes: usize, seeds: u64) -> Self {
        self.confirm = (recipes, seeds);
        self
    }

    /// Measures plain descent and these recipes, instead of those that it would choose: to try out what an
    /// [`Outcome`](super::Outcome) of another search has, or a change of it. What is left of the best one
    /// [without its parts](Self::confirm) comes as ever.
    pub fn recipes(mut self, recipes: impl IntoIterator<Item = Recipe>) -> Self {
        self.recipes = Some(recipes.into_iter().collect());
        self
    }

    /// Measures every recipe at every rate, two a decade, instead of first looking and then closing in: a
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
    /// If it wasn't said what to rank by, a model cannot be trained at all, features or targets cannot be
    /// standardized, a device fails, or there is a budget of seconds and no clock.
    ///
    /// # Panics
    /// If one of the closures does.
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
        let Some(split) = &self.split else {
            return Err(Error::parameter(
                NAME,
                "held_out",
                "given, or `holding_out`, unless `by_training_loss` is asked for",
                "none of them",
            ));
        };
        let fitted = self.over.min(FITTED);
        let batch = |k| split.training(k, &*self.batch);
        let prepare = match &self.features {
            Some(prepare) => Some(prepare(fitted, &batch)?),
            None => None,
        };
        let targets = match &self.targets {
            Some(fit) => Some(fit(fitted, &batch)?),
            None => None,
        };
        let choice = self.choice();
        if let Some(other) = self.recipes.iter().flatten().find(|recipe| !choice.has(recipe)) {
            let must = "of features, targets and variants that there are";
            return Err(Error::parameter(NAME, "recipes", must, format_args!("`{other}`")));
        }
        let watch = self.watch.take();
        Session::new(&self, split, (prepare, targets), watch).run()
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
        Wanted {
            aim: self.aim,
            over: self.over,
            seeds: self.seeds,
            confirm: self.confirm,
            tolerance: self.tolerance,
            held_out: self.split.as_ref().and_then(Split::held_out),
        }
    }

    /// What there is to choose from.
    pub(super) fn choice(&self) -> Choice {
        Choice {
            over: self.over,
            features: self.features.is_some(),
            targets: self.targets.is_some(),
            variants: self.variants.iter().map(|(name, _, may)| (name.clone(), *may)).collect(),
        }
    }
}

/// How a model is trained of which only the loss is known.
fn by_loss<'a, M: Module + 'static, B>(
    build: impl Fn(u64) -> M + 'a,
    loss: impl Fn(&M, B) -> Tensor<1> + 'a,
) -> Runner<'a, B> {
    let costs = move |model: &M, batch: B, _: Option<&Standardize>| Cost {
        trained: loss(model, batch),
        own: None,
    };
    Box::new(move |order| trial::run(&build, &costs, order))
}
