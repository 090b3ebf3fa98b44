//! The settings of the optimizer.

use super::finding::{Check, Finding, Severity, above, named};
use super::look::Parameter;
use crate::text::short;

/// Reports weight decay on parameters with fewer than two axes.
pub(super) fn decay(decay: f64, parameters: &[Parameter]) -> Option<Finding> {
    let vectors = parameters.iter().filter(|p| p.trainable && p.shape.len() < 2);
    let vectors: Vec<&str> = vectors.map(|p| p.path.as_str()).collect();
    (decay > 0.0 && !vectors.is_empty()).then(|| {
        Finding::new(
            Check::DecayedVectors,
            (decay, 0.0, Severity::Note),
            format!("a decay of {} pulls at norms and biases: {}", short(decay), named(vectors)),
            "decay matrices only: `decay_matrices_only` of evenkeel's AdamW",
        )
    })
}

/// `ε` over a layer's typical gradient: at 1 it halves the layer's steps; above 10 is severe.
pub(super) fn epsilon(epsilon: f64, gradients: &[(String, f64)]) -> Option<Finding> {
    // A gradient of exactly 0 is a separate finding.
    let ratio = |rms: f64| epsilon / rms;
    let slow = gradients.iter().filter(|(_, rms)| *rms > 0.0 && ratio(*rms) > 1.0);
    let slow: Vec<&(String, f64)> = slow.collect();
    let worst = slow.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let found = above(ratio(worst.1), 1.0, 10.0)?;
    Some(Finding::new(
        Check::LargeEpsilon,
        found,
        format!(
            "the epsilon of {} is above the typical gradient of {} of {} tensors ({}: {})",
            short(epsilon),
            slow.len(),
            gradients.len(),
            worst.0,
            short(worst.1)
        ),
        "a smaller epsilon, 1e-8 or less: as it is, Adam's steps there are as small as the gradients",
    ))
}
