//! Sums of squares of many tensors, read together.

#[cfg(feature = "flex")]
mod flex;
mod portable;

use burn::tensor::Tensor;

use crate::Error;

/// Sums to be read in one go. Slots are numbered in the order in which they were added.
#[derive(Default)]
pub(super) struct Sums {
    slots: usize,
    #[cfg(feature = "flex")]
    flex: flex::Batch,
    portable: portable::Batch,
}

impl Sums {
    /// Adds `Σx²`, accumulated in at least `f32`. What overflows `f32` reads as infinity, except of
    /// an `f64` tensor.
    pub(super) fn square<const D: usize>(&mut self, tensor: Tensor<D>) {
        let slot = self.take_slot();
        #[cfg(feature = "flex")]
        let tensor = match self.flex.take(slot, tensor) {
            None => return,
            Some(foreign) => foreign,
        };
        self.portable.square(slot, tensor);
    }

    /// Adds a single value, as it is.
    pub(super) fn value(&mut self, tensor: Tensor<1>) {
        let slot = self.take_slot();
        self.portable.value(slot, tensor);
    }

    fn take_slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    /// All sums, by slot. One readback a device.
    pub(super) fn read(self) -> Result<Vec<f64>, Error> {
        let mut sums = vec![f64::NAN; self.slots];
        #[cfg(feature = "flex")]
        self.flex.read(&mut sums);
        self.portable.read(&mut sums)?;
        Ok(sums)
    }
}

/// The bound that squares must keep, so that the verdict on a gradient does not depend on whether a
/// device sums in `f32` or in `f64`.
fn bounded(sum: f64) -> f64 {
    match sum > f64::from(f32::MAX) {
        true => f64::INFINITY,
        false => sum,
    }
}
