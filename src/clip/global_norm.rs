//! A bound on the norm of the whole gradient.

use super::Clip;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::schedule::{Constant, Schedule};
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
/// The bound is a number, or [follows a schedule](Self::following) of the updates.
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
#[doc(alias = "clip_grad_norm_")]
#[doc(alias = "gradient_clip_val")]
#[doc(alias = "global_clipnorm")]
#[doc(alias = "clip_by_global_norm")]
#[doc(alias = "GradientClip")]
pub struct GlobalNorm<S = Constant> {
    at_most: S,
}

impl GlobalNorm {
    /// A norm of at most `c`.
    ///
    /// # Errors
    /// If `c` is not positive and finite.
    pub fn at_most(c: f64) -> Result<Self, Error> {
        let c = Param("GlobalNorm", "at_most").positive(c)?;
        Ok(Self { at_most: Constant::new(c)? })
    }
}

impl<S: Schedule> GlobalNorm<S> {
    /// A norm of at most `bound.at(update)`, with the update that is under judgement. Where that is
    /// not above 0, nothing is left of the gradient.
    ///
    /// A skipped step does not move the bound on, and a rewind moves it back.
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

    /// What feedback in the bound has learnt; nothing, if it is a number.
    fn state(&self) -> State {
        self.at_most.state()
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        self.at_most.restore(state)
    }
}
