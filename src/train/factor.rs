//! The loss scale, on its way to where the gradients are made.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::{Device, Tensor};

/// What a model's own [`TrainStep`](burn::train::TrainStep) multiplies its loss by, where the keel has a
/// [loss scale](crate::Builder::loss_scale): a field of the model, without parameters and not in its records.
///
/// A copy shows the same number, which the [trainer](super::KeelTrainer::loss_factor) moves. Until it is given to one
/// the factor is 1.
///
/// An example is among those of the [module](super#a-loss-scale).
#[derive(Clone)]
pub struct LossFactor(Arc<Number>);

struct Number {
    bits: AtomicU64,
    /// How often it was asked for.
    asked: AtomicU64,
}

impl LossFactor {
    /// A factor of 1.
    pub fn new() -> Self {
        Self(Arc::new(Number { bits: AtomicU64::new(1f64.to_bits()), asked: AtomicU64::new(0) }))
    }

    /// The factor of this step.
    pub fn value(&self) -> f64 {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        f64::from_bits(self.0.bits.load(Ordering::Acquire))
    }

    /// The loss times the factor, to go backward from. The output shows the loss itself.
    ///
    /// # Cost
    /// One multiplication of one number, on the device.
    pub fn scaled(&self, loss: Tensor<1>) -> Tensor<1> {
        loss.mul_scalar(self.value())
    }

    pub(super) fn set(&self, value: f64) {
        self.0.bits.store(value.to_bits(), Ordering::Release);
    }

    /// How often it was asked for since the last time that this was.
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
