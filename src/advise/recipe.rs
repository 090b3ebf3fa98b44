//! Recipes: ways to train.

use std::fmt;

use crate::Error;
use crate::schedule::{Boxed, Constant, Cosine, Ramp, Schedule};

/// The momentum of the recipes that use it.
pub(super) const MOMENTUM: f64 = 0.9;

/// The optimizer of a [`Recipe`].
///
/// ```
/// # use burn::{nn::{Linear, LinearConfig}, tensor::Device};
/// # let device = Device::default().autodiff();
/// # let build = |_: u64| LinearConfig::new(1, 1).with_bias(false).init(&device);
/// # let loss = |model: &Linear, _: u64| model.weight.val().powi_scalar(2).mean();
/// # let advisor = evenkeel::advise::Advisor::new(build, loss, |k| k).by_training_loss();
/// # let advisor = advisor.over(10)?.seeds(1)?.between(0.1, 0.1)?.confirm(0, 0);
/// # let advice = advisor.recipes([]).run()?;
/// use evenkeel::advise::Method;
///
/// let mut recipe = advice.baseline().unwrap().recipe.clone();
/// recipe.method = Method::Adam;
/// assert_eq!(recipe.to_string(), "Adam");
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Method {
    /// [`Sgd`](crate::optim::Sgd).
    Sgd,
    /// [`Momentum`](crate::optim::Momentum) of 0.9.
    Momentum,
    /// Nesterov momentum of 0.9.
    Nesterov,
    /// [`Adam`](crate::optim::Adam).
    Adam,
    /// [`AdamW`](crate::optim::AdamW) with bounded updates: StableAdamW.
    AdamW,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Sgd => "SGD",
            Self::Momentum => "momentum",
            Self::Nesterov => "Nesterov",
            Self::Adam => "Adam",
            Self::AdamW => "AdamW, updates clipped",
        }
    }

    /// The type to import, and the expression that creates it.
    pub(super) fn code(self) -> (&'static str, &'static str) {
        match self {
            Self::Sgd => ("Sgd", "Sgd::new()"),
            Self::Momentum => ("Momentum", "Momentum::new(0.9)?"),
            Self::Nesterov => ("Momentum", "Momentum::new(0.9)?.nesterov()"),
            Self::Adam => ("Adam", "Adam::new()"),
            Self::AdamW => ("AdamW", "AdamW::new().update_rms_at_most(1.0)?"),
        }
    }
}

/// The gradient clipping of a [`Recipe`].
///
/// ```
/// # use burn::{nn::{Linear, LinearConfig}, tensor::Device};
/// # let device = Device::default().autodiff();
/// # let build = |_: u64| LinearConfig::new(1, 1).with_bias(false).init(&device);
/// # let loss = |model: &Linear, _: u64| model.weight.val().powi_scalar(2).mean();
/// # let advisor = evenkeel::advise::Advisor::new(build, loss, |k| k).by_training_loss();
/// # let advisor = advisor.over(10)?.seeds(1)?.between(0.1, 0.1)?.confirm(0, 0);
/// # let advice = advisor.recipes([]).run()?;
/// use evenkeel::advise::Bound;
///
/// let mut recipe = advice.baseline().unwrap().recipe.clone();
/// recipe.bound = Bound::Global;
/// assert_eq!(recipe.to_string(), "SGD + clip 1");
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Bound {
    /// No clipping.
    Free,
    /// [`GlobalNorm`](crate::clip::GlobalNorm) of 1.
    Global,
    /// [`AdaptiveClip`](crate::optim::AdaptiveClip) of 0.01: the gradient of each unit, relative to its weights.
    Adaptive,
    /// [`Percentile`](crate::clip::Percentile) with its defaults: AutoClip.
    Percentile,
    /// [`ZScore`](crate::clip::ZScore) with its defaults: ZClip.
    ZScore,
}

impl Bound {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Free => None,
            Self::Global => Some("clip 1"),
            Self::Adaptive => Some("adaptive clip"),
            Self::Percentile => Some("AutoClip"),
            Self::ZScore => Some("ZClip"),
        }
    }

    /// For a bound that is passed to a keel: the type to import from `clip`, and the expression that creates it.
    pub(super) fn clip(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Free | Self::Adaptive => None,
            Self::Global => Some(("GlobalNorm", "GlobalNorm::at_most(1.0)?")),
            Self::Percentile => Some(("Percentile", "Percentile::default()")),
            Self::ZScore => Some(("ZScore", "ZScore::default()")),
        }
    }
}

/// The safety measures that the keel of a [`Recipe`] has in addition to clipping.
///
/// ```
/// # use burn::{nn::{Linear, LinearConfig}, tensor::Device};
/// # let device = Device::default().autodiff();
/// # let build = |_: u64| LinearConfig::new(1, 1).with_bias(false).init(&device);
/// # let loss = |model: &Linear, _: u64| model.weight.val().powi_scalar(2).mean();
/// # let advisor = evenkeel::advise::Advisor::new(build, loss, |k| k).by_training_loss();
/// # let advisor = advisor.over(10)?.seeds(1)?.between(0.1, 0.1)?.confirm(0, 0);
/// # let advice = advisor.recipes([]).run()?;
/// use evenkeel::advise::Safety;
///
/// let mut recipe = advice.baseline().unwrap().recipe.clone();
/// recipe.safety = Safety::Recommended;
/// assert_eq!(recipe.to_string(), "SGD + recommended set-up");
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Safety {
    /// None.
    Bare,
    /// [`LossSpike`](crate::guard::LossSpike) with its defaults: skips batches that would harm the weights.
    Spikes,
    /// [`Builder::recommended`](crate::Builder::recommended): that guard, a bound on the step, and rewinding.
    Recommended,
}

impl Safety {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Bare => None,
            Self::Spikes => Some("spike guard"),
            Self::Recommended => Some("recommended set-up"),
        }
    }
}

/// One change that a [`Recipe`] makes to plain descent.
///
/// ```
/// # use burn::{nn::{Linear, LinearConfig}, tensor::Device};
/// # let device = Device::default().autodiff();
/// # let build = |_: u64| LinearConfig::new(1, 1).with_bias(false).init(&device);
/// # let loss = |model: &Linear, _: u64| model.weight.val().powi_scalar(2).mean();
/// # let advisor = evenkeel::advise::Advisor::new(build, loss, |k| k).by_training_loss();
/// # let advisor = advisor.over(10)?.seeds(1)?.between(0.1, 0.1)?.confirm(0, 0);
/// # let advice = advisor.recipes([]).run()?;
/// use evenkeel::advise::Change;
///
/// let mut recipe = advice.baseline().unwrap().recipe.clone();
/// recipe.cosine = true;
/// assert_eq!(recipe.changes(), [Change::Cosine]);
/// assert!(recipe.without(Change::Cosine).changes().is_empty());
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Change {
    /// Standardizes the features.
    Features,
    /// Standardizes the targets.
    Targets,
    /// Replaces the model.
    Variant,
    /// Replaces the optimizer.
    Method,
    /// Clips gradients.
    Bound,
    /// Adds a governor.
    Governor,
    /// Adds a guard, or the recommended set-up.
    Safety,
    /// Adds a warmup.
    Warmup,
    /// Adds a decay by half a cosine.
    Cosine,
}

const CHANGES: [Change; 9] = [
    Change::Features,
    Change::Targets,
    Change::Variant,
    Change::Method,
    Change::Bound,
    Change::Governor,
    Change::Safety,
    Change::Warmup,
    Change::Cosine,
];

/// A way to train: everything but the rate.
///
/// ```
/// # use burn::{nn::{Linear, LinearConfig}, tensor::Device};
/// # use evenkeel::{Error, advise::Advisor};
/// # fn advisor() -> Result<Advisor<'static, u64>, Error> {
/// #     let device = Device::default().autodiff();
/// #     let build = move |_: u64| LinearConfig::new(1, 1).with_bias(false).init(&device);
/// #     let loss = |model: &Linear, _: u64| model.weight.val().powi_scalar(2).mean();
/// #     let advisor = Advisor::new(build, loss, |k| k).by_training_loss().confirm(0, 0);
/// #     advisor.over(10)?.seeds(1)?.between(0.1, 0.1)
/// # }
/// # let advice = advisor()?.recipes([]).run()?;
/// use evenkeel::advise::{Bound, Change, Method};
///
/// // The recipe of a search, changed and measured in another one.
/// let mut recipe = advice.baseline().unwrap().recipe.clone();
/// (recipe.method, recipe.bound) = (Method::Momentum, Bound::Global);
/// assert_eq!(recipe.changes(), [Change::Method, Change::Bound]);
///
/// let advice = advisor()?.recipes([recipe]).run()?;
/// assert_eq!(advice.outcomes().len(), 2);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Recipe {
    /// The name of a model that was [supplied](super::Advisor::variant); empty for the original one.
    pub variant: String,
    /// Whether features are standardized, by [`Standardize::fit_robust`](crate::standardize::Standardize).
    pub standardized: bool,
    /// Whether targets are standardized, and predictions turned back.
    pub standardized_targets: bool,
    /// The optimizer.
    pub method: Method,
    /// The gradient clipping.
    pub bound: Bound,
    /// Whether a [`Governor`](crate::curvature::Governor) caps the rate; for plain descent and momentum.
    pub governed: bool,
    /// The guard, or the recommended set-up.
    pub safety: Safety,
    /// The number of updates over which the rate rises from 0.
    pub warmup: u64,
    /// Whether the rate then falls to 0 along half a cosine.
    pub cosine: bool,
}

impl Recipe {
    /// Plain descent at a constant rate.
    pub(super) fn plain() -> Self {
        Self {
            variant: String::new(),
            standardized: false,
            standardized_targets: false,
            method: Method::Sgd,
            bound: Bound::Free,
            governed: false,
            safety: Safety::Bare,
            warmup: 0,
            cosine: false,
        }
    }

    /// The schedule of a run of `over` updates, with `rate` as its peak.
    pub(super) fn schedule(&self, rate: f64, over: u64) -> Result<Boxed, Error> {
        let rest = over.saturating_sub(self.warmup);
        let main = match self.cosine {
            true => Cosine::new(rate, 0.0, rest)?.boxed(),
            false => Constant::new(rate)?.boxed(),
        };
        Ok(match self.warmup {
            0 => main,
            n => Ramp::new(0.0, rate, n)?.then(n, main).boxed(),
        })
    }

    /// Returns the changes that this recipe makes to plain descent: the fewer, the simpler.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        CHANGES.into_iter().filter(|part| self.without(*part) != *self).collect()
    }

    /// Returns the same recipe without this part.
    #[must_use]
    pub fn without(&self, part: Change) -> Self {
        let mut less = self.clone();
        let plain = Self::plain();
        match part {
            Change::Features => less.standardized = plain.standardized,
            Change::Targets => less.standardized_targets = plain.standardized_targets,
            Change::Variant => less.variant = plain.variant,
            Change::Method => less.method = plain.method,
            Change::Bound => less.bound = plain.bound,
            Change::Governor => less.governed = plain.governed,
            Change::Safety => less.safety = plain.safety,
            Change::Warmup => less.warmup = plain.warmup,
            Change::Cosine => less.cosine = plain.cosine,
        }
        // A governor supports only plain descent and momentum.
        less.governed &= matches!(less.method, Method::Sgd | Method::Momentum | Method::Nesterov);
        less
    }

    /// Plain descent with this part only.
    pub(super) fn only(&self, part: Change) -> Self {
        let others = self.changes().into_iter().filter(|other| *other != part);
        others.fold(self.clone(), |less, other| less.without(other))
    }

    /// The name of a part.
    pub(super) fn name_of(&self, part: Change) -> String {
        match part {
            Change::Features => "standardized features".into(),
            Change::Targets => "standardized targets".into(),
            Change::Variant => self.variant.clone(),
            Change::Method => self.method.name().into(),
            Change::Bound => self.bound.name().unwrap_or("no clip").into(),
            Change::Governor => "governor".into(),
            Change::Safety => self.safety.name().unwrap_or("no guard").into(),
            Change::Warmup => format!("warmup {}", self.warmup),
            Change::Cosine => "cosine".into(),
        }
    }

    /// The momentum that a governor has to take into account.
    pub(super) fn momentum(&self) -> f64 {
        match self.method {
            Method::Momentum | Method::Nesterov => MOMENTUM,
            _ => 0.0,
        }
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // First the optimizer, then the additions to it, and last the changes to data and model.
        let mut names = vec![self.method.name().to_string()];
        let order = [
            Change::Bound,
            Change::Governor,
            Change::Safety,
            Change::Warmup,
            Change::Cosine,
            Change::Features,
            Change::Targets,
            Change::Variant,
        ];
        let has = self.changes();
        names
            .extend(order.iter().filter(|part| has.contains(part)).map(|part| self.name_of(*part)));
        f.pad(&names.join(" + "))
    }
}
