//! Norms of the whole gradient to other powers than 2.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::sums::Sums;
use crate::wide::widened;

/// Adds what [`norms`] needs: of each power and each gradient, the largest element, and the sum of the
/// powers of all over the largest.
pub(super) fn add<M: Module>(model: &M, grads: &GradientsParams, powers: &[f64], sums: &mut Sums) {
    if !powers.is_empty() {
        model.visit(&mut Add { grads, powers, sums, seen: HashSet::new() });
    }
}

/// The norm to each power, from what was added.
pub(super) fn norms(powers: &[f64], values: &[f64]) -> Vec<(f64, f64)> {
    let of = |at: usize| values.chunks_exact(2).skip(at).step_by(powers.len());
    let norm = |(at, &power): (usize, &f64)| {
        // Not `max`, which forgets NaN.
        let larger =
            |a: f64, pair: &[f64]| if pair[0] > a || pair[0].is_nan() { pair[0] } else { a };
        let largest = of(at).fold(0.0, larger);
        if power.is_infinite() || largest == 0.0 || !largest.is_finite() {
            return (power, largest);
        }
        let sum: f64 = of(at).map(|pair| pair[1] * (pair[0] / largest).powf(power)).sum();
        (power, largest * sum.powf(1.0 / power))
    };
    powers.iter().enumerate().map(norm).collect()
}

struct Add<'a> {
    grads: &'a GradientsParams,
    powers: &'a [f64],
    sums: &'a mut Sums,
    seen: HashSet<ParamId>,
}

impl ModuleVisitor for Add<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(grad) = self.grads.get::<D>(param.id) else { return };
        if grad.dims().contains(&0) || !self.seen.insert(param.id) {
            return;
        }
        let sizes = widened(grad).abs();
        let largest = sizes.clone().max();
        for power in self.powers {
            self.sums.value(largest.clone());
            self.sums.value(match power.is_infinite() {
                true => largest.clone(),
                false => {
                    // Of nothing but zeros the quotients are 0 by any number.
                    let scale = largest.clone().clamp_min(f64::from(f32::MIN_POSITIVE));
                    (sizes.clone() / scale.reshape([1; D])).powf_scalar(*power).sum()
                }
            });
        }
    }
}
