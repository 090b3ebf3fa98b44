//! Tensors kept outside a model, one for each of some of its parameters.

use std::collections::HashMap;

use burn::module::ParamId;
use burn::tensor::Tensor;
use burn::tensor::kind::BridgeTensor;

/// Tensors by parameter. Cloning copies handles.
///
/// The rank is not part of the type, so that tensors of any rank can be kept together. The caller knows the rank from
/// the parameter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf {
    values: HashMap<ParamId, BridgeTensor>,
}

impl Shelf {
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) fn contains(&self, id: ParamId) -> bool {
        self.values.contains_key(&id)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ParamId> {
        self.values.keys().copied()
    }

    pub(crate) fn put<const D: usize>(&mut self, id: ParamId, tensor: Tensor<D>) {
        self.values.insert(id, tensor.into_bridge());
    }

    /// Returns a copy of the tensor kept for a parameter of this rank.
    pub(crate) fn get<const D: usize>(&self, id: ParamId) -> Option<Tensor<D>> {
        self.values.get(&id).map(|value| Tensor::from_bridge(value.clone()))
    }

    /// Takes out the tensor kept for a parameter, so that its buffer is held once and can be reused.
    pub(crate) fn take<const D: usize>(&mut self, id: ParamId) -> Option<Tensor<D>> {
        self.values.remove(&id).map(Tensor::from_bridge)
    }
}
