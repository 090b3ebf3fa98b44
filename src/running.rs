//! What a forward pass writes into the model: BatchNorm's running statistics.
//!
//! Burn shares them between a module and its clones, and the forward pass has written them before
//! anyone has judged the batch. To undo that, their last accepted values are kept here.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::kind::BridgeTensor;

/// The running statistics of one model, as they were after the last applied update.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running {
    /// Without their rank in the type, so that those of any rank can be kept together.
    values: Vec<(ParamId, BridgeTensor)>,
}

impl Running {
    /// Finds the running statistics of `model` and keeps their present values.
    pub(crate) fn of<M: Module>(model: &M) -> Self {
        // Settles first, so that the search below does not meet a value in motion.
        let _ = model.valid();
        let mut before = Collect { only: None, found: Vec::new() };
        model.visit(&mut before);
        let ids = shared(model, &before.found);
        let mut running = Self { values: before.found };
        running.values.retain(|(id, _)| ids.contains(id));
        running
    }

    /// Which parameters they are.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ParamId> {
        self.values.iter().map(|(id, _)| *id)
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
            let only = self.ids().collect();
            let mut collect = Collect { only: Some(only), found: Vec::new() };
            model.visit(&mut collect);
            self.values = collect.found;
        }
    }

    /// Gives `model` the kept values back, and all clones that share them.
    pub(crate) fn restore<M: Module>(&self, model: M) -> M {
        if self.values.is_empty() {
            return model;
        }
        // Without this, an update that is still held back would overwrite what is put back here.
        self.settle(&model);
        let value = |id| self.values.iter().find(|(own, _)| *own == id).map(|(_, v)| v.clone());
        model.map(&mut Replace(value))
    }
}

/// The buffers among `candidates` that `model` shares with its clones: forward passes write those,
/// where frozen parameters and constants stay as they are.
///
/// Burn shows a visitor no difference. So a clone's values are replaced by ones of a shape that they
/// cannot have; where the original's shape has changed too, the value is shared. Then all is put
/// back. No element is read.
fn shared<M: Module>(model: &M, candidates: &[(ParamId, BridgeTensor)]) -> Vec<ParamId> {
    if candidates.is_empty() {
        return Vec::new();
    }
    let _ = model.clone().map(&mut Grow);
    let mut after = Collect { only: None, found: Vec::new() };
    model.visit(&mut after);
    let shared: Vec<ParamId> = candidates
        .iter()
        .zip(&after.found)
        .filter(|((_, before), (_, after))| before.shape() != after.shape())
        .map(|((id, _), _)| *id)
        .collect();

    let value = |id| candidates.iter().find(|(own, _)| *own == id).map(|(_, value)| value.clone());
    let _ = model.clone().map(&mut Replace(|id| value(id).filter(|_| shared.contains(&id))));
    shared
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

/// Collects float tensors that ask for no gradient.
struct Collect {
    only: Option<Vec<ParamId>>,
    found: Vec<(ParamId, BridgeTensor)>,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let wanted = match &self.only {
            Some(only) => only.contains(&param.id),
            None => !param.is_require_grad(),
        };
        if wanted {
            self.found.push((param.id, param.base().into_bridge()));
        }
    }
}

/// Replaces the values for which a function has another.
struct Replace<F>(F);

impl<F: FnMut(ParamId) -> Option<BridgeTensor>> ModuleMapper for Replace<F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match (self.0)(param.id) {
            None => param,
            Some(value) => {
                let (id, _, mapper) = param.consume();
                Param::from_mapped_value(id, Tensor::from_bridge(value), mapper)
            }
        }
    }
}
