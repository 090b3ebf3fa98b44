//! Updates on CubeCL devices: one launch a tensor, in place where nobody else holds the buffers.

mod numbers;
#[cfg(all(test, feature = "wgpu", feature = "flex"))]
mod tests;
mod update;

use std::cell::RefCell;

use burn::tensor::{DType, Device, Tensor};
use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::tensor::CubeTensor;

use super::choice::Plans;
use crate::cube::{given, taken};
use numbers::{COUNT, numbers};
use update::{Form, launch};

/// Plans as they lie on devices. There are few: most tensors of a model share one.
#[derive(Default)]
pub(crate) struct Tables(RefCell<Vec<Table>>);

struct Table {
    rows: Vec<[u32; COUNT]>,
    device: Device,
    tensor: Tensor<1>,
}

impl Tables {
    /// The numbers of each plan, one after the other.
    fn of(&self, plans: Plans<'_>, device: &Device) -> Tensor<1> {
        let numbers: Vec<[f32; COUNT]> = plans.all().iter().map(numbers).collect();
        // By bits: -0 is not 0, and NaN is itself.
        let rows: Vec<_> = numbers.iter().map(|row| row.map(f32::to_bits)).collect();
        let mut tables = self.0.borrow_mut();
        if let Some(table) = tables.iter().find(|t| t.rows == rows && t.device == *device) {
            return table.tensor.clone();
        }
        let tensor = Tensor::from_floats(numbers.concat().as_slice(), device);
        tables.push(Table { rows, device: device.clone(), tensor: tensor.clone() });
        tensor
    }
}

/// A tensor, its gradient, and its state.
pub(crate) type Tensors<const D: usize> = (Tensor<D>, Tensor<D>, Vec<Tensor<D>>);

/// One update, or everything back if it is not of a kind that is done here: all tensors of type `f32`,
/// on one CubeCL device, of one shape, and nothing in the plan that depends on all elements at once.
// What is given back is what was given, and goes no further than the caller.
#[allow(clippy::result_large_err)]
pub(super) fn step<const D: usize>(
    tables: &Tables,
    plans: Plans<'_>,
    (param, grad, slots): Tensors<D>,
) -> Result<(Tensor<D>, Vec<Tensor<D>>), Tensors<D>> {
    let Some(form) = Form::of(plans.all()) else { return Err((param, grad, slots)) };
    let device = param.device();
    let alike = |tensor: &Tensor<D>| tensor.dims() == param.dims() && tensor.device() == device;
    if !alike(&grad) || !slots.iter().all(alike) || slots.len() != form.slots() {
        return Err((param, grad, slots));
    }
    let param = match taken(param) {
        Ok(param) => param,
        Err(param) => return Err((param, grad, slots)),
    };
    let grad = match taken(grad) {
        Ok(grad) => grad,
        Err(grad) => return Err((given(param), grad, slots)),
    };
    let mut state = Vec::with_capacity(slots.len());
    let mut slots = slots.into_iter();
    while let Some(slot) = slots.next() {
        match taken(slot) {
            Ok(slot) => state.push(slot),
            Err(slot) => {
                let before = state.into_iter().map(given);
                let slots = before.chain([slot]).chain(slots).collect();
                return Err((given(param), given(grad), slots));
            }
        }
    }
    let row = plans.picker().map(|picker| picker.count().float().cast(DType::F32));
    let (table, row) = match (taken(tables.of(plans, &device)), row.map(taken).transpose()) {
        (Ok(table), Ok(row)) => (table, row),
        // Not on this device, or not of `f32`; neither can be.
        _ => return Err((given(param), given(grad), state.into_iter().map(given).collect())),
    };
    let (param, state) = launch(form, param, grad, state, table, row);
    Ok((given(param), state.into_iter().map(given).collect()))
}

/// A buffer to write to: the tensor's own, unless somebody else holds it too.
fn fresh(tensor: &CubeTensor) -> CubeTensor {
    let (client, device) = (tensor.client.clone(), tensor.device.clone());
    empty_device_dtype(client, device, tensor.meta.shape().clone(), tensor.dtype)
}
