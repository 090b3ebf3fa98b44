//! The Adam family.

pub(super) mod kind;
mod settings;
mod spam;

pub use spam::Spam;

use std::fmt;
use std::marker::PhantomData;

use super::hyper::HyperParam;
use super::kernel::{self, Plan, Scaling, Second};
use super::record::{Kept, Leaves, Memory};
use super::rule::{Before, Bound, Decay, Fused, Now, burns_optimizer};
use kind::{Kind, Most, Rates};

/// Adam ([Kingma & Ba 2015](https://arxiv.org/abs/1412.6980)).
///
/// ```text
/// m ← β₁·m + (1 − β₁)·g            m̂ = m/(1 − β₁ᵗ)
/// v ← β₂·v + (1 − β₂)·g²           v̂ = v/(1 − β₂ᵗ)
/// p ← p − γ·m̂/(√v̂ + ε)
/// ```
///
/// Defaults: `β` = 0.9 and 0.999, `ε` = 1e-8, no weight decay. Weight decay, if set, is coupled: `g ← g + λ·p`.
/// [`AdamW`] decouples it.
///
/// Agrees with `torch.optim.Adam`. Burn's Adam has `ε` = 1e-5 by default.
pub type Adam = Adaptive<kind::Adam>;

/// Adam with decoupled weight decay ([Loshchilov & Hutter 2019](https://arxiv.org/abs/1711.05101)):
/// `p ← (1 − γλ)·p − γ·m̂/(√v̂ + ε)`, where `λ` is 0.01 by default.
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
/// Agrees with `torch.optim.AdamW`. Burn's AdamW has `ε` = 1e-5 and `λ` = 1e-4 by default.
pub type AdamW = Adaptive<kind::AdamW>;

/// Adam with Nesterov's momentum ([Dozat 2016](https://openreview.net/pdf?id=OM0jvwB8jIp57ZJjtNEZ)).
///
/// ```text
/// μₜ = β₁·(1 − ½·0.96^(t·ψ))
/// p ← p − γ·( (1 − μₜ)/(1 − Πμ)·g + μₜ₊₁/(1 − μₜ₊₁·Πμ)·m )/(√v̂ + ε)
/// ```
///
/// with `m` and `v̂` as in [`Adam`], and `ψ` = 0.004 unless [set](Self::momentum_decay). Agrees with
/// `torch.optim.NAdam`.
pub type NAdam = Adaptive<kind::NAdam>;

/// Rectified Adam: corrects the step while the second moment rests on few gradients
/// ([Liu et al. 2020](https://arxiv.org/abs/1908.03265)).
///
/// ```text
/// ρ∞ = 2/(1 − β₂) − 1          ρ = ρ∞ − 2t·β₂ᵗ/(1 − β₂ᵗ)
/// r = √( (ρ − 4)(ρ − 2)·ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)·ρ) )
/// p ← p − γ·r·m̂·√(1 − β₂ᵗ)/(√v + ε)    if ρ > 5
/// p ← p − γ·m̂                         otherwise
/// ```
///
/// The second case is plain descent at Adam's rate, for the first five updates with the usual `β₂`: with gradients of
/// arbitrary scale, this is where training explodes. A clip helps, a warmup helps more.
///
/// Agrees with `torch.optim.RAdam`, including the place of `ε`.
pub type RAdam = Adaptive<kind::RAdam>;

/// Adam that divides by the deviation of gradients from their mean
/// ([Zhuang et al. 2020](https://arxiv.org/abs/2010.07468)).
///
/// ```text
/// s ← β₂·s + (1 − β₂)·(g − m)² + ε
/// p ← p − γ·m̂/(√ŝ + ε)
/// ```
///
/// `ε` is 1e-16, as in the paper, in both places. Agrees with `optax.adabelief` if both of its `ε` have the same value.
pub type AdaBelief = Adaptive<kind::AdaBelief>;

/// Adam that divides by the largest gradient, from section 7.1 of Adam's paper.
///
/// ```text
/// u ← max(β₂·u, |g| + ε)
/// p ← p − γ/(1 − β₁ᵗ)·m/u
/// ```
///
/// Agrees with `torch.optim.Adamax`.
pub type Adamax = Adaptive<kind::Adamax>;

/// Adam that divides by the squares of *earlier* gradients only, and therefore converges for any `β₂`
/// ([Taniguchi et al. 2024](https://arxiv.org/abs/2411.02853)).
///
/// ```text
/// v ← g²                                 at the first update, which moves nothing
/// m ← β₁·m + (1 − β₁)·clip(g/max(√v, ε), ±t^¼)
/// p ← p − γ·m
/// v ← β₂·v + (1 − β₂)·g²
/// ```
///
/// where `t` counts from 0. Defaults: `β` = 0.9 and 0.9999, `ε` = 1e-6. Agrees with `timm`'s with `clip_exp` 0.25,
/// which has the authors' order of operations.
pub type Adopt = Adaptive<kind::Adopt>;

/// The rule behind [`Adam`], [`AdamW`] and the others. They are separate types so that each has its defaults and only
/// the settings that apply to it.
///
/// State of each tensor: two tensors of its shape, three with AMSGrad, the products of its `β`, and the number of its
/// updates. Bias is corrected in `f64` from these products, so the correction is exact even for a `β` that changes.
///
/// # Cost
/// On Flex with the `flex` feature, one pass that reads `g`, `p`, `m` and `v` and writes the last three in place: 28
/// bytes for each `f32`. [`update_rms_at_most`](Self::update_rms_at_most) and [`cautious`](Self::cautious) depend on
/// all elements of a tensor at once and take a second pass. On CubeCL devices (`wgpu`, `cuda`), without those two, one
/// launch per tensor of `f32` or half precision, or one for several small tensors. Elsewhere, tensor operations.
#[derive(Clone)]
pub struct Adaptive<K> {
    pub(super) betas: [HyperParam; 2],
    pub(super) epsilon: HyperParam,
    pub(super) decay: Decay,
    pub(super) corrected: bool,
    pub(super) amsgrad: bool,
    pub(super) momentum_decay: HyperParam,
    pub(super) bound: Option<f64>,
    pub(super) gradient_start: bool,
    pub(super) spam: Option<Spam>,
    pub(super) scaling: Scaling,
    pub(super) centralized: bool,
    pub(super) maximize: bool,
    kind: PhantomData<fn() -> K>,
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
        let [product_1, product_2, momentum_product, _] = &mut memory.scalars;
        // The bias correction of the previous moments, by which a spike is measured.
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

        // The values in the moments before the first update, or after a reset, do not count.
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
        // The weights of an average are rounded, and no longer add up to 1: in an average this long, the moments may
        // grow past the largest gradient.
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

    fn hypers(&self) -> Vec<&HyperParam> {
        let [beta_1, beta_2] = &self.betas;
        vec![beta_1, beta_2, &self.epsilon, &self.momentum_decay, &self.decay.rate]
    }

    fn second_moment(&self, memory: &Memory) -> Option<(f64, f64)> {
        let last = memory.time.checked_sub(1)?;
        let correction = if self.corrected { 1.0 - memory.scalars[1] } else { 1.0 };
        let squares = K::DEFAULTS.second == Second::Square && correction > 0.0;
        squares.then(|| (correction, self.epsilon.at(last)))
    }

    fn centralizes(&self) -> bool {
        self.centralized
    }
}

burns_optimizer!(Adaptive);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_moment_is_told_only_if_it_averages_squares() {
        fn told<K: Kind>(time: u64, product: f64) -> Option<(f64, f64)> {
            let rule = Adaptive::<K>::new().epsilon(0.01).unwrap();
            rule.second_moment(&Memory { time, scalars: [0.5, product, 1.0, 0.0] })
        }
        assert_eq!(told::<kind::Adam>(1, 0.75), Some((0.25, 0.01)));
        // Before the first update there is none, and where its bias is all of it, nothing is left to correct.
        assert_eq!((told::<kind::Adam>(0, 1.0), told::<kind::Adam>(1, 1.0)), (None, None));
        let others = [told::<kind::AdaBelief>, told::<kind::Adamax>, told::<kind::Adopt>];
        assert_eq!(others.map(|told| told(1, 0.75)), [None; 3]);
    }
}
