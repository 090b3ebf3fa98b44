//! Models as they are in memory, without the changes that layers make to parameters when they are saved and loaded.
//!
//! Burn's `Linear` in its `Col` layout transposes its weight when it is saved, and then refuses to load it, because its
//! shape differs from the weight's.

use std::any::Any;
use std::collections::VecDeque;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

/// Returns the model with parameters that are saved and loaded unchanged.
pub(crate) fn plain<M: Module>(model: M) -> M {
    struct Plain;

    impl ModuleMapper for Plain {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, tensor, _) = param.consume();
            Param::initialized(id, tensor)
        }
    }

    model.map(&mut Plain)
}

/// Returns a [plain] model with the changes that the layers of `like` make to their parameters.
pub(crate) fn as_in<M: Module>(model: M, like: &M) -> M {
    let mut taken = Taken(VecDeque::new());
    let _ = like.clone().map(&mut taken);
    model.map(&mut Given(taken.0))
}

/// The changes to each parameter, in the order of the model.
struct Taken(VecDeque<Box<dyn Any>>);

impl ModuleMapper for Taken {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (_, _, changes) = param.clone().consume();
        self.0.push_back(Box::new(changes));
        param
    }
}

struct Given(VecDeque<Box<dyn Any>>);

impl ModuleMapper for Given {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(changes) = self.0.pop_front() else { return param };
        let (id, tensor, none) = param.consume();
        let changes = changes.downcast().map_or(none, |changes| *changes);
        Param::from_mapped_value(id, tensor, changes)
    }
}
