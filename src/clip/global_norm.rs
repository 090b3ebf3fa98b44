//! Gradient clipping by global norm.

use super::Clip;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::schedule::{Constant, Schedule};
use crate::{Error, Reading};

/// Clips the gradient by global norm: its norm, over all parameters together, is at most a bound.
///
/// ```text
/// factor = 1            for ‖g‖ ≤ c
///        = c/‖g‖        for ‖g‖ > c
/// ```
///
/// The direction of the gradient is preserved. Burn's `GradientClipping::Norm` bounds each *tensor* separately: a
/// model of two tensors clipped at 1 can then have a norm of up to √2, and the direction of the whole gradient is
/// lost.
///
/// The bound is a constant, or [follows a schedule](Self::following) of the updates.
///
/// Edges: a gradient whose norm is exactly `c`, or 0, is left unchanged. A clip is never given a non-finite
/// gradient.
///
/// Source: Pascanu et al. 2013 (arXiv 1211.5063), algorithm 1. torch `clip_grad_norm_` divides by `‖g‖ + 10⁻⁶`;
/// optax `clip_by_global_norm` matches this type. Both accept a negative bound, which turns training into ascent,
/// and both spread a NaN to every gradient.
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
#[doc(alias = "clip_grad_norm_")]
#[doc(alias = "gradient_clip_val")]
#[doc(alias = "global_clipnorm")]
#[doc(alias = "clip_by_global_norm")]
#[doc(alias = "GradientClip")]
pub struct GlobalNorm<S = Constant> {
    at_most: S,
}

impl GlobalNorm {
    /// Clips the norm to at most `c`.
    ///
    /// # Errors
    /// If `c` is not positive and finite.
    pub fn at_most(c: f64) -> Result<Self, Error> {
        let c = Param("GlobalNorm", "at_most").positive(c)?;
        Ok(Self { at_most: Constant::new(c)? })
    }
}

impl<S: Schedule> GlobalNorm<S> {
    /// Clips the norm to at most `bound.at(update)`, where `update` is the step being decided. Where that value
    /// is not above 0, the gradient is scaled to zero.
    ///
    /// A skipped step does not advance the bound, and a rewind moves it back.
    ///
    /// ```
    /// use evenkeel::Reading;
    /// use evenkeel::clip::{Clip, GlobalNorm};
    /// use evenkeel::schedule::Ramp;
    ///
    /// // Tight at the start, where gradients mislead.
    /// let clip = GlobalNorm::following(Ramp::new(0.1, 1.0, 1000)?);
    /// let factor = |update| clip.factor(&Reading::new(update).with_grad_norm(1.0));
    /// assert_eq!([0, 500, 1000].map(factor), [0.1, 0.55, 1.0]);
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    pub fn following(bound: S) -> Self {
        Self { at_most: bound }
    }
}

impl<S: Schedule + Send> Clip for GlobalNorm<S> {
    fn factor(&self, now: &Reading) -> f64 {
        let at_most = self.at_most.at(now.update);
        match now.grad_norm <= at_most {
            true => 1.0,
            // A bound that is NaN or negative keeps nothing of the gradient.
            false => at_most.max(0.0) / now.grad_norm,
        }
    }

    fn norm_at_most(&self, now: &Reading) -> Option<f64> {
        Some(self.at_most.at(now.update))
    }

    fn name(&self) -> &str {
        "GlobalNorm"
    }

    /// Returns what feedback in the bound has learned; empty if the bound is a constant.
    fn state(&self) -> State {
        self.at_most.state()
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        self.at_most.restore(state)
    }
}
