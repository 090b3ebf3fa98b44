//! Gradient clipping by a global p-norm.

use super::Clip;
use crate::error::check::Param;
use crate::{Error, Reading};

/// Clips the gradient by a p-norm: its p-norm, over all parameters together, is at most a bound.
///
/// ```text
/// ‖g‖ₚ = (Σᵢ|gᵢ|ᵖ)^(1/p)        max|gᵢ| for p = ∞
/// factor = min(1, c/‖g‖ₚ)
/// ```
///
/// The direction of the gradient is preserved. With `p` = ∞, no element exceeds `c` in absolute value; if `p` is
/// 1, the sum of all absolute values is bounded. For `p` = 2, [`GlobalNorm`](super::GlobalNorm) is equivalent and
/// costs nothing. To bound each tensor separately, use [`optim::PNormClip`](crate::optim::PNormClip).
///
/// Cannot be used with [`Decide::OnDevice`](crate::Decide::OnDevice): building the keel returns an error. A
/// reading made by hand needs [`with_p_norm`](Reading::with_p_norm); without it, the gradient is scaled
/// to zero.
///
/// Source: torch `clip_grad_norm_` with `norm_type` `p`, except for the 10⁻⁶ that torch adds to the norm.
///
/// # Cost
/// About five passes over the gradients per step, three for `p` = ∞, as tensor operations; the results are read
/// in the same readback as the rest. Powers are computed relative to the largest element of each tensor, so none
/// overflows.
///
/// ```
/// use evenkeel::Reading;
/// use evenkeel::clip::{Clip, PNorm};
///
/// let clip = PNorm::new(f64::INFINITY, 0.5)?;
/// let now = Reading::new(0).with_p_norm(f64::INFINITY, 2.0);
/// assert_eq!(clip.factor(&now), 0.25);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PNorm {
    power: f64,
    at_most: f64,
}

impl PNorm {
    /// Clips the p-norm to at most `c`.
    ///
    /// # Errors
    /// If `p` is below 1, where it would not be a norm, or `c` is not positive and finite.
    pub fn new(power: f64, at_most: f64) -> Result<Self, Error> {
        let power = Param("PNorm", "power").must(power >= 1.0, "at least 1", power)?;
        let at_most = Param("PNorm", "at_most").positive(at_most)?;
        Ok(Self { power, at_most })
    }
}

impl Clip for PNorm {
    fn factor(&self, now: &Reading) -> f64 {
        match now.p_norm(self.power) {
            Some(norm) if norm <= self.at_most => 1.0,
            Some(norm) => self.at_most / norm,
            None => 0.0,
        }
    }

    fn power(&self) -> Option<f64> {
        Some(self.power)
    }

    fn name(&self) -> &str {
        "PNorm"
    }
}
