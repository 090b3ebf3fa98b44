//! Angles between weights and their gradients. They are right angles where the scale of a weight has no effect.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::Extent;
use crate::widen::widened;

/// Returns `⟨p, g⟩` of each parameter that has a gradient, each of one element, in the order of the model; none if a
/// reading of this extent has no angles.
pub(crate) fn products<M: Module>(
    extent: Extent,
    model: &M,
    grads: &GradientsParams,
) -> Vec<Tensor<1>> {
    let mut walk = Products { grads, seen: HashSet::new(), found: Vec::new() };
    if extent == Extent::Alignments {
        model.visit(&mut walk);
    }
    walk.found
}

/// Returns `|⟨p, g⟩|/(‖p‖·‖g‖)`, and NaN where it is not known.
pub(super) fn cosines(products: &[f64], sizes: &[f64], norms: &[f64]) -> Vec<f64> {
    let cosine = |((product, size), norm): ((&f64, &f64), &f64)| {
        let cosine = product.abs() / size / norm;
        if cosine.is_finite() { cosine.min(1.0) } else { f64::NAN }
    };
    products.iter().zip(sizes).zip(norms).map(cosine).collect()
}

struct Products<'a> {
    grads: &'a GradientsParams,
    /// Parameters already visited: one used in two places is visited twice, but has one gradient.
    seen: HashSet<ParamId>,
    found: Vec<Tensor<1>>,
}

impl ModuleVisitor for Products<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id)
            && self.seen.insert(param.id)
        {
            let value = widened(param.base().without_autodiff());
            self.found.push((value * widened(grad)).sum());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_angle_to_nothing_is_not_known() {
        let found = cosines(&[-3.0, 0.0, 0.0, 8.1], &[2.0, 0.0, 2.0, 2.0], &[3.0, 1.0, 0.0, 4.0]);
        assert_eq!((found[0], found[3]), (0.5, 1.0));
        assert!(found[1].is_nan() && found[2].is_nan());
    }
}
