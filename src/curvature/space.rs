//! Models as points, and gradients as directions.

use std::collections::HashSet;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

use crate::Error;
use crate::monitor::{any_gradient, one_number};
use crate::random::{GOLDEN, mix, unit};
use crate::tied::{apart, tie};
use crate::widen::widened;

/// Computes the gradient of the loss at `model`.
///
/// # Errors
/// If the loss does not have exactly one element, because its gradient would be that of the sum; or if no
/// parameter has a gradient, because a loss that does not depend on the model has no curvature.
pub(super) fn gradient<M: Module>(
    model: &M,
    loss: &dyn Fn(&M) -> Tensor<1>,
) -> Result<GradientsParams, Error> {
    let loss = loss(model);
    one_number("loss", &loss).map_err(|why| why.of("curvature"))?;
    let grads = GradientsParams::from_grads(loss.backward(), model);
    any_gradient(model, &grads).map_err(|why| why.of_function("curvature"))?;
    Ok(grads)
}

/// Returns how far to move for a difference of gradients, at a point with this norm: as far as `f32` requires.
pub(super) fn step(norm: f64) -> f64 {
    if norm > 0.0 { 1e-3 * norm } else { 1e-3 }
}

/// Returns a copy at `θ + by·d`.
pub(super) fn moved<M: Module>(model: &M, along: &GradientsParams, by: f64) -> M {
    tie(apart(model).map(&mut Move { along, by }))
}

struct Move<'a> {
    along: &'a GradientsParams,
    by: f64,
}

impl ModuleMapper for Move<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(along) = self.along.get::<D>(param.id) else { return param };
        let asks = param.is_require_grad();
        param.map(|value| {
            let (dtype, value) = (value.dtype(), value.without_autodiff());
            let there = widened(value) + widened(along) * self.by;
            Tensor::from_inner(there.cast(dtype)).set_require_grad(asks)
        })
    }
}

/// Computes a direction from `first` and `second`, for each parameter that `first` has.
pub(super) fn combined<M: Module>(
    model: &M,
    first: &GradientsParams,
    second: &GradientsParams,
    how: How,
) -> GradientsParams {
    let (made, seen) = (GradientsParams::new(), HashSet::new());
    let mut walk = Combine { first, second, how, made, seen };
    model.visit(&mut walk);
    walk.made
}

/// How `x` and `y` are combined.
#[derive(Clone, Copy)]
pub(super) enum How {
    /// `a·x + b·y`
    Sum(f64, f64),
    /// `x·y`, element by element.
    Product,
}

struct Combine<'a> {
    first: &'a GradientsParams,
    second: &'a GradientsParams,
    how: How,
    made: GradientsParams,
    seen: HashSet<ParamId>,
}

impl ModuleVisitor for Combine<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.seen.insert(param.id) {
            return;
        }
        let Some(x) = self.first.get::<D>(param.id) else { return };
        let Some(y) = self.second.get::<D>(param.id) else { return };
        let (x, y) = (widened(x), widened(y));
        self.made.register(
            param.id,
            match self.how {
                How::Sum(a, b) => x * a + y * b,
                How::Product => x * y,
            },
        );
    }
}

/// Returns a direction of random numbers in `[-1, 1)` for every parameter that has a gradient in `like`. They
/// come from a counter rather than the device's generator, so no other random numbers change.
pub(super) fn random<M: Module>(model: &M, like: &GradientsParams, seed: u64) -> GradientsParams {
    let made = GradientsParams::new();
    let mut walk = Random { like, made, seen: HashSet::new(), count: mix(seed ^ GOLDEN) };
    model.visit(&mut walk);
    walk.made
}

struct Random<'a> {
    like: &'a GradientsParams,
    made: GradientsParams,
    seen: HashSet<ParamId>,
    count: u64,
}

impl ModuleVisitor for Random<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.seen.insert(param.id) {
            return;
        }
        let Some(like) = self.like.get::<D>(param.id) else { return };
        let like = widened(like);
        let next = || {
            self.count = self.count.wrapping_add(GOLDEN);
            2.0 * unit(mix(self.count)) - 1.0
        };
        let values: Vec<f64> =
            std::iter::repeat_with(next).take(like.shape().num_elements()).collect();
        let data = TensorData::new(values, like.shape());
        self.made.register(param.id, Tensor::<D>::from_data(data, (&like.device(), like.dtype())));
    }
}
