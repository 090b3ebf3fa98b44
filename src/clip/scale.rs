//! Putting a factor on gradients: the only clip code that touches tensors.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::wide::widened;

/// Every gradient of `model`'s parameters, multiplied by `factor`.
///
/// For those who write their own loop; [`Keel`](crate::Keel) does it by itself. Gradients of
/// parameters that are not in `model` stay as they are.
///
/// Half precision is multiplied in `f32`. A factor of 1 returns the gradients untouched. A factor on a
/// non-finite gradient does not make it finite: `0·∞ = NaN`.
///
/// # Cost
/// One pass over the gradients, in place where nothing else holds them; no readback.
pub fn scale<M: Module>(grads: GradientsParams, model: &M, factor: f64) -> GradientsParams {
    match factor == 1.0 {
        true => grads,
        false => scale_each(grads, model, |_| factor),
    }
}

/// The same with a factor for each parameter; a gradient whose factor is 1 is not touched.
pub(crate) fn scale_each<M: Module>(
    mut grads: GradientsParams,
    model: &M,
    factor: impl Fn(ParamId) -> f64,
) -> GradientsParams {
    model.visit(&mut Scale { grads: &mut grads, factor, seen: HashSet::new() });
    grads
}

struct Scale<'a, F> {
    grads: &'a mut GradientsParams,
    factor: F,
    /// A parameter used in two places is visited twice, and has one gradient.
    seen: HashSet<ParamId>,
}

impl<F: Fn(ParamId) -> f64> ModuleVisitor for Scale<'_, F> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let factor = (self.factor)(param.id);
        if factor == 1.0 || !self.seen.insert(param.id) {
            return;
        }
        // Removed rather than read, so that the buffer is held once and can be reused.
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            let dtype = grad.dtype();
            // A loss scale's inverse may be too small a number for half precision to hold.
            let scaled = widened(grad).mul_scalar(factor).cast(dtype);
            self.grads.register(param.id, scaled);
        }
    }
}
