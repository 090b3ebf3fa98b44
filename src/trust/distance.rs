//! Distances between outputs.

use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, relu, sigmoid};

type Own = Arc<dyn Fn(Tensor<2>, Tensor<2>) -> Tensor<1> + Send + Sync>;

/// A distance between the outputs before and after a step. It grows as a power of the rate.
#[derive(Clone)]
pub(super) enum Distance {
    MeanKl,
    BinaryKl,
    WorstSample,
    Residual,
    Own(Own, f64),
}

impl fmt::Debug for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MeanKl => "MeanKl",
            Self::BinaryKl => "BinaryKl",
            Self::WorstSample => "WorstSample",
            Self::Residual => "Residual",
            Self::Own(..) => "Own",
        })
    }
}

impl Distance {
    /// Returns the power of the rate with which it grows, for small steps.
    pub(super) fn power(&self) -> f64 {
        match self {
            Self::MeanKl | Self::BinaryKl => 2.0,
            Self::WorstSample | Self::Residual => 1.0,
            Self::Own(_, power) => *power,
        }
    }

    pub(super) fn between(&self, before: Tensor<2>, after: Tensor<2>) -> Tensor<1> {
        match self {
            Self::MeanKl => {
                let (before, after) = (log_softmax(before, 1), log_softmax(after, 1));
                (before.clone().exp() * (before - after)).sum_dim(1).mean()
            }
            Self::BinaryKl => {
                let kl = sigmoid(before.clone()) * (before.clone() - after.clone())
                    + softplus(after)
                    - softplus(before);
                kl.sum_dim(1).mean()
            }
            Self::WorstSample => {
                let moved = after - before;
                (moved.clone().max_dim(1) - moved.min_dim(1)).max()
            }
            Self::Residual => {
                let square = |x: Tensor<2>| x.powi_scalar(2).mean().sqrt();
                square(after - before.clone()) / square(before)
            }
            Self::Own(own, _) => own(before, after),
        }
    }
}

/// Computes `ln(1 + eˣ)` without overflow.
fn softplus(x: Tensor<2>) -> Tensor<2> {
    relu(x.clone()) + (-x.abs()).exp().log1p()
}
