//! A limit on the gradient norm of single parameters.

use super::Guard;
use crate::error::check::Param;
use crate::report::is_under;
use crate::{Error, Reading, Verdict};

/// Rejects a step in which the gradient of one parameter, or of any parameter in a part of the model, is too large.
///
/// ```text
/// rejected  ⇔  ‖gᵢ‖ > limit for some parameter i whose path begins with the prefix
/// ```
///
/// A prefix ends where a path component does: `"head"` covers `head` and `head.weight`, but not `header.weight`. Norms
/// are measured before any clipping. For several limits, use several guards.
///
/// Verdict: [`Skip`](Verdict::Skip).
///
/// ```
/// use evenkeel::{Layers, Reading, Verdict};
/// use evenkeel::guard::{Guard, LayerLimit};
///
/// let paths = ["body.weight".to_string(), "head.weight".to_string()];
/// let norms = Layers::new(paths, vec![50.0, 0.5]).unwrap();
/// let now = Reading::new(0).with_layers(norms);
/// assert_eq!(LayerLimit::at_most(10.0)?.judge(&now), Verdict::Skip);
/// assert_eq!(LayerLimit::at_most(10.0)?.under("head").judge(&now), Verdict::Apply);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LayerLimit {
    at_most: f64,
    prefix: String,
}

impl LayerLimit {
    /// Creates a guard that allows every parameter a gradient norm of at most `limit`.
    ///
    /// # Errors
    /// If `limit` is not positive and finite.
    pub fn at_most(limit: f64) -> Result<Self, Error> {
        let at_most = Param("LayerLimit", "at_most").positive(limit)?;
        Ok(Self { at_most, prefix: String::new() })
    }

    /// Restricts the limit to parameters under this path.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.prefix = prefix.to_string();
        self
    }
}

impl Guard for LayerLimit {
    fn judge(&self, now: &Reading) -> Verdict {
        match now
            .layers
            .iter()
            .any(|(path, norm)| norm > self.at_most && is_under(path, &self.prefix))
        {
            true => Verdict::Skip,
            false => Verdict::Apply,
        }
    }

    fn part(&self) -> Option<&str> {
        Some(&self.prefix)
    }

    fn name(&self) -> &str {
        "LayerLimit"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layers;

    #[test]
    fn a_prefix_ends_where_a_path_does() {
        let limit = LayerLimit::at_most(1.0).unwrap();
        let judge = |limit: &LayerLimit, path: &str| {
            let layers = Layers::new(vec![path.to_string()], vec![2.0]).unwrap();
            limit.judge(&Reading::new(0).with_layers(layers))
        };
        assert_eq!(judge(&limit, "anything"), Verdict::Skip);
        let head = limit.under("head");
        for (path, verdict) in [
            ("head", Verdict::Skip),
            ("head.weight", Verdict::Skip),
            ("header.weight", Verdict::Apply),
            ("body.head", Verdict::Apply),
        ] {
            assert_eq!(judge(&head, path), verdict, "{path}");
        }
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        let layers = Layers::new(vec!["a".to_string()], vec![1.0]).unwrap();
        let now = Reading::new(0).with_layers(layers);
        assert_eq!(LayerLimit::at_most(1.0).unwrap().judge(&now), Verdict::Apply);
        let said = LayerLimit::at_most(0.0).unwrap_err().to_string();
        assert_eq!(said, "`at_most` of LayerLimit must be a positive finite number, got 0");
    }
}
