//! The diagonal that Adam divides by.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::Error;
use crate::error::check::Param as Named;
use crate::widen::widened;

/// The diagonal `P = √v̂ + ε` of the Adam family, computed from gradients; its sharpness is measured relative to
/// it.
///
/// ```text
/// v ← β₂·v + (1 − β₂)·g²        v̂ = v/(1 − β₂ᵗ)
/// ```
///
/// After one gradient it is `|g| + ε`, which Adam's first step is divided by. It is kept separately from the
/// optimizer, because the optimizers do not expose theirs.
#[derive(Debug)]
pub struct Diagonal {
    beta_2: f64,
    epsilon: f64,
    /// `Π β₂`
    product: f64,
    v: GradientsParams,
}

impl Diagonal {
    /// Creates an empty diagonal with Adam's `β₂` and `ε`.
    ///
    /// # Errors
    /// If `β₂` is not in `[0, 1)`, or `ε` is not positive and finite.
    pub fn new(beta_2: f64, epsilon: f64) -> Result<Self, Error> {
        let beta_2 = Named("Diagonal", "beta_2").below_one(beta_2)?;
        let epsilon = Named("Diagonal", "epsilon").positive(epsilon)?;
        Ok(Self { beta_2, epsilon, product: 1.0, v: GradientsParams::new() })
    }

    /// Adds the gradients of one update.
    ///
    /// # Cost
    /// One pass over the gradients, and one additional set of them in memory.
    pub fn take<M: Module>(&mut self, model: &M, grads: &GradientsParams) {
        self.product *= self.beta_2;
        let keep = self.beta_2;
        let seen = HashSet::new();
        model.visit(&mut Take { v: &mut self.v, grads, keep, seen });
    }

    /// Returns `P` to the power of `-½`, for every parameter that has been seen.
    pub(super) fn root<M: Module>(&self, model: &M) -> GradientsParams {
        let made = GradientsParams::new();
        let mut walk = Root { of: self, made };
        model.visit(&mut walk);
        walk.made
    }

    /// Returns whether no gradient has been added yet.
    pub(super) fn is_empty(&self) -> bool {
        self.product == 1.0
    }
}

struct Take<'a> {
    v: &'a mut GradientsParams,
    grads: &'a GradientsParams,
    keep: f64,
    seen: HashSet<ParamId>,
}

impl ModuleVisitor for Take<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.seen.insert(param.id) {
            return;
        }
        let Some(grad) = self.grads.get::<D>(param.id) else { return };
        let grad = widened(grad);
        let new = grad.clone() * grad * (1.0 - self.keep);
        let v = match self.v.remove::<D>(param.id) {
            Some(old) => old * self.keep + new,
            None => new,
        };
        self.v.register(param.id, v);
    }
}

struct Root<'a> {
    of: &'a Diagonal,
    made: GradientsParams,
}

impl ModuleVisitor for Root<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(v) = self.of.v.get::<D>(param.id) else { return };
        let p = (v / (1.0 - self.of.product)).sqrt() + self.of.epsilon;
        self.made.register(param.id, p.sqrt().recip());
    }
}
