//! A bound on another norm of the whole gradient than the Euclidean.

use super::Clip;
use crate::error::check::Param;
use crate::{Error, Reading};

/// Scales the gradient so that its p-norm, over all parameters together, is at most a bound.
///
/// ```text
/// ‖g‖ₚ = (Σᵢ|gᵢ|ᵖ)^(1/p)        max|gᵢ| for p = ∞
/// factor = min(1, c/‖g‖ₚ)
/// ```
///
/// The direction of the gradient is kept. With `p` = ∞ no element is above `c`; with `p` = 1 the bound is on
/// the sum of them all. For `p` = 2 [`GlobalNorm`](super::GlobalNorm) is the same and costs nothing. Each
/// tensor is bounded by itself with [`optim::PowerNormClip`](crate::optim::PowerNormClip).
///
/// Not with [`Decide::OnDevice`](crate::Decide::OnDevice), where the keel says so when it is built. A reading
/// that was made by hand needs [`with_power_norm`](Reading::with_power_norm), and is left nothing without.
///
/// Source: torch `clip_grad_norm_` with `norm_type` `p`, but for the 10⁻⁶ that torch adds to the norm.
///
/// # Cost
/// About five passes over the gradients a step, three for `p` = ∞, by tensor operations; they are read
/// together with the rest. Powers are taken over the largest element of each tensor, so that none overflows.
///
/// ```
/// use evenkeel::Reading;
/// use evenkeel::clip::{Clip, PowerNorm};
///
/// let clip = PowerNorm::new(f64::INFINITY, 0.5)?;
/// let now = Reading::new(0).with_power_norm(f64::INFINITY, 2.0);
/// assert_eq!(clip.factor(&now), 0.25);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerNorm {
    power: f64,
    at_most: f64,
}

impl PowerNorm {
    /// A p-norm of at most `c`.
    ///
    /// # Errors
    /// If `p` is not at least 1, which is what makes it a norm; if `c` is not positive and finite.
    pub fn new(power: f64, at_most: f64) -> Result<Self, Error> {
        let power = Param("PowerNorm", "power").must(power >= 1.0, "at least 1", power)?;
        let at_most = Param("PowerNorm", "at_most").positive(at_most)?;
        Ok(Self { power, at_most })
    }
}

impl Clip for PowerNorm {
    fn factor(&self, now: &Reading) -> f64 {
        match now.power_norm(self.power) {
            Some(norm) if norm <= self.at_most => 1.0,
            Some(norm) => self.at_most / norm,
            None => 0.0,
        }
    }

    fn power(&self) -> Option<f64> {
        Some(self.power)
    }

    fn name(&self) -> &str {
        "PowerNorm"
    }
}
