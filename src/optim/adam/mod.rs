//! The Adam family.

pub(super) mod kind;
mod spam;

pub use spam::Spam;

use std::fmt;
use std::marker::PhantomData;

use burn::optim::Optimizer;
use burn::tensor::{Device, Tensor};

use super::hyper::{Hyper, Range};
use super::kernel::{self, Plan, Scaling, Second};
use super::record::{Kept, Leaves, Memory, TensorState};
use super::rule::{self, Before, Bound, Decay, Erased, Fused, Now, Rule, sealed};
use crate::Error;
use crate::error::check::Param;
use kind::{Kind, Most, Rates, Squares};

/// Adam ([Kingma & Ba 2015](https://arxiv.org/abs/1412.6980)).
///
/// ```text
/// m ← β₁·m + (1 − β₁)·g            m̂ = m/(1 − β₁ᵗ)
/// v ← β₂·v + (1 − β₂)·g²           v̂ = v/(1 − β₂ᵗ)
/// p ← p − γ·m̂/(√v̂ + ε)
/// ```
///
/// Defaults: `β` = 0.9 and 0.999, `ε` = 1e-8, no weight decay, and if there is any it is coupled:
/// `g ← g + λ·p`. [`AdamW`] has it decoupled.
///
/// Agrees with `torch.optim.Adam`. Burn's Adam has `ε` = 1e-5 unless it is set.
pub type Adam = Adaptive<kind::Adam>;

/// Adam with decoupled weight decay ([Loshchilov & Hutter 2019](https://arxiv.org/abs/1711.05101)):
/// `p ← (1 − γλ)·p − γ·m̂/(√v̂ + ε)`, where `λ` is 0.01 unless it is set.
///
/// ```
/// use evenkeel::Keel;
/// use evenkeel::optim::AdamW;
/// # use burn::{nn::LinearConfig, tensor::Device};
///
/// # let model = LinearConfig::new(2, 1).init(&Device::default().autodiff());
/// let optimizer = AdamW::new().beta_2(0.95)?.weight_decay(0.1)?.decay_matrices_only();
/// let keel = Keel::wrap(optimizer).build(&model)?;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// Agrees with `torch.optim.AdamW`. Burn's AdamW has `ε` = 1e-5 and `λ` = 1e-4 unless they are set.
pub type AdamW = Adaptive<kind::AdamW>;

/// Adam with Nesterov's momentum ([Dozat 2016](https://openreview.net/pdf?id=OM0jvwB8jIp57ZJjtNEZ)).
///
/// ```text
/// μₜ = β₁·(1 − ½·0.96^(t·ψ))
/// p ← p − γ·( (1 − μₜ)/(1 − Πμ)·g + μₜ₊₁/(1 − μₜ₊₁·Πμ)·m )/(√v̂ + ε)
/// ```
///
/// with `m` and `v̂` as in [`Adam`], and `ψ` = 0.004 unless [it is set](Self::momentum_decay).
/// Agrees with `torch.optim.NAdam`.
pub type NAdam = Adaptive<kind::NAdam>;

/// Adam whose step is rectified while there are few squares to go by
/// ([Liu et al. 2020](https://arxiv.org/abs/1908.03265)).
///
/// ```text
/// ρ∞ = 2/(1 − β₂) − 1          ρ = ρ∞ − 2t·β₂ᵗ/(1 − β₂ᵗ)
/// r = √( (ρ − 4)(ρ − 2)·ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)·ρ) )
/// p ← p − γ·r·m̂·√(1 − β₂ᵗ)/(√v + ε)    if ρ > 5
/// p ← p − γ·m̂                         otherwise
/// ```
///
/// The second line is plain descent at Adam's rate, for the first five updates with the usual `β₂`:
/// on gradients of no fixed scale, that is where it explodes. A clip helps, a warm-up helps more.
///
/// Agrees with `torch.optim.RAdam`, the place of `ε` included.
pub type RAdam = Adaptive<kind::RAdam>;

/// Adam that divides by how far gradients are from their mean
/// ([Zhuang et al. 2020](https://arxiv.org/abs/2010.07468)).
///
/// ```text
/// s ← β₂·s + (1 − β₂)·(g − m)² + ε
/// p ← p − γ·m̂/(√ŝ + ε)
/// ```
///
/// `ε` is 1e-16, as in the paper; it stands at both places. Agrees with `optax.adabelief` where that
/// one's two have the same value.
pub type AdaBelief = Adaptive<kind::AdaBelief>;

/// Adam by the largest gradient, which is the last section of Adam's paper.
///
/// ```text
/// u ← max(β₂·u, |g| + ε)
/// p ← p − γ/(1 − β₁ᵗ)·m/u
/// ```
///
/// Agrees with `torch.optim.Adamax`.
pub type Adamax = Adaptive<kind::Adamax>;

/// Adam that divides by the squares of *earlier* gradients only, and so converges for any `β₂`
/// ([Taniguchi et al. 2024](https://arxiv.org/abs/2411.02853)).
///
/// ```text
/// v ← g²                                 at the first update, which moves nothing
/// m ← β₁·m + (1 − β₁)·clip(g/max(√v, ε), ±t^¼)
/// p ← p − γ·m
/// v ← β₂·v + (1 − β₂)·g²
/// ```
///
/// where `t` counts from 0. Defaults: `β` = 0.9 and 0.9999, `ε` = 1e-6. Agrees with `timm`'s at
/// `clip_exp` 0.25, which has the authors' order of things.
pub type Adopt = Adaptive<kind::Adopt>;

/// The rule behind [`Adam`], [`AdamW`] and the others, whose types differ so that each has its
/// defaults, and only the settings that mean something for it.
///
/// State of each tensor: two tensors of its shape, with AMSGrad three, the products of its `β`, and
/// the number of its updates. Bias is corrected in `f64`, and by the products, so that it is exact
/// for a `β` that changes too.
///
/// # Cost
/// On Flex with the `flex` feature, one pass that reads `g`, `p`,
/// `m` and `v` and writes the last three in place: 28 bytes for each `f32`.
/// [`update_rms_at_most`](Self::update_rms_at_most) and [`cautious`](Self::cautious) depend on all
/// elements of a tensor at once and take a second pass. Elsewhere tensor operations.
#[derive(Clone)]
pub struct Adaptive<K> {
    betas: [Hyper; 2],
    epsilon: Hyper,
    decay: Decay,
    corrected: bool,
    amsgrad: bool,
    momentum_decay: Hyper,
    bound: Option<f64>,
    gradient_start: bool,
    spam: Option<Spam>,
    scaling: Scaling,
    centralized: bool,
    maximize: bool,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Default for Adaptive<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Kind> Adaptive<K> {
    /// The rule with its defaults.
    pub fn new() -> Self {
        let has = K::DEFAULTS;
        Self {
            betas: [has.betas.0, has.betas.1].map(|beta| Hyper::number(beta, Range::Share)),
            epsilon: Hyper::number(has.epsilon, Range::Positive),
            decay: Decay::new(has.decay, has.decoupled),
            corrected: true,
            amsgrad: false,
            momentum_decay: Hyper::number(0.004, Range::NonNegative),
            bound: Some(0.25),
            gradient_start: false,
            spam: None,
            scaling: Scaling::default(),
            centralized: false,
            maximize: false,
            kind: PhantomData,
        }
    }

    fn param(name: &'static str) -> Param {
        Param(K::DEFAULTS.name, name)
    }

    /// `β₁`, the share of the first moment that is kept, in `[0, 1)`.
    ///
    /// # Errors
    /// If it is out of range.
    pub fn beta_1(mut self, beta: impl Into<Hyper>) -> Result<Self, Error> {
        self.betas[0] = beta.into().checked(Range::Share, Self::param("beta_1"))?;
        Ok(self)
    }

    /// `β₂`, the share of the second moment that is kept, in `[0, 1)`.
    ///
    /// For long runs 0.95 to 0.99 is safer than 0.999: a second moment that lags behind a growing
    /// gradient is what most of Adam's loss spikes come from.
    ///
    /// # Errors
    /// If it is out of range.
    pub fn beta_2(mut self, beta: impl Into<Hyper>) -> Result<Self, Error> {
        self.betas[1] = beta.into().checked(Range::Share, Self::param("beta_2"))?;
        Ok(self)
    }

    /// `ε`, added to the root of the second moment; positive.
    ///
    /// Where it underflows in the type that is computed in, the smallest normal number of that type
    /// is taken, so that nothing is ever divided by 0.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn epsilon(mut self, epsilon: impl Into<Hyper>) -> Result<Self, Error> {
        self.epsilon = epsilon.into().checked(Range::Positive, Self::param("epsilon"))?;
        Ok(self)
    }

    /// Weight decay `λ`.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn weight_decay(mut self, decay: impl Into<Hyper>) -> Result<Self, Error> {
        self.decay.rate = decay.into().checked(Range::NonNegative, Self::param("weight_decay"))?;
        Ok(self)
    }

    /// Takes weight decay out of the gradient: `p ← (1 − γλ)·p − …`.
    pub fn decoupled(mut self) -> Self {
        self.decay.decoupled = true;
        self
    }

    /// Puts weight decay into the gradient: `g ← g + λ·p`.
    pub fn coupled(mut self) -> Self {
        self.decay.decoupled = false;
        self
    }

    /// Spares biases and the weights of normalisation from weight decay: all tensors of rank 0 and 1.
    pub fn decay_matrices_only(mut self) -> Self {
        self.decay.matrices_only = true;
        self
    }

    /// Leaves the moments as biased towards 0 as they are. The first steps are then several times
    /// longer, as if the rate were: three times at the first, with the usual `β`.
    pub fn without_bias_correction(mut self) -> Self {
        self.corrected = false;
        self
    }

    /// Takes only those elements of a step that point along the gradient, and enlarges them by one
    /// over their share, of which at least 0.001 is assumed: the cautious update
    /// ([Liang et al. 2024](https://arxiv.org/abs/2411.16085)). Weight decay is not affected.
    pub fn cautious(mut self) -> Self {
        self.scaling.cautious = true;
        self
    }

    /// Takes the mean of each unit from its gradient: gradient centralisation
    /// ([Yong et al. 2020](https://arxiv.org/abs/2004.01461)). A unit is a column of a matrix, which
    /// is an output of a `Linear`, or what lies behind the first index of a tensor of more
    /// dimensions, which is an output of a convolution. Vectors stay as they are.
    ///
    /// # Cost
    /// One pass to read the gradient, and one to write another.
    pub fn centralized(mut self) -> Self {
        self.centralized = true;
        self
    }

    /// Climbs instead of descending.
    pub fn maximize(mut self) -> Self {
        self.maximize = true;
        self
    }
}

impl Adam {
    /// Divides by the largest `√v` so far instead of the present one
    /// ([Reddi et al. 2018](https://arxiv.org/abs/1904.09237)).
    pub fn amsgrad(mut self) -> Self {
        self.amsgrad = true;
        self
    }
}

impl AdamW {
    /// Divides by the largest `√v` so far instead of the present one
    /// ([Reddi et al. 2018](https://arxiv.org/abs/1904.09237)).
    pub fn amsgrad(mut self) -> Self {
        self.amsgrad = true;
        self
    }
}

impl NAdam {
    /// `ψ`, how fast `μ` rises from `½β₁` to `β₁`.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn momentum_decay(mut self, psi: impl Into<Hyper>) -> Result<Self, Error> {
        self.momentum_decay =
            psi.into().checked(Range::NonNegative, Self::param("momentum_decay"))?;
        Ok(self)
    }
}

impl Adopt {
    /// Leaves the normalised gradient without a bound, as in the first version of the paper.
    pub fn without_bound(mut self) -> Self {
        self.bound = None;
        self
    }
}

impl<K: Squares> Adaptive<K> {
    /// Shortens the step of a tensor whose gradient has outgrown its second moment: StableAdamW
    /// ([Wortsman et al. 2023](https://arxiv.org/abs/2304.13013)), for a threshold of 1.
    ///
    /// ```text
    /// RMS = √mean(g²/max(v̂, ε²))        γ ← γ/max(1, RMS/threshold)
    /// ```
    ///
    /// Decoupled decay uses the shortened rate too, as in the paper. It does not replace a clip: the
    /// moments have seen the gradient.
    ///
    /// # Errors
    /// If the threshold is not positive and finite.
    pub fn update_rms_at_most(mut self, threshold: f64) -> Result<Self, Error> {
        self.scaling.rms = Some(Self::param("update_rms_at_most").positive(threshold)?);
        Ok(self)
    }

    /// Begins the second moment at the square of the first gradient, and corrects its bias as ever:
    /// GI-Adam ([Kalra & Barkeshli 2024](https://arxiv.org/abs/2406.09405)). The first steps are
    /// shorter by `√(1 − β₂ᵗ)`, which is a warm-up of its own.
    pub fn gradient_start(mut self) -> Self {
        self.gradient_start = true;
        self
    }

    /// Cuts spikes in single elements, and lets the moments begin anew from time to time.
    pub fn spam(mut self, spam: Spam) -> Self {
        self.spam = Some(spam);
        self
    }
}

const LEAVES: Leaves = Leaves {
    scalars: &[("product_1", 1.0), ("product_2", 1.0), ("momentum_product", 1.0)],
    tensors: &["moment_1", "moment_2", "largest"],
    required: 2,
};

impl<K: Kind> Kept for Adaptive<K> {
    const LEAVES: Leaves = LEAVES;
}

impl<K: Kind> Fused for Adaptive<K> {
    fn name(&self) -> &'static str {
        K::DEFAULTS.name
    }

    fn leaves(&self) -> &'static Leaves {
        &LEAVES
    }

    fn slots(&self) -> usize {
        if self.amsgrad { 3 } else { 2 }
    }

    fn plan(&self, now: &Now, memory: &mut Memory) -> Plan {
        let time = memory.time;
        memory.time += 1;
        let since = self.spam.map_or(time, |spam| spam.since(time));
        if since == 0 {
            memory.scalars = LEAVES.begin().scalars;
        }
        let [beta_1, beta_2] = self.betas.each_ref().map(|beta| beta.at(time));
        let [product_1, product_2, momentum_product] = &mut memory.scalars;
        // The correction of the moments of before, which is what a spike is measured by.
        let before = if self.corrected { 1.0 - *product_2 } else { 1.0 };
        *product_1 *= beta_1;
        *product_2 *= beta_2;

        let warmth = self.spam.map_or(1.0, |spam| spam.warmth(time));
        let now = Now { lr: now.lr * warmth, ..*now };
        let with = K::coefficients(&mut Rates {
            lr: now.lr,
            betas: (beta_1, beta_2),
            products: (*product_1, *product_2),
            epsilon: self.epsilon.at(time),
            t: since + 1,
            corrected: self.corrected,
            momentum_decay: self.momentum_decay.at(time),
            bound: self.bound,
            momentum_product,
        });
        let (coupled, shrink) = self.decay.at(time, &now);

        // What stands in the moments before the first update, or after a reset, counts for nothing.
        let begins = since == 0;
        let first = match (begins, K::DEFAULTS.second) {
            (true, Second::Adopt) => (0.0, 0.0),
            (true, _) => (0.0, 1.0 - beta_1),
            (false, _) => (beta_1, 1.0 - beta_1),
        };
        let squares = match (begins, K::DEFAULTS.second) {
            (true, Second::Adopt) => (0.0, 1.0),
            (true, _) if self.gradient_start => (0.0, 1.0),
            (true, _) => (0.0, 1.0 - beta_2),
            (false, _) => (beta_2, 1.0 - beta_2),
        };
        let second = match self.amsgrad {
            true => Second::Largest,
            false => K::DEFAULTS.second,
        };
        let spike = match self.spam {
            Some(spam) if !begins => spam.threshold / before,
            _ => f64::INFINITY,
        };
        Plan::Adam(kernel::Adam {
            incoming: now.incoming(self.maximize, coupled),
            second,
            first,
            squares,
            keep: if begins { 0.0 } else { 1.0 },
            shrink: if with.decays { shrink } else { 0.0 },
            by_gradient: with.a,
            by_moment: with.b,
            root: with.k,
            epsilon: with.epsilon,
            extra: with.extra,
            spike,
            scaling: self.scaling,
        })
    }

    fn bound(&self, before: &Before<'_>) -> Bound {
        // Shares of an average are rounded, and no longer add up to 1: with an average this long the
        // moments may grow past the largest gradient.
        const LONG: f64 = 1.0 - 1e-6;
        if self.betas.iter().any(|beta| beta.most(before.times) > LONG) {
            return Bound::UNKNOWN;
        }
        let updates = before.updates() as f64;
        let reach = K::reach(&Most {
            gradient: before.gradient(&self.decay, self.centralized),
            beta_1: self.betas[0].most(before.times),
            epsilon: self.epsilon.least(before.times),
            bound: self.bound.map(|power| updates.powf(power)),
        });
        let enlarged = match self.scaling.cautious {
            true => 1.0 / kernel::LEAST_SHARE,
            false => 1.0,
        };
        Bound { shrink: self.decay.shrink(before), step: before.lr * reach * enlarged }
    }

    fn centralizes(&self) -> bool {
        self.centralized
    }
}

impl<K: Kind> Optimizer for Adaptive<K> {
    type State<const D: usize> = TensorState<Self, D>;

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        rule::step(self, lr, tensor, grad, state)
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        state.on(device)
    }
}

impl<K: Kind> sealed::Sealed for Adaptive<K> {}

impl<K: Kind> Rule for Adaptive<K> {
    fn erased(self) -> Erased {
        Erased::of(self)
    }
}

impl<K: Kind> fmt::Debug for Adaptive<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(K::DEFAULTS.name)
            .field("beta_1", &self.betas[0])
            .field("beta_2", &self.betas[1])
            .field("epsilon", &self.epsilon)
            .field("weight_decay", &self.decay.rate)
            .field("decoupled", &self.decay.decoupled)
            .finish_non_exhaustive()
    }
}
