//! Polynomial decay.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::{lerp, progress};

/// Polynomial decay from one value to another; the final value is then held.
///
/// ```text
/// y(t) = to + (from − to)·(1 − pᵏ)^n   for t < over, with p = t/over
///      = to                           for t ≥ over
/// ```
///
/// `over` is a length in updates. `n` and `k` are 1 unless set by [`power`](Self::power) and
/// [`k_decay`](Self::k_decay).
///
/// Edges: `at(0) = from` and `at(over) = to`, exactly. With `over = 0` the value is `to` from the
/// start. With [`cycle`](Self::cycle), the end moves further out instead.
///
/// Agrees with optax `polynomial_schedule`, torch `PolynomialLR` (which has no `to`), Keras
/// `PolynomialDecay` and timm's `poly`. If the length is 0, torch and optax stay at `from`.
///
/// ```
/// use evenkeel::schedule::{Polynomial, Schedule};
///
/// let decay = Polynomial::new(1.0, 0.0, 4)?.power(2.0)?;
/// assert_eq!([0, 1, 2, 4, 5].map(|t| decay.at(t)), [1.0, 0.5625, 0.25, 0.0, 0.0]);
/// // Update 5 is in the second round, which is 8 long.
/// assert_eq!([4, 5, 8, 9].map(|t| decay.cycle().at(t)), [0.0, 0.140625, 0.0, 0.0625]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "PolynomialLR")]
#[doc(alias = "PolynomialDecay")]
#[doc(alias = "polynomial_schedule")]
pub struct Polynomial {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) to: f64,
    pub(in crate::schedule) over: u64,
    pub(in crate::schedule) power: f64,
    pub(in crate::schedule) k_decay: f64,
    pub(in crate::schedule) cycle: bool,
}

impl Polynomial {
    /// Creates a decay from `from` to `to`, `over` updates long.
    ///
    /// # Errors
    /// If `from` or `to` is not finite.
    pub fn new(from: f64, to: f64, over: u64) -> Result<Self, Error> {
        Ok(Self {
            from: Param("Polynomial", "from").finite(from)?,
            to: Param("Polynomial", "to").finite(to)?,
            over,
            power: 1.0,
            k_decay: 1.0,
            cycle: false,
        })
    }

    /// Sets the power `n`: above 1, the value falls sooner.
    ///
    /// # Errors
    /// If `n` is negative or not finite.
    pub fn power(mut self, n: f64) -> Result<Self, Error> {
        self.power = Param("Polynomial", "power").non_negative(n)?;
        Ok(self)
    }

    /// Raises time to the power `k`: above 1, the value falls later.
    ///
    /// Source: Zhang & Li 2020 (arXiv 2004.05909).
    ///
    /// # Errors
    /// If `k` is not positive and finite.
    pub fn k_decay(mut self, k: f64) -> Result<Self, Error> {
        self.k_decay = Param("Polynomial", "k_decay").positive(k)?;
        Ok(self)
    }

    /// Continues past the end as if the decay had been planned twice as long, past that end as if three times
    /// as long, and so on. At the ends themselves the value is `to`.
    ///
    /// Agrees with Keras `PolynomialDecay(cycle=True)`. With `over = 0` there is nothing to repeat, and the
    /// value is `to`.
    #[must_use]
    pub fn cycle(mut self) -> Self {
        self.cycle = true;
        self
    }
}

impl Schedule for Polynomial {
    fn at(&self, t: u64) -> f64 {
        let Self { from, to, over, power, k_decay, cycle } = *self;
        let over = match cycle && over > 0 {
            true => over.saturating_mul(t.div_ceil(over).max(1)),
            false => over,
        };
        if t >= over {
            return to;
        }
        let mut p = progress(t, over);
        if k_decay != 1.0 {
            p = p.powf(k_decay);
        }
        let mut w = 1.0 - p;
        if power != 1.0 {
            w = w.powf(power);
        }
        lerp(to, from, w)
    }
}
