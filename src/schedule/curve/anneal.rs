//! Shapes of the transition from one value to another.

use std::f64::consts::PI;

use crate::Error;
use crate::error::check::Param;

/// The shape of a phase between its start value and its end value.
///
/// With `p` the completed fraction of the phase, the weight `w(p)` of the start value falls from 1 to
/// 0, and the value is `end + (start − end)·w(p)`.
///
/// | shape | `w(p)` | known from |
/// |---|---|---|
/// | `Linear` | `1 − p` | |
/// | `Cosine` | `(1 + cos πp)/2` | |
/// | `OneMinusSqrt` | `1 − √p` | Hägele et al. 2024 (arXiv 2405.18392) |
/// | `OneMinusPower(k)` | `1 − pᵏ` | timm's `power` |
/// | `Polynomial(k)` | `(1 − p)ᵏ` | torch `PolynomialLR` |
/// | `Exponential(r)` | `(rᵖ − r)/(1 − r)` | timm's `exp` with 0.1, Megatron's with 0.5 |
///
/// A warmup is the same shape reversed in time: the weight of its start value is `1 − w(1 − p)`, so that
/// a shape that falls fast at first also rises fast at the end, as in transformers' `warmup_type`.
///
/// ```
/// use evenkeel::schedule::{Anneal, Cooldown, Schedule};
///
/// let cooldown = Cooldown::new(1.0, 0.0, 4)?;
/// let at_1 = |shape| cooldown.shape(shape).map(|curve| curve.at(1));
/// assert_eq!(at_1(Anneal::Linear)?, 0.75);
/// assert_eq!(at_1(Anneal::OneMinusSqrt)?, 0.5);
/// assert_eq!(at_1(Anneal::Polynomial(2.0))?, 0.5625);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Anneal {
    /// A straight line.
    #[default]
    Linear,
    /// Half a cosine: flat at both ends.
    Cosine,
    /// Steep at first; the best cooldown in the comparison of Hägele et al.
    OneMinusSqrt,
    /// `OneMinusSqrt` with another power `k > 0`: 1 is linear, 2 is steep at the end.
    OneMinusPower(f64),
    /// Steep at first for a power `k > 1`.
    Polynomial(f64),
    /// A fall by a fixed fraction per update to a ratio `r` in `(0, 1)`, shifted and scaled so that it
    /// ends at 0. The smaller `r`, the steeper it is at first.
    Exponential(f64),
}

impl Anneal {
    /// Returns the shape if its parameter is in range.
    pub(in crate::schedule) fn checked(self, owner: &'static str) -> Result<Self, Error> {
        let param = Param(owner, "shape");
        match self {
            Self::Linear | Self::Cosine | Self::OneMinusSqrt => {}
            Self::OneMinusPower(k) | Self::Polynomial(k) => {
                param.must(k.is_finite() && k > 0.0, "of a positive finite power", k)?;
            }
            Self::Exponential(r) => {
                param.must(r > 0.0 && r < 1.0, "of a ratio above 0 and below 1", r)?;
            }
        }
        Ok(self)
    }

    /// Returns `w(p)`, for `p` in `[0, 1]`.
    pub(in crate::schedule) fn weight(self, p: f64) -> f64 {
        match self {
            Self::Linear => 1.0 - p,
            Self::Cosine => (1.0 + (PI * p).cos()) / 2.0,
            Self::OneMinusSqrt => 1.0 - p.sqrt(),
            Self::OneMinusPower(k) => 1.0 - p.powf(k),
            Self::Polynomial(k) => (1.0 - p).powf(k),
            Self::Exponential(r) => (r.powf(p) - r) / (1.0 - r),
        }
    }

    /// Returns the weight of the end value in a rise: `w(1 − p)`.
    pub(in crate::schedule) fn rise(self, p: f64) -> f64 {
        match self {
            // Not 1 − (1 − p), which loses the digits of a small p.
            Self::Linear => p,
            Self::Cosine => (1.0 - (PI * p).cos()) / 2.0,
            other => other.weight(1.0 - p),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_falls_from_1_to_0() {
        for shape in [
            Anneal::Linear,
            Anneal::Cosine,
            Anneal::OneMinusSqrt,
            Anneal::OneMinusPower(2.0),
            Anneal::Polynomial(0.9),
            Anneal::Exponential(0.1),
        ] {
            assert_eq!((shape.weight(0.0), shape.weight(1.0)), (1.0, 0.0), "{shape:?}");
            let all: Vec<f64> = (0..=100).map(|i| shape.weight(f64::from(i) / 100.0)).collect();
            assert!(all.windows(2).all(|w| w[1] < w[0]), "{shape:?}");
            for p in [0.0, 0.125, 0.5, 0.75, 1.0] {
                assert!((shape.rise(p) - shape.weight(1.0 - p)).abs() < 1e-15, "{shape:?}");
            }
        }
    }

    #[test]
    fn shapes_of_no_meaning_are_refused() {
        let said = |shape: Anneal| shape.checked("Wsd").unwrap_err().to_string();
        assert_eq!(
            said(Anneal::OneMinusPower(0.0)),
            "`shape` of Wsd must be of a positive finite power, got 0"
        );
        assert_eq!(
            said(Anneal::Exponential(1.0)),
            "`shape` of Wsd must be of a ratio above 0 and below 1, got 1"
        );
        assert!(Anneal::Polynomial(f64::NAN).checked("Wsd").is_err());
        assert!(Anneal::Exponential(f64::NAN).checked("Wsd").is_err());
    }
}
