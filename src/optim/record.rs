//! The state that an update of one tensor leaves for the next, and how it is saved.

use std::marker::PhantomData;

use burn::optim::{RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};
use burn_pack::Scalar;

use crate::checkpoint::tensors;

/// The numbers that a rule keeps for each tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Memory {
    /// Number of updates that the tensor has seen.
    pub(super) time: u64,
    /// Products of averaging rates, or sums of weights. They are stored exactly, so that a resumed run matches bit for
    /// bit, whatever curve they came from.
    pub(super) scalars: [f64; SCALARS],
}

const SCALARS: usize = 4;

impl Memory {
    pub(super) fn is_finite(&self) -> bool {
        self.scalars.iter().all(|scalar| scalar.is_finite())
    }
}

/// The names of the values that a rule keeps for each tensor.
#[derive(Debug)]
pub struct Leaves {
    /// The numbers, with their initial values.
    pub(super) scalars: &'static [(&'static str, f64)],
    pub(super) tensors: &'static [&'static str],
    /// How many of the tensors are always present.
    pub(super) required: usize,
}

/// A rule, as a type parameter of its state: what it keeps is known without an instance.
#[doc(hidden)]
pub trait Kept: Send + Sync + 'static {
    const LEAVES: Leaves;
}

impl Leaves {
    pub(super) fn begin(&self) -> Memory {
        let mut scalars = [0.0; SCALARS];
        for (scalar, (_, begin)) in scalars.iter_mut().zip(self.scalars) {
            *scalar = *begin;
        }
        Memory { time: 0, scalars }
    }
}

/// The state of one tensor under a rule of this crate, as Burn's optimizers keep and save it.
///
/// It is kept in `f32` for half precision, and otherwise in the type of the tensor.
pub struct TensorState<L, const D: usize> {
    memory: Memory,
    slots: Vec<Tensor<D>>,
    rule: PhantomData<fn() -> L>,
}

impl<L, const D: usize> TensorState<L, D> {
    pub(super) fn new(memory: Memory, slots: Vec<Tensor<D>>) -> Self {
        Self { memory, slots, rule: PhantomData }
    }

    pub(super) fn into_parts(self) -> (Memory, Vec<Tensor<D>>) {
        (self.memory, self.slots)
    }

    /// Returns how many updates the tensor has seen.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.memory.time
    }

    pub(super) fn on(self, device: &Device) -> Self {
        let slots = self.slots.into_iter().map(|tensor| tensor.to_device(device)).collect();
        Self { slots, ..self }
    }
}

// Not derived, because that would require `Clone` and `Debug` of the rule.
impl<L, const D: usize> Clone for TensorState<L, D> {
    fn clone(&self) -> Self {
        Self::new(self.memory, self.slots.clone())
    }
}

impl<L, const D: usize> std::fmt::Debug for TensorState<L, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TensorState").field("memory", &self.memory).finish_non_exhaustive()
    }
}

/// Not derived, because what Burn derives names paths of Burn's own crates.
impl<L: Kept, const D: usize> RecordState for TensorState<L, D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_scalar(prefix, "time", Scalar::UInt(self.memory.time));
        for ((name, _), value) in L::LEAVES.scalars.iter().zip(self.memory.scalars) {
            out.push_scalar(prefix, name, Scalar::Float(value));
        }
        for (name, tensor) in L::LEAVES.tensors.iter().zip(&self.slots) {
            out.push_tensor(prefix, name, tensors::flatten(tensor));
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let mut memory = L::LEAVES.begin();
        memory.time = u64::try_from(src.take_scalar(prefix, "time")?).ok()?;
        for (scalar, (name, _)) in memory.scalars.iter_mut().zip(L::LEAVES.scalars) {
            *scalar = f64::try_from(src.take_scalar(prefix, name)?).ok()?;
        }
        let mut slots = Vec::new();
        for name in L::LEAVES.tensors {
            match src.take_tensor(prefix, name) {
                // In the type in which it was saved, whatever the device's default is.
                Some(data) => {
                    let dtype = data.dtype();
                    slots.push(Tensor::from_data(data, (device, dtype)));
                }
                None if slots.len() < L::LEAVES.required => return None,
                None => break,
            }
        }
        Some(Self::new(memory, slots))
    }
}
