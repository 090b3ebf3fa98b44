//! Mean and deviation of each column, in one pass and in any number of parts.

use burn::tensor::{Device, Tensor};

use super::Standardize;
use crate::Error;
use crate::error::check::Param;
use crate::monitor::numbers;

/// Count, mean, and deviation of each column, accumulated batch by batch.
///
/// ```text
/// n ← n + 1     δ = x − m     m ← m + δ/n     S ← S + δ·(x − m)                     one more value
/// n = nₐ + n_b  δ = m_b − mₐ  m = mₐ + δ·n_b/n   S = Sₐ + S_b + δ²·nₐ·n_b/n         two parts
/// σ = √(S/n)
/// ```
///
/// `σ` is the population's deviation, as in scikit-learn's `StandardScaler`. All arithmetic is in `f64`. The order of
/// the batches, and the way the data is split, affect only the last digits.
///
/// Source: Welford 1962; Chan, Golub & LeVeque 1979, *Updating formulae and a pairwise algorithm for
/// computing sample variances*.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::standardize::Moments;
///
/// let device = Device::default();
/// let (mut left, mut right) = (Moments::new(), Moments::new());
/// left.push(Tensor::<2>::from_floats([[1.0, 5.0], [2.0, 5.0]], &device))?;
/// right.push(Tensor::<2>::from_floats([[6.0, 5.0]], &device))?;
/// left.merge(&right)?;
/// assert_eq!(left.means(), [3.0, 5.0]);
/// assert_eq!(left.deviations(), [(14.0f64 / 3.0).sqrt(), 0.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    /// The axis that the columns lie along; `None` for the last one.
    axis: Option<usize>,
    columns: Vec<Column>,
    device: Option<Device>,
}

/// Count, mean, and sum of squared deviations of one column.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Column {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    squares: f64,
}

impl Column {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut column = Self::default();
        values.into_iter().for_each(|x| column.push(x));
        column
    }

    pub(crate) fn push(&mut self, x: f64) {
        self.count += 1;
        let delta = x - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (x - self.mean);
    }

    fn merge(&mut self, other: &Self) {
        if self.count == 0 || other.count == 0 {
            if self.count == 0 {
                *self = *other;
            }
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let delta = other.mean - self.mean;
        self.count += other.count;
        self.mean += delta * (b / (a + b));
        self.squares += other.squares + delta * delta * (a * (b / (a + b)));
    }

    pub(crate) fn deviation(&self) -> f64 {
        match self.count {
            0 => 0.0,
            n => (self.squares / n as f64).max(0.0).sqrt(),
        }
    }

    /// Whether all of its values are one value, to the precision of `f32`.
    pub(crate) fn is_constant(&self) -> bool {
        self.deviation() <= f64::from(f32::EPSILON) / 2.0 * self.mean.abs()
    }
}

const NAME: &str = "Moments";

/// The values of each column of a batch, all of them finite; no columns if the batch is empty. Errors carry `name`.
pub(super) fn columns<const D: usize>(
    name: &'static str,
    axis: Option<usize>,
    batch: Tensor<D>,
) -> Result<Vec<Vec<f64>>, Error> {
    let dims = batch.dims();
    let axis = axis.unwrap_or(D.saturating_sub(1));
    let must = format_args!("below the rank of the data, {D}");
    let axis = Param(name, "axis").must(axis < D, must, axis)?;
    let (width, inner) = (dims[axis], dims[axis + 1..].iter().product::<usize>());
    let values = numbers(batch)?;
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let mut columns = vec![Vec::with_capacity(values.len() / width); width];
    for (at, &x) in values.iter().enumerate() {
        let column = at / inner % width;
        if !x.is_finite() {
            let got = format_args!("{x} in column {column}");
            return Err(Error::parameter(name, "batch", "finite", got));
        }
        columns[column].push(x);
    }
    Ok(columns)
}

impl Moments {
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
    /// One readback of the whole batch; the arithmetic is on the host.
    pub fn push<const D: usize>(&mut self, batch: Tensor<D>) -> Result<(), Error> {
        let device = batch.device();
        let columns = columns(NAME, self.axis, batch)?;
        if columns.is_empty() {
            return Ok(());
        }
        let columns = columns.into_iter().map(Column::of).collect();
        self.merge(&Self { axis: self.axis, columns, device: Some(device) })
    }

    /// Adds the statistics of another part of the data.
    ///
    /// # Errors
    /// If the number of columns or the axis differs.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.axis != other.axis {
            let (must, got) = (format!("{:?}", self.axis), format!("{:?}", other.axis));
            return Err(Error::parameter(NAME, "axis", must, got));
        }
        if other.columns.is_empty() {
            return Ok(());
        }
        if self.columns.is_empty() {
            *self = other.clone();
            return Ok(());
        }
        let (have, got) = (self.columns.len(), other.columns.len());
        Param(NAME, "columns").must(have == got, have, got)?;
        self.columns.iter_mut().zip(&other.columns).for_each(|(a, b)| a.merge(b));
        Ok(())
    }

    /// Returns the number of values that were added to each column.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.columns.first().map_or(0, |column| column.count)
    }

    /// Returns the mean of each column.
    #[must_use]
    pub fn means(&self) -> Vec<f64> {
        self.columns.iter().map(|column| column.mean).collect()
    }

    /// Returns the deviation of each column; 0 where the column is constant to the precision of `f32`, that is, where
    /// `σ` is at most half of `f32::EPSILON` times the mean.
    #[must_use]
    pub fn deviations(&self) -> Vec<f64> {
        let deviation = |c: &Column| if c.is_constant() { 0.0 } else { c.deviation() };
        self.columns.iter().map(deviation).collect()
    }

    /// Creates the layer that standardizes by these means and deviations, on the device of the data.
    ///
    /// # Errors
    /// If there is no data.
    pub fn standardize(&self) -> Result<Standardize, Error> {
        match &self.device {
            Some(device) => {
                Ok(Standardize::with(self.axis, &self.means(), &self.deviations(), device))
            }
            None => Err(Error::parameter(NAME, "count", "at least 1", 0)),
        }
    }
}
