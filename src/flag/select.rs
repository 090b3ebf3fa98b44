//! Model visitors and mappers that select by a flag.

use std::collections::HashSet;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::{Flag, moved};
use crate::tensor_shelf::Shelf;
use crate::widen::widened;

/// Returns `factor · g` for every gradient where `ok`, and zeros where not.
pub(crate) fn gated<M: Module>(
    model: &M,
    grads: GradientsParams,
    factor: Option<&Tensor<1>>,
    ok: &Flag,
) -> GradientsParams {
    let mut gated = Gated { factor, ok, grads, seen: HashSet::new() };
    model.visit(&mut gated);
    gated.grads
}

struct Gated<'a> {
    factor: Option<&'a Tensor<1>>,
    ok: &'a Flag,
    grads: GradientsParams,
    /// A parameter used in two places is visited twice, and has one gradient.
    seen: HashSet<ParamId>,
}

impl ModuleVisitor for Gated<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.seen.insert(param.id) {
            return;
        }
        let Some(grad) = self.grads.remove::<D>(param.id) else { return };
        let grad = match self.factor {
            None => grad,
            Some(factor) => {
                let dtype = grad.dtype();
                let wide = widened(grad);
                let factor = moved(factor.clone(), &wide.device()).cast(wide.dtype());
                (wide * factor.reshape([1; D])).cast(dtype)
            }
        };
        self.grads.register(param.id, self.ok.choose(grad.clone(), grad.zeros_like()));
    }
}

/// Collects the values of chosen parameters.
pub(crate) struct Values {
    pub(crate) ids: HashSet<ParamId>,
    pub(crate) values: Shelf,
}

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.ids.remove(&param.id) {
            self.values.put(param.id, param.base().without_autodiff());
        }
    }
}

/// Keeps the parameters, or puts the old ones back.
pub(crate) struct Choose<'a> {
    pub(crate) flag: &'a Flag,
    pub(crate) old: Shelf,
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
