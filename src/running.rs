//! What a forward pass writes into the model: BatchNorm's running statistics.
//!
//! Burn shares them between a module and its clones, and the forward pass has written them before
//! anyone has judged the batch. To undo that, their last accepted values are kept here.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use crate::Error;
use crate::checkpoint::tensors;
use crate::gate::Flag;
use crate::shelf::Shelf;

/// The running statistics of one model, as they were after the last applied update.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running {
    values: Shelf,
}

impl Running {
    /// Finds the running statistics of `model` and keeps their present values.
    pub(crate) fn of<M: Module>(model: &M) -> Self {
        // Settled first, so that the search does not meet a value in motion.
        let _ = model.valid();
        let candidates = collected(model, |param_asks| !param_asks, |_| true);
        let shared = shared(model, &candidates);
        Self { values: collected(model, |_| true, |id| shared.contains(&id)) }
    }

    /// Which parameters they are.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ParamId> {
        self.values.ids()
    }

    /// Lets the last forward pass reach the values that [`Module::visit`] shows.
    ///
    /// Burn holds an update back until the next forward pass, or until the module changes mode; a
    /// record taken before that lacks it.
    pub(crate) fn settle<M: Module>(&self, model: &M) {
        if !self.values.is_empty() {
            // What this returns is not wanted: to ask for it is what settles the module.
            let _ = model.valid();
        }
    }

    /// Keeps the present values of `model`, which must be settled.
    pub(crate) fn commit<M: Module>(&mut self, model: &M) {
        if !self.values.is_empty() {
            self.values = collected(model, |_| true, |id| self.values.contains(id));
        }
    }

    /// Keeps the present values of `model`, or puts the kept ones back, as the flag says.
    pub(crate) fn commit_if<M: Module>(&mut self, flag: &Flag, model: M) -> M {
        if self.values.is_empty() {
            return model;
        }
        model.visit(&mut Merge { values: &mut self.values, flag });
        model.map(&mut Replace { values: &self.values, only: None })
    }

    pub(crate) fn to_bytes<M: Module>(&self, model: &M) -> Result<Vec<u8>, Error> {
        tensors::to_bytes(&self.values, model)
    }

    pub(crate) fn from_bytes<M: Module>(bytes: &[u8], model: &M) -> Result<Self, Error> {
        Ok(Self { values: tensors::from_bytes(bytes, model)? })
    }

    /// Gives `model` the kept values back, and all clones that share them.
    pub(crate) fn restore<M: Module>(&self, model: M) -> M {
        if self.values.is_empty() {
            return model;
        }
        // Without this, an update that is still held back would overwrite what is put back here.
        self.settle(&model);
        model.map(&mut Replace { values: &self.values, only: None })
    }
}

/// The buffers among `candidates` that `model` shares with its clones: forward passes write those,
/// where frozen parameters and constants stay as they are.
///
/// Burn shows a visitor no difference. So a clone's values are replaced by ones of a shape that they
/// cannot have; where the original's shape has changed too, the value is shared. Then all is put
/// back. No element is read.
fn shared<M: Module>(model: &M, candidates: &Shelf) -> Vec<ParamId> {
    if candidates.is_empty() {
        return Vec::new();
    }
    let _ = model.clone().map(&mut Grow);
    let after = collected(model, |param_asks| !param_asks, |_| true);
    let moved = |id: &ParamId| candidates.shape(*id) != after.shape(*id);
    let shared: Vec<ParamId> = candidates.ids().filter(moved).collect();
    let _ = model.clone().map(&mut Replace { values: candidates, only: Some(&shared) });
    shared
}

/// The float tensors of `model` for which both are true: of whether it asks for a gradient, and of
/// its id.
fn collected<M: Module>(
    model: &M,
    asks: impl Fn(bool) -> bool,
    id: impl Fn(ParamId) -> bool,
) -> Shelf {
    struct Collect<A, I>(A, I, Shelf);

    impl<A: Fn(bool) -> bool, I: Fn(ParamId) -> bool> ModuleVisitor for Collect<A, I> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.0(param.is_require_grad()) && self.1(param.id) {
                self.2.put(param.id, param.base());
            }
        }
    }

    let mut collect = Collect(asks, id, Shelf::default());
    model.visit(&mut collect);
    collect.2
}

/// `kept ← present` where the flag says so.
struct Merge<'a> {
    values: &'a mut Shelf,
    flag: &'a Flag,
}

impl ModuleVisitor for Merge<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(kept) = self.values.take::<D>(param.id) {
            let present = param.base().without_autodiff();
            // They may be of an autodiff device's type, as they come from the model.
            let kept = kept.without_autodiff();
            self.values.put(param.id, self.flag.choose(present, kept));
        }
    }
}

/// Gives every float tensor without a gradient one element more along each axis.
struct Grow;

impl ModuleMapper for Grow {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.is_require_grad() {
            return param;
        }
        let (id, tensor, mapper) = param.consume();
        let grown = Tensor::zeros(tensor.dims().map(|size| size + 1), &tensor.device());
        Param::from_mapped_value(id, grown, mapper)
    }
}

/// Replaces the values that are on a shelf.
struct Replace<'a> {
    values: &'a Shelf,
    only: Option<&'a [ParamId]>,
}

impl ModuleMapper for Replace<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let wanted = self.only.is_none_or(|only| only.contains(&param.id));
        match self.values.get(param.id).filter(|_| wanted) {
            None => param,
            Some(value) => {
                let (id, _, mapper) = param.consume();
                Param::from_mapped_value(id, value, mapper)
            }
        }
    }
}
