//! The parameters of a model, and their paths.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

/// The float parameters and buffers of a model, each once, in the order of the model.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    entries: Vec<Entry>,
    index: HashMap<ParamId, usize>,
    tied: bool,
}

/// One parameter or buffer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) id: ParamId,
    pub(crate) path: String,
    pub(crate) shape: Vec<usize>,
    /// Whether it requires a gradient. Frozen parameters and buffers do not.
    pub(crate) trainable: bool,
}

impl Layout {
    pub(crate) fn of<M: Module>(model: &M) -> Self {
        let mut walk = Walk::default();
        model.visit(&mut walk);
        walk.layout
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn contains(&self, id: ParamId) -> bool {
        self.index.contains_key(&id)
    }

    /// Returns whether a parameter is used in more than one place.
    pub(crate) fn is_tied(&self) -> bool {
        self.tied
    }

    /// Returns the field names joined by dots, as Burn's parameter groups match them; empty if the parameter is
    /// unknown.
    pub(crate) fn path(&self, id: ParamId) -> &str {
        self.index.get(&id).map_or("", |&at| &self.entries[at].path)
    }
}

#[derive(Default)]
struct Walk {
    path: Vec<String>,
    layout: Layout,
}

impl ModuleVisitor for Walk {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Layout { entries, index, tied } = &mut self.layout;
        if index.contains_key(&param.id) {
            *tied = true;
            return;
        }
        index.insert(param.id, entries.len());
        entries.push(Entry {
            id: param.id,
            path: self.path.join("."),
            shape: param.base().dims().to_vec(),
            trainable: param.is_require_grad(),
        });
    }
}
