//! Estimates of a rate from several tries.

use std::fmt;

use super::median;
use crate::text::short;

/// A rate from several sweeps or seeds: the median, with the lowest and the highest value.
///
/// With `n` of them, the median of the distribution lies between the lowest and the highest with probability
/// `1 − 2^(1−n)`, whatever the distribution: 75 % for 3, 94 % for 5.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Estimate {
    /// The median; of an even number of values, the upper of the two middle ones.
    pub rate: f64,
    /// The lowest value.
    pub low: f64,
    /// The highest value.
    pub high: f64,
    /// The number of values.
    pub of: u64,
}

impl Estimate {
    pub(super) fn of(rates: &[f64]) -> Option<Self> {
        let low = rates.iter().copied().reduce(f64::min)?;
        let high = rates.iter().copied().reduce(f64::max)?;
        Some(Self { rate: median(rates), low, high, of: rates.len() as u64 })
    }

    /// Returns the probability that the true median lies between `low` and `high`: `1 − 2^(1−n)`.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        confidence(self.of)
    }
}

/// Returns the probability that the range of `n` independent draws contains the median.
pub(super) fn confidence(n: u64) -> f64 {
    1.0 - 0.5f64.powf(n.max(1) as f64 - 1.0)
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", short(self.rate))?;
        match self.low == self.high {
            true => Ok(()),
            false => write!(f, " ({} to {})", short(self.low), short(self.high)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_printed_once() {
        let printed = |rates: &[f64]| Estimate::of(rates).unwrap().to_string();
        assert_eq!(printed(&[0.5, 0.5]), "0.5");
        assert_eq!(printed(&[0.5, 0.1, 2.0]), "0.5 (0.1 to 2)");
    }
}
