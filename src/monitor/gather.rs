//! The sums that a reading is made of: one for each gradient, statistic and parameter.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::row::Slot;
use super::sums::Squares;

/// Adds everything that a reading needs to one set of sums.
pub(super) struct Gather<'a, S> {
    pub(super) grads: &'a GradientsParams,
    pub(super) statistics: &'a [ParamId],
    pub(super) parameters: bool,
    pub(super) sums: S,
    pub(super) slots: Vec<Slot>,
    /// Parameters already visited: one used in two places is visited twice, but has one gradient.
    pub(super) seen: HashSet<ParamId>,
}

impl<S: Squares> ModuleVisitor for Gather<'_, S> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id)
            && self.seen.insert(param.id)
        {
            self.slots.push(Slot::Gradient(param.id, grad.dtype()));
            self.sums.square(grad);
            if self.parameters {
                self.sums.square(param.base().without_autodiff());
                self.slots.push(Slot::Parameter);
            }
        }
        if self.statistics.contains(&param.id) {
            self.sums.square(param.base().without_autodiff());
            self.slots.push(Slot::Statistic);
        }
    }
}

/// Adds the squares of these parameters to `sums`, each parameter once.
pub(crate) fn squares_of<M: Module, S: Squares>(
    model: &M,
    ids: impl Iterator<Item = ParamId>,
    sums: S,
) -> S {
    let mut values = Values { ids: ids.collect(), sums };
    model.visit(&mut values);
    values.sums
}

struct Values<S> {
    ids: HashSet<ParamId>,
    sums: S,
}

impl<S: Squares> ModuleVisitor for Values<S> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.ids.remove(&param.id) {
            self.sums.square(param.base().without_autodiff());
        }
    }
}
