//! What a run gives back: its losses, and whether the network died.

/// The losses of a run, and the update from which on the network was dead, if it died.
///
/// [`short_run`](super::short_run), [`fresh_run`](super::fresh_run) and [`short_sweep`](super::short_sweep)
/// return it. A run of your own may return a `Vec<f64>` in its place: nothing is known of its gradients then,
/// and no death is seen.
///
/// # What it is to die
/// A weight is a trainable tensor of two dimensions or more; in a model that has none, any trainable tensor. It
/// has a gradient in an update if
///
/// ```text
/// ‖gᵢ‖ > 10⁻¹²·‖g‖        ‖g‖: norm of the whole gradient
/// ```
///
/// A network has *died* if a weight that had a gradient has none in the last 5 updates or more, or if no weight
/// ever had one. So a layer of ReLUs that are all below 0 for every example is found, and so is one that is
/// saturated beyond what the number format can tell from flat: from there on the loss depends on the inputs no
/// more, or on fewer of its layers, and only biases learn. A loss that is exactly 0, and a whole gradient that
/// has shrunk to 0 from below 10⁻⁶ of the first one, are of a network that has learnt all there is: such updates
/// count as if every weight had a gradient.
///
/// # What it does not see
/// Some dead units in a layer in which others live; a weight that never had a gradient while others had; and a
/// death that a penalty on the weights hides, where that is a part of the loss and not of the optimizer.
///
/// ```
/// use evenkeel::finder::LossCurve;
///
/// let curve = LossCurve::new(vec![2.0, 90.0, 1.8, 1.8, 1.8, 1.8, 1.8]).with_dead_from(2);
/// assert_eq!(curve.dead_from, Some(2));
/// assert_eq!(LossCurve::from(vec![2.0, 1.0]).dead_from, None);
/// ```
///
/// Source: dying ReLUs as in Lu et al. 2019 (arXiv 1903.06733); the thresholds are ours.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct LossCurve {
    /// The loss before each update. Infinite where an update was not made, because something was not finite.
    pub losses: Vec<f64>,
    /// The first update from which on a weight had no gradient any more; 0 if no weight ever had one.
    pub dead_from: Option<u64>,
}

impl LossCurve {
    /// The losses of a run that did not die.
    pub fn new(losses: Vec<f64>) -> Self {
        Self { losses, dead_from: None }
    }

    /// The same, of a network that was dead from this update on.
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
