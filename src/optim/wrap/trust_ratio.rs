//! Steps in proportion to the weights.

use burn::optim::Optimizer;
use burn::tensor::Tensor;

use super::super::units;
use super::{Stepped, less, state_of_inner, taken};

/// Makes an optimizer's step of each tensor as long as the tensor: with AdamW inside this is LAMB
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
/// For large batches, where one rate fits no two layers. Agrees with `timm`'s `Lamb`, which clips the
/// global norm too unless it is told not to. `u` is a difference of weights, in `f32` at least: of a step that is a
/// hundred-thousandth of the weights, two digits are left.
///
/// # Cost
/// About six passes beside the optimizer's; no readback.
#[derive(Clone, Debug)]
#[doc(alias = "LAMB")]
pub struct TrustRatio<O> {
    inner: O,
    at_most_one: bool,
    matrices_only: bool,
}

impl<O: Optimizer> TrustRatio<O> {
    /// Around any optimizer.
    pub fn new(inner: O) -> Self {
        Self { inner, at_most_one: false, matrices_only: false }
    }

    /// Only ever shortens a step: the ratio is at most 1.
    pub fn at_most_one(mut self) -> Self {
        self.at_most_one = true;
        self
    }

    /// Leaves the steps of biases and of the weights of normalisation as they are: those of all
    /// tensors of rank 0 and 1.
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
        // Divided first: the ratio itself may be above all that the type holds.
        let scaled = step.clone() / length.reshape([1; D]) * target.reshape([1; D]);
        let as_it_was = as_it_was.reshape([1; D]).expand(step.shape());
        (less(tensor, scaled.mask_where(as_it_was, step)), state)
    }
}
