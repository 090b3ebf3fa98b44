//! The share of an update that is lost to rounding in half precision.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};

use super::sums::Sums;
use crate::Error;
use crate::tensor_shelf::Shelf;

/// The parameters in half precision before an update, and which of their elements had a gradient.
pub(crate) struct Rounding {
    before: Shelf,
    asked: Shelf,
}

impl Rounding {
    /// Returns `None` if no parameter in half precision has a gradient.
    pub(crate) fn of<M: Module>(model: &M, grads: &GradientsParams) -> Option<Self> {
        let mut look = Look { grads, before: Shelf::default(), asked: Shelf::default() };
        model.visit(&mut look);
        let Look { before, asked, .. } = look;
        (!before.is_empty()).then_some(Self { before, asked })
    }

    /// Returns the share of those elements that are unchanged in `after`. One readback.
    pub(crate) fn lost<M: Module>(self, after: &M) -> Result<f64, Error> {
        let mut compare = Compare { rounding: &self, sums: Sums::default(), seen: HashSet::new() };
        after.visit(&mut compare);
        let (mut same, mut all) = (0.0, 0.0);
        for pair in compare.sums.read()?.chunks_exact(2) {
            (same, all) = (same + pair[0], all + pair[1]);
        }
        Ok(if all > 0.0 { same / all } else { 0.0 })
    }
}

struct Look<'a> {
    grads: &'a GradientsParams,
    before: Shelf,
    asked: Shelf,
}

impl ModuleVisitor for Look<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.before.contains(param.id) {
            return;
        }
        let value = param.base().without_autodiff();
        if !matches!(value.dtype(), DType::F16 | DType::BF16) || value.dims().contains(&0) {
            return;
        }
        if let Some(grad) = self.grads.get::<D>(param.id) {
            self.asked.put(param.id, grad.not_equal_elem(0.0).float().cast(DType::F32));
            self.before.put(param.id, value);
        }
    }
}

struct Compare<'a> {
    rounding: &'a Rounding,
    sums: Sums,
    seen: HashSet<ParamId>,
}

impl ModuleVisitor for Compare<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Rounding { before, asked } = self.rounding;
        let (Some(before), Some(asked)) = (before.get::<D>(param.id), asked.get::<D>(param.id))
        else {
            return;
        };
        if self.seen.insert(param.id) {
            let same = param.base().without_autodiff().equal(before).float().cast(DType::F32);
            self.sums.value((same * asked.clone()).sum());
            self.sums.value(asked.sum());
        }
    }
}
