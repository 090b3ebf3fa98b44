//! The result of a run: its losses, and whether the network died.

/// The losses of a run, and the update from which the network was dead, if it died.
///
/// [`short_run`](super::short_run), [`fresh_run`](super::fresh_run) and [`short_sweep`](super::short_sweep)
/// return it. A custom run may return a `Vec<f64>` instead: then nothing is known about its gradients, and death
/// is not detected.
///
/// # When a network is dead
/// A weight is a trainable tensor with two or more dimensions or, in a model without any, any trainable tensor.
/// It has a gradient in an update if
///
/// ```text
/// ‖gᵢ‖ > 10⁻¹²·‖g‖        ‖g‖: norm of the whole gradient
/// ```
///
/// A network has *died* if a weight that had a gradient has none in the last 5 updates or more, or if no weight
/// ever had one. This detects a layer of ReLUs that are all below 0 for every example, and one that is saturated
/// so far that the number format cannot distinguish it from flat: from there on, the loss no longer depends on
/// the inputs, or depends on fewer layers, and only biases learn. A loss of exactly 0, or a whole gradient that
/// has shrunk to 0 from below 10⁻⁶ of the first one, means that the network has learned all there is: such
/// updates count as if every weight had a gradient.
///
/// # What it does not detect
/// Some dead units in a layer in which others are alive; a weight that never had a gradient while others did; and
/// a death masked by a penalty on the weights, if that is part of the loss and not of the optimizer.
///
/// ```
/// use evenkeel::finder::LossCurve;
///
/// let curve = LossCurve::new(vec![2.0, 90.0, 1.8, 1.8, 1.8, 1.8, 1.8]).with_dead_from(2);
/// assert_eq!(curve.dead_from, Some(2));
/// assert_eq!(LossCurve::from(vec![2.0, 1.0]).dead_from, None);
/// ```
///
/// Source: dying ReLUs as in Lu et al. 2019 (arXiv 1903.06733); the thresholds are our own.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct LossCurve {
    /// The loss before each update. Infinite where an update was not made because something was not finite.
    pub losses: Vec<f64>,
    /// The first update from which a weight no longer had a gradient; 0 if no weight ever had one.
    pub dead_from: Option<u64>,
}

impl LossCurve {
    /// Creates the curve of a run that did not die.
    #[must_use]
    pub fn new(losses: Vec<f64>) -> Self {
        Self { losses, dead_from: None }
    }

    /// Marks the network as dead from this update on.
    #[must_use]
    pub fn with_dead_from(mut self, update: u64) -> Self {
        self.dead_from = Some(update);
        self
    }
}

impl From<Vec<f64>> for LossCurve {
    fn from(losses: Vec<f64>) -> Self {
        Self::new(losses)
    }
}
