//! The learning rate of the original Transformer.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::saturate;

/// Linear warmup followed by inverse square-root decay, scaled by the model size.
///
/// With `n = t + 1`, `d` the model size and `w` the warmup,
///
/// ```text
/// y(t) = factor · d^−½ · min(n^−½, n · w^−3⁄2)
/// ```
///
/// `w` is a length in updates; `factor` is 1 unless [set](Self::factor).
///
/// Edges: updates are counted from 1 in the formula, so that the first update already has an effect, and the
/// peak, `factor/√(d·w)`, is at update `w − 1`. There is no end; the value approaches 0. With
/// `w = 0` there is no warmup.
///
/// Source: Vaswani et al. 2017 (arXiv 1706.03762), equation 3. Agrees with Burn's Noam scheduler. To
/// choose the peak yourself, put an [`InverseSqrt`](super::InverseSqrt) after a [`Ramp`](super::Ramp).
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
    pub(in crate::schedule) warmup: u64,
    pub(in crate::schedule) factor: f64,
}

impl Noam {
    /// Creates the schedule for a model whose states have `model_size` elements.
    ///
    /// # Errors
    /// If `model_size` is 0.
    pub fn new(model_size: u64, warmup: u64) -> Result<Self, Error> {
        let model_size = Param("Noam", "model_size").at_least(1, model_size)?;
        Ok(Self { model_size, warmup, factor: 1.0 })
    }

    /// Multiplies the whole schedule by `factor`.
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
        let (d, w, n) = (self.model_size as f64, self.warmup as f64, t as f64 + 1.0);
        // With a warmup of length 0 this is infinite, and the other term is the smaller one.
        let rising = n / (w * w.sqrt());
        saturate(self.factor * d.sqrt().recip() * rising.min(n.sqrt().recip()))
    }
}
