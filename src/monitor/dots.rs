//! Inner products over whole models, in one readback.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::sums::Sums;
use crate::Error;
use crate::widen::widened;

/// One side of a product: one number for every element of a model's parameters.
#[derive(Clone, Copy)]
pub(crate) enum Side<'a> {
    /// The parameters that have a gradient here, without running statistics and frozen parameters.
    Trained(&'a GradientsParams),
    Grads(&'a GradientsParams),
    /// The first minus the second, element by element: in a difference of two products, it would be lost to
    /// rounding.
    Difference(&'a GradientsParams, &'a GradientsParams),
}

/// Returns `⟨a, b⟩` for each pair, over the parameters that both sides have. One readback for all.
pub(crate) fn dots<M: Module>(model: &M, pairs: &[(Side, Side)]) -> Result<Vec<f64>, Error> {
    let mut walk = Dots { pairs, sums: Sums::default(), of: Vec::new(), seen: HashSet::new() };
    model.visit(&mut walk);
    let Dots { sums, of, .. } = walk;
    let mut products = vec![0.0; pairs.len()];
    for (pair, part) in of.into_iter().zip(sums.read()?) {
        products[pair] += part;
    }
    Ok(products)
}

/// Reads these values, each of one element, in one readback.
pub(crate) fn scalars(values: Vec<Tensor<1>>) -> Result<Vec<f64>, Error> {
    let mut sums = Sums::default();
    values.into_iter().for_each(|value| sums.value(value.without_autodiff()));
    sums.read()
}

struct Dots<'a> {
    pairs: &'a [(Side<'a>, Side<'a>)],
    sums: Sums,
    /// The pair that each of the sums belongs to.
    of: Vec<usize>,
    /// Parameters already visited: one used in two places is visited twice, but has one gradient.
    seen: HashSet<ParamId>,
}

impl ModuleVisitor for Dots<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.seen.insert(param.id) {
            return;
        }
        let side = |side: &Side| match side {
            Side::Trained(grads) => {
                grads.get::<D>(param.id).map(|_| param.base().without_autodiff())
            }
            Side::Grads(grads) => grads.get::<D>(param.id),
            Side::Difference(a, b) => {
                Some(widened(a.get::<D>(param.id)?) - widened(b.get::<D>(param.id)?))
            }
        };
        for (at, (a, b)) in self.pairs.iter().enumerate() {
            let (Some(a), Some(b)) = (side(a), side(b)) else { continue };
            self.sums.value((widened(a) * widened(b)).sum());
            self.of.push(at);
        }
    }
}
