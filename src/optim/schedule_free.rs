//! Schedule-free optimizers: averaging instead of a schedule.

use std::fmt;
use std::marker::PhantomData;

use super::hyper::{HyperParam, Range};
use super::kernel::{self, Plan};
use super::record::{Kept, Leaves, Memory};
use super::rule::{Before, Bound, Decay, Fused, Now, burns_optimizer, sealed};
use crate::Error;
use crate::error::check::Param;

/// Gradient descent that needs no schedule
/// ([Defazio et al. 2024](https://arxiv.org/abs/2405.15682)).
///
/// ```text
/// z ← z − γ·g                 g is the gradient at y, the weights that are trained
/// x ← (1 − c)·x + c·z         c = w/Σw,  w = tʳ·γ²,  with the highest γ so far
/// y ← (1 − β)·z + β·x
/// ```
///
/// The average `x` is what should be evaluated and kept: [`Keel::eval_model`](crate::Keel::eval_model) and
/// [`ParamGroups::eval_model`](super::ParamGroups::eval_model) return it as a separate model, so there is no mode to
/// forget. It is computed from `y` and `z`, and takes no memory.
///
/// `β` is 0.9 and `r` is 0. Weight decay is coupled, and taken at `y`. The rate should be constant, after a warmup if
/// necessary, and is higher than for other methods; the warmup belongs in the schedule. Running statistics of BatchNorm
/// belong to `y`: [`refresh_statistics`](crate::average::refresh_statistics) computes those of `x`.
///
/// Agrees with the authors' `SGDScheduleFree`, with `warmup_steps` 0.
#[doc(alias = "SGDScheduleFree")]
pub type ScheduleFreeSgd = ScheduleFree<Plain>;

/// AdamW that needs no schedule: [`ScheduleFreeSgd`] along `g/(√v̂ + ε) + λ·y`.
///
/// `β` is 0.9, `β₂` 0.999, `ε` 1e-8 and `λ` 0. Agrees with the authors' `AdamWScheduleFree`, with
/// `warmup_steps` 0.
///
/// ```
/// use evenkeel::Keel;
/// use evenkeel::optim::ScheduleFreeAdamW;
/// # use burn::{nn::LinearConfig, tensor::Device};
///
/// # let model = LinearConfig::new(2, 1).init(&Device::default().autodiff());
/// let keel = Keel::wrap(ScheduleFreeAdamW::new().weight_decay(0.1)?).build(&model)?;
/// // … train, and then:
/// let best = keel.eval_model(&model);
/// # let _ = best;
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[doc(alias = "AdamWScheduleFree")]
pub type ScheduleFreeAdamW = ScheduleFree<Adapted>;

/// The rule behind [`ScheduleFreeSgd`] and [`ScheduleFreeAdamW`].
///
/// State of each tensor: `z`, for [`ScheduleFreeAdamW`] also `v`, and a few numbers, among them the highest rate and
/// the sum of the weights.
///
/// # Cost
/// On Flex with the `flex` feature, one pass in place: 20 bytes for each `f32`, and 28 with `v`. On CubeCL devices
/// (`wgpu`, `cuda`), one launch per tensor of `f32` or half precision, or one for several small tensors. Elsewhere,
/// tensor operations. Under a [`Keel`](crate::Keel) the new parameters are checked, because nothing bounds `z`.
#[derive(Clone)]
pub struct ScheduleFree<K> {
    pub(super) beta: f64,
    pub(super) beta_2: HyperParam,
    pub(super) epsilon: HyperParam,
    pub(super) decay: Decay,
    pub(super) power: f64,
    pub(super) maximize: bool,
    kind: PhantomData<fn() -> K>,
}

/// The kind of [`ScheduleFree`] behind [`ScheduleFreeSgd`].
#[derive(Debug, Clone, Copy)]
pub struct Plain;

/// The kind of [`ScheduleFree`] behind [`ScheduleFreeAdamW`].
#[derive(Debug, Clone, Copy)]
pub struct Adapted;

/// The kinds of [`ScheduleFree`].
pub trait Kind: sealed::Sealed + Copy + Send + Sync + 'static {
    #[doc(hidden)]
    const NAME: &'static str;
    #[doc(hidden)]
    const ADAPTED: bool;
}

impl sealed::Sealed for Plain {}
impl sealed::Sealed for Adapted {}

impl Kind for Plain {
    const NAME: &'static str = "ScheduleFreeSgd";
    const ADAPTED: bool = false;
}

impl Kind for Adapted {
    const NAME: &'static str = "ScheduleFreeAdamW";
    const ADAPTED: bool = true;
}

impl<K: Kind> Default for ScheduleFree<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Kind> ScheduleFree<K> {
    /// Creates the rule with its defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            beta: 0.9,
            beta_2: HyperParam::number(0.999, Range::Share),
            epsilon: HyperParam::number(1e-8, Range::Positive),
            decay: Decay::new(0.0, false),
            power: 0.0,
            maximize: false,
            kind: PhantomData,
        }
    }

    /// Sets `β`, the share of the average in the trained weights: at least 0.01, because evaluation divides by it, and
    /// below 1.
    ///
    /// # Errors
    /// If it is out of range.
    pub fn beta(mut self, beta: f64) -> Result<Self, Error> {
        let param = Param(K::NAME, "beta");
        self.beta = param.must((0.01..1.0).contains(&beta), "at least 0.01 and below 1", beta)?;
        Ok(self)
    }

    /// Sets weight decay `λ`.
    ///
    /// # Errors
    /// If `λ` is negative or not finite.
    pub fn weight_decay(mut self, decay: impl Into<HyperParam>) -> Result<Self, Error> {
        let param = Param(K::NAME, "weight_decay");
        self.decay.rate = decay.into().checked(Range::NonNegative, param)?;
        Ok(self)
    }

    /// Exempts biases and normalization weights from weight decay: all tensors of rank 0 and 1.
    #[must_use]
    pub fn decay_matrices_only(mut self) -> Self {
        self.decay.matrices_only = true;
        self
    }

    /// Sets `r`: update `t` counts in the average in proportion to `tʳ`.
    ///
    /// # Errors
    /// If `r` is not between 0 and 16.
    pub fn weight_power(mut self, power: f64) -> Result<Self, Error> {
        let ok = (0.0..=16.0).contains(&power);
        self.power = Param(K::NAME, "weight_power").must(ok, "from 0 to 16", power)?;
        Ok(self)
    }

    /// Ascends instead of descending.
    #[must_use]
    pub fn maximize(mut self) -> Self {
        self.maximize = true;
        self
    }

    pub(super) fn with_beta_2(mut self, beta: HyperParam) -> Result<Self, Error> {
        self.beta_2 = beta.checked(Range::Share, Param(K::NAME, "beta_2"))?;
        Ok(self)
    }

    pub(super) fn with_epsilon(mut self, epsilon: HyperParam) -> Result<Self, Error> {
        self.epsilon = epsilon.checked(Range::Positive, Param(K::NAME, "epsilon"))?;
        Ok(self)
    }
}

impl ScheduleFreeAdamW {
    /// Sets `β₂`, the share of the second moment that is kept, in `[0, 1)`.
    ///
    /// # Errors
    /// If it is out of range.
    pub fn beta_2(self, beta: impl Into<HyperParam>) -> Result<Self, Error> {
        self.with_beta_2(beta.into())
    }

    /// Sets `ε`, added to the root of the second moment; positive.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn epsilon(self, epsilon: impl Into<HyperParam>) -> Result<Self, Error> {
        self.with_epsilon(epsilon.into())
    }
}

const SCALARS: &[(&str, f64)] =
    &[("product_2", 1.0), ("highest_rate", 0.0), ("weights", 0.0), (AVERAGED_BY, 0.0)];

/// `β`, saved with `z` so that the average can be computed from the state alone.
pub(super) const AVERAGED_BY: &str = "averaged_by";
const PLAIN: Leaves = Leaves { scalars: SCALARS, tensors: &["z"], required: 1 };
const ADAPTED: Leaves = Leaves { scalars: SCALARS, tensors: &["z", "moment_2"], required: 2 };

impl<K: Kind> Kept for ScheduleFree<K> {
    const LEAVES: Leaves = if K::ADAPTED { ADAPTED } else { PLAIN };
}

impl<K: Kind> Fused for ScheduleFree<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn leaves(&self) -> &'static Leaves {
        if K::ADAPTED { &ADAPTED } else { &PLAIN }
    }

    fn slots(&self) -> usize {
        if K::ADAPTED { 2 } else { 1 }
    }

    fn plan(&self, now: &Now, memory: &mut Memory) -> Plan {
        let t = memory.time;
        memory.time += 1;
        let [product_2, highest, weights, averaged_by] = &mut memory.scalars;
        *averaged_by = self.beta;
        let beta_2 = self.beta_2.at(t);
        *product_2 *= beta_2;
        *highest = highest.max(now.lr);
        let weight = (t as f64 + 1.0).powf(self.power) * highest.powi(2);
        *weights += weight;
        // As long as the rate has been 0, nothing has moved, and any average will do.
        let c = if *weights > 0.0 { weight / *weights } else { 0.0 };

        let (decay, _) = self.decay.at(t, now);
        let normal = K::ADAPTED.then(|| kernel::Normal {
            squares: (beta_2, 1.0 - beta_2),
            root: 1.0 / (1.0 - *product_2).sqrt(),
            epsilon: self.epsilon.at(t),
            decay,
        });
        Plan::Free(kernel::Free {
            incoming: now.incoming(self.maximize, if K::ADAPTED { 0.0 } else { decay }),
            average: c,
            rate: now.lr,
            pull: now.lr * (1.0 - self.beta * (1.0 - c)),
            normal,
        })
    }

    fn remembers_rates(&self) -> bool {
        true
    }

    fn bound(&self, _before: &Before<'_>) -> Bound {
        // A mixture of two numbers at the end of the range may round past it.
        Bound::UNKNOWN
    }

    fn hypers(&self) -> Vec<&HyperParam> {
        vec![&self.beta_2, &self.epsilon, &self.decay.rate]
    }

    fn centralizes(&self) -> bool {
        false
    }

    fn averages(&self) -> Option<f64> {
        Some(self.beta)
    }
}

burns_optimizer!(ScheduleFree);

impl<K: Kind> fmt::Debug for ScheduleFree<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(K::NAME)
            .field("beta", &self.beta)
            .field("weight_decay", &self.decay.rate)
            .finish_non_exhaustive()
    }
}
