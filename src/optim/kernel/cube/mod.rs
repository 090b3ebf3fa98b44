//! Updates on CubeCL devices: one launch per tensor, or for several small ones, in place where nothing else holds the
//! buffers. To Burn's fusion, the updates of a whole model are one operation.

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
use super::portable::begun;
use super::{Buffer, Done, Job, Plan, with_rank};
use crate::cube::{Primitive, all_taken, call, given, taken};
use numbers::{COUNT, numbers};
use update::{Form, Work, launch_all};

/// Plans on devices. There are few, because most tensors of a model share one.
#[derive(Default)]
pub(crate) struct Tables(RefCell<Vec<Table>>);

struct Table {
    /// Compared by bits: -0 differs from 0, and NaN equals itself.
    rows: Vec<[u32; COUNT]>,
    device: Device,
    tensor: Tensor<1>,
}

impl Tables {
    /// Returns the numbers of each plan, one after the other.
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

/// The work on one tensor: its code, and the index of its table.
#[derive(Debug, Clone, Copy)]
struct Item {
    form: Form,
    table: usize,
}

/// Returns the tensor, its gradient and its state as the kernel takes them, or everything unchanged if the kernel does
/// not support it. It supports tensors of `f32` or half precision with a state of `f32`, all of one shape on one CubeCL
/// device, and plans that do not depend on all elements at once.
// The large error is the input, and goes no further than the caller.
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

/// Makes one update, or returns everything unchanged if the kernel does not support it.
// The large error is the input, and goes no further than the caller.
#[allow(clippy::result_large_err)]
pub(super) fn step<const D: usize>(
    tables: &Tables,
    plans: Plans<'_>,
    tensors: Tensors<D>,
) -> Result<(Tensor<D>, Vec<Tensor<D>>), Tensors<D>> {
    let device = tensors.0.device();
    let (form, inputs) = prepared(plans, tensors)?;
    let control = plans.picker().map(|picker| number(picker.control(&device)));
    let table = number(tables.of(plans, &device));
    let mut done = update(vec![Item { form, table: 0 }], inputs, vec![table], control);
    let state = done.split_off(1).into_iter().map(given).collect();
    match done.pop() {
        Some(param) => Ok((given(param), state)),
        None => unreachable!("an update gives at least the parameter"),
    }
}

/// Converts numbers on a device: they are of `f32` and not empty, a kind that is always accepted.
fn number(tensor: Tensor<1>) -> Primitive {
    match taken(tensor) {
        Ok(primitive) => primitive,
        Err(_) => unreachable!("numbers for a kernel lie on the device of its tensors"),
    }
}

/// Runs the jobs that there are kernels for, those on one device as one operation, and returns the others, all in
/// order.
// The large error is the input, and goes no further than the caller.
#[allow(clippy::result_large_err)]
pub(super) fn run(tables: &Tables, jobs: Vec<Job>) -> Vec<Result<Done, Job>> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut places = Vec::with_capacity(jobs.len());
    for job in jobs {
        places.push(with_rank!(job.rank, opened, job).map(|opened| {
            let at = batches.iter().position(|batch| batch.device == opened.device);
            let at = at.unwrap_or_else(|| {
                batches.push(Batch::on(opened.device.clone()));
                batches.len() - 1
            });
            let rank = opened.rank;
            (at, rank, batches[at].add(tables, opened))
        }));
    }
    let mut outputs: Vec<_> = batches.into_iter().map(|batch| batch.run().into_iter()).collect();
    let done = places.into_iter().map(|place| {
        let (at, rank, count) = place?;
        let tensors = outputs[at].by_ref().take(count).collect();
        Ok(with_rank!(rank, closed, tensors))
    });
    done.collect()
}

/// A job as the kernel takes it.
struct Opened {
    device: Device,
    rank: usize,
    plan: Plan,
    form: Form,
    inputs: Vec<Primitive>,
}

// The large error is the input, and goes no further than the caller.
#[allow(clippy::result_large_err)]
fn opened<const D: usize>(job: Job) -> Result<Opened, Job> {
    if job.done || !matches!(job.param, Buffer::Other(_)) {
        return Err(job);
    }
    let Job { rank, plan, param, grad, slots, done } = job;
    let (param, grad) = (param.into_tensor::<D>(), grad.into_tensor());
    let device = param.device();
    let slots = slots.into_iter().map(Buffer::into_tensor).collect();
    let slots = begun(&plan, &param, slots);
    match prepared(Plans::One(&plan), (param, grad, slots)) {
        Ok((form, inputs)) => Ok(Opened { device, rank, plan, form, inputs }),
        Err((param, grad, slots)) => {
            let (param, grad) = (Buffer::of(param), Buffer::of(grad));
            let slots = slots.into_iter().map(Buffer::of).collect();
            Err(Job { rank, plan, param, grad, slots, done })
        }
    }
}

fn closed<const D: usize>(tensors: Vec<Primitive>) -> Done {
    let mut tensors = tensors.into_iter().map(|tensor| Buffer::of(given::<D>(tensor)));
    match tensors.next() {
        Some(param) => Done { param, slots: tensors.collect() },
        None => unreachable!("an update gives at least the parameter"),
    }
}

/// Jobs on one device.
struct Batch {
    device: Device,
    items: Vec<Item>,
    inputs: Vec<Primitive>,
    tables: Vec<([u32; COUNT], Primitive)>,
}

impl Batch {
    fn on(device: Device) -> Self {
        Self { device, items: Vec::new(), inputs: Vec::new(), tables: Vec::new() }
    }

    /// Adds a job, and returns how many tensors will result from it.
    fn add(&mut self, tables: &Tables, job: Opened) -> usize {
        let row = bits(&numbers(&job.plan));
        let table = self.tables.iter().position(|(known, _)| *known == row).unwrap_or_else(|| {
            self.tables.push((row, number(tables.of(Plans::One(&job.plan), &self.device))));
            self.tables.len() - 1
        });
        self.items.push(Item { form: job.form, table });
        self.inputs.extend(job.inputs);
        1 + job.form.slots()
    }

    fn run(self) -> Vec<Primitive> {
        let tables = self.tables.into_iter().map(|(_, table)| table).collect();
        update(self.items, self.inputs, tables, None)
    }
}

/// Updates tensors of one device. `inputs` are parameter, gradient and state of each, one after the other; the results
/// have no gradients.
fn update(
    items: Vec<Item>,
    mut inputs: Vec<Primitive>,
    tables: Vec<Primitive>,
    control: Option<Primitive>,
) -> Vec<Primitive> {
    let mut outputs = Vec::with_capacity(inputs.len());
    let mut at = 0;
    for item in &items {
        let of = |tensor: &Primitive| (tensor.shape(), tensor.dtype());
        outputs.push(of(&inputs[at]));
        outputs.extend(inputs[at + 2..at + 2 + item.form.slots()].iter().map(of));
        at += 2 + item.form.slots();
    }
    let count = tables.len();
    inputs.extend(tables);
    inputs.extend(control);
    call("evenkeel_update", inputs, outputs, move |mut tensors| {
        let mut tables = tensors.split_off(at);
        let control = tables.split_off(count).pop();
        let mut tensors = tensors.into_iter().map(into_contiguous);
        let mut works = Vec::with_capacity(items.len());
        for Item { form, table } in items.iter().copied() {
            let (Some(param), Some(grad)) = (tensors.next(), tensors.next()) else { break };
            let state = tensors.by_ref().take(form.slots()).collect();
            works.push(Work { form, table, param, grad, state });
        }
        launch_all(works, &tables, control.as_ref())
    })
}

/// Returns a new buffer with the shape and type of a tensor, for results that cannot be written in place.
fn fresh(tensor: &CubeTensor) -> CubeTensor {
    let (client, device) = (tensor.client.clone(), tensor.device.clone());
    empty_device_dtype(client, device, tensor.meta.shape().clone(), tensor.dtype)
}
