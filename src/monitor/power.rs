//! Norms of the whole gradient with powers other than 2.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::sums::Sums;
use crate::widen::{LEAST_SCALE, powers, widened};

/// Adds what [`norms`] needs: for each gradient the largest element, and for each finite power the sum of the
/// powers of all elements divided by the largest.
pub(super) fn add<M: Module>(model: &M, grads: &GradientsParams, powers: &[f64], sums: &mut Sums) {
    if !powers.is_empty() {
        model.visit(&mut Add { grads, powers, sums, seen: HashSet::new() });
    }
}

/// Returns the norm for each power, from the added values.
pub(super) fn norms(powers: &[f64], values: &[f64]) -> Vec<(f64, f64)> {
    let gradients = || values.chunks_exact(1 + powers.iter().filter(|p| p.is_finite()).count());
    // `max` would drop NaN.
    let larger = |a: f64, of: &[f64]| if of[0] > a || of[0].is_nan() { of[0] } else { a };
    let largest = gradients().fold(0.0, larger);
    let norm = |(at, &power): (usize, &f64)| {
        if power.is_infinite() || largest == 0.0 || !largest.is_finite() {
            return (power, largest);
        }
        // Powers are sorted, so that an infinite one comes last. The divisor that was actually used counts.
        let scale = largest.max(LEAST_SCALE);
        let share = |of: &[f64]| of[1 + at] * (of[0].max(LEAST_SCALE) / scale).powf(power);
        let sum: f64 = gradients().map(share).sum();
        (power, scale * sum.powf(1.0 / power))
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
        self.sums.value(largest.clone());
        for power in self.powers.iter().filter(|power| power.is_finite()) {
            self.sums.value(powers(sizes.clone(), largest.clone(), *power).0);
        }
    }
}
