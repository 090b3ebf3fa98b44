//! How far parameters have moved between two states of a model.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use super::sums::{Squares, Sums};
use crate::Error;
use crate::tensor_shelf::Shelf;

/// Returns the sums of squares of these parameters before, and of the change in them, in the order of the model.
/// One readback.
pub(super) fn sizes_and_moves<M: Module>(
    before: &M,
    after: &M,
    ids: HashSet<ParamId>,
) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let mut old = Moves { ids: ids.clone(), old: Shelf::default(), sums: Sums::default() };
    before.visit(&mut old);
    let mut new = Moves { ids, ..old };
    after.visit(&mut new);
    // The old parameters were visited first, in the same order.
    let mut sizes = new.sums.read()?;
    let moves = sizes.split_off(sizes.len() / 2);
    Ok((sizes, moves))
}

/// Measures the old parameters in the first visit, and in the second how far the new ones have moved.
struct Moves {
    ids: HashSet<ParamId>,
    old: Shelf,
    sums: Sums,
}

impl ModuleVisitor for Moves {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.ids.remove(&param.id) {
            return;
        }
        let value = param.base().without_autodiff();
        match self.old.take::<D>(param.id) {
            None => {
                self.old.put(param.id, value.clone());
                self.sums.square(value);
            }
            Some(old) => self.sums.square(value - old),
        }
    }
}
