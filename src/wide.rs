//! Half precision, computed in `f32`.

use burn::tensor::{DType, Tensor};

/// The tensor in a type whose squares and sums hold: half precision as `f32`, where it overflows at 256
/// otherwise, and everything else as it is.
pub(crate) fn widened<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match tensor.dtype() {
        DType::F16 | DType::BF16 => tensor.cast(DType::F32),
        _ => tensor,
    }
}
