//! Median and spread of each column, which a few outliers don't move.

use burn::tensor::{Device, Tensor};

use super::Standardize;
use super::moments::{Column, columns};
use crate::Error;
use crate::error::check::Param;

/// Median and spread of each column, accumulated batch by batch.
///
/// ```text
/// spread = (q₀.₇₅ − q₀.₂₅)/1.349       the deviation, if that is 0
/// ```
///
/// 1.349 is the distance between the quartiles of a normal distribution of deviation 1, so the spread of normal data is
/// its deviation. Up to a quarter of the values of a column may be outliers without moving the median or the spread by
/// much, whereas a single one can move mean and deviation anywhere. Quantiles are interpolated linearly, as numpy's are
/// by default. A column in which one value makes up more than half of the data may have an interquartile range of 0
/// without being constant; its spread is then its deviation.
///
/// Source: scikit-learn's `RobustScaler` with `unit_variance=True`; Hyndman & Fan 1996, *Sample quantiles in
/// statistical packages*, definition 7.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::standardize::{Moments, Quantiles};
///
/// let x = Tensor::<2>::from_floats([[1.0], [2.0], [3.0], [4.0], [1e6]], &Device::default());
/// let (mut moments, mut quantiles) = (Moments::new(), Quantiles::new());
/// moments.push(x.clone())?;
/// quantiles.push(x)?;
/// assert!(moments.means()[0] > 1e5);
/// assert_eq!(quantiles.medians(), [3.0]);
/// assert!((quantiles.spreads()[0] - 2.0 / 1.349).abs() < 1e-3);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Cost
/// Keeps every value that is added, as `f32`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Quantiles {
    axis: Option<usize>,
    columns: Vec<Vec<f32>>,
    device: Option<Device>,
}

const NAME: &str = "Quantiles";
/// The distance between the quartiles of a normal distribution, in units of its deviation.
const QUARTILES: f64 = 1.348_979_500_392_163_5;
/// The bound on a robustly standardized value.
const AT_MOST: f64 = 10.0;

impl Quantiles {
    /// Creates an empty accumulator; columns lie along the last axis, as in `[rows, columns]`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an empty accumulator with columns along this axis: 1 for the channels of images `[n, channels, h, w]`.
    #[must_use]
    pub fn along(axis: usize) -> Self {
        Self { axis: Some(axis), ..Self::default() }
    }

    /// Adds a batch of any rank. An empty one changes nothing.
    ///
    /// # Errors
    /// If the number of columns differs from that of earlier batches, the axis does not exist, or a value is not
    /// finite; nothing is added then.
    ///
    /// # Cost
    /// One readback of the whole batch.
    pub fn push<const D: usize>(&mut self, batch: Tensor<D>) -> Result<(), Error> {
        let device = batch.device();
        let found = columns(NAME, self.axis, batch)?;
        if found.is_empty() {
            return Ok(());
        }
        if self.columns.is_empty() {
            self.columns = vec![Vec::new(); found.len()];
        }
        let (have, got) = (self.columns.len(), found.len());
        Param(NAME, "columns").must(have == got, have, got)?;
        let values = |column: Vec<f64>| column.into_iter().map(|x| x as f32);
        self.columns.iter_mut().zip(found).for_each(|(to, from)| to.extend(values(from)));
        self.device = Some(device);
        Ok(())
    }

    /// Returns the number of values that were added to each column.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.columns.first().map_or(0, |column| column.len() as u64)
    }

    /// Returns the median of each column.
    #[must_use]
    pub fn medians(&self) -> Vec<f64> {
        self.sorted().map(|values| quantile(&values, 0.5)).collect()
    }

    /// Returns the spread of each column; 0 where the column is constant to the precision of `f32`.
    #[must_use]
    pub fn spreads(&self) -> Vec<f64> {
        self.sorted().map(|values| spread(&values)).collect()
    }

    fn sorted(&self) -> impl Iterator<Item = Vec<f64>> {
        self.columns.iter().map(|column| {
            let mut values: Vec<f64> = column.iter().map(|x| f64::from(*x)).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        })
    }

    /// Creates the layer that standardizes by these medians and spreads, and [limits](Standardize::at_most) the result
    /// to `[−10, 10]`; on the device of the data.
    ///
    /// # Errors
    /// If there is no data.
    pub fn standardize(&self) -> Result<Standardize, Error> {
        let Some(device) = &self.device else {
            return Err(Error::parameter(NAME, "count", "at least 1", 0));
        };
        Standardize::with(self.axis, &self.medians(), &self.spreads(), device).at_most(AT_MOST)
    }
}

/// A quantile of sorted values, interpolated linearly.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = share * last as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * (at - at.floor())
}

/// The spread of sorted values.
pub(crate) fn spread(sorted: &[f64]) -> f64 {
    let all = Column::of(sorted.iter().copied());
    let quartiles = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / QUARTILES;
    match all.is_constant() {
        true => 0.0,
        // Quartiles that differ only by rounding count as one value.
        false if quartiles > f64::from(f32::EPSILON) * all.mean.abs() => quartiles,
        false => all.deviation(),
    }
}
