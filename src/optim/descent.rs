//! Gradient descent, with or without momentum.

use std::fmt;
use std::marker::PhantomData;

use super::hyper::{HyperParam, Range};
use super::kernel::{self, Plan};
use super::record::{Kept, Leaves, Memory};
use super::rule::{Before, Bound, Decay, Fused, Now, burns_optimizer, sealed};
use crate::Error;
use crate::error::check::Param;

/// Gradient descent: `p ← p − γ·g`.
///
/// ```
/// use evenkeel::optim::Sgd;
///
/// let optimizer = Sgd::new().weight_decay(5e-4)?.centralized();
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// Agrees with `torch.optim.SGD`.
pub type Sgd = Descent<Plain>;

/// Gradient descent with Polyak's momentum, or with Nesterov's form of it.
///
/// ```text
/// V ← μ·V + (1 − d)·g          V ← g at the first update
/// p ← p − γ·V                  p ← p − γ·(g + μ·V) with Nesterov's
/// ```
///
/// ```
/// use evenkeel::optim::Momentum;
///
/// let optimizer = Momentum::new(0.9)?.nesterov().weight_decay(5e-4)?.decoupled();
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// Agrees with `torch.optim.SGD`. Burn's momentum differs: there `d` is 0.1 by default, which makes steps a tenth
/// shorter.
pub type Momentum = Descent<Heavy>;

/// The rule behind [`Sgd`] and [`Momentum`]. They are separate types so that only the latter has a velocity to set.
///
/// With weight decay `λ`, coupled: `g ← g + λ·p` before anything else; decoupled: `p ← (1 − γλ)·p − …`.
///
/// State of each tensor: its velocity, if there is one, and the number of its updates.
///
/// # Cost
/// On Flex with the `flex` feature, one pass that reads `g`, `p` and `V` and writes `p` and `V` in place: 20 bytes for
/// each `f32`. On CubeCL devices (`wgpu`, `cuda`), one launch per tensor of `f32` or half precision, or one for several
/// small tensors. Elsewhere, tensor operations.
#[derive(Clone)]
pub struct Descent<K> {
    pub(super) momentum: HyperParam,
    pub(super) dampening: HyperParam,
    pub(super) nesterov: bool,
    pub(super) decay: Decay,
    pub(super) centralized: bool,
    pub(super) maximize: bool,
    kind: PhantomData<fn() -> K>,
}

/// The kind of [`Descent`] behind [`Sgd`].
#[derive(Debug, Clone, Copy)]
pub struct Plain;

/// The kind of [`Descent`] behind [`Momentum`].
#[derive(Debug, Clone, Copy)]
pub struct Heavy;

/// The kinds of [`Descent`].
pub trait Kind: sealed::Sealed + Copy + Send + Sync + 'static {
    #[doc(hidden)]
    const NAME: &'static str;
    #[doc(hidden)]
    const HEAVY: bool;
}

impl sealed::Sealed for Plain {}
impl sealed::Sealed for Heavy {}

impl Kind for Plain {
    const NAME: &'static str = "Sgd";
    const HEAVY: bool = false;
}

impl Kind for Heavy {
    const NAME: &'static str = "Momentum";
    const HEAVY: bool = true;
}

impl Default for Sgd {
    fn default() -> Self {
        Self::new()
    }
}

impl Sgd {
    /// Creates plain gradient descent, without weight decay.
    #[must_use]
    pub fn new() -> Self {
        Self::with(HyperParam::number(0.0, Range::Share))
    }
}

impl Momentum {
    /// Creates momentum `μ`, in `[0, 1)`, usually 0.9. Dampening and weight decay are 0.
    ///
    /// # Errors
    /// If `μ` is out of range.
    pub fn new(momentum: impl Into<HyperParam>) -> Result<Self, Error> {
        let param = Param(Heavy::NAME, "momentum");
        Ok(Self::with(momentum.into().checked(Range::Share, param)?))
    }

    /// Uses Nesterov's form: steps along `g + μ·V`.
    #[must_use]
    pub fn nesterov(mut self) -> Self {
        self.nesterov = true;
        self
    }

    /// Sets `d`, in `[0, 1)`: only `1 − d` of a gradient enters the velocity, from the second update on.
    ///
    /// # Errors
    /// If `d` is out of range.
    pub fn dampening(mut self, dampening: impl Into<HyperParam>) -> Result<Self, Error> {
        let param = Param(Heavy::NAME, "dampening");
        self.dampening = dampening.into().checked(Range::Share, param)?;
        Ok(self)
    }
}

impl<K: Kind> Descent<K> {
    fn with(momentum: HyperParam) -> Self {
        Self {
            momentum,
            dampening: HyperParam::number(0.0, Range::Share),
            nesterov: false,
            decay: Decay::new(0.0, false),
            centralized: false,
            maximize: false,
            kind: PhantomData,
        }
    }

    /// Sets weight decay `λ`: coupled, unless [`decoupled`](Self::decoupled) is called.
    ///
    /// # Errors
    /// If `λ` is negative or not finite.
    pub fn weight_decay(mut self, decay: impl Into<HyperParam>) -> Result<Self, Error> {
        let param = Param(K::NAME, "weight_decay");
        self.decay.rate = decay.into().checked(Range::NonNegative, param)?;
        Ok(self)
    }

    /// Decouples weight decay from the gradient: `p ← (1 − γλ)·p − …`.
    #[must_use]
    pub fn decoupled(mut self) -> Self {
        self.decay.decoupled = true;
        self
    }

    /// Exempts biases and normalization weights from weight decay: all tensors of rank 0 and 1.
    #[must_use]
    pub fn decay_matrices_only(mut self) -> Self {
        self.decay.matrices_only = true;
        self
    }

    /// Subtracts from the gradient the mean of each unit: gradient centralisation
    /// ([Yong et al. 2020](https://arxiv.org/abs/2004.01461)). A unit is a column of a matrix, which is an output of a
    /// `Linear`, or one index of the first axis of a tensor with more dimensions, which is an output of a convolution.
    /// Vectors are unchanged.
    ///
    /// # Cost
    /// One pass to read the gradient, and one to write another.
    #[must_use]
    pub fn centralized(mut self) -> Self {
        self.centralized = true;
        self
    }

    /// Ascends instead of descending.
    #[must_use]
    pub fn maximize(mut self) -> Self {
        self.maximize = true;
        self
    }
}

const LEAVES: Leaves = Leaves { scalars: &[], tensors: &["velocity"], required: 1 };
const NO_LEAVES: Leaves = Leaves { scalars: &[], tensors: &[], required: 0 };

impl<K: Kind> Kept for Descent<K> {
    const LEAVES: Leaves = if K::HEAVY { LEAVES } else { NO_LEAVES };
}

impl<K: Kind> Fused for Descent<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn leaves(&self) -> &'static Leaves {
        if K::HEAVY { &LEAVES } else { &NO_LEAVES }
    }

    fn slots(&self) -> usize {
        usize::from(K::HEAVY)
    }

    fn plan(&self, now: &Now, memory: &mut Memory) -> Plan {
        let t = memory.time;
        memory.time += 1;
        let (coupled, shrink) = self.decay.at(t, now);
        let mu = self.momentum.at(t);
        // As in Burn, there is no velocity before the first update: the first gradient is taken whole.
        let velocity = match t {
            0 => (0.0, 1.0),
            _ => (mu, 1.0 - self.dampening.at(t)),
        };
        let (by_gradient, by_velocity) = match (K::HEAVY, self.nesterov) {
            (false, _) => (now.lr, 0.0),
            (true, false) => (0.0, now.lr),
            (true, true) => (now.lr, now.lr * mu),
        };
        Plan::Momentum(kernel::Momentum {
            incoming: now.incoming(self.maximize, coupled),
            velocity: K::HEAVY.then_some(velocity),
            shrink,
            by_gradient,
            by_velocity,
        })
    }

    fn bound(&self, before: &Before<'_>) -> Bound {
        let gradient = before.gradient(&self.decay, self.centralized);
        // A velocity is at most the sum of all gradients, including the next one.
        let step = match K::HEAVY {
            true => gradient * 2.0 * (before.updates() as f64 + 1.0),
            false => gradient,
        };
        Bound { shrink: self.decay.shrink(before), step: before.lr * step }
    }

    fn hypers(&self) -> Vec<&HyperParam> {
        vec![&self.momentum, &self.dampening, &self.decay.rate]
    }

    fn centralizes(&self) -> bool {
        self.centralized
    }
}

burns_optimizer!(Descent);

impl<K: Kind> fmt::Debug for Descent<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct(K::NAME);
        if K::HEAVY {
            out.field("momentum", &self.momentum)
                .field("dampening", &self.dampening)
                .field("nesterov", &self.nesterov);
        }
        out.field("weight_decay", &self.decay.rate)
            .field("decoupled", &self.decay.decoupled)
            .field("decay_matrices_only", &self.decay.matrices_only)
            .field("centralized", &self.centralized)
            .field("maximize", &self.maximize)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_velocity_has_is_printed_only_where_there_is_one() {
        let plain = format!("{:?}", Sgd::new());
        assert!(plain.starts_with("Sgd { weight_decay: 0, decoupled: false"), "{plain}");
        let heavy = format!("{:?}", Momentum::new(0.5).unwrap());
        let settings = "Momentum { momentum: 0.5, dampening: 0, nesterov: false, weight_decay: 0";
        assert!(heavy.starts_with(settings), "{heavy}");
    }
}
