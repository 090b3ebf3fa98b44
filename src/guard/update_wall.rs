//! A bound on how far one update may move a parameter.

use super::Guard;
use crate::error::check::Param;
use crate::{Error, Reading, Verdict};

/// Rejects an update that would move a parameter too far, measured against its own size.
///
/// ```text
/// rejected  ⇔  ‖Δpᵢ‖ > limit · max(‖pᵢ‖, floor)   for some parameter i
/// ```
///
/// This is the wall behind the optimizer: whatever made the update large, a rate, a spike in the
/// gradient or a second moment that has shrunk to nothing, it shows here. Healthy training moves a
/// parameter by about 0.001 of its norm in an update; 0.1 is a lot.
///
/// Verdict: [`Skip`](Verdict::Skip), and it is as exact as any: the update is computed, judged, and put
/// back, optimizer and all.
///
/// Defaults: floor 10⁻³, so that parameters which start at 0 can leave it.
///
/// # Cost
/// A keel with this guard measures every update: two more passes over the parameters and one
/// readback. It holds the optimizer's state through every update as well as the parameters, so that
/// both can be put back, which is one more set of them in memory while an update runs, and slows
/// optimizers that work in place.
///
/// ```
/// use evenkeel::{Layers, Reading, Verdict};
/// use evenkeel::guard::{Guard, UpdateWall};
///
/// let wall = UpdateWall::at_most(0.1)?;
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
pub struct UpdateWall {
    at_most: f64,
    floor: f64,
}

impl UpdateWall {
    /// A parameter may move by at most this fraction of its norm.
    ///
    /// # Errors
    /// If `fraction` is not positive and finite.
    pub fn at_most(fraction: f64) -> Result<Self, Error> {
        let at_most = Param("UpdateWall", "at_most").positive(fraction)?;
        Ok(Self { at_most, floor: 1e-3 })
    }

    /// A parameter's norm counts as at least this.
    ///
    /// # Errors
    /// If `norm` is not positive and finite.
    pub fn floor(mut self, norm: f64) -> Result<Self, Error> {
        self.floor = Param("UpdateWall", "floor").positive(norm)?;
        Ok(self)
    }
}

impl Guard for UpdateWall {
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
        "UpdateWall"
    }
}
