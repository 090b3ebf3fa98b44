//! Lookahead: slow weights that follow fast ones.

use burn::optim::{Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};
use burn_pack::Scalar;

use super::super::kernel;
use crate::Error;
use crate::checkpoint::tensors;
use crate::error::check::Param;

/// Lets an optimizer run ahead for `k` updates, and then moves only part of the way with it
/// ([Zhang et al. 2019](https://arxiv.org/abs/1907.08610)).
///
/// ```text
/// φ = p at the start
/// every k updates of a tensor:  φ ← φ + α·(p − φ),  p ← φ
/// ```
///
/// ```
/// use burn::optim::ModuleOptimizer;
/// use evenkeel::optim::{Lookahead, Momentum};
///
/// let optimizer = ModuleOptimizer::from(Lookahead::new(5, 0.5, Momentum::new(0.9)?)?);
/// # let _ = optimizer;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// The paper uses `k` = 5 and `α` = 0.5. The state of the wrapped optimizer is not reset.
///
/// As in the paper, the slow weights start at the weights before the first update. `timm`'s start after the first `k`
/// updates, which are therefore taken whole.
///
/// # Cost
/// The slow weights: a copy of each parameter, in `f32` at least. Three passes over them every `k` updates.
#[derive(Clone, Debug)]
pub struct Lookahead<O> {
    inner: O,
    every: u64,
    share: f64,
}

impl<O: Optimizer> Lookahead<O> {
    /// Wraps an optimizer: every `k` updates, goes the share `α` of the way.
    ///
    /// # Errors
    /// If `k` is 0, or `α` is not above 0 and at most 1.
    pub fn new(every: u64, share: f64, inner: O) -> Result<Self, Error> {
        let every = Param("Lookahead", "every").at_least(1, every)?;
        let share = Param("Lookahead", "share").fraction(share)?;
        Ok(Self { inner, every, share })
    }
}

/// The state of one tensor under [`Lookahead`]: the slow weights and the inner state.
#[derive(Clone, Debug)]
pub struct LookaheadState<S, const D: usize> {
    inner: Option<S>,
    slow: Tensor<D>,
    time: u64,
}

impl<O: Optimizer> Optimizer for Lookahead<O> {
    type State<const D: usize> = LookaheadState<O::State<D>, D>;

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let (inner, slow, time) = match state {
            Some(LookaheadState { inner, slow, time }) => (inner, slow, time),
            None => (None, tensor.clone().cast(kernel::wide(tensor.dtype())), 0),
        };
        let (time, stored) = (time + 1, tensor.dtype());
        let (fast, inner) = self.inner.step(lr, tensor, grad, inner);
        let (tensor, slow) = match time.is_multiple_of(self.every) {
            false => (fast, slow),
            true => {
                let slow = slow.clone() + (fast.cast(slow.dtype()) - slow) * self.share;
                (slow.clone().cast(stored), slow)
            }
        };
        (tensor, Some(LookaheadState { inner, slow, time }))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        LookaheadState {
            inner: state.inner.map(|inner| O::to_device(inner, device)),
            slow: state.slow.to_device(device),
            time: state.time,
        }
    }
}

impl<S: RecordState, const D: usize> RecordState for LookaheadState<S, D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_scalar(prefix, "time", Scalar::UInt(self.time));
        out.push_tensor(prefix, "slow", tensors::flatten(&self.slow));
        if let Some(inner) = &self.inner {
            inner.state_flatten(&format!("{prefix}.inner"), out);
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let time = u64::try_from(src.take_scalar(prefix, "time")?).ok()?;
        let data = src.take_tensor(prefix, "slow")?;
        let dtype = data.dtype();
        let slow = Tensor::from_data(data, (device, dtype));
        let under = format!("{prefix}.inner");
        let inner = match src.has_under(&under) {
            true => Some(S::state_unflatten(&under, src, device)?),
            false => None,
        };
        Some(Self { inner, slow, time })
    }
}
