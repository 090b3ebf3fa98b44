//! Layer-wise adaptive rate scaling (LARS).

use burn::optim::Optimizer;
use burn::tensor::Tensor;

use super::super::{kernel, units};
use super::{Stepped, state_of_inner};
use crate::Error;
use crate::error::check::Param;

/// Scales the gradient of each tensor to a share of the tensor's norm before an optimizer sees it: LARS, with momentum
/// inside ([You et al. 2017](https://arxiv.org/abs/1708.03888)).
///
/// ```text
/// g ← η·‖p‖/(‖g‖ + λ‖p‖)·(g + λp)      where ‖p‖ and ‖g‖ are not 0, else g + λp
/// ```
///
/// ```
/// use burn::optim::ModuleOptimizer;
/// use evenkeel::optim::{Lars, Momentum};
///
/// let lars = Lars::new(0.001, Momentum::new(0.9)?)?.weight_decay(1e-4)?.matrices_only();
/// let optimizer = ModuleOptimizer::from(lars);
/// # let _ = optimizer;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// Agrees with `timm`'s `Lars`. Set weight decay here and not in the wrapped optimizer, because it enters the ratio.
///
/// # Cost
/// About six passes in addition to the optimizer's; no readback.
#[derive(Clone, Debug)]
#[doc(alias = "LARS")]
pub struct Lars<O> {
    inner: O,
    trust: f64,
    decay: f64,
    matrices_only: bool,
}

impl<O: Optimizer> Lars<O> {
    /// Wraps an optimizer, with the trust coefficient `η`, usually 0.001.
    ///
    /// # Errors
    /// If `η` is not positive and finite.
    pub fn new(trust: f64, inner: O) -> Result<Self, Error> {
        let trust = Param("Lars", "trust").positive(trust)?;
        Ok(Self { inner, trust, decay: 0.0, matrices_only: false })
    }

    /// Sets weight decay `λ`.
    ///
    /// # Errors
    /// If `λ` is negative or not finite.
    pub fn weight_decay(mut self, decay: f64) -> Result<Self, Error> {
        self.decay = Param("Lars", "weight_decay").non_negative(decay)?;
        Ok(self)
    }

    /// Leaves the gradients of biases and normalization weights unchanged, without decay: those of all tensors of rank
    /// 0 and 1.
    #[must_use]
    pub fn matrices_only(mut self) -> Self {
        self.matrices_only = true;
        self
    }
}

impl<O: Optimizer> Optimizer for Lars<O> {
    state_of_inner!();

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> Stepped<O, D> {
        if (self.matrices_only && D < 2) || grad.dims().contains(&0) {
            return self.inner.step(lr, tensor, grad, state);
        }
        let (stored, wide) = (grad.dtype(), kernel::wide(tensor.dtype()));
        let (size, length) = (units::norm(tensor.clone()), units::norm(grad.clone().cast(wide)));
        let none = size.clone().equal_elem(0.0).bool_or(length.clone().equal_elem(0.0));
        let grad = grad.cast(wide) + tensor.clone().cast(wide) * self.decay;
        // Divided first, because the ratio itself may overflow the type.
        let direction = grad.clone() / (length + size.clone() * self.decay).reshape([1; D]);
        let scaled = direction * (size * self.trust).reshape([1; D]);
        let none = none.reshape([1; D]).expand(grad.shape());
        self.inner.step(lr, tensor, scaled.mask_where(none, grad).cast(stored), state)
    }
}
