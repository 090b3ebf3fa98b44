//! Updates on CubeCL devices: one launch a tensor, in place where nobody else holds the buffers.

mod numbers;
#[cfg(all(test, feature = "wgpu", feature = "flex"))]
mod tests;
mod update;

use std::cell::RefCell;

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Device, Tensor};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::tensor::CubeTensor;

use super::choice::Plans;
use crate::cube::{Primitive, all_taken, call, given};
use numbers::{COUNT, numbers};
use update::{Form, launch};

/// Plans as they lie on devices. There are few: most tensors of a model share one.
#[derive(Default)]
pub(crate) struct Tables(RefCell<Vec<Table>>);

struct Table {
    /// By bits: -0 is not 0, and NaN is itself.
    rows: Vec<[u32; COUNT]>,
    device: Device,
    tensor: Tensor<1>,
}

impl Tables {
    /// The numbers of each plan, one after the other.
    fn of(&self, plans: Plans<'_>, device: &Device) -> Tensor<1> {
        let numbers: Vec<[f32; COUNT]> = plans.all().iter().map(numbers).collect();
        let rows: Vec<_> = numbers.iter().map(bits).collect();
        let mut tables = self.0.borrow_mut();
        if let Some(table) = tables.iter().find(|t| t.rows == rows && t.device == *device) {
            return table.tensor.clone();
        }
        let tensor = Tensor::from_floats(numbers.concat().as_slice(), device);
        tables.push(Table { rows, device: device.clone(), tensor: tensor.clone() });
        tensor
    }
}

fn bits(row: &[f32; COUNT]) -> [u32; COUNT] {
    row.map(f32::to_bits)
}

/// A tensor, its gradient, and its state.
pub(crate) type Tensors<const D: usize> = (Tensor<D>, Tensor<D>, Vec<Tensor<D>>);

/// What is to be done to one tensor: which code, and by which row of the table.
#[derive(Debug, Clone, Copy)]
struct Item {
    form: Form,
    row: u32,
}

/// The tensor, its gradient and its state as the kernel takes them, or everything back if it is not of
/// a kind that is done here: of `f32` or half precision, with a state of `f32`, all on one CubeCL device
/// and of one shape, and nothing in the plan that depends on all elements at once.
// What is given back is what was given, and goes no further than the caller.
#[allow(clippy::result_large_err)]
fn prepared<const D: usize>(
    plans: Plans<'_>,
    (param, grad, slots): Tensors<D>,
) -> Result<(Form, Vec<Primitive>), Tensors<D>> {
    let Some(form) = Form::of(plans.all()) else { return Err((param, grad, slots)) };
    let alike = |tensor: &Tensor<D>| tensor.dims() == param.dims();
    let wide = |tensor: &Tensor<D>| alike(tensor) && tensor.dtype() == DType::F32;
    if !alike(&grad) || !slots.iter().all(wide) || slots.len() != form.slots() {
        return Err((param, grad, slots));
    }
    let back = |tensors: Vec<Tensor<D>>| {
        let mut tensors = tensors.into_iter();
        match (tensors.next(), tensors.next()) {
            (Some(param), Some(grad)) => (param, grad, tensors.collect()),
            _ => unreachable!("as many as were taken"),
        }
    };
    let all = all_taken([param, grad].into_iter().chain(slots).collect()).map_err(back)?;
    let device = all[0].device();
    match all.iter().all(|tensor| tensor.device() == device) {
        true => Ok((form, all)),
        false => Err(back(all.into_iter().map(given).collect())),
    }
}

/// One update, or everything back if it is not of a kind that is done here.
// What is given back is what was given, and goes no further than the caller.
#[allow(clippy::result_large_err)]
pub(super) fn step<const D: usize>(
    tables: &Tables,
    plans: Plans<'_>,
    tensors: Tensors<D>,
) -> Result<(Tensor<D>, Vec<Tensor<D>>), Tensors<D>> {
    let device = tensors.0.device();
    let (form, all) = prepared(plans, tensors)?;
    let control = plans.picker().map(|picker| picker.control(&device));
    let tails = [Some(tables.of(plans, &device)), control].into_iter().flatten().collect();
    let Ok(tails) = all_taken(tails) else {
        // Of `f32`, of more than nothing, and on the device of the tensor.
        unreachable!("numbers of a plan are tensors of the kind that is taken");
    };
    let mut done = update(vec![Item { form, row: 0 }], all, tails).into_iter().map(given);
    match done.next() {
        Some(param) => Ok((param, done.collect())),
        None => unreachable!("one item gives at least the parameter"),
    }
}

/// Updates tensors of one device. `inputs` are parameter, gradient and state of each, one after the
/// other, and `tails` the table and what picks from it; what comes of them has no gradients.
fn update(items: Vec<Item>, mut inputs: Vec<Primitive>, tails: Vec<Primitive>) -> Vec<Primitive> {
    let mut outputs = Vec::with_capacity(inputs.len());
    let mut at = 0;
    for item in &items {
        let of = |tensor: &Primitive| (tensor.shape(), tensor.dtype());
        outputs.push(of(&inputs[at]));
        outputs.extend(inputs[at + 2..at + 2 + item.form.slots()].iter().map(of));
        at += 2 + item.form.slots();
    }
    inputs.extend(tails);
    call("evenkeel_update", inputs, outputs, move |mut tensors| {
        let mut tails = tensors.split_off(at).into_iter();
        let Some(table) = tails.next() else { return Vec::new() };
        let control = tails.next();
        let mut tensors = tensors.into_iter().map(into_contiguous);
        let mut done = Vec::new();
        for item in &items {
            let (Some(param), Some(grad)) = (tensors.next(), tensors.next()) else { break };
            let state = tensors.by_ref().take(item.form.slots()).collect();
            let given = (table.clone(), item.row, control.clone());
            let (param, state) = launch(item.form, param, grad, state, given);
            done.push(param);
            done.extend(state);
        }
        done
    })
}

/// A buffer to write to: the tensor's own, unless somebody else holds it too.
fn fresh(tensor: &CubeTensor) -> CubeTensor {
    let (client, device) = (tensor.client.clone(), tensor.device.clone());
    empty_device_dtype(client, device, tensor.meta.shape().clone(), tensor.dtype)
}
