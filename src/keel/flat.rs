//! Gradients flattened into one tensor, to be summed over ranks.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor};

use super::agree::Share;

/// The parameters that have a gradient.
pub(super) struct Has<'a> {
    pub(super) grads: Option<&'a GradientsParams>,
    pub(super) ids: Vec<ParamId>,
}

impl ModuleVisitor for Has<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.grads.is_some_and(|grads| grads.get::<D>(param.id).is_some()) {
            self.ids.push(param.id);
        }
    }
}

/// Gradients as one tensor, in the order of the model, with the loss at its end.
pub(super) struct Flat<'a> {
    grads: &'a GradientsParams,
    left: Vec<ParamId>,
    pieces: Vec<Tensor<1>>,
    /// Factor on the gradients; a rank without weight contributes zeros, whatever its numbers are.
    factor: Option<f64>,
    dtype: DType,
    device: Device,
}

impl Flat<'_> {
    pub(super) fn of<M: Module>(
        model: &M,
        share: &Share,
        ids: &[ParamId],
        scale: f64,
    ) -> Tensor<1> {
        let device = share.loss.device();
        let mut widest = Widest(DType::F32);
        model.visit(&mut widest);
        let weighs = share.weight > 0.0;
        let mut flat = Flat {
            grads: &share.grads,
            left: ids.to_vec(),
            pieces: Vec::new(),
            factor: weighs.then_some(share.weight / scale),
            dtype: widest.0,
            device,
        };
        model.visit(&mut flat);
        let loss = share.loss.clone().without_autodiff().cast(flat.dtype).mul_scalar(share.weight);
        flat.pieces.push(if weighs {
            loss
        } else {
            Tensor::zeros([1], (&flat.device, flat.dtype))
        });
        Tensor::cat(flat.pieces, 0)
    }

    /// Returns the mean gradients times `scale`, and the mean loss.
    pub(super) fn back<M: Module>(
        model: &M,
        sum: Tensor<1>,
        ids: &[ParamId],
        weight: f64,
        scale: f64,
    ) -> (GradientsParams, Tensor<1>) {
        let end = sum.dims()[0];
        let loss = sum.clone().narrow(0, end - 1, 1).div_scalar(weight);
        let factor = scale / weight;
        let grads = GradientsParams::new();
        let mut back = Back { mean: sum.mul_scalar(factor), at: 0, left: ids.to_vec(), grads };
        model.visit(&mut back);
        (back.grads, loss)
    }
}

/// Removes an id, and returns whether it was there. A parameter that is used in two places is visited twice.
fn take(left: &mut Vec<ParamId>, id: ParamId) -> bool {
    let at = left.iter().position(|other| *other == id);
    at.map(|at| left.swap_remove(at)).is_some()
}

impl ModuleVisitor for Flat<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let elements = param.base().shape().num_elements();
        if !take(&mut self.left, param.id) || elements == 0 {
            return;
        }
        let grad = self.factor.zip(self.grads.get::<D>(param.id));
        self.pieces.push(match grad {
            Some((factor, grad)) => {
                let grad = grad.to_device(&self.device).cast(self.dtype);
                grad.reshape([elements]).mul_scalar(factor)
            }
            None => Tensor::zeros([elements], (&self.device, self.dtype)),
        });
    }
}

struct Back {
    mean: Tensor<1>,
    at: usize,
    left: Vec<ParamId>,
    grads: GradientsParams,
}

impl ModuleVisitor for Back {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.base().without_autodiff();
        let elements = value.shape().num_elements();
        if !take(&mut self.left, param.id) {
            return;
        }
        let grad = match elements {
            0 => value,
            _ => {
                let piece = self.mean.clone().narrow(0, self.at, elements);
                self.at += elements;
                let piece: Tensor<D> = piece.reshape(value.shape());
                piece.to_device(&value.device()).cast(value.dtype())
            }
        };
        self.grads.register(param.id, grad);
    }
}

/// The widest type of any parameter, and `f32` at least.
struct Widest(DType);

impl ModuleVisitor for Widest {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.base().dtype() == DType::F64 {
            self.0 = DType::F64;
        }
    }
}
