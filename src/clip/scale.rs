//! Scaling gradients: the only clipping code that touches tensors.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::widen::widened;

/// Multiplies every gradient of `model`'s parameters by `factor`.
///
/// For hand-written training loops; [`Keel`](crate::Keel) does this itself. Gradients of parameters that are not
/// in `model` are left unchanged.
///
/// Half precision is multiplied in `f32`. A factor of 1 returns the gradients untouched. Scaling a non-finite
/// gradient does not make it finite: `0·∞ = NaN`.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::clip;
///
/// let device = Device::default().autodiff();
/// let model: Linear = LinearConfig::new(1, 1).with_bias(false).init(&device);
/// let loss = model.forward(Tensor::<2>::ones([1, 1], &device)).sum();
/// let grads = GradientsParams::from_grads(loss.backward(), &model);
/// // The gradient of the weight is 1.
/// let grads = clip::scale(grads, &model, 0.5);
/// assert_eq!(grads.get::<2>(model.weight.id).unwrap().into_scalar::<f32>(), 0.5);
/// ```
///
/// # Cost
/// One pass over the gradients, in place where they are not shared; no readback.
pub fn scale<M: Module>(grads: GradientsParams, model: &M, factor: f64) -> GradientsParams {
    match factor == 1.0 {
        true => grads,
        false => scale_each(grads, model, |_| factor),
    }
}

/// Scales each gradient by a factor of its parameter; a gradient whose factor is 1 is not touched.
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
    /// A parameter used in two places is visited twice but has one gradient.
    seen: HashSet<ParamId>,
}

impl<F: Fn(ParamId) -> f64> ModuleVisitor for Scale<'_, F> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let factor = (self.factor)(param.id);
        if factor == 1.0 || !self.seen.insert(param.id) {
            return;
        }
        // Removed rather than read, so that the buffer has a single owner and can be reused.
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            let dtype = grad.dtype();
            // The inverse of a loss scale may be too small for half precision.
            let scaled = widened(grad).mul_scalar(factor).cast(dtype);
            self.grads.register(param.id, scaled);
        }
    }
}
