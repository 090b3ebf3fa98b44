//! Sharpness-aware minimization.

use std::collections::HashSet;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::{kernel, units};
use crate::error::check::Param as Named;
use crate::{Error, tie};

/// Sharpness-aware minimization: descends along the gradient at the nearby point where the loss is highest, and so ends
/// in flatter minima ([Foret et al. 2021](https://arxiv.org/abs/2010.01412)).
///
/// ```text
/// ε = ρ·g/‖g‖                    SAM
/// ε = ρ·T²g/‖T·g‖,  T = |p| + η    ASAM, for tensors of rank 2 and above; T = 1 for others
/// ```
///
/// where the norm is that of the whole gradient. The gradient at `p + ε` is then given to any optimizer, with the
/// weights `p`. There is nothing to undo: the perturbed model is a copy.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::Keel;
/// use evenkeel::optim::{Momentum, Sam};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let device = Device::default().autodiff();
/// # let x = Tensor::<2>::ones([4, 3], &device);
/// let mut model = LinearConfig::new(3, 1).init(&device);
/// let mut keel = Keel::wrap(Momentum::new(0.9)?).build(&model)?;
/// let sam = Sam::new(0.05)?;
///
/// let loss = model.forward(x.clone()).powi_scalar(2).mean();
/// let grads = GradientsParams::from_grads(loss.backward(), &model);
/// let uphill = sam.perturbed(&model, &grads);
/// let grads = GradientsParams::from_grads(
///     uphill.forward(x).powi_scalar(2).mean().backward(),
///     &uphill,
/// );
/// model = keel.step(1e-2, model, grads, &loss)?.model;
/// # let _ = model;
/// # Ok(())
/// # }
/// ```
///
/// # Edges
/// With a gradient of 0 there is no direction, and nothing is perturbed. A non-finite gradient makes the perturbation
/// non-finite, and then the second gradient, which a [`Keel`](crate::Keel) skips. Running statistics of BatchNorm are
/// shared between the two models, and see both passes.
///
/// # Cost
/// A second forward and backward pass, a copy of the parameters, and about three passes; no readback.
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "SAM")]
pub struct Sam {
    radius: f64,
    adaptive: Option<f64>,
}

impl Sam {
    /// Creates SAM with the radius `ρ`, usually 0.05.
    ///
    /// # Errors
    /// If `ρ` is negative or not finite.
    pub fn new(radius: f64) -> Result<Self, Error> {
        let radius = Named("Sam", "radius").non_negative(radius)?;
        Ok(Self { radius, adaptive: None })
    }

    /// Switches to ASAM, whose radius is in units of the weights
    /// ([Kwon et al. 2021](https://arxiv.org/abs/2102.11600)): `ρ` is then larger, usually 0.5 to 2, and `η` is usually
    /// 0.01.
    ///
    /// # Errors
    /// If `η` is negative or not finite.
    pub fn adaptive(mut self, eta: f64) -> Result<Self, Error> {
        self.adaptive = Some(Named("Sam", "eta").non_negative(eta)?);
        Ok(self)
    }

    /// Returns a copy of `model` at `p + ε`. Parameters without a gradient are unchanged.
    pub fn perturbed<M: Module>(&self, model: &M, grads: &GradientsParams) -> M {
        let mut norm = Norm { sam: self, grads, norms: Vec::new(), seen: HashSet::new() };
        model.visit(&mut norm);
        match norm.norms.is_empty() {
            true => model.clone(),
            false => {
                let norm = units::norm(Tensor::cat(norm.norms, 0));
                tie(model.clone().map(&mut Climb { sam: self, grads, norm }))
            }
        }
    }

    /// Returns `T`, or `None` where it is 1.
    fn scale<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<D>> {
        let eta = self.adaptive.filter(|_| D > 1)?;
        let value = param.base().inner();
        let wide = kernel::wide(value.dtype());
        Some(value.cast(wide).abs() + eta)
    }
}

/// Collects the norm of each `T·g`, on the device of the first of them and in its type.
struct Norm<'a> {
    sam: &'a Sam,
    grads: &'a GradientsParams,
    norms: Vec<Tensor<1>>,
    seen: HashSet<ParamId>,
}

impl ModuleVisitor for Norm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(grad) = self.grads.get::<D>(param.id) else { return };
        if grad.dims().contains(&0) || !self.seen.insert(param.id) {
            return;
        }
        let grad = grad.clone().cast(kernel::wide(grad.dtype()));
        let scaled = match self.sam.scale(param) {
            Some(scale) => grad * scale,
            None => grad,
        };
        let norm = units::norm(scaled);
        let norm = match self.norms.first() {
            None => norm,
            Some(first) => norm.to_device(&first.device()).cast(first.dtype()),
        };
        self.norms.push(norm);
    }
}

struct Climb<'a> {
    sam: &'a Sam,
    grads: &'a GradientsParams,
    norm: Tensor<1>,
}

impl ModuleMapper for Climb<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(grad) = self.grads.get::<D>(param.id) else { return param };
        let scale = self.sam.scale(&param);
        let asks = param.is_require_grad();
        let (id, tensor, mapper) = param.consume();
        let value = tensor.inner();
        let (stored, wide) = (value.dtype(), kernel::wide(value.dtype()));
        let step = grad.cast(wide);
        let step = match scale {
            Some(scale) => step * scale.clone() * scale,
            None => step,
        };
        let norm = self.norm.clone().to_device(&value.device()).cast(wide);
        // For a gradient of 0, any divisor gives 0.
        let none = norm.clone().equal_elem(0.0);
        let norm = norm.mask_fill(none, 1.0);
        // Divided first, because the reciprocal of a small norm may overflow the type.
        let step = step / norm.reshape([1; D]) * self.sam.radius;
        let there = (value.cast(wide) + step).cast(stored);
        let there = Tensor::from_inner(there).set_require_grad(asks);
        Param::from_mapped_value(id, there, mapper)
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn a_tied_weight_is_in_the_norm_once() {
        let layer: Linear =
            LinearConfig::new(2, 2).with_bias(false).init(&Device::flex().autodiff());
        let mut grads = GradientsParams::new();
        grads.register(layer.weight.id, Tensor::<2>::ones([2, 2], &Device::flex()));
        let sam = Sam::new(0.1).unwrap();
        let mut norm = Norm { sam: &sam, grads: &grads, norms: Vec::new(), seen: HashSet::new() };
        vec![layer.clone(), layer].visit(&mut norm);
        assert_eq!(norm.norms.len(), 1);
    }
}
