//! Running statistics that a forward pass writes into the model, such as BatchNorm's.
//!
//! Burn shares them between a module and its clones, and the forward pass has written them before the batch is judged.
//! To undo that, this module keeps their last accepted values.

use std::any::Any;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use crate::Error;
use crate::checkpoint::tensors;
use crate::flag::Flag;
use crate::tensor_shelf::Shelf;

/// The running statistics of one model, as they were after the last applied update.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running {
    values: Shelf,
}

impl Running {
    /// Finds the running statistics of `model` and keeps their present values.
    pub(crate) fn of<M: Module>(model: &M) -> Self {
        // Settled first, so that the search does not see a value while it changes.
        let _ = model.valid();
        let shared = shared(model);
        Self { values: collected(model, |id| shared.contains(&id)) }
    }

    /// Returns the ids of the parameters that hold them.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ParamId> {
        self.values.ids()
    }

    /// Makes the last forward pass visible in the values that [`Module::visit`] shows.
    ///
    /// Burn holds an update back until the next forward pass, or until the module changes mode; a record taken before
    /// that lacks the update.
    pub(crate) fn settle<M: Module>(&self, model: &M) {
        if !self.values.is_empty() {
            // The result isn't used: the call itself settles the module.
            let _ = model.valid();
        }
    }

    /// Keeps the present values of `model`, which must be settled.
    pub(crate) fn commit<M: Module>(&mut self, model: &M) {
        if !self.values.is_empty() {
            self.values = collected(model, |id| self.values.contains(id));
        }
    }

    /// Keeps the present values of `model`, or restores the kept ones, depending on the flag.
    pub(crate) fn commit_if<M: Module>(&mut self, flag: &Flag, model: M) -> M {
        if self.values.is_empty() {
            return model;
        }
        model.visit(&mut Merge { values: &mut self.values, flag });
        model.map(&mut Replace { values: &self.values })
    }

    pub(crate) fn to_bytes<M: Module>(&self, model: &M) -> Result<Vec<u8>, Error> {
        tensors::to_bytes(&self.values, model)
    }

    pub(crate) fn from_bytes<M: Module>(bytes: &[u8], model: &M) -> Result<Self, Error> {
        Ok(Self { values: tensors::from_bytes(bytes, model)? })
    }

    /// Restores the kept values in `model` and all clones that share them.
    pub(crate) fn restore<M: Module>(&self, model: M) -> M {
        if self.values.is_empty() {
            return model;
        }
        // Otherwise, an update that is still held back would overwrite the restored values.
        self.settle(&model);
        model.map(&mut Replace { values: &self.values })
    }
}

/// Returns the buffers that `model` shares with its clones: forward passes write these, while frozen parameters and
/// constants stay unchanged.
///
/// Burn shows a visitor the parameters themselves, but for a shared buffer a copy, made for the visit. So the value of
/// a parameter has the same address in two visits, and the value of a shared buffer does not. Nothing is written,
/// because another thread may be using a clone.
fn shared<M: Module>(model: &M) -> Vec<ParamId> {
    let mut first = Hold::default();
    model.visit(&mut first);
    let mut second = Hold::default();
    model.visit(&mut second);
    let pairs = first.held.iter().zip(&second.held);
    pairs.filter(|(a, b)| a.address != b.address).map(|(a, _)| a.id).collect()
}

/// The float tensors that require no gradient, in the order of the model.
#[derive(Default)]
struct Hold {
    held: Vec<Held>,
}

struct Held {
    id: ParamId,
    /// Address of the value.
    address: usize,
    /// Keeps the address from being reused for another value.
    _param: Box<dyn Any>,
}

impl ModuleVisitor for Hold {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            let value: &Tensor<D> = param;
            let address = std::ptr::from_ref(value).addr();
            self.held.push(Held { id: param.id, address, _param: Box::new(param.clone()) });
        }
    }
}

/// Collects the float tensors of `model` whose ids are wanted.
fn collected<M: Module>(model: &M, wanted: impl Fn(ParamId) -> bool) -> Shelf {
    struct Collect<W>(W, Shelf);

    impl<W: Fn(ParamId) -> bool> ModuleVisitor for Collect<W> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.0(param.id) {
                self.1.put(param.id, param.base());
            }
        }
    }

    let mut collect = Collect(wanted, Shelf::default());
    model.visit(&mut collect);
    collect.1
}

/// `kept ← present` where the flag is true.
struct Merge<'a> {
    values: &'a mut Shelf,
    flag: &'a Flag,
}

impl ModuleVisitor for Merge<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(kept) = self.values.take::<D>(param.id) {
            let present = param.base().without_autodiff();
            // The kept values come from the model, so they may have an autodiff device's type.
            let kept = kept.without_autodiff();
            self.values.put(param.id, self.flag.choose(present, kept));
        }
    }
}

/// Replaces the values that are on a shelf.
struct Replace<'a> {
    values: &'a Shelf,
}

impl ModuleMapper for Replace<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.values.get(param.id) {
            None => param,
            Some(value) => {
                let (id, _, mapper) = param.consume();
                Param::from_mapped_value(id, value, mapper)
            }
        }
    }
}
