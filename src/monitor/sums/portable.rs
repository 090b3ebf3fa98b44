//! Sums by tensor operations, for any device.

use burn::tensor::{DType, Device, Tensor, Transaction};

use super::bounded;
use crate::Error;
use crate::wide::widened;

/// Scalars that wait on their devices.
#[derive(Default)]
pub(super) struct Batch {
    groups: Vec<Group>,
}

/// Scalars of one device and one element type: what can be concatenated.
struct Group {
    device: Device,
    dtype: DType,
    slots: Vec<(usize, Kind)>,
    scalars: Vec<Tensor<1>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Square,
    Value,
}

impl Batch {
    pub(super) fn square<const D: usize>(&mut self, slot: usize, tensor: Tensor<D>) {
        let tensor = widened(tensor);
        self.add(slot, Kind::Square, (tensor.clone() * tensor).sum());
    }

    pub(super) fn value(&mut self, slot: usize, tensor: Tensor<1>) {
        self.add(slot, Kind::Value, widened(tensor));
    }

    fn add(&mut self, slot: usize, kind: Kind, scalar: Tensor<1>) {
        let (device, dtype) = (scalar.device(), scalar.dtype());
        let same = |group: &&mut Group| group.device == device && group.dtype == dtype;
        match self.groups.iter_mut().find(same) {
            Some(group) => {
                group.slots.push((slot, kind));
                group.scalars.push(scalar);
            }
            None => {
                let (slots, scalars) = (vec![(slot, kind)], vec![scalar]);
                self.groups.push(Group { device, dtype, slots, scalars });
            }
        }
    }

    /// Puts each sum into its slot. One readback a device, whatever the number of scalars.
    pub(super) fn read(mut self, sums: &mut [f64]) -> Result<(), Error> {
        while let Some(first) = self.groups.first() {
            let device = first.device.clone();
            let (here, elsewhere) =
                self.groups.into_iter().partition::<Vec<_>, _>(|group| group.device == device);
            self.groups = elsewhere;

            let (mut slots, mut transaction) = (Vec::new(), Transaction::default());
            for group in here {
                slots.push((group.slots, group.dtype));
                transaction = transaction.register(Tensor::cat(group.scalars, 0));
            }
            let data = transaction
                .try_execute()
                .map_err(|cause| Error::io("reading the gradients from the device", cause))?;
            for (data, (slots, dtype)) in data.into_iter().zip(slots) {
                let values = data.convert::<f64>();
                for ((slot, kind), value) in slots.into_iter().zip(values.iter::<f64>()) {
                    sums[slot] = match (kind, dtype) {
                        (Kind::Square, DType::F32) => bounded(value),
                        _ => value,
                    };
                }
            }
        }
        Ok(())
    }
}
