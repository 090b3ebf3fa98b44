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
/// global norm too unless it is told not to. `u` is a difference of weights: of a step that is a
/// hundred-thousandth of the weights, `f32` leaves two digits.
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
        let (after, state) = self.inner.step(lr, tensor.clone(), grad, state);
        if self.matrices_only && D < 2 {
            return (after, state);
        }
        let step = taken(&tensor, &after);
        let (size, length) = (units::norm(tensor.clone()), units::norm(step.clone()));
        let none = (size.clone() * length.clone()).equal_elem(0.0);
        let ratio = (size * lr / length).mask_fill(none, 1.0);
        let ratio = match self.at_most_one {
            true => ratio.clamp_max(1.0),
            false => ratio,
        };
        (less(tensor, step * ratio.reshape([1; D])), state)
    }
}
