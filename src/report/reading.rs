//! What is measured of a step.

use super::{Fault, Layers};

/// What is known about a training step when it is judged: the input of every guard and every clip.
///
/// Norms are Euclidean, taken before any clipping, over the parameters that received a gradient.
///
/// ```
/// use evenkeel::Reading;
///
/// let now = Reading::new(3).with_loss(0.5).with_grad_norm(2.0);
/// assert_eq!(now.update, 3);
/// assert!(now.fault.is_none());
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// Number of steps requested before this one. It never goes back, so it orders a log.
    pub attempt: u64,
    /// Index of the update being judged: the number of updates the weights have seen. A rewind lowers it.
    pub update: u64,
    /// The requested learning rate (the base rate, if parameter groups have their own).
    pub lr: f64,
    /// The loss.
    pub loss: f64,
    /// Norm of the whole gradient, `√Σᵢ‖gᵢ‖²`. The squares are taken in `f32`, so elements below 10⁻²³ contribute
    /// nothing.
    pub grad_norm: f64,
    /// Norm of each parameter's gradient.
    pub layers: Layers,
    /// Other norms of the whole gradient, as `(p, ‖g‖ₚ)`: those that a clip [asks for](crate::clip::Clip::power).
    pub p_norms: Vec<(f64, f64)>,
    /// How far the update would move each parameter, `‖Δpᵢ‖`. Empty unless a guard
    /// [looks at updates](crate::guard::Guard::looks_at_updates).
    pub updates: Layers,
    /// Norm of each parameter that received a gradient, before the update, `‖pᵢ‖`. Empty unless `updates` is present, a
    /// bound [looks at sizes](crate::bound::StepBound::looks_at_sizes) in this step, or a
    /// [recent snapshot](crate::Rewind::recent) falls due after it.
    pub sizes: Layers,
    /// Cosine of the angle between each parameter and its gradient, `|⟨pᵢ, gᵢ⟩|/(‖pᵢ‖·‖gᵢ‖)`; NaN where a norm is 0.
    /// Empty unless a bound [looks at alignments](crate::bound::StepBound::looks_at_alignments) in this step.
    pub alignments: Layers,
    /// The first non-finite value that was found, if any.
    pub fault: Option<Fault>,
}

impl Reading {
    /// Creates a reading of update `update` with no fault and every number 0: a starting point for readings made by
    /// hand, to test a guard or a clip.
    #[must_use]
    pub fn new(update: u64) -> Self {
        Self {
            attempt: update,
            update,
            lr: 0.0,
            loss: 0.0,
            grad_norm: 0.0,
            layers: Layers::default(),
            p_norms: Vec::new(),
            updates: Layers::default(),
            sizes: Layers::default(),
            alignments: Layers::default(),
            fault: None,
        }
    }

    /// Sets the loss; a non-finite loss is a [`Fault::Loss`].
    #[must_use]
    pub fn with_loss(mut self, loss: f64) -> Self {
        self.loss = loss;
        if !loss.is_finite() {
            self.fault = self.fault.or(Some(Fault::Loss));
        }
        self
    }

    /// Sets the gradient norm; a non-finite norm is a [`Fault::Gradient`].
    #[must_use]
    pub fn with_grad_norm(mut self, norm: f64) -> Self {
        self.grad_norm = norm;
        if !norm.is_finite() {
            self.fault = self.fault.or(Some(Fault::Gradient));
        }
        self
    }

    /// Sets the learning rate; a non-finite rate is a [`Fault::Rate`].
    #[must_use]
    pub fn with_lr(mut self, lr: f64) -> Self {
        self.lr = lr;
        if !lr.is_finite() {
            self.fault = self.fault.or(Some(Fault::Rate));
        }
        self
    }

    /// Adds a p-norm of the whole gradient.
    #[must_use]
    pub fn with_p_norm(mut self, power: f64, norm: f64) -> Self {
        self.p_norms.push((power, norm));
        self
    }

    /// Returns the p-norm of the whole gradient, or `None` if it wasn't asked for.
    #[must_use]
    pub fn p_norm(&self, power: f64) -> Option<f64> {
        self.p_norms.iter().find(|(p, _)| *p == power).map(|(_, norm)| *norm)
    }

    /// Sets the norms of the updates, and of the parameters they update.
    #[must_use]
    pub fn with_updates(mut self, updates: Layers, sizes: Layers) -> Self {
        (self.updates, self.sizes) = (updates, sizes);
        self
    }

    /// Sets the norms of the parameters' gradients.
    #[must_use]
    pub fn with_layers(mut self, layers: Layers) -> Self {
        self.layers = layers;
        self
    }
}
