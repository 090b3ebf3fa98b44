//! The loss scale, passed to the step that computes the gradients.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::{Device, Tensor};

/// The factor by which a model's own [`TrainStep`](burn::train::TrainStep) multiplies its loss, if the keel has a
/// [loss scale](crate::Builder::loss_scale). It is a field of the model, has no parameters and is not in the model's
/// records.
///
/// All clones share one value, which the [trainer](super::KeelTrainer::loss_factor) updates. Until one of them is
/// passed to a trainer, the factor is 1.
///
/// For an example, see the [module](super#a-loss-scale).
#[derive(Clone)]
pub struct LossFactor(Arc<Number>);

struct Number {
    bits: AtomicU64,
    /// How often the value was read.
    asked: AtomicU64,
}

impl LossFactor {
    /// Creates a factor of 1.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Number { bits: AtomicU64::new(1f64.to_bits()), asked: AtomicU64::new(0) }))
    }

    /// Returns the factor of this step.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        f64::from_bits(self.0.bits.load(Ordering::Acquire))
    }

    /// Returns the loss times the factor, for the backward pass. The output of the step shows the unscaled loss.
    ///
    /// # Cost
    /// One multiplication of a single number, on the device.
    #[must_use]
    pub fn scaled(&self, loss: Tensor<1>) -> Tensor<1> {
        loss.mul_scalar(self.value())
    }

    pub(super) fn set(&self, value: f64) {
        self.0.bits.store(value.to_bits(), Ordering::Release);
    }

    /// Returns how often the value was read since the last call of this method.
    pub(super) fn asked(&self) -> u64 {
        self.0.asked.swap(0, Ordering::Relaxed)
    }
}

impl Default for LossFactor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LossFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LossFactor")
            .field(&f64::from_bits(self.0.bits.load(Ordering::Acquire)))
            .finish()
    }
}

impl fmt::Display for LossFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Module for LossFactor {
    fn collect_devices(&self, devices: Devices) -> Devices {
        devices
    }

    fn fork(self, _: &Device) -> Self {
        self
    }

    fn to_device(self, _: &Device) -> Self {
        self
    }

    fn materialize(self) -> Self {
        self
    }

    fn train(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        self.clone()
    }

    fn visit<V: ModuleVisitor>(&self, _: &mut V) {}

    fn map<P: ModuleMapper>(self, _: &mut P) -> Self {
        self
    }
}

impl ModuleDisplayDefault for LossFactor {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(self).optional()
    }
}

impl ModuleDisplay for LossFactor {}
