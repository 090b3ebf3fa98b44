//! A truth value on a device.

use burn::tensor::kind::Basic;
use burn::tensor::{Bool, DType, Device, Tensor};

/// One truth value, of which the host knows nothing.
#[derive(Debug, Clone)]
pub(crate) struct Flag(Tensor<1, Bool>);

impl Flag {
    pub(crate) fn of(value: Tensor<1, Bool>) -> Self {
        Self(value)
    }

    pub(crate) fn tensor(&self) -> &Tensor<1, Bool> {
        &self.0
    }

    /// Whether each of these numbers, none of them negative, is finite. None at all is a yes.
    pub(super) fn all_finite(values: Vec<Tensor<1>>, device: &Device) -> Self {
        // By a comparison that NaN and infinity fail, and not by asking for them: a shader may be
        // compiled as if there were none.
        let largest = match values.iter().any(|value| value.dtype() == DType::F64) {
            true => f64::MAX,
            false => f64::from(f32::MAX),
        };
        Self::all_at_most(values, largest, device)
    }

    /// Whether each of these numbers is at most `bound`; NaN is not.
    pub(super) fn all_at_most(values: Vec<Tensor<1>>, bound: f64, device: &Device) -> Self {
        Self(match values.is_empty() {
            true => Tensor::from_data([true], device),
            false => Tensor::cat(values, 0).lower_equal_elem(bound).all(),
        })
    }

    pub(super) fn and(self, other: Self) -> Self {
        let other = moved(other.0, &self.device());
        Self(self.0.bool_and(other))
    }

    pub(super) fn device(&self) -> Device {
        self.0.device()
    }

    /// 1 for yes, 0 for no.
    pub(crate) fn number(&self, dtype: DType) -> Tensor<1> {
        self.0.clone().float().cast(dtype)
    }

    /// `yes` or `no`. Selected, so that nothing of the other one gets through.
    pub(crate) fn choose<const D: usize>(&self, yes: Tensor<D>, no: Tensor<D>) -> Tensor<D> {
        let flag = moved(self.0.clone(), &yes.device());
        let mask = flag.reshape([1; D]).expand(yes.shape());
        no.mask_where(mask, yes)
    }
}

/// The tensor on another device; as it is, if it is there.
pub(super) fn moved<K: Basic>(tensor: Tensor<1, K>, to: &Device) -> Tensor<1, K> {
    match tensor.device() == *to {
        true => tensor,
        false => tensor.to_device(to),
    }
}
