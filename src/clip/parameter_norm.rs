//! Gradient clipping by the norm of each parameter.

use super::Clip;
use crate::error::check::Param;
use crate::report::is_under;
use crate::{Error, Reading};

/// Clips each parameter's gradient separately, so that its norm is at most a bound.
///
/// ```text
/// factorᵢ = 1             for ‖gᵢ‖ ≤ c
///         = c/‖gᵢ‖        for ‖gᵢ‖ > c
/// ```
///
/// A layer whose gradient explodes does not shrink the steps of all other layers, as it would with
/// [`GlobalNorm`](super::GlobalNorm). The direction of the whole gradient is not preserved.
///
/// Edges: as for [`GlobalNorm`](super::GlobalNorm).
///
/// Source: Burn's `GradientClipping::Norm`, which also accepts a negative bound, spreads a NaN, and does not
/// report what it did.
///
/// ```
/// use evenkeel::{Layers, Reading};
/// use evenkeel::clip::{Clip, ParameterNorm};
///
/// let paths = ["body.weight".to_string(), "head.weight".to_string()];
/// let now = Reading::new(0).with_layers(Layers::new(paths, vec![0.5, 4.0]).unwrap());
/// assert_eq!(ParameterNorm::at_most(1.0)?.layer_factors(&now), [1.0, 0.25]);
/// assert_eq!(ParameterNorm::at_most(1.0)?.under("body").layer_factors(&now), [1.0, 1.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[doc(alias = "clipnorm")]
pub struct ParameterNorm {
    at_most: f64,
    prefix: String,
}

impl ParameterNorm {
    /// Clips the norm of every parameter's gradient to at most `c`.
    ///
    /// # Errors
    /// If `c` is not positive and finite.
    pub fn at_most(c: f64) -> Result<Self, Error> {
        let at_most = Param("ParameterNorm", "at_most").positive(c)?;
        Ok(Self { at_most, prefix: String::new() })
    }

    /// Restricts the clip to parameters under this path. A prefix matches whole path segments: `"head"` covers
    /// `head` and `head.weight`, but not `header.weight`.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.prefix = prefix.to_string();
        self
    }
}

impl Clip for ParameterNorm {
    fn factor(&self, _: &Reading) -> f64 {
        1.0
    }

    fn layer_factors(&self, now: &Reading) -> Vec<f64> {
        let factor = |(path, norm)| match norm > self.at_most && is_under(path, &self.prefix) {
            true => self.at_most / norm,
            false => 1.0,
        };
        now.layers.iter().map(factor).collect()
    }

    fn part(&self) -> Option<&str> {
        Some(&self.prefix)
    }

    fn name(&self) -> &str {
        "ParameterNorm"
    }
}
