//! A bound on the norm of the whole gradient.

use super::Clip;
use crate::error::check::Param;
use crate::{Error, Reading};

/// Scales the gradient so that its norm, over all parameters together, is at most a bound.
///
/// ```text
/// factor = 1            for ‖g‖ ≤ c
///        = c/‖g‖        for ‖g‖ > c
/// ```
///
/// The direction of the gradient is kept. Burn's `GradientClipping::Norm` bounds each *tensor* by
/// itself: a model of two tensors clipped at 1 then has a norm of up to √2, and the direction of
/// the whole is lost.
///
/// Edges: a gradient of exactly `c`, or of 0, is left as it is. A non-finite gradient never gets
/// here.
///
/// Source: Pascanu et al. 2013 (arXiv 1211.5063), algorithm 1. torch `clip_grad_norm_` divides by
/// `‖g‖ + 10⁻⁶`; optax `clip_by_global_norm` is as here. Both take a negative bound, which turns
/// training into ascent, and both spread a NaN over every gradient.
///
/// ```
/// use evenkeel::Reading;
/// use evenkeel::clip::{Clip, GlobalNorm};
///
/// let clip = GlobalNorm::at_most(1.0)?;
/// let factor = |norm| clip.factor(&Reading::new(0).with_grad_norm(norm));
/// assert_eq!([0.0, 0.5, 1.0, 4.0].map(factor), [1.0, 1.0, 1.0, 0.25]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GlobalNorm {
    at_most: f64,
}

impl GlobalNorm {
    /// A norm of at most `c`.
    ///
    /// # Errors
    /// If `c` is not positive and finite.
    pub fn at_most(c: f64) -> Result<Self, Error> {
        Ok(Self { at_most: Param("GlobalNorm", "at_most").positive(c)? })
    }
}

impl Clip for GlobalNorm {
    fn factor(&self, now: &Reading) -> f64 {
        match now.grad_norm > self.at_most {
            true => self.at_most / now.grad_norm,
            false => 1.0,
        }
    }

    fn norm_at_most(&self, _now: &Reading) -> Option<f64> {
        Some(self.at_most)
    }

    fn name(&self) -> &str {
        "GlobalNorm"
    }
}
