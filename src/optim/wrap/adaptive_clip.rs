//! Adaptive gradient clipping.

use burn::optim::Optimizer;
use burn::tensor::Tensor;

use super::super::{kernel, units};
use super::{Stepped, state_of_inner};
use crate::Error;
use crate::error::check::Param;

/// Adaptive gradient clipping: the norm of each unit's gradient is at most a share of the norm of the unit's weights,
/// so no layer can be thrown far in one step ([Brock et al. 2021](https://arxiv.org/abs/2102.06171)).
///
/// ```text
/// g ← λ·max(‖p‖, ε)/‖g‖·g      for each unit with ‖g‖ > λ·max(‖p‖, ε)
/// ```
///
/// ```
/// use burn::optim::ModuleOptimizer;
/// use evenkeel::optim::{AdaptiveClip, Momentum};
///
/// let optimizer = ModuleOptimizer::from(AdaptiveClip::new(0.01, Momentum::new(0.9)?)?);
/// # let _ = optimizer;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// A unit is the weights that produce one output: a column of a matrix in Burn's layout, one index of the first axis of
/// a tensor with more dimensions, or all of a vector. `ε` is 0.001, so that weights that start at 0 can move. The
/// authors leave the last layer unclipped: give it a separate group.
///
/// Agrees with `timm`'s `adaptive_clip_grad` on the transposed matrix.
///
/// # Cost
/// About six passes in addition to the optimizer's; no readback.
#[derive(Clone, Debug)]
#[doc(alias = "adaptive_grad_clip")]
#[doc(alias = "AGC")]
#[doc(alias = "adaptive_clip_grad")]
pub struct AdaptiveClip<O> {
    inner: O,
    share: f64,
    epsilon: f64,
}

impl<O: Optimizer> AdaptiveClip<O> {
    /// Wraps an optimizer, with the share `λ`: from 0.01 for large batches to 0.16 for small ones.
    ///
    /// # Errors
    /// If `λ` is not positive and finite.
    pub fn new(share: f64, inner: O) -> Result<Self, Error> {
        let share = Param("AdaptiveClip", "share").positive(share)?;
        Ok(Self { inner, share, epsilon: 1e-3 })
    }

    /// Sets `ε`, the smallest norm that a unit is assumed to have.
    ///
    /// # Errors
    /// If `ε` is not positive and finite.
    pub fn epsilon(mut self, epsilon: f64) -> Result<Self, Error> {
        self.epsilon = Param("AdaptiveClip", "epsilon").positive(epsilon)?;
        Ok(self)
    }
}

impl<O: Optimizer> Optimizer for AdaptiveClip<O> {
    state_of_inner!();

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> Stepped<O, D> {
        let (stored, wide) = (grad.dtype(), kernel::wide(tensor.dtype()));
        if grad.dims().contains(&0) {
            return self.inner.step(lr, tensor, grad, state);
        }
        let grad = grad.cast(wide);
        let (largest, over) = units::norms(tensor.clone().cast(wide));
        let limit = (largest * over).clamp_min(self.epsilon) * self.share;
        let (largest, over) = units::norms(grad.clone());
        let within = (largest.clone() * over.clone()).lower_equal(limit.clone());
        // Divided by the largest element first, because the norm itself may overflow the type.
        let clipped = grad.clone() / largest * (limit / over);
        let within = within.expand(grad.shape());
        self.inner.step(lr, tensor, clipped.mask_where(within, grad).cast(stored), state)
    }
}
