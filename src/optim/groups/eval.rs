//! The weights to evaluate.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::kind::BridgeTensor;

use super::ParamGroups;

/// Returns a copy of `model`, with averages in place of the weights that have one.
pub(super) fn model<M: Module>(groups: &ParamGroups, model: &M) -> M {
    let averages = groups.rules.iter().any(|(_, rule)| rule.0.averages().is_some());
    match averages {
        true => model.clone().map(&mut Average { groups, copies: HashMap::new() }),
        false => model.clone(),
    }
}

struct Average<'a> {
    groups: &'a ParamGroups,
    /// Averages so far: a parameter that is used in two places stays one tensor.
    copies: HashMap<ParamId, BridgeTensor>,
}

impl ModuleMapper for Average<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let ParamGroups { rules, entries, .. } = self.groups;
        let Some(entry) = entries.position(param.id).map(|at| entries.get(at)) else {
            return param;
        };
        let beta = rules[entry.group].1.0.averages();
        // Not by the count of updates, which lacks those with unread verdicts.
        let (Some(beta), true) = (beta, entry.slots.are_some()) else { return param };
        let asks = param.is_require_grad();
        let (id, y, mapper) = param.consume();
        let x = match self.copies.get(&id) {
            Some(copy) => Tensor::from_bridge(copy.clone()),
            None => {
                let y = y.inner();
                let x = match entry.slots.first::<D>(&y.device()) {
                    Some(z) => average(y, z, beta),
                    None => y,
                };
                Tensor::from_inner(x).set_require_grad(asks)
            }
        };
        self.copies.insert(id, x.clone().into_bridge());
        Param::from_mapped_value(id, x, mapper)
    }
}

/// Returns `x` for `y = (1 − β)z + βx`.
pub(in crate::optim) fn average<const D: usize>(
    y: Tensor<D>,
    z: Tensor<D>,
    beta: f64,
) -> Tensor<D> {
    let (stored, wide) = (y.dtype(), z.dtype());
    // As a difference, which is exact where the two are equal.
    let ahead = y.clone().cast(wide) - z;
    (y.cast(wide) + ahead * (1.0 / beta - 1.0)).cast(stored)
}
