//! Initial weights that fit the depth and the data: [`Lsuv`] and [`scale_residuals`].
//!
//! Without normalization layers, the highest stable rate depends on how the signal grows or shrinks from layer to layer
//! at the first step. Both are made once, before training, and cost nothing afterwards. Give a model that was made with
//! them to the [`Advisor`](crate::advise::Advisor) as a [variant](crate::advise::Advisor::variant) to measure what they
//! are worth on your problem.

mod lsuv;
mod residual;

pub use lsuv::{FittedLayer, Lsuv, LsuvFit};
pub use residual::scale_residuals;

use burn::module::{ModuleMapper, Param, ParamId};
use burn::nn::Initializer;
use burn::tensor::Tensor;

use crate::widen::widened;

/// What replaces a weight.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// Another one, whose rows or columns are orthonormal.
    Orthonormal,
    /// Itself times a factor.
    Times(f64),
}

/// Changes the parameters with these ids, in all places of each.
struct Changes<'a> {
    of: &'a [(ParamId, Change)],
}

impl ModuleMapper for Changes<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some((_, change)) = self.of.iter().find(|(id, _)| *id == param.id) else {
            return param;
        };
        param.map(|value| {
            let (grad, dtype) = (value.is_require_grad(), value.dtype());
            let new = match change {
                Change::Times(factor) => widened(value.detach()).mul_scalar(*factor),
                Change::Orthonormal => {
                    let initializer = Initializer::Orthogonal { gain: 1.0 };
                    initializer.init::<D, _>(value.shape(), &value.device()).into_value()
                }
            };
            let new = new.cast(dtype).detach();
            if grad { new.require_grad() } else { new }
        })
    }
}
