//! The advisor: settings and entry point of a search.

use std::fmt;
use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::Tensor;

use super::advice::Wanted;
use super::log::Log;
use super::outcome::Objective;
use super::plan::Choice;
use super::predictor::Predictor;
use super::run::Trial;
use super::session::Session;
use super::setup::Setup;
use super::split::Split;
use super::trial::{self, Cost, Order};
use super::{Advice, Recipe};
use crate::Error;
use crate::error::check::Param;
use crate::standardize::{Quantiles, Standardize};

/// Trains a fresh model as ordered.
pub(super) type Runner<'a, B> = Box<dyn Fn(Order<'_, B>) -> Result<Trial, Error> + 'a>;
/// Creates the preparation that is applied to each batch first, from the batches of a run.
pub(super) type Preparing<'a, B> =
    Box<dyn Fn(u64, &dyn Fn(u64) -> B) -> Result<Prepare<'a, B>, Error> + 'a>;
pub(super) type Prepare<'a, B> = Box<dyn Fn(B) -> B + 'a>;
/// Fits the standardization of the targets on this many batches.
pub(super) type Fit<'a, B> = Box<dyn Fn(u64, &dyn Fn(u64) -> B) -> Result<Standardize, Error> + 'a>;

/// The largest number of batches that a standardization is fitted on.
const FITTED: u64 = 64;

/// The progress of a search, passed to [`Advisor::watch`] before each update.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Stage<'a> {
    /// The recipe under measurement.
    pub recipe: &'a Recipe,
    /// The peak learning rate of the run.
    pub rate: f64,
    /// The seed of the run.
    pub seed: u64,
    /// The number of finished parts of the search: a part is a recipe, and later a closer look at one.
    pub done: usize,
    /// The number of parts known so far: the changes to training are added once those to data and model are measured, and
    /// the closer looks after them.
    pub of: usize,
    /// The number of updates made so far.
    pub updates: u64,
    /// The best so far: its recipe, its rate, and the loss that it reaches; `None` before anything is stable.
    pub so_far: Option<(&'a Recipe, f64, f64)>,
}

/// Measures training recipes and recommends one: see [the module](super).
///
/// The caller's objects are not changed: every run gets a fresh model from `build` and asks for its batches by
/// position. The exception is the device's random number generator, if `build` or `loss` use it.
///
/// Two searches with the same settings give the same advice if `build(seed)`, `loss` and `batch(k)` return the same
/// results for the same arguments: seed the device in `build`.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use evenkeel::advise::Advisor;
///
/// let device = Device::default().autodiff();
/// let build = |seed: u64| {
///     device.seed(seed);
///     LinearConfig::new(1, 1).with_bias(false).init(&device)
/// };
/// let loss = |model: &Linear, _: u64| model.weight.val().powi_scalar(2).mean();
///
/// let advisor = Advisor::new(build, loss, |k| k).by_training_loss().over(20)?;
/// let advice = advisor.budget(100).run()?;
/// assert_eq!((advice.updates(), advice.is_complete()), (100, false));
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Cost
/// About 35 recipes, each at 8 to 12 rates with one seed, and the best of them at 3 to 6 rates with every seed; broken
/// and hopeless runs end early. Then up to six of these recipes, and the best one without each of its parts, at a few more rates and once
/// with each fresh seed. One more remedy costs one more search. Each update takes a forward and a backward pass, the
/// update itself, and one readback; each run takes 4 forward passes, and, with held-out batches, one for each of them
/// at each twentieth of the run. A governor takes one more gradient whenever it measures; it is not counted as an
/// update, but its time is included in the seconds.
#[must_use = "`run` measures"]
pub struct Advisor<'a, B> {
    pub(super) base: Runner<'a, B>,
    /// Other models: the name of each, how it is trained, and whether its targets can be standardized.
    pub(super) variants: Vec<(String, Runner<'a, B>, bool)>,
    pub(super) batch: Box<dyn Fn(u64) -> B + 'a>,
    pub(super) split: Option<Split<'a, B>>,
    features: Option<Preparing<'a, B>>,
    targets: Option<Fit<'a, B>>,
    pub(super) tolerance: f64,
    pub(super) recipes: Option<Vec<Recipe>>,
    pub(super) objective: Objective,
    pub(super) target: Option<f64>,
    pub(super) over: u64,
    pub(super) seeds: u64,
    pub(super) first_seed: u64,
    /// The number of recipes to confirm, and the number of seeds for each.
    pub(super) confirm: (usize, u64),
    pub(super) rates: (f64, f64),
    pub(super) every_rate: bool,
    pub(super) budget: Option<u64>,
    /// The time after which nothing new is started, once the search runs; before that, the seconds allowed.
    pub(super) seconds: Option<f64>,
    pub(super) clock: Option<Clock<'a>>,
    pub(super) watch: Option<Watch<'a>>,
    pub(super) resumed: Option<Advice>,
}

pub(super) type Clock<'a> = Box<dyn Fn() -> f64 + 'a>;
pub(super) type Watch<'a> = Box<dyn FnMut(&Stage<'_>) -> ControlFlow<()> + 'a>;

impl<B> fmt::Debug for Advisor<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Advisor").finish_non_exhaustive()
    }
}

pub(super) const NAME: &str = "Advisor";

impl<'a, B> Advisor<'a, B> {
    /// Creates an advisor for the model that `build` makes from a seed, its mean `loss` on a batch, and the batches by
    /// position. Positions are unbounded: take the remainder.
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

    /// Creates an advisor for a model whose predictions are known, so that standardized targets are measured too.
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

    pub(super) fn of(base: Runner<'a, B>, batch: Box<dyn Fn(u64) -> B + 'a>) -> Self {
        Self {
            base,
            variants: Vec::new(),
            batch,
            split: None,
            features: None,
            targets: None,
            tolerance: 0.05,
            recipes: None,
            objective: Objective::LowestLoss,
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
            resumed: None,
        }
    }

    /// Ranks recipes and chooses rates by the loss on `n` batches that are not trained on: the median over these
    /// batches, so that an outlier row in one of them doesn't decide. The training loss is reported as well.
    ///
    /// The loss is evaluated after every twentieth of a run, on at most as many batches as a twentieth has updates, or 8
    /// if those are more: with more held-out batches, on that many of them, evenly spaced and always the same. An
    /// evaluation then costs less than the updates between two of them.
    ///
    /// The model is [frozen](burn::module::Module::freeze) for the evaluation: dropout is off, and BatchNorm uses its
    /// running statistics.
    ///
    /// # Errors
    /// If `n` is 0.
    pub fn held_out(mut self, n: u64, batch: impl Fn(u64) -> B + 'a) -> Result<Self, Error> {
        let n = Param(NAME, "held_out").at_least(1, n)?;
        self.split = Some(Split::Given(n, Box::new(batch)));
        Ok(self)
    }

    /// Holds out every fifth of the `n` distinct batches, `0..n`, and trains on the others in a cycle. If there are
    /// fewer than five batches, the last one is held out. See [`held_out`](Self::held_out).
    ///
    /// Put similar rows into the same batch, or they end up on both sides of the split.
    ///
    /// # Errors
    /// If `n` is less than 2: a single batch can't be on both sides.
    pub fn holding_out(mut self, n: u64) -> Result<Self, Error> {
        self.split = Some(Split::of(Param(NAME, "holding_out").at_least(2, n)?));
        Ok(self)
    }

    /// Ranks recipes and chooses rates by training loss: for unlimited data, of which nothing is seen twice, or if
    /// fitting the data is the only goal. Otherwise it favors recipes that memorize the training rows.
    pub fn by_training_loss(mut self) -> Self {
        self.split = Some(Split::Training);
        self
    }

    /// Adds another model for the same batches, whose loss has the same meaning: one with BatchNorm, with
    /// [QK-norm](crate::logits::QkNorm), or with [other initial weights](crate::init), for example. A variant that
    /// standardizes targets has to return its loss in the targets' own units.
    pub fn variant<M: Module + 'static>(
        mut self,
        name: impl Into<String>,
        build: impl Fn(u64) -> M + 'a,
        loss: impl Fn(&M, B) -> Tensor<1> + 'a,
    ) -> Self {
        self.variants.push((name.into(), by_loss(build, loss), false));
        self
    }

    /// Adds another model whose predictions are known, for the same targets: see [`predicting`](Self::predicting).
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

    /// Measures standardized features too: `get` returns the features of a batch, with columns along the last axis, and
    /// `set` replaces them.
    ///
    /// They are standardized by [median and quartiles](Standardize::fit_robust), fitted on the training batches of the
    /// first run, at most 64 of them.
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

    /// Runs the search.
    ///
    /// # Errors
    /// If no ranking was chosen (see [`new`](Self::new)), a model cannot be trained at all, features or targets cannot
    /// be standardized, a device fails, there is a budget of seconds and no clock, or a [resumed](Self::resume) advice
    /// is of a search with other settings, or of an untrained model with another loss.
    ///
    /// # Panics
    /// If one of the closures panics.
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
        let log = match self.resumed.take() {
            Some(advice) => advice.into_log(&self.wanted())?,
            None => Log::default(),
        };
        let setup = Setup { advisor: &self, split, prepare, targets };
        Session::new(setup, watch, log).run()
    }

    /// Whether the budget is used up.
    pub(super) fn is_spent(&self, updates: u64) -> bool {
        let late = || self.seconds.zip(self.clock.as_ref()).is_some_and(|(end, now)| now() >= end);
        self.budget.is_some_and(|budget| updates >= budget) || late()
    }

    /// The first seed that the search does not use.
    pub(super) fn fresh_seed(&self) -> u64 {
        self.first_seed.saturating_add(self.seeds)
    }

    pub(super) fn counted_to(&self) -> Option<f64> {
        match self.objective {
            Objective::FastestTo(target) => Some(target),
            _ => self.target,
        }
    }

    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            objective: self.objective,
            over: self.over,
            seeds: self.seeds,
            confirm: self.confirm,
            tolerance: self.tolerance,
            held_out: self.split.as_ref().and_then(Split::held_out),
            counted_to: self.counted_to(),
            first_seed: self.first_seed,
            rates: self.rates,
            every_rate: self.every_rate,
        }
    }

    /// The options to choose from.
    pub(super) fn choice(&self) -> Choice {
        Choice {
            over: self.over,
            features: self.features.is_some(),
            targets: self.targets.is_some(),
            variants: self.variants.iter().map(|(name, _, may)| (name.clone(), *may)).collect(),
        }
    }
}

/// Trains a model of which only the loss is known.
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
