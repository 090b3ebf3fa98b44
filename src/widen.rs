//! Arithmetic that neither overflows nor underflows: half precision in `f32`, and powers relative to the largest
//! element.

use burn::tensor::{DType, Tensor};

/// Returns the tensor in a type that can hold its squares and sums: half precision as `f32`, because it would overflow
/// at 256, and every other type unchanged.
pub(crate) fn widened<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match tensor.dtype() {
        DType::F16 | DType::BF16 => tensor.cast(DType::F32),
        _ => tensor,
    }
}

/// The least number that [`powers`] divides by: below it, `f32` loses digits.
pub(crate) const LEAST_SCALE: f64 = f32::MIN_POSITIVE as f64;

/// Returns `Σ(x/m)ᵖ` for non-negative elements, where `m` is the given largest one, and the divisor used for `m`, which
/// is never 0.
pub(crate) fn powers<const D: usize>(
    x: Tensor<D>,
    largest: Tensor<1>,
    power: f64,
) -> (Tensor<1>, Tensor<1>) {
    // If all elements are zero, any divisor gives zero.
    let scale = largest.clamp_min(LEAST_SCALE);
    let shares = x / scale.clone().reshape([1; D]);
    let powers = match power {
        2.0 => shares.clone() * shares,
        _ => shares.powf_scalar(power),
    };
    (powers.sum(), scale)
}
