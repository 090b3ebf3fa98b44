//! Units of a layer: the weights that produce one output.

use burn::tensor::Tensor;

use super::kernel;
use crate::widen::{LEAST_SCALE, powers};

/// Returns the axes along which a unit lies, in Burn's layouts: a matrix has its units in columns (a `Linear` weight is
/// `[inputs, outputs]`), a convolution along its first axis (`[outputs, inputs, …]`). A vector is one unit.
pub(super) fn axes(rank: usize) -> std::ops::Range<usize> {
    match rank {
        0..=2 => 0..rank.min(1),
        _ => 1..rank,
    }
}

/// Subtracts from the gradient its mean along each unit; vectors are unchanged.
pub(super) fn centralized<const D: usize>(grad: Tensor<D>) -> Tensor<D> {
    match D {
        0 | 1 => grad,
        _ => {
            let mean = axes(D).fold(grad.clone(), |mean, axis| mean.mean_dim(axis));
            grad - mean
        }
    }
}

/// Returns the norm of each unit as a product of two numbers, with length 1 along its axes: its largest element, but at
/// least the smallest normal `f32`, and the norm divided by that. So neither large nor small elements lose their
/// squares. The tensor must not be empty.
pub(super) fn norms<const D: usize>(tensor: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
    let sizes = tensor.abs();
    let largest = axes(D).fold(sizes.clone(), |largest, axis| largest.max_dim(axis));
    let scale = largest.clamp_min(LEAST_SCALE);
    let shares = sizes / scale.clone();
    let squares = shares.clone() * shares;
    let norm = axes(D).fold(squares, |sum, axis| sum.sum_dim(axis)).sqrt();
    (scale, norm)
}

/// Returns the norm of the whole tensor, in at least `f32`, from squares relative to the largest element. The tensor
/// must not be empty.
pub(super) fn norm<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let sizes = tensor.clone().cast(kernel::wide(tensor.dtype())).abs();
    let largest = sizes.clone().max();
    let (squares, scale) = powers(sizes, largest, 2.0);
    squares.sqrt() * scale
}
