//! Gradient clipping by a p-norm of each tensor.

use burn::optim::Optimizer;
use burn::tensor::Tensor;

use super::super::kernel;
use super::{Stepped, state_of_inner};
use crate::Error;
use crate::error::check::Param;
use crate::widen::powers;

/// Clips the gradient of each tensor by its p-norm; for `p` = ∞, by its largest element.
///
/// ```text
/// ‖g‖ = (Σ|g|ᵖ)^(1/p)        max|g| for p = ∞
/// g ← c/‖g‖·g                for ‖g‖ > c
/// ```
///
/// The direction within a tensor is preserved. With `p` = ∞, no element exceeds `c` in absolute value, as with
/// [`ValueClip`](super::ValueClip), but all shrink by the same factor. For the Euclidean norm, the clips of a
/// [`Keel`](crate::Keel) are better: they cost no pass, are reported, and can bound all tensors together.
///
/// It needs no number from the host, so it works the same with either [`Decide`](crate::Decide). It acts after the
/// clips of a keel, on what they leave, and no report mentions it.
///
/// ```
/// use burn::optim::ModuleOptimizer;
/// use evenkeel::optim::{Momentum, PNormClip};
///
/// let optimizer = ModuleOptimizer::from(PNormClip::new(f64::INFINITY, 0.1, Momentum::new(0.9)?)?);
/// # let _ = optimizer;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// Agrees with torch's `clip_grad_norm_` with `norm_type` `p`, called once for each tensor, except for the 10⁻⁶ that
/// torch adds to the norm. Powers are computed relative to the largest element, so none overflows.
///
/// # Cost
/// About five passes in addition to the optimizer's, three for `p` = ∞; no readback, no state.
#[derive(Clone, Debug)]
pub struct PNormClip<O> {
    inner: O,
    power: f64,
    at_most: f64,
}

impl<O: Optimizer> PNormClip<O> {
    /// Wraps an optimizer, with the power `p` and the bound `c`.
    ///
    /// # Errors
    /// If `p` is not at least 1, as a norm requires, or `c` is not positive and finite.
    pub fn new(power: f64, at_most: f64, inner: O) -> Result<Self, Error> {
        let power = Param("PNormClip", "power").must(power >= 1.0, "at least 1", power)?;
        let at_most = Param("PNormClip", "at_most").positive(at_most)?;
        Ok(Self { inner, power, at_most })
    }
}

impl<O: Optimizer> Optimizer for PNormClip<O> {
    state_of_inner!();

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> Stepped<O, D> {
        if grad.dims().contains(&0) {
            return self.inner.step(lr, tensor, grad, state);
        }
        let (stored, wide) = (grad.dtype(), kernel::wide(grad.dtype()));
        let grad = grad.cast(wide);
        let sizes = grad.clone().abs();
        let largest = sizes.clone().max();
        let norm = match self.power.is_infinite() {
            true => largest,
            false => {
                let (sum, scale) = powers(sizes, largest, self.power);
                sum.powf_scalar(1.0 / self.power) * scale
            }
        };
        let within = norm.clone().lower_equal_elem(self.at_most);
        // Where the norm is 0, the quotient is not used.
        let factor = norm.recip().mul_scalar(self.at_most).mask_fill(within, 1.0);
        self.inner.step(lr, tensor, (grad * factor.reshape([1; D])).cast(stored), state)
    }
}
