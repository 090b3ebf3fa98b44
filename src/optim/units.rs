//! What a unit of a layer is: the weights that one output is made with.

use burn::tensor::Tensor;

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
