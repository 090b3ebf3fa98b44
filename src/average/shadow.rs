//! The averaged weights themselves.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use super::Average;
use crate::Error;
use crate::checkpoint::{State, tensors};
use crate::gate::Flag;
use crate::shelf::Shelf;
use crate::wide::widened;

/// An average of the trainable parameters of one model. A copy copies handles.
#[derive(Clone)]
pub(crate) struct Shadow {
    rule: Arc<dyn Average>,
    weights: Shelf,
    taken: u64,
}

impl fmt::Debug for Shadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shadow").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Shadow {
    pub(crate) fn new(rule: impl Average + 'static) -> Self {
        Self { rule: Arc::new(rule), weights: Shelf::default(), taken: 0 }
    }

    /// One of the same rule that has taken nothing in.
    pub(crate) fn anew(&self) -> Self {
        Self { rule: self.rule.clone(), weights: Shelf::default(), taken: 0 }
    }

    /// Takes in the weights after update `update`.
    pub(crate) fn take<M: Module>(&mut self, update: u64, model: &M) {
        self.mix(update, model, None);
    }

    /// The same where the flag says so. Whether it counts is whether the rule wanted these weights, and
    /// has to be [taken back](Self::untake) if the flag turns out to have said no.
    pub(crate) fn take_if<M: Module>(&mut self, flag: &Flag, update: u64, model: &M) -> bool {
        self.mix(update, model, Some(flag))
    }

    /// Weights that were not taken in after all.
    pub(crate) fn untake(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    fn mix<M: Module>(&mut self, update: u64, model: &M, flag: Option<&Flag>) -> bool {
        let Some(weight) = self.rule.weight(update, self.taken) else { return false };
        // A rule of the user's own may say anything; what it says must not make weights non-finite.
        let weight = if weight.is_finite() { weight.clamp(0.0, 1.0) } else { 0.0 };
        let weight = if self.taken == 0 { 1.0 } else { weight };
        let seen = HashSet::new();
        model.visit(&mut Mix { weights: &mut self.weights, seen, weight, flag });
        self.taken += 1;
        true
    }

    /// The model for evaluation, with the average in place of its weights; `None` before anything was
    /// taken in.
    pub(crate) fn model<M: Module>(&self, model: &M) -> Option<M> {
        (self.taken > 0).then(|| model.valid().map(&mut Put { weights: &self.weights }))
    }

    pub(crate) fn state<M: Module>(&self, model: &M) -> Result<State, Error> {
        Ok(State::new()
            .with_count("taken", self.taken)
            .with_bytes("weights", tensors::to_bytes(&self.weights, model)?))
    }

    pub(crate) fn restored<M: Module>(&self, state: &State, model: &M) -> Result<Self, Error> {
        Ok(Self {
            rule: self.rule.clone(),
            weights: tensors::from_bytes(state.bytes("weights")?, model)?,
            taken: state.counter("taken")?,
        })
    }
}

/// `a ← a + w·(p − a)`, in `f32` at least: half precision would lose small steps.
struct Mix<'a> {
    weights: &'a mut Shelf,
    seen: HashSet<ParamId>,
    weight: f64,
    flag: Option<&'a Flag>,
}

impl ModuleVisitor for Mix<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // A parameter that was frozen in the middle goes on to be averaged: what it was before has its weight.
        if !param.is_require_grad() && !self.weights.contains(param.id) {
            return;
        }
        // Once: one that is used in two places is visited twice.
        if !self.seen.insert(param.id) {
            return;
        }
        let value = widened(param.base().without_autodiff());
        let old = self.weights.take::<D>(param.id);
        // Held only if it may be wanted back: otherwise its buffer is free to be reused.
        let kept = self.flag.and_then(|flag| Some((flag, old.clone()?)));
        let mixed = match old {
            Some(average) if self.weight < 1.0 => {
                (value - average.clone()).mul_scalar(self.weight).add(average)
            }
            _ => value,
        };
        // Without an old average the present weights stand for it: a dropped step has not moved them.
        let mixed = match kept {
            Some((flag, old)) => flag.choose(mixed, old),
            None => mixed,
        };
        self.weights.put(param.id, mixed);
    }
}

struct Put<'a> {
    weights: &'a Shelf,
}

impl ModuleMapper for Put<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.weights.get::<D>(param.id) {
            None => param,
            Some(average) => param.map(|weight| average.cast(weight.dtype())),
        }
    }
}
