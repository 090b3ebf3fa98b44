//! What a unit of a layer is: the weights that one output is made with.

use burn::tensor::Tensor;

use super::kernel;

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

/// The norm of each unit, with length 1 along its axes.
pub(super) fn norms<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let squares = tensor.clone() * tensor;
    axes(D).fold(squares, |sum, axis| sum.sum_dim(axis)).sqrt()
}

/// The norm of all of it, in at least `f32`.
pub(super) fn norm<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let tensor = tensor.clone().cast(kernel::wide(tensor.dtype()));
    (tensor.clone() * tensor).sum().sqrt()
}
