//! Sums with tensor operations, for any device.

use burn::tensor::{DType, Device, Tensor, Transaction};

use super::{bounded, square_on_device};
use crate::Error;
use crate::widen::widened;

/// Values waiting on their devices.
#[derive(Default)]
pub(super) struct Batch {
    groups: Vec<Group>,
}

/// Values of one device and one element type, which can be concatenated.
struct Group {
    device: Device,
    dtype: DType,
    /// For each slot, how many of the values are parts of it.
    slots: Vec<(usize, Kind, usize)>,
    values: Vec<Tensor<1>>,
    /// Whether other values may be appended.
    grows: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Square,
    Value,
}

impl Batch {
    pub(super) fn square<const D: usize>(&mut self, slot: usize, tensor: Tensor<D>) {
        self.add(vec![(slot, Kind::Square, 1)], square_on_device(tensor));
    }

    pub(super) fn value(&mut self, slot: usize, tensor: Tensor<1>) {
        self.add(vec![(slot, Kind::Value, 1)], widened(tensor));
    }

    /// Adds partial sums, with the number for each slot. They are read separately: joining them to others would
    /// be work for the device.
    #[cfg(feature = "cube")]
    pub(super) fn parts(&mut self, slots: Vec<(usize, usize)>, values: Tensor<1>) {
        let slots = slots.into_iter().map(|(slot, parts)| (slot, Kind::Square, parts)).collect();
        let (device, dtype) = (values.device(), values.dtype());
        self.groups.push(Group { device, dtype, slots, values: vec![values], grows: false });
    }

    fn add(&mut self, slots: Vec<(usize, Kind, usize)>, values: Tensor<1>) {
        let (device, dtype) = (values.device(), values.dtype());
        let open =
            |group: &&mut Group| group.grows && group.device == device && group.dtype == dtype;
        match self.groups.iter_mut().find(open) {
            Some(group) => {
                group.slots.extend(slots);
                group.values.push(values);
            }
            None => {
                let values = vec![values];
                self.groups.push(Group { device, dtype, slots, values, grows: true });
            }
        }
    }

    /// Writes each sum to its slot. One readback per device, whatever the number of values.
    pub(super) fn read(mut self, sums: &mut [f64]) -> Result<(), Error> {
        while let Some(first) = self.groups.first() {
            let device = first.device.clone();
            let (here, elsewhere) =
                self.groups.into_iter().partition::<Vec<_>, _>(|group| group.device == device);
            self.groups = elsewhere;

            let (mut slots, mut transaction) = (Vec::new(), Transaction::default());
            for group in here {
                slots.push((group.slots, group.dtype));
                let mut values = group.values;
                let values = match (values.len(), values.pop()) {
                    (1, Some(only)) => only,
                    (_, last) => {
                        values.extend(last);
                        Tensor::cat(values, 0)
                    }
                };
                transaction = transaction.register(values);
            }
            let data = transaction
                .try_execute()
                .map_err(|cause| Error::io("reading the gradients from the device", cause))?;
            for (data, (slots, dtype)) in data.into_iter().zip(slots) {
                let data = data.convert::<f64>();
                let mut values = data.iter::<f64>();
                for (slot, kind, parts) in slots {
                    let value = values.by_ref().take(parts).sum();
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
