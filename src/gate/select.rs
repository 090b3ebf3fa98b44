//! Model visitors and mappers that select by a flag.

use std::collections::HashSet;

use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::{Flag, Gate, flag};
use crate::shelf::Shelf;
use crate::wide::widened;

/// Applies factor and verdict to the gradients.
pub(super) struct Gated<'a> {
    pub(super) gate: &'a Gate,
    pub(super) grads: GradientsParams,
    /// A parameter used in two places is visited twice, and has one gradient.
    pub(super) seen: HashSet<ParamId>,
}

impl ModuleVisitor for Gated<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.seen.insert(param.id) {
            return;
        }
        let Some(grad) = self.grads.remove::<D>(param.id) else { return };
        let grad = match &self.gate.factor {
            None => grad,
            Some(factor) => {
                let dtype = grad.dtype();
                let wide = widened(grad);
                let factor = flag::moved(factor.clone(), &wide.device()).cast(wide.dtype());
                (wide * factor.reshape([1; D])).cast(dtype)
            }
        };
        let gated = self.gate.ok.choose(grad.clone(), grad.zeros_like());
        self.grads.register(param.id, gated);
    }
}

/// Collects the values of chosen parameters.
pub(super) struct Values {
    pub(super) ids: HashSet<ParamId>,
    pub(super) values: Shelf,
}

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.ids.remove(&param.id) {
            self.values.put(param.id, param.base().without_autodiff());
        }
    }
}

/// Keeps the parameters, or puts the old ones back.
pub(super) struct Choose<'a> {
    pub(super) flag: &'a Flag,
    pub(super) old: Shelf,
}

impl ModuleMapper for Choose<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Not taken out: a parameter used in two places is mapped twice.
        let Some(old) = self.old.get::<D>(param.id) else { return param };
        let asks = param.is_require_grad();
        let autodiff = param.base().is_autodiff();
        param.map(|new| {
            let chosen = self.flag.choose(new.without_autodiff(), old);
            match autodiff {
                true => Tensor::from_inner(chosen).set_require_grad(asks),
                false => chosen,
            }
        })
    }
}
