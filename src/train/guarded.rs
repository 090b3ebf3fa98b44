//! The model as Burn's learner sees it.

use std::fmt;
use std::sync::Arc;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor};
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::store::ModuleRecord;
use burn::tensor::Device;
use burn::train::{InferenceStep, TrainOutput, TrainStep};

use super::TrainLoss;
use super::inner::Shared;

/// A model whose updates are made by a keel. A [`KeelTrainer`](super::KeelTrainer) hands it to Burn's learner.
///
/// In all other respects it is the model: its parameters have the same paths, and a record of either loads into the
/// other. [`Module::valid`] returns the weights to evaluate, which are averages if the keel or the optimizer keeps
/// averages.
pub struct Guarded<M: Module> {
    model: M,
    shared: Arc<Shared<M>>,
}

impl<M: Module + 'static> Guarded<M> {
    pub(super) fn new(model: M, shared: Arc<Shared<M>>) -> Self {
        Self { model, shared }
    }

    /// Returns the wrapped model.
    pub fn inner(&self) -> &M {
        &self.model
    }

    /// Unwraps the model.
    pub fn into_inner(self) -> M {
        self.model
    }

    fn with(self, change: impl FnOnce(M) -> M) -> Self {
        Self { model: change(self.model), shared: self.shared }
    }
}

impl<M: Module> Clone for Guarded<M> {
    fn clone(&self) -> Self {
        Self { model: self.model.clone(), shared: self.shared.clone() }
    }
}

impl<M: Module> fmt::Debug for Guarded<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.model, f)
    }
}

impl<M: Module + fmt::Display> fmt::Display for Guarded<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.model, f)
    }
}

impl<M: Module + 'static> Module for Guarded<M> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.model.collect_devices(devices)
    }

    /// Burn's strategies fork the model to the training device before the first epoch; the keel is built at that point.
    fn fork(self, device: &Device) -> Self {
        let Self { model, shared } = self;
        let model = shared.begin(model.fork(device));
        Self { model, shared }
    }

    fn to_device(self, device: &Device) -> Self {
        self.with(|model| model.to_device(device))
    }

    fn materialize(self) -> Self {
        self.with(M::materialize)
    }

    fn train(self) -> Self {
        self.with(M::train)
    }

    fn valid(&self) -> Self {
        Self { model: self.shared.evaluated(&self.model), shared: self.shared.clone() }
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.model.visit(visitor);
    }

    fn map<P: ModuleMapper>(self, mapper: &mut P) -> Self {
        self.with(|model| model.map(mapper))
    }

    /// Also captures the rest of the checkpoint at this moment: Burn saves a model by its record, on the training
    /// thread.
    fn into_record(self) -> ModuleRecord {
        self.shared.capture(&self.model);
        self.model.into_record()
    }
}

impl<M> TrainStep for Guarded<M>
where
    M: TrainStep + Module + 'static,
    M::Output: TrainLoss,
{
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: M::Input) -> TrainOutput<M::Output> {
        let output = TrainStep::step(&self.model, item);
        self.shared.forward(output.item.loss(), output.item.weight());
        output
    }

    fn optimize(
        self,
        _: &mut ModuleOptimizer,
        _: ModuleLearningRate,
        grads: GradientsParams,
    ) -> Self {
        let Self { model, shared } = self;
        let model = shared.update(model, grads);
        Self { model, shared }
    }

    /// Each shard has the sums of one device; one norm and one verdict cover all of them.
    fn optimize_multi(
        self,
        optimizer: &mut ModuleOptimizer,
        rates: ModuleLearningRate,
        grads: MultiGradientsParams,
    ) -> Self {
        let mut sum = burn::optim::GradientsAccumulator::new();
        let Some(device) = self.model.devices().into_iter().next() else { return self };
        for (grads, _) in grads.grads {
            sum.accumulate(&self.model, grads.to_device(&device, &self.model));
        }
        self.optimize(optimizer, rates, sum.grads())
    }
}

impl<M: InferenceStep + Module> InferenceStep for Guarded<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: M::Input) -> M::Output {
        InferenceStep::step(&self.model, item)
    }
}
