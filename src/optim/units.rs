//! What a unit of a layer is: the weights that one output is made with.

use burn::tensor::Tensor;

use super::kernel;
use crate::wide::{LEAST_SCALE, powers};

/// The axes along which a unit lies, in Burn's layouts: a matrix has its units in columns (a
/// `Linear` weight is `[inputs, outputs]`), a convolution along its first axis (`[outputs, inputs,
/// …]`). A vector is one unit.
pub(super) fn axes(rank: usize) -> std::ops::Range<usize> {
    match rank {
        0..=2 => 0..rank.min(1),
        _ => 1..rank,
    }
}

/// The gradient less its mean along each unit; vectors stay as they are.
pub(super) fn centralized<const D: usize>(grad: Tensor<D>) -> Tensor<D> {
    match D {
        0 | 1 => grad,
        _ => {
            let mean = axes(D).fold(grad.clone(), |mean, axis| mean.mean_dim(axis));
            grad - mean
        }
    }
}

/// The norm of each unit as the product of two numbers, with length 1 along its axes: its largest element, and the norm
/// over that, which is at least 1 if it is not 0. So neither large nor small elements lose their squares. The tensor
/// has elements.
pub(super) fn norms<const D: usize>(tensor: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
    let sizes = tensor.abs();
    let largest = axes(D).fold(sizes.clone(), |largest, axis| largest.max_dim(axis));
    let scale = largest.clamp_min(LEAST_SCALE);
    let shares = sizes / scale.clone();
    let squares = shares.clone() * shares;
    let norm = axes(D).fold(squares, |sum, axis| sum.sum_dim(axis)).sqrt();
    (scale, norm)
}

/// The norm of all of it, in at least `f32`, of squares over the largest element. The tensor has elements.
pub(super) fn norm<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let sizes = tensor.clone().cast(kernel::wide(tensor.dtype())).abs();
    let largest = sizes.clone().max();
    let (squares, scale) = powers(sizes, largest, 2.0);
    squares.sqrt() * scale
}
