//! Arithmetic that neither overflows nor vanishes: half precision in `f32`, and powers over the largest.

use burn::tensor::{DType, Tensor};

/// The tensor in a type whose squares and sums hold: half precision as `f32`, where it overflows at 256
/// otherwise, and everything else as it is.
pub(crate) fn widened<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match tensor.dtype() {
        DType::F16 | DType::BF16 => tensor.cast(DType::F32),
        _ => tensor,
    }
}

/// The least number that [`powers`] divides by: below it, `f32` loses digits.
pub(crate) const LEAST_SCALE: f64 = f32::MIN_POSITIVE as f64;

/// `Σ(x/m)ᵖ` of elements of at least 0 with `m` the largest of them, which is also given; and `m` as it was
/// divided by, which is never 0.
pub(crate) fn powers<const D: usize>(
    x: Tensor<D>,
    largest: Tensor<1>,
    power: f64,
) -> (Tensor<1>, Tensor<1>) {
    // Of nothing but zeros the quotients are 0 by any number.
    let scale = largest.clamp_min(LEAST_SCALE);
    let shares = x / scale.clone().reshape([1; D]);
    let powers = match power {
        2.0 => shares.clone() * shares,
        _ => shares.powf_scalar(power),
    };
    (powers.sum(), scale)
}
