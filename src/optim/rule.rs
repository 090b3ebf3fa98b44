//! Traits and helpers that the rules of this crate share.

use std::fmt;
use std::sync::Arc;

use burn::optim::Optimizer;
use burn::tensor::Tensor;

use super::hyper::{HyperParam, Range};
use super::kernel::{self, Buffer, Incoming, Job, Limits, Plan};
use super::record::{Kept, Leaves, Memory, TensorState};
use super::units;

/// An optimizer of this crate: a Burn [`Optimizer`] whose update is one pass of a kernel, and which a
/// [`ParamGroups`](super::ParamGroups) can run for all tensors of a model at once.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use evenkeel::optim::{AdamW, Rule, Sgd};
/// use evenkeel::{Error, Keel};
///
/// fn guarded(rule: impl Rule, model: &Linear) -> Result<Keel<Linear>, Error> {
///     Keel::wrap(rule).recommended().build(model)
/// }
///
/// let model = LinearConfig::new(2, 1).init(&Device::default().autodiff());
/// assert_eq!(guarded(Sgd::new(), &model)?.updates(), 0);
/// assert_eq!(guarded(AdamW::new(), &model)?.updates(), 0);
/// # Ok::<(), Error>(())
/// ```
pub trait Rule: Optimizer + sealed::Sealed {
    /// Erases the type of the rule.
    #[doc(hidden)]
    fn erased(self) -> Erased;
}

pub(super) mod sealed {
    #[allow(unreachable_pub)]
    pub trait Sealed {}
}

/// A type-erased rule.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Erased(pub(super) Arc<dyn Fused>);

impl Erased {
    pub(super) fn of(rule: impl Fused + 'static) -> Self {
        Self(Arc::new(rule))
    }
}

/// A rule as the kernels and the module-level driver see it: numbers in, a plan out.
pub(super) trait Fused: fmt::Debug + Send + Sync {
    /// Returns its name in saved states.
    fn name(&self) -> &'static str;

    /// Returns what it keeps for each tensor.
    fn leaves(&self) -> &'static Leaves;

    /// Returns how many of the tensors among its leaves it uses with its settings.
    fn slots(&self) -> usize;

    /// Plans the next update of one tensor, and advances its memory by one.
    fn plan(&self, now: &Now, memory: &mut Memory) -> Plan;

    /// Returns whether its memory depends on the rates of earlier updates, and not only on their number.
    fn remembers_rates(&self) -> bool {
        false
    }

    /// Returns a bound on what one update can do to an element.
    fn bound(&self, before: &Before<'_>) -> Bound;

    /// Returns its settings that may be curves.
    fn hypers(&self) -> Vec<&HyperParam>;

    /// Returns whether the mean of each unit is subtracted from its gradient first.
    fn centralizes(&self) -> bool;

    /// Returns the divisor for its second tensor of state, if that averages squares of gradients, and `ε`.
    fn second_moment(&self, memory: &Memory) -> Option<(f64, f64)> {
        let _ = memory;
        None
    }

    /// Returns `β` of a rule that trains `y = (1 − β)z + βx`, where `z` is its first tensor of state and the average
    /// `x` is to be evaluated.
    fn averages(&self) -> Option<f64> {
        None
    }
}

/// Inputs of an update of one tensor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) lr: f64,
    /// Factor on the gradient.
    pub(super) factor: f64,
    pub(super) rank: usize,
}

impl Now {
    /// Returns the preprocessing of the gradient.
    pub(super) fn incoming(&self, maximize: bool, coupled: f64) -> Incoming {
        let factor = if maximize { -self.factor } else { self.factor };
        Incoming { factor, coupled }
    }
}

/// What is known about an update before it is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before<'a> {
    /// The highest rate of any tensor.
    pub(super) lr: f64,
    /// Upper bound on the norm of every gradient so far, after the factor.
    pub(super) gradient: f64,
    /// How many updates the tensors have seen: every number that occurs.
    pub(super) times: &'a [u64],
}

impl Before<'_> {
    /// Returns a bound on the elements of `g'`.
    pub(super) fn gradient(&self, decay: &Decay, centralized: bool) -> f64 {
        let limit = Limits::SINGLE.gradient;
        if decay.rate.most(self.times) > Bound::SAFE {
            // The decay rate may overflow in `f32`, and infinity times 0 is NaN.
            return f64::INFINITY;
        }
        match decay.decoupled || decay.rate.constant() == Some(0.0) {
            // The mean of a unit is no larger than its largest element.
            true => (self.gradient * if centralized { 2.0 } else { 1.0 }).min(limit),
            // The parameter may have any size; the kernels clamp the sum to the limit.
            false => limit,
        }
    }

    pub(super) fn updates(&self) -> u64 {
        self.times.iter().copied().max().unwrap_or(0)
    }
}

/// A bound on what one update can do to an element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// The rate times decoupled decay.
    pub(super) shrink: f64,
    /// What else is subtracted from the parameter.
    pub(super) step: f64,
}

impl Bound {
    /// Nothing is known.
    pub(super) const UNKNOWN: Self = Self { shrink: f64::INFINITY, step: f64::INFINITY };

    /// Returns whether every finite parameter stays finite.
    ///
    /// The spacing of `f32` at the end of its range is 2·10³¹, so anything below half of that changes nothing there:
    /// `p − Δ` rounds to a finite number for every finite `p`. The same holds for `bf16`, computed in `f32`, and all
    /// the more for `f64`; `f16` saturates. Nor can anything overflow in between: a step is a quotient of numbers below
    /// 10³⁰.
    pub(super) fn is_safe(self) -> bool {
        self.step <= Self::SAFE && self.shrink <= 2.0
    }

    const SAFE: f64 = 1e30;
}

/// Weight decay.
#[derive(Clone, Debug)]
pub(super) struct Decay {
    pub(super) rate: HyperParam,
    pub(super) decoupled: bool,
    /// Whether vectors are exempt.
    pub(super) matrices_only: bool,
}

impl Decay {
    pub(super) const fn new(rate: f64, decoupled: bool) -> Self {
        let rate = HyperParam::number(rate, Range::NonNegative);
        Self { rate, decoupled, matrices_only: false }
    }

    /// Returns coupled decay, and the rate times decoupled decay; one of them is 0.
    pub(super) fn at(&self, time: u64, now: &Now) -> (f64, f64) {
        let rate = match self.matrices_only && now.rank < 2 {
            true => 0.0,
            false => self.rate.at(time),
        };
        match self.decoupled {
            true => (0.0, now.lr * rate),
            false => (rate, 0.0),
        }
    }

    /// Returns the largest share that decoupled decay subtracts.
    pub(super) fn shrink(&self, before: &Before<'_>) -> f64 {
        match self.decoupled {
            true => before.lr * self.rate.most(before.times),
            false => 0.0,
        }
    }
}

/// Makes one update of one tensor, for Burn's [`Optimizer`].
pub(super) fn step<const D: usize, L: Kept>(
    rule: &dyn Fused,
    lr: f64,
    tensor: Tensor<D>,
    grad: Tensor<D>,
    state: Option<TensorState<L, D>>,
) -> (Tensor<D>, Option<TensorState<L, D>>) {
    if tensor.dims().contains(&0) {
        // Not every device can launch a kernel over an empty tensor.
        return (tensor, state);
    }
    let (mut memory, slots) = match state {
        Some(state) => state.into_parts(),
        None => (L::LEAVES.begin(), Vec::new()),
    };
    let plan = rule.plan(&Now { lr, factor: 1.0, rank: D }, &mut memory);
    let grad = match rule.centralizes() {
        true => units::centralized(grad),
        false => grad,
    };
    let slots = slots.into_iter().map(Buffer::of).collect();
    let (param, grad) = (Buffer::of(tensor), Buffer::of(grad));
    let done = kernel::run_one(Job::new(D, plan, param, grad, slots));
    let slots = done.slots.into_iter().map(Buffer::into_tensor).collect();
    (done.param.into_tensor(), Some(TensorState::new(memory, slots)))
}

/// Implements Burn's [`Optimizer`] and [`Rule`] for a rule that is [`Fused`] and [`Kept`]. `Kind` is the trait of that
/// name in the rule's module.
macro_rules! burns_optimizer {
    ($rule:ident) => {
        impl<K: Kind> burn::optim::Optimizer for $rule<K> {
            type State<const D: usize> = $crate::optim::TensorState<Self, D>;

            fn step<const D: usize>(
                &self,
                lr: f64,
                tensor: burn::tensor::Tensor<D>,
                grad: burn::tensor::Tensor<D>,
                state: Option<Self::State<D>>,
            ) -> (burn::tensor::Tensor<D>, Option<Self::State<D>>) {
                $crate::optim::rule::step(self, lr, tensor, grad, state)
            }

            fn to_device<const D: usize>(
                state: Self::State<D>,
                device: &burn::tensor::Device,
            ) -> Self::State<D> {
                state.on(device)
            }
        }

        impl<K: Kind> $crate::optim::rule::sealed::Sealed for $rule<K> {}

        impl<K: Kind> $crate::optim::rule::Rule for $rule<K> {
            fn erased(self) -> $crate::optim::rule::Erased {
                $crate::optim::rule::Erased::of(self)
            }
        }
    };
}
pub(super) use burns_optimizer;

#[cfg(test)]
mod tests {
    use super::super::{AdaBelief, Adam, AdamW, Adopt, Momentum, NAdam, Sgd};
    use super::*;

    #[test]
    fn the_bound_on_a_gradient_is_that_of_its_parts() {
        let before = Before { lr: 1.0, gradient: 3.0, times: &[0, 5] };
        let of = |rate, decoupled, centralized| {
            before.gradient(&Decay::new(rate, decoupled), centralized)
        };
        assert_eq!((of(0.0, false, false), of(0.1, true, false)), (3.0, 3.0));
        // Less the mean of its unit.
        assert_eq!(of(0.1, true, true), 6.0);
        // The parameter is added to it, and may have any size.
        assert_eq!(of(0.1, false, false), Limits::SINGLE.gradient);
        assert_eq!(of(1e30, true, false), 3.0);
        assert_eq!(of(1.1e30, true, false), f64::INFINITY);
    }

    #[test]
    fn an_update_is_safe_up_to_the_end_of_the_range() {
        let safe = |shrink, step| Bound { shrink, step }.is_safe();
        assert!(safe(2.0, 1e30));
        assert!(!safe(2.1, 1.0) && !safe(0.0, 1.1e30));
        assert!(!Bound::UNKNOWN.is_safe() && !safe(f64::NAN, 1.0) && !safe(0.0, f64::NAN));
    }

    /// A rate of ½ along gradients of up to 3, after up to four updates.
    fn bound(rule: impl Rule) -> Bound {
        rule.erased().0.bound(&Before { lr: 0.5, gradient: 3.0, times: &[1, 4] })
    }

    fn step(rule: impl Rule) -> f64 {
        let bound = bound(rule);
        assert_eq!(bound.shrink, 0.0);
        bound.step
    }

    #[test]
    fn the_bound_on_a_step_is_that_of_the_rule() {
        let near = |found: f64, expected: f64| {
            assert!((found / expected - 1.0).abs() < 1e-12, "{found} for {expected}");
        };
        near(step(Sgd::new()), 1.5);
        // The sum of five gradients, and as much again in the direction of Nesterov.
        near(step(Momentum::new(0.9).unwrap()), 15.0);
        near(step(Adam::new().epsilon(0.01).unwrap()), 150.0);
        near(step(Adam::new().epsilon(2.0).unwrap()), 1.5);
        // An average over more than a million updates may grow.
        let over = |beta: f64| Adam::new().epsilon(2.0).unwrap().beta_2(beta).unwrap();
        near(step(over(1.0 - 1e-6)), 1.5);
        assert_eq!(bound(over(1.0 - 0.9e-6)).step, f64::INFINITY);
        // Scaled up by what is left of it.
        let cautious = Adam::new().epsilon(0.01).unwrap().cautious();
        near(step(cautious), 150.0 / super::super::kernel::LEAST_SHARE);
        near(step(NAdam::new().epsilon(0.01).unwrap()), 1650.0);
        near(step(NAdam::new().epsilon(2.0).unwrap()), 16.5);
        near(step(AdaBelief::new().epsilon(1e-4).unwrap()), 1.5 / (1e-4 + 1e-2));
        near(step(AdaBelief::new().epsilon(4.0).unwrap()), 1.5);
        near(step(Adopt::new().without_bound().epsilon(0.01).unwrap()), 150.0);
        assert_eq!(step(Adopt::new().without_bound().epsilon(1e-30).unwrap()), f64::INFINITY);
    }

    /// A decay of 0.001 in an update at the peak of ½ is a coefficient of 0.002.
    #[test]
    fn an_independent_decay_is_divided_by_the_peak() {
        let shrink = |rule: AdamW| {
            let times = &[0];
            rule.erased().0.bound(&Before { lr: 0.25, gradient: 3.0, times }).shrink
        };
        let found = shrink(AdamW::new().independent_weight_decay(0.001, 0.5).unwrap());
        assert!((found - 0.25 * 0.002).abs() < 1e-15, "{found}");
        let given = shrink(AdamW::new().weight_decay(0.002).unwrap());
        assert!((found - given).abs() < 1e-15, "{given}");
    }
}
