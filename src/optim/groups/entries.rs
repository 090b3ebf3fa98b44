//! The state that is kept for each parameter.

use std::collections::{BTreeSet, HashMap};

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::tensor::{Device, ExecutionError, Tensor, TensorData};

use super::super::kernel::Buffer;
use super::super::record::Memory;
use super::super::rule::Erased;
use super::unsure::Unsure;
use crate::{Error, fit};

/// One entry for each float parameter of the model, in the model's order.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    list: Vec<Entry>,
    index: HashMap<ParamId, usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: ParamId,
    pub(super) path: String,
    /// The index of its rule.
    pub(super) group: usize,
    pub(super) memory: Memory,
    pub(super) slots: Slots,
    /// The last round of updates that it was in; not part of its state.
    pub(super) turn: u64,
    /// Updates that are not settled yet; not part of its state either.
    pub(super) unsure: Option<Box<Unsure>>,
}

/// The tensors of state of a parameter: in use, or as they were read from a file, before their device is known.
#[derive(Clone, Debug)]
pub(in crate::optim) enum Slots {
    Live(Vec<Buffer>),
    Saved(Vec<TensorData>),
}

impl Slots {
    /// Reads the tensors to the host.
    pub(in crate::optim) fn data(&self) -> Result<Vec<TensorData>, ExecutionError> {
        match self {
            Self::Live(slots) => slots.iter().map(Buffer::data).collect(),
            Self::Saved(slots) => Ok(slots.clone()),
        }
    }

    /// Returns whether there has been an update.
    pub(super) fn are_some(&self) -> bool {
        match self {
            Self::Live(slots) => !slots.is_empty(),
            Self::Saved(slots) => !slots.is_empty(),
        }
    }

    pub(in crate::optim) fn shapes(&self) -> Vec<Vec<usize>> {
        match self {
            Self::Live(slots) => slots.iter().map(Buffer::shape).collect(),
            Self::Saved(slots) => slots.iter().map(|data| data.shape().to_vec()).collect(),
        }
    }

    /// Returns the first tensor, on `device`.
    pub(in crate::optim) fn first<const D: usize>(&self, device: &Device) -> Option<Tensor<D>> {
        match self {
            Self::Live(slots) => {
                slots.first().map(|slot| slot.clone().into_tensor().to_device(device))
            }
            Self::Saved(slots) => {
                slots.first().map(|data| Tensor::from_data(data.clone(), (device, data.dtype())))
            }
        }
    }

    /// Takes the tensors out, and moves them to the device of `param`.
    pub(super) fn take_to<const D: usize>(&mut self, param: &Buffer) -> Vec<Buffer> {
        match std::mem::replace(self, Self::Live(Vec::new())) {
            Self::Live(slots) => slots.into_iter().map(|slot| slot.beside::<D>(param)).collect(),
            Self::Saved(slots) => {
                let device = param.device();
                let live = |data: TensorData| {
                    let dtype = data.dtype();
                    Buffer::of(Tensor::<D>::from_data(data, (&device, dtype)))
                };
                slots.into_iter().map(live).collect()
            }
        }
    }
}

impl Entries {
    pub(super) fn position(&self, id: ParamId) -> Option<usize> {
        self.index.get(&id).copied()
    }

    pub(super) fn get(&self, at: usize) -> &Entry {
        &self.list[at]
    }

    pub(super) fn get_mut(&mut self, at: usize) -> &mut Entry {
        &mut self.list[at]
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.list.iter_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.list.iter()
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.index.insert(entry.id, self.list.len());
        self.list.push(entry);
    }

    /// Returns whether all numbers of the state are finite.
    pub(super) fn are_finite(&self) -> Result<bool, ExecutionError> {
        for entry in &self.list {
            let tensors = entry.slots.data()?;
            let finite = |data: &TensorData| data.iter::<f64>().all(f64::is_finite);
            if !entry.memory.is_finite() || !tensors.iter().all(finite) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Checks that all entries belong to parameters of `model`, and have their shapes.
    ///
    /// # Errors
    /// If one does not.
    pub(super) fn check_fit<M: Module>(&self, model: &M) -> Result<(), Error> {
        let shapes = fit::shapes(model);
        for entry in &self.list {
            let path = &entry.path;
            let Some(shape) = shapes.get(&entry.id) else {
                return Err(Error::record(format_args!(
                    "the optimizer's state has a `{path}`, and the model has not"
                )));
            };
            if let Some(other) = entry.slots.shapes().into_iter().find(|other| other != shape) {
                return Err(Error::record(format_args!(
                    "the optimizer's state of `{path}` has the shape {other:?}, and the parameter has {shape:?}"
                )));
            }
        }
        Ok(())
    }

    /// Returns how many updates the parameters have seen: every number that occurs, or may occur where updates are not
    /// settled, and 0 for parameters yet to come.
    pub(super) fn times(&self) -> Vec<u64> {
        let mut times = BTreeSet::from([0]);
        times.extend(self.list.iter().flat_map(|entry| {
            let unsettled = entry.unsure.as_ref().map_or(0, |unsure| unsure.updates());
            entry.memory.time..=entry.memory.time.saturating_add(unsettled)
        }));
        times.into_iter().collect()
    }

    /// Adds an entry for every float parameter of `model` that has none.
    pub(super) fn complete<M: Module>(&mut self, rules: &[(ParamGroup, Erased)], model: &M) {
        model.visit(&mut Walk { path: Vec::new(), rules, entries: self });
    }
}

/// Returns the index of a parameter's rule: the last one that matches.
pub(super) fn group(rules: &[(ParamGroup, Erased)], id: ParamId, path: &str) -> usize {
    rules.iter().rposition(|(group, _)| group.matches(&id, Some(path))).unwrap_or(0)
}

struct Walk<'a> {
    path: Vec<String>,
    rules: &'a [(ParamGroup, Erased)],
    entries: &'a mut Entries,
}

impl ModuleVisitor for Walk<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.entries.position(param.id).is_some() {
            return;
        }
        let path = self.path.join(".");
        let group = group(self.rules, param.id, &path);
        let memory = self.rules[group].1.0.leaves().begin();
        let slots = Slots::Live(Vec::new());
        self.entries.push(Entry {
            id: param.id,
            path,
            group,
            memory,
            slots,
            turn: 0,
            unsure: None,
        });
    }
}

/// Returns the float parameters of rank 0 and 1.
pub(super) fn biases_and_norms<M: Module>(model: &M) -> Vec<ParamId> {
    struct Vectors(Vec<ParamId>);
    impl ModuleVisitor for Vectors {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D < 2 {
                self.0.push(param.id);
            }
        }
    }
    let mut found = Vectors(Vec::new());
    model.visit(&mut found);
    found.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_tensors_tell_of_an_update() {
        assert!(Slots::Saved(vec![TensorData::from([1.0f32])]).are_some());
        assert!(!Slots::Saved(Vec::new()).are_some());
    }
}
