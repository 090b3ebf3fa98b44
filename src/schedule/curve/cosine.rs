//! Cosine decay.

use std::f64::consts::PI;

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::{lerp, progress};

/// Cosine decay from one value to another; the final value is then held.
///
/// ```text
/// y(t) = to + (from − to)·((1 + cos(π·pᵏ))/2)^q   for t < over, with p = t/over
///      = to                                       for t ≥ over
/// ```
///
/// `over` is a length in updates. `q` and `k` are 1 unless set by [`exponent`](Self::exponent) and
/// [`k_decay`](Self::k_decay). The curve is flat at both ends and steepest in the middle. It can rise
/// as well as fall.
///
/// Edges: `at(0) = from` and `at(over) = to`, exactly; `to` is held past the end. With `over = 0`
/// the value is `to` from the start.
///
/// Source: Loshchilov & Hutter 2017 (arXiv 1608.03983), equation 5, one period. Agrees with optax
/// `cosine_decay_schedule`, which has the exponent, and with timm, which has `k`. The cosines of Burn, torch
/// and transformers climb back to the start value past their end.
///
/// ```
/// use evenkeel::schedule::{Cosine, Schedule};
///
/// let decay = Cosine::new(1.0, 0.0, 4)?;
/// assert_eq!(decay.at(0), 1.0);
/// assert!((decay.at(1) - (1.0 + 0.5f64.sqrt()) / 2.0).abs() < 1e-15);
/// assert!((decay.at(2) - 0.5).abs() < 1e-15);
/// assert_eq!((decay.at(4), decay.at(8), decay.at(u64::MAX)), (0.0, 0.0, 0.0));
/// assert!((decay.exponent(2.0)?.at(2) - 0.25).abs() < 1e-15);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "CosineAnnealingLR")]
#[doc(alias = "CosineDecay")]
#[doc(alias = "cosine_decay_schedule")]
pub struct Cosine {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) to: f64,
    pub(in crate::schedule) over: u64,
    pub(in crate::schedule) exponent: f64,
    pub(in crate::schedule) k_decay: f64,
}

impl Cosine {
    /// Creates a half cosine from `from` to `to`, `over` updates long.
    ///
    /// # Errors
    /// If `from` or `to` is not finite.
    pub fn new(from: f64, to: f64, over: u64) -> Result<Self, Error> {
        Ok(Self {
            from: Param("Cosine", "from").finite(from)?,
            to: Param("Cosine", "to").finite(to)?,
            over,
            exponent: 1.0,
            k_decay: 1.0,
        })
    }

    /// Raises the cosine to the power `q`: above 1, the value falls sooner.
    ///
    /// # Errors
    /// If `q` is not positive and finite.
    pub fn exponent(mut self, q: f64) -> Result<Self, Error> {
        self.exponent = Param("Cosine", "exponent").positive(q)?;
        Ok(self)
    }

    /// Raises time to the power `k`: above 1, the value falls later.
    ///
    /// Source: Zhang & Li 2020 (arXiv 2004.05909).
    ///
    /// # Errors
    /// If `k` is not positive and finite.
    pub fn k_decay(mut self, k: f64) -> Result<Self, Error> {
        self.k_decay = Param("Cosine", "k_decay").positive(k)?;
        Ok(self)
    }
}

impl Schedule for Cosine {
    fn at(&self, t: u64) -> f64 {
        let Self { from, to, over, exponent, k_decay } = *self;
        if t >= over {
            return to;
        }
        let mut p = progress(t, over);
        // Powers cost more than the cosine itself and are rarely used.
        if k_decay != 1.0 {
            p = p.powf(k_decay);
        }
        let mut w = (1.0 + (PI * p).cos()) / 2.0;
        if exponent != 1.0 {
            w = w.powf(exponent);
        }
        lerp(to, from, w)
    }
}
