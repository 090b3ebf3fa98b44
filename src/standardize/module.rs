//! The layer.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::{Moments, Quantiles};
use crate::Error;
use crate::error::check::Param as Checked;

/// Takes the mean and the deviation that each column had in the training data out of it.
///
/// ```text
/// z = (x − μ)/σ      0 where σ = 0      and with `at_most`, z no further from 0 than that
/// x = z·σ + μ                           the inverse
/// ```
///
/// `μ` and `σ` are fitted once and never trained: no gradient, no weight decay. They are in the model's
/// record as any parameter is; to load one, make the layer with [`identity`](Self::identity) first.
///
/// A column that was constant when it was fitted is 0 for ever, whatever it is later: nothing is known
/// of its scale, and what has never been seen to vary cannot have been learnt from. (scikit-learn's
/// `StandardScaler` passes such a column on as `x − μ`, at whatever size.) NaN stays NaN, for
/// [`Keel`](crate::Keel) to find.
///
/// Fit on the training data alone: statistics of what is held out must not reach the model.
///
/// # Cost
/// Two passes over its input.
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
    /// Fitted on these batches, with columns along the last axis; on their device. [`Moments`] does
    /// it in parts, and along another axis.
    ///
    /// # Errors
    /// As [`Moments::push`], and if there is no data.
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

    /// Fitted on the median and the quartiles of these batches, so that a few wild values don't decide the
    /// scale of all others, and with what comes out held within 10 of 0; columns along the last axis, on the
    /// device of the batches. [`Quantiles`] does it in parts, and along another axis. What it is held within is
    /// no part of a record: load one into `Standardize::identity(…).at_most(10.0)`.
    ///
    /// # Errors
    /// As [`Quantiles::push`], and if there is no data.
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

    /// One that changes nothing, for `columns` columns along the last axis: to load a record into.
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

    /// The same with columns along this axis.
    pub fn along(mut self, axis: usize) -> Self {
        self.axis = Some(axis);
        self
    }

    /// The same with every output held in `[−z, z]`: one wild measurement then cannot take the model
    /// with it. 10 is a usual bound.
    ///
    /// # Errors
    /// If `z` is not positive and finite.
    pub fn at_most(mut self, z: f64) -> Result<Self, Error> {
        self.at_most = Some(Checked(NAME, "at_most").positive(z)?);
        Ok(self)
    }

    /// `x` of any rank, standardized; of the same shape and type.
    ///
    /// # Panics
    /// As Burn does, if the axis has another length than there are columns.
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

    /// What [`forward`](Self::forward) was given, from what it returned: for targets, predictions in
    /// the targets' own units. A constant column is its constant.
    ///
    /// # Panics
    /// As Burn does, if the axis has another length than there are columns.
    pub fn inverse<const D: usize>(&self, z: Tensor<D>) -> Tensor<D> {
        let (mean, deviation) = self.rows(&z);
        let dtype = z.dtype();
        (z.cast(mean.dtype()) * deviation + mean).cast(dtype)
    }

    /// Mean and deviation, shaped to go with `x`.
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
