//! Sums of squares that stay on their device.

use burn::tensor::{DType, Device, Tensor};

use super::{Squares, square_on_device};

/// Sums of squares of many tensors, which are not read. Slots are numbered in the order in which they were added.
#[derive(Default)]
pub(crate) struct OnDevice {
    slots: usize,
    #[cfg(feature = "cube")]
    cube: super::cube::Batch,
    /// The sums, each with its slots in the same order.
    sums: Vec<(Vec<usize>, Tensor<1>)>,
}

impl Squares for OnDevice {
    fn square<const D: usize>(&mut self, tensor: Tensor<D>) {
        let slot = self.slots;
        self.slots += 1;
        #[cfg(feature = "cube")]
        let tensor = match self.cube.take(slot, tensor) {
            None => return,
            Some(foreign) => foreign,
        };
        self.sums.push((vec![slot], square_on_device(tensor)));
    }
}

impl OnDevice {
    /// Returns all sums by slot, on `device`, in `f64` if `least` or one of them is; `None` if there are none.
    pub(crate) fn vector(self, device: &Device, least: DType) -> Option<Tensor<1>> {
        #[cfg_attr(not(feature = "cube"), allow(unused_mut))]
        let mut sums = self.sums;
        #[cfg(feature = "cube")]
        sums.extend(self.cube.rows());
        let is_double = |(_, sum): &(_, Tensor<1>)| sum.dtype() == DType::F64;
        let dtype = match least == DType::F64 || sums.iter().any(is_double) {
            true => DType::F64,
            false => DType::F32,
        };
        let mut here = sums.into_iter().map(|(slots, sum)| match sum.device() == *device {
            true => (slots, sum.cast(dtype)),
            false => (slots, sum.to_device(device).cast(dtype)),
        });
        if here.len() <= 1 {
            return here.next().map(|(_, sum)| sum);
        }
        let mut by_slot = vec![None; self.slots];
        for (slots, sums) in here {
            for (at, slot) in slots.into_iter().enumerate() {
                by_slot[slot] = Some(sums.clone().narrow(0, at, 1));
            }
        }
        Some(Tensor::cat(by_slot.into_iter().flatten().collect(), 0))
    }
}
