//! Layer-wise trust ratios (LAMB).

use burn::optim::Optimizer;
use burn::tensor::Tensor;

use super::super::units;
use super::{Stepped, less, state_of_inner, taken};

/// Scales an optimizer's step of each tensor to the norm of the tensor: LAMB, with AdamW inside
/// ([You et al. 2020](https://arxiv.org/abs/1904.00962)).
///
/// ```text
/// u = (p − p')/γ      p ← p − γ·‖p‖/‖u‖·u      as it was where ‖p‖ or ‖u‖ is 0
/// ```
///
/// ```
/// use burn::optim::ModuleOptimizer;
/// use evenkeel::optim::{AdamW, TrustRatio};
///
/// let lamb = TrustRatio::new(AdamW::new().epsilon(1e-6)?).at_most_one();
/// let optimizer = ModuleOptimizer::from(lamb);
/// # let _ = optimizer;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// For large batches, where no single rate fits any two layers. Agrees with `timm`'s `Lamb`, which by default clips the
/// global norm too. `u` is a difference of weights, in `f32` at least: for a step of a hundred-thousandth of the
/// weights, two digits are left.
///
/// # Cost
/// About six passes in addition to the optimizer's; no readback.
#[derive(Clone, Debug)]
#[doc(alias = "LAMB")]
pub struct TrustRatio<O> {
    inner: O,
    at_most_one: bool,
    matrices_only: bool,
}

impl<O: Optimizer> TrustRatio<O> {
    /// Wraps an optimizer.
    pub fn new(inner: O) -> Self {
        Self { inner, at_most_one: false, matrices_only: false }
    }

    /// Limits the ratio to 1, so that steps are only ever shortened.
    #[must_use]
    pub fn at_most_one(mut self) -> Self {
        self.at_most_one = true;
        self
    }

    /// Leaves the steps of biases and normalization weights unchanged: those of all tensors of rank 0 and 1.
    #[must_use]
    pub fn matrices_only(mut self) -> Self {
        self.matrices_only = true;
        self
    }
}

impl<O: Optimizer> Optimizer for TrustRatio<O> {
    state_of_inner!();

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> Stepped<O, D> {
        if (self.matrices_only && D < 2) || tensor.dims().contains(&0) {
            return self.inner.step(lr, tensor, grad, state);
        }
        let (step, state) = taken(&self.inner, lr, tensor.clone(), grad, state);
        let (size, length) = (units::norm(tensor.clone()), units::norm(step.clone()));
        let none = size.clone().equal_elem(0.0).bool_or(length.clone().equal_elem(0.0));
        let target = size * lr;
        let as_it_was = match self.at_most_one {
            true => none.bool_or(target.clone().greater_equal(length.clone())),
            false => none,
        };
        // Divided first, because the ratio itself may overflow the type.
        let scaled = step.clone() / length.reshape([1; D]) * target.reshape([1; D]);
        let as_it_was = as_it_was.reshape([1; D]).expand(step.shape());
        (less(tensor, scaled.mask_where(as_it_was, step)), state)
    }
}
