//! A record of requested and used rates.

use std::fmt;

use crate::schedule::Rate;

/// The part of one rate that the bounds left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Held {
    /// The share of the rate that is left.
    pub(super) share: f64,
    /// The limit on the highest rate.
    pub(super) cap: Option<f64>,
    /// The highest rate of any group, before backoff by the keel; 0 without a bound.
    pub(super) asked: f64,
}

/// Summary of the rates of a run whose steps are [bounded](crate::bound); displays as one sentence.
///
/// Counts the updates since the keel was built or resumed, including those that a rewind took back and, with
/// [`Decide::OnDevice`](crate::Decide::OnDevice), those that the device dropped.
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::{GradientsParams, SgdConfig};
/// # use burn::tensor::{Device, Tensor};
/// use evenkeel::{Keel, Reading};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let device = Device::default().autodiff();
/// # let mut model = LinearConfig::new(4, 1).init(&device);
/// let mut keel = Keel::wrap(SgdConfig::new().init()).bound(|_: &Reading| 0.125).build(&model)?;
/// for _ in 0..3 {
/// #     let x = Tensor::<2>::ones([2, 4], &device);
/// #     let loss = model.forward(x).powi_scalar(2).mean();
/// #     let grads = GradientsParams::from_grads(loss.backward(), &model);
///     model = keel.step(1.0, model, grads, &loss)?.model;
/// }
/// let rates = keel.rates();
/// assert_eq!((rates.updates(), rates.held()), (3, 3));
/// assert_eq!((rates.asked(), rates.lowest()), (1.0, Some(0.125)));
/// assert!(rates.to_string().starts_with("the rate of 1.00e0 was held in 3 of 3 updates"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RateUse {
    updates: u64,
    held: u64,
    peak: f64,
    /// Sum of the logarithms of the peak rate after the bounds.
    logs: f64,
    lowest: Option<f64>,
}

impl RateUse {
    pub(super) fn push(&mut self, peak: f64, held: Held) {
        self.peak = self.peak.max(peak);
        self.updates += 1;
        self.held += u64::from(held.share < 1.0);
        let used = held.share * peak;
        self.lowest = Some(self.lowest.map_or(used, |lowest| lowest.min(used)));
        // A rate of 0 has no logarithm.
        self.logs += used.max(f64::MIN_POSITIVE).ln();
    }

    /// Returns the number of updates.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Returns the number of updates in which a bound held the rate.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Returns the highest rate that was requested, or that the schedule would request.
    #[must_use]
    pub fn asked(&self) -> f64 {
        self.peak
    }

    /// Returns what the [highest rate](Self::asked) was held at, as the geometric mean over the updates; `None` before
    /// the first.
    #[must_use]
    pub fn used(&self) -> Option<f64> {
        (self.updates > 0).then(|| (self.logs / self.updates as f64).exp())
    }

    /// Returns the lowest value that the [highest rate](Self::asked) was held at; `None` before the first update.
    #[must_use]
    pub fn lowest(&self) -> Option<f64> {
        self.lowest
    }
}

impl fmt::Display for RateUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { updates, held, peak, .. } = self;
        match self.used() {
            Some(used) if *peak == Rate::HIGHEST => write!(
                f,
                "the rate was left to the bounds in {updates} updates, and was {used:.2e} on average: write that if \
                 you want it plain"
            ),
            Some(used) if *held > 0 => write!(
                f,
                "the rate of {peak:.2e} was held in {held} of {updates} updates, at {used:.2e} on average: write \
                 that if you want it plain"
            ),
            _ => write!(f, "the rate of {peak:.2e} was never held in {updates} updates"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a peak of 2: held at 1, at 1/8, and not at all.
    #[test]
    fn what_was_used_is_a_geometric_mean() {
        let mut rates = RateUse::default();
        assert_eq!((rates.used(), rates.lowest()), (None, None));
        for share in [0.5, 0.0625, 1.0] {
            rates.push(2.0, Held { share, cap: None, asked: 2.0 });
        }
        assert_eq!((rates.updates(), rates.held(), rates.asked()), (3, 2, 2.0));
        assert_eq!(rates.lowest(), Some(0.125));
        assert!((rates.used().unwrap() - 0.25f64.cbrt()).abs() < 1e-12);
        rates.push(2.0, Held { share: 0.0, cap: None, asked: 2.0 });
        assert!(rates.used().is_some_and(f64::is_finite));
        assert_eq!(rates.lowest(), Some(0.0));
    }
}
