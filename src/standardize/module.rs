//! The standardization layer.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::{Moments, Quantiles};
use crate::Error;
use crate::error::check::Param as Checked;

/// Standardizes each column by the mean and the deviation that it had in the training data.
///
/// ```text
/// z = (x − μ)/σ      0 where σ = 0      clamped to ±`at_most`, if that is set
/// x = z·σ + μ                           the inverse
/// ```
///
/// `μ` and `σ` are fitted once and never trained: no gradient, no weight decay. They are part of the model's record, as
/// any parameter is; to load one, create the layer with [`identity`](Self::identity) first.
///
/// A column that was constant when it was fitted is always mapped to 0, whatever its later values: its scale is
/// unknown, and a model cannot have learned from a column that never varied. (scikit-learn's `StandardScaler` passes
/// such a column on as `x − μ`, at whatever size.) NaN stays NaN, for [`Keel`](crate::Keel) to detect.
///
/// Fit on the training data only: statistics of held-out data must not reach the model.
///
/// # Cost
/// Two passes over the input.
#[derive(Module, Debug)]
#[doc(alias = "StandardScaler")]
pub struct Standardize {
    mean: Param<Tensor<1>>,
    deviation: Param<Tensor<1>>,
    axis: Option<usize>,
    at_most: Option<f64>,
}

const NAME: &str = "Standardize";

impl Standardize {
    /// Fits the layer to these batches, with columns along the last axis; it is on the device of the batches. To fit in
    /// parts, or along another axis, use [`Moments`].
    ///
    /// # Errors
    /// See [`Moments::push`]; also if there is no data.
    ///
    /// # Cost
    /// One readback of each batch.
    pub fn fit<const D: usize>(
        batches: impl IntoIterator<Item = Tensor<D>>,
    ) -> Result<Self, Error> {
        let mut moments = Moments::new();
        batches.into_iter().try_for_each(|batch| moments.push(batch))?;
        moments.standardize()
    }

    /// Fits the layer to the median and the quartiles of these batches, so that a few outliers don't decide the scale
    /// of all other values, and limits its output to `[−10, 10]`. Columns are along the last axis; the layer is on the
    /// device of the batches. To fit in parts, or along another axis, use [`Quantiles`]. The limit is not part of a
    /// record: load one into `Standardize::identity(…).at_most(10.0)`.
    ///
    /// # Errors
    /// See [`Quantiles::push`]; also if there is no data.
    ///
    /// # Cost
    /// One readback of each batch.
    #[doc(alias = "RobustScaler")]
    pub fn fit_robust<const D: usize>(
        batches: impl IntoIterator<Item = Tensor<D>>,
    ) -> Result<Self, Error> {
        let mut quantiles = Quantiles::new();
        batches.into_iter().try_for_each(|batch| quantiles.push(batch))?;
        quantiles.standardize()
    }

    /// Creates a layer that changes nothing, for `columns` columns along the last axis, to load a record into.
    #[must_use]
    pub fn identity(columns: usize, device: &Device) -> Self {
        Self::with(None, &vec![0.0; columns], &vec![1.0; columns], device)
    }

    pub(super) fn with(
        axis: Option<usize>,
        means: &[f64],
        deviations: &[f64],
        device: &Device,
    ) -> Self {
        let constant = |values: &[f64]| {
            let data = TensorData::new(values.to_vec(), [values.len()]);
            let tensor = Tensor::from_data(data.convert::<f32>(), device);
            Param::from_tensor(tensor).set_require_grad(false)
        };
        Self { mean: constant(means), deviation: constant(deviations), axis, at_most: None }
    }

    /// Sets the axis that the columns lie along.
    #[must_use]
    pub fn along(mut self, axis: usize) -> Self {
        self.axis = Some(axis);
        self
    }

    /// Limits every output to `[−z, z]`, so that a single outlier cannot derail the model. 10 is a usual bound.
    ///
    /// # Errors
    /// If `z` is not positive and finite.
    pub fn at_most(mut self, z: f64) -> Result<Self, Error> {
        self.at_most = Some(Checked(NAME, "at_most").positive(z)?);
        Ok(self)
    }

    /// Standardizes `x`, of any rank; the result has the same shape and type.
    ///
    /// # Panics
    /// As Burn does, if the length of the axis is not the number of columns.
    #[must_use]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (mean, deviation) = self.rows(&x);
        let constant = deviation.clone().equal_elem(0.0);
        let scale = deviation.mask_fill(constant.clone(), 1.0).recip().mask_fill(constant, 0.0);
        let dtype = x.dtype();
        let z = (x.cast(mean.dtype()) - mean) * scale;
        match self.at_most {
            Some(bound) => z.clamp(-bound, bound),
            None => z,
        }
        .cast(dtype)
    }

    /// Inverts [`forward`](Self::forward): for targets, turns predictions back into the targets' own units. A constant
    /// column becomes its constant.
    ///
    /// # Panics
    /// As Burn does, if the length of the axis is not the number of columns.
    #[must_use]
    pub fn inverse<const D: usize>(&self, z: Tensor<D>) -> Tensor<D> {
        let (mean, deviation) = self.rows(&z);
        let dtype = z.dtype();
        (z.cast(mean.dtype()) * deviation + mean).cast(dtype)
    }

    /// Mean and deviation, reshaped to broadcast against `x`.
    fn rows<const D: usize>(&self, x: &Tensor<D>) -> (Tensor<D>, Tensor<D>) {
        let columns = self.mean.val().dims()[0];
        let axis = self.axis.unwrap_or(D.saturating_sub(1));
        let mut shape = [1; D];
        if let Some(size) = shape.get_mut(axis) {
            *size = columns;
        }
        let row = |values: Tensor<1>| values.to_device(&x.device()).reshape(shape);
        (row(self.mean.val()), row(self.deviation.val()))
    }
}
