//! The rate of the first Transformer.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::saturate;

/// A linear warm-up, then inverse square-root decay, scaled by the size of the model.
///
/// With `n = t + 1`, `d` the model size and `w` the warm-up,
///
/// ```text
/// y(t) = factor · d^−½ · min(n^−½, n · w^−3⁄2)
/// ```
///
/// `w` is a length in updates; `factor` is 1 unless [set](Self::factor).
///
/// Edges: updates are counted from 1 in the formula, so that the first one already moves, and the
/// peak, `factor/√(d·w)`, is at update `w − 1`. There is no end; the value approaches 0. With
/// `w = 0` there is no warm-up.
///
/// Source: Vaswani et al. 2017 (arXiv 1706.03762), equation 3. Agrees with Burn's Noam scheduler. For
/// a peak of your own, put an [`InverseSqrt`](super::InverseSqrt) after a [`Ramp`](super::Ramp).
///
/// ```
/// use evenkeel::schedule::{Noam, Schedule};
///
/// let rate = Noam::new(4, 4)?;
/// assert_eq!([0, 1, 3, 15].map(|t| rate.at(t)), [0.0625, 0.125, 0.25, 0.125]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "NoamLR")]
pub struct Noam {
    pub(in crate::schedule) model_size: u64,
    pub(in crate::schedule) warm_up: u64,
    pub(in crate::schedule) factor: f64,
}

impl Noam {
    /// The rate for a model with states of `model_size` numbers.
    ///
    /// # Errors
    /// If `model_size` is 0.
    pub fn new(model_size: u64, warm_up: u64) -> Result<Self, Error> {
        let model_size = Param("Noam", "model_size").at_least(1, model_size)?;
        Ok(Self { model_size, warm_up, factor: 1.0 })
    }

    /// Multiplies all of it.
    ///
    /// # Errors
    /// If `factor` is not finite.
    pub fn factor(mut self, factor: f64) -> Result<Self, Error> {
        self.factor = Param("Noam", "factor").finite(factor)?;
        Ok(self)
    }
}

impl Schedule for Noam {
    fn at(&self, t: u64) -> f64 {
        let (d, w, n) = (self.model_size as f64, self.warm_up as f64, t as f64 + 1.0);
        // A warm-up of no length makes this infinite, and the other one the smaller.
        let rising = n / (w * w.sqrt());
        saturate(self.factor * d.sqrt().recip() * rising.min(n.sqrt().recip()))
    }
}
