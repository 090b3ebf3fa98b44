//! A boolean on a device, and what it selects.

mod select;

pub(crate) use select::{Choose, Values, gated};

use burn::tensor::kind::Basic;
use burn::tensor::{Bool, DType, Device, Tensor};

/// One boolean whose value the host does not know.
#[derive(Debug, Clone)]
pub(crate) struct Flag(Tensor<1, Bool>);

impl Flag {
    pub(crate) fn of(value: Tensor<1, Bool>) -> Self {
        Self(value)
    }

    pub(crate) fn tensor(&self) -> &Tensor<1, Bool> {
        &self.0
    }

    /// Returns whether each of these non-negative numbers is finite. True if there are none.
    pub(crate) fn all_finite(values: Vec<Tensor<1>>, device: &Device) -> Self {
        // Uses a comparison that NaN and infinity fail, rather than a test for them: a shader may be compiled under the
        // assumption that they do not occur.
        let largest = match values.iter().any(|value| value.dtype() == DType::F64) {
            true => f64::MAX,
            false => f64::from(f32::MAX),
        };
        Self::all_at_most(values, largest, device)
    }

    /// Returns whether each of these numbers is at most `bound`; NaN is not.
    pub(crate) fn all_at_most(values: Vec<Tensor<1>>, bound: f64, device: &Device) -> Self {
        Self(match values.is_empty() {
            true => Tensor::from_data([true], device),
            false => Tensor::cat(values, 0).lower_equal_elem(bound).all(),
        })
    }

    pub(crate) fn and(self, other: Self) -> Self {
        let other = moved(other.0, &self.device());
        Self(self.0.bool_and(other))
    }

    pub(crate) fn device(&self) -> Device {
        self.0.device()
    }

    /// Returns 1 for true, 0 for false.
    pub(crate) fn number(&self, dtype: DType) -> Tensor<1> {
        self.0.clone().float().cast(dtype)
    }

    /// Returns `yes` or `no`. This is a selection, so nothing of the other one gets through.
    pub(crate) fn choose<const D: usize>(&self, yes: Tensor<D>, no: Tensor<D>) -> Tensor<D> {
        let flag = moved(self.0.clone(), &yes.device());
        let mask = flag.reshape([1; D]).expand(yes.shape());
        no.mask_where(mask, yes)
    }
}

/// Moves the tensor to another device, if it is not already there.
fn moved<K: Basic>(tensor: Tensor<1, K>, to: &Device) -> Tensor<1, K> {
    match tensor.device() == *to {
        true => tensor,
        false => tensor.to_device(to),
    }
}
