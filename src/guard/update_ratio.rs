//! A limit on how far one update may move a parameter.

use super::Guard;
use crate::error::check::Param;
use crate::{Error, Reading, Verdict};

/// Rejects an update that would move a parameter too far, relative to the parameter's norm.
///
/// ```text
/// rejected  ⇔  ‖Δpᵢ‖ > limit · max(‖pᵢ‖, floor)   for some parameter i
/// ```
///
/// This is the last check behind the optimizer: whatever made the update large (a rate, a gradient spike, a second
/// moment that has shrunk to nothing), it shows here. Healthy training moves a parameter by about 0.001 of its norm per
/// update; 0.1 is a lot.
///
/// Verdict: [`Skip`](Verdict::Skip), as exact as any other: the update is computed, judged, and undone, including the
/// optimizer's state.
///
/// Defaults: floor 10⁻³, so that parameters that start at 0 can leave it.
///
/// # Cost
/// A keel with this guard measures every update: two more passes over the parameters and one readback. It holds the
/// optimizer's state as well as the parameters through every update, so that both can be put back. That is one more set
/// of both in memory while an update runs, and slows optimizers that work in place.
///
/// ```
/// use evenkeel::{Layers, Reading, Verdict};
/// use evenkeel::guard::{Guard, UpdateRatio};
///
/// let wall = UpdateRatio::at_most(0.1)?;
/// let moved = |by| {
///     let updates = Layers::new(vec!["weight".to_string()], vec![by]).unwrap();
///     let sizes = Layers::new(vec!["weight".to_string()], vec![2.0]).unwrap();
///     Reading::new(0).with_updates(updates, sizes)
/// };
/// assert_eq!(wall.judge(&moved(0.15)), Verdict::Apply);
/// assert_eq!(wall.judge(&moved(0.25)), Verdict::Skip);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpdateRatio {
    at_most: f64,
    floor: f64,
}

impl UpdateRatio {
    /// Creates a guard that lets a parameter move by at most this fraction of its norm.
    ///
    /// # Errors
    /// If `fraction` is not positive and finite.
    pub fn at_most(fraction: f64) -> Result<Self, Error> {
        let at_most = Param("UpdateRatio", "at_most").positive(fraction)?;
        Ok(Self { at_most, floor: 1e-3 })
    }

    /// Treats a parameter's norm as at least this large.
    ///
    /// # Errors
    /// If `norm` is not positive and finite.
    pub fn floor(mut self, norm: f64) -> Result<Self, Error> {
        self.floor = Param("UpdateRatio", "floor").positive(norm)?;
        Ok(self)
    }
}

impl Guard for UpdateRatio {
    fn judge(&self, now: &Reading) -> Verdict {
        let sizes = now.sizes.iter().map(|(_, norm)| norm);
        let mut moves = now.updates.iter().map(|(_, norm)| norm).zip(sizes);
        match moves.any(|(by, size)| by > self.at_most * size.max(self.floor)) {
            true => Verdict::Skip,
            false => Verdict::Apply,
        }
    }

    fn looks_at_updates(&self) -> bool {
        true
    }

    fn name(&self) -> &str {
        "UpdateRatio"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layers;

    /// Of a parameter of this norm, at least 2, a tenth may move.
    #[test]
    fn a_parameter_may_move_by_its_share() {
        let guard = UpdateRatio::at_most(0.1).and_then(|guard| guard.floor(2.0)).unwrap();
        let judged = |by: f64, size: f64| {
            let layers = |norm| Layers::new(vec!["w".to_string()], vec![norm]).unwrap();
            guard.judge(&Reading::new(0).with_updates(layers(by), layers(size)))
        };
        assert_eq!(judged(1.0, 10.0), Verdict::Apply);
        assert_eq!(judged(1.001, 10.0), Verdict::Skip);
        assert_eq!(judged(0.2, 0.0), Verdict::Apply);
        assert_eq!(judged(0.201, 0.0), Verdict::Skip);
    }
}
