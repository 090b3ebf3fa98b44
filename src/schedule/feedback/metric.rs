//! Whether a metric has improved.

use crate::Error;
use crate::error::check::Param;

/// What counts as better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::schedule) struct Better {
    pub(in crate::schedule) higher: bool,
    pub(in crate::schedule) threshold: Threshold,
}

/// How far a metric must beat the best one.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub(in crate::schedule) enum Threshold {
    /// By this fraction of the best metric's size, whatever its sign.
    Relative(f64),
    /// By this much.
    Absolute(f64),
}

impl Threshold {
    pub(super) fn relative(owner: &'static str, fraction: f64) -> Result<Self, Error> {
        Ok(Self::Relative(Param(owner, "relative").non_negative(fraction)?))
    }

    pub(super) fn absolute(owner: &'static str, amount: f64) -> Result<Self, Error> {
        Ok(Self::Absolute(Param(owner, "absolute").non_negative(amount)?))
    }
}

impl Better {
    /// Returns whether `now` is better than the best so far; any metric is better than none.
    pub(super) fn is(&self, now: f64, best: Option<f64>) -> bool {
        let Some(best) = best else { return true };
        let margin = match self.threshold {
            Threshold::Relative(fraction) => fraction * best.abs(),
            Threshold::Absolute(amount) => amount,
        };
        match self.higher {
            false => now < best - margin,
            true => now > best + margin,
        }
    }

    /// Returns the settings as numbers, to compare with a saved state.
    pub(super) fn settings(&self) -> [f64; 3] {
        let higher = f64::from(u8::from(self.higher));
        match self.threshold {
            Threshold::Relative(fraction) => [higher, 0.0, fraction],
            Threshold::Absolute(amount) => [higher, 1.0, amount],
        }
    }
}

/// Refuses the state of a schedule with other settings.
pub(super) fn same_settings(owner: &str, saved: &[f64], own: &[f64]) -> Result<(), Error> {
    match saved == own {
        true => Ok(()),
        false => Err(Error::record(format_args!("it is of a {owner} with other settings"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_threshold_has_the_direction_of_the_metric_and_not_of_its_sign() {
        let lower = Better { higher: false, threshold: Threshold::Relative(0.1) };
        assert!(lower.is(0.89, Some(1.0)) && !lower.is(0.91, Some(1.0)));
        // Here torch and optax consider −0.95 better than −1.
        assert!(lower.is(-1.11, Some(-1.0)) && !lower.is(-0.95, Some(-1.0)));
        let higher = Better { higher: true, threshold: Threshold::Relative(0.1) };
        assert!(higher.is(1.11, Some(1.0)) && !higher.is(1.09, Some(1.0)));
        assert!(higher.is(-0.89, Some(-1.0)) && !higher.is(-1.05, Some(-1.0)));
        assert!(!lower.is(1.0, Some(1.0)) && lower.is(1.0, None));
    }

    #[test]
    fn an_absolute_threshold_is_one() {
        let lower = Better { higher: false, threshold: Threshold::Absolute(0.5) };
        assert!(lower.is(9.4, Some(10.0)) && !lower.is(9.6, Some(10.0)));
        let higher = Better { higher: true, threshold: Threshold::Absolute(0.5) };
        assert!(higher.is(10.6, Some(10.0)) && !higher.is(10.4, Some(10.0)));
    }
}
