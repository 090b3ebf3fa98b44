//! Gradient clipping by the norm of one part of a model.

use super::Clip;
use crate::error::check::Param;
use crate::report::is_under;
use crate::{Error, Reading};

/// Clips the gradient of one part of the model, so that its norm is at most a bound.
///
/// With `n` the norm over all parameters under a path together:
///
/// ```text
/// factorᵢ = min(1, c/n)        for parameters under the path        n = √Σ‖gᵢ‖²
///         = 1                  for all others
/// ```
///
/// For several parts, use several clips. The direction within the part is preserved.
///
/// Source: `clip_grad_norm_` called once for each parameter group, as is usual in PyTorch.
///
/// ```
/// use evenkeel::{Layers, Reading};
/// use evenkeel::clip::{Clip, ModuleNorm};
///
/// let paths = ["body".to_string(), "head.weight".to_string(), "head.bias".to_string()];
/// let now = Reading::new(0).with_layers(Layers::new(paths, vec![9.0, 4.0, 3.0]).unwrap());
/// assert_eq!(ModuleNorm::under("head", 2.5)?.layer_factors(&now), [1.0, 0.5, 0.5]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleNorm {
    prefix: String,
    at_most: f64,
}

impl ModuleNorm {
    /// Clips the norm of the parameters under this path, taken together, to at most `c`. A prefix matches whole
    /// path segments: `"head"` covers `head` and `head.weight`, but not `header.weight`. The empty prefix covers
    /// the whole model.
    ///
    /// # Errors
    /// If `c` is not positive and finite.
    pub fn under(prefix: &str, at_most: f64) -> Result<Self, Error> {
        let at_most = Param("ModuleNorm", "at_most").positive(at_most)?;
        Ok(Self { prefix: prefix.to_string(), at_most })
    }
}

impl Clip for ModuleNorm {
    fn factor(&self, _: &Reading) -> f64 {
        1.0
    }

    fn layer_factors(&self, now: &Reading) -> Vec<f64> {
        let covered = |path: &str| is_under(path, &self.prefix);
        let norms = now.layers.iter().filter(|(path, _)| covered(path)).map(|(_, norm)| norm);
        // These are norms of `f32` gradients, so no square overflows.
        let norm = norms.map(|norm| norm * norm).sum::<f64>().sqrt();
        let left = if norm > self.at_most { self.at_most / norm } else { 1.0 };
        now.layers.iter().map(|(path, _)| if covered(path) { left } else { 1.0 }).collect()
    }

    fn part(&self) -> Option<&str> {
        Some(&self.prefix)
    }

    fn name(&self) -> &str {
        "ModuleNorm"
    }
}
