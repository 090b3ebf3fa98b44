//! Whole tensors as numbers, for values that are read once rather than in every step.

use burn::tensor::{Int, Tensor};

use crate::Error;

/// Returns every element, in row-major order.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f64>, Error> {
    let failed = |cause| Error::io("reading a tensor", cause);
    let data = tensor.without_autodiff().try_into_data().map_err(failed)?;
    Ok(data.convert::<f64>().iter::<f64>().collect())
}

/// Returns every element, in row-major order.
pub(crate) fn integers<const D: usize>(tensor: Tensor<D, Int>) -> Result<Vec<i64>, Error> {
    let failed = |cause| Error::io("reading a tensor", cause);
    let data = tensor.try_into_data().map_err(failed)?;
    Ok(data.convert::<i64>().iter::<i64>().collect())
}
