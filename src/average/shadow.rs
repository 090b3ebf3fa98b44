//! The averaged weights.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use super::Average;
use crate::Error;
use crate::checkpoint::{State, tensors};
use crate::flag::Flag;
use crate::tensor_shelf::Shelf;
use crate::widen::widened;

/// An average of the trainable parameters of one model. Cloning copies handles.
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

    /// Returns an empty average with the same rule.
    pub(crate) fn anew(&self) -> Self {
        Self { rule: self.rule.clone(), weights: Shelf::default(), taken: 0 }
    }

    /// Adds the weights after update `update`.
    pub(crate) fn take<M: Module>(&mut self, update: u64, model: &M) {
        self.mix(update, model, None);
    }

    /// Adds the weights only where the flag is true. Returns whether they were counted, which is whether the rule
    /// wanted them; the count has to be [taken back](Self::untake) if the flag turns out to be false.
    pub(crate) fn take_if<M: Module>(&mut self, flag: &Flag, update: u64, model: &M) -> bool {
        self.mix(update, model, Some(flag))
    }

    /// Takes back the count of weights that were not added after all.
    pub(crate) fn untake(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    fn mix<M: Module>(&mut self, update: u64, model: &M, flag: Option<&Flag>) -> bool {
        let Some(weight) = self.rule.weight(update, self.taken) else { return false };
        // A user's rule may return anything; its result must not make weights non-finite.
        let weight = if weight.is_finite() { weight.clamp(0.0, 1.0) } else { 0.0 };
        let weight = if self.taken == 0 { 1.0 } else { weight };
        let seen = HashSet::new();
        model.visit(&mut Mix { weights: &mut self.weights, seen, weight, flag });
        self.taken += 1;
        true
    }

    /// Returns the model for evaluation, with the average in place of its weights; `None` while the average is empty.
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

/// `a ← a + w·(p − a)`, in `f32` at least, because half precision would lose small steps.
struct Mix<'a> {
    weights: &'a mut Shelf,
    seen: HashSet<ParamId>,
    weight: f64,
    flag: Option<&'a Flag>,
}

impl ModuleVisitor for Mix<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // A parameter frozen during training goes on being averaged, because its earlier values still carry weight.
        if !param.is_require_grad() && !self.weights.contains(param.id) {
            return;
        }
        // Only once: a parameter that is used in two places is visited twice.
        if !self.seen.insert(param.id) {
            return;
        }
        let value = widened(param.base().without_autodiff());
        let old = self.weights.take::<D>(param.id);
        // Held only if it may have to be restored; otherwise its buffer is free to be reused.
        let kept = self.flag.and_then(|flag| Some((flag, old.clone()?)));
        let mixed = match old {
            Some(average) if self.weight < 1.0 => {
                (value - average.clone()).mul_scalar(self.weight).add(average)
            }
            _ => value,
        };
        // Without an old average the present weights stand in for it: a dropped step has not moved them.
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
