//! All tensors of a model at once.

use burn::tensor::{Device, Tensor};

use super::super::choice::Plans;
use super::super::{Buffer, Job, Plan, begun, with_rank};
use super::numbers::{COUNT, numbers};
use super::{Item, bits, prepared, update};
use crate::cube::{Primitive, given, taken};

/// What is done on one device.
struct Batch {
    device: Device,
    items: Vec<Item>,
    inputs: Vec<Primitive>,
    /// The numbers of the plans. There are few: most tensors of a model share one.
    rows: Vec<[f32; COUNT]>,
}

/// What becomes of a job.
enum Fate {
    /// It is for somebody else, or done already.
    Left(Job),
    Taken {
        /// By which batch.
        batch: usize,
        rank: usize,
        plan: Plan,
        slots: usize,
    },
}

/// Does every job that there is a kernel for.
pub(in super::super) fn run(jobs: &mut Vec<Job>) {
    let is_open = |job: &Job| matches!((&job.param, &job.grad), (Buffer::Other(_), Some(_)));
    if !jobs.iter().any(is_open) {
        return;
    }
    let mut batches = Vec::new();
    let fates: Vec<Fate> = jobs
        .drain(..)
        .map(|job| match is_open(&job) {
            true => with_rank!(job.rank, take, (job, &mut batches)),
            false => Fate::Left(job),
        })
        .collect();
    let mut done: Vec<_> = batches.into_iter().map(|batch| batch.run().into_iter()).collect();
    jobs.extend(fates.into_iter().map(|fate| match fate {
        Fate::Left(job) => job,
        Fate::Taken { batch, rank, plan, slots } => {
            let mut buffers = done[batch]
                .by_ref()
                .take(1 + slots)
                .map(|primitive| with_rank!(rank, buffer, primitive));
            match buffers.next() {
                Some(param) => Job { rank, plan, param, grad: None, slots: buffers.collect() },
                None => unreachable!("one item gives at least the parameter"),
            }
        }
    }));
}

fn buffer<const D: usize>(primitive: Primitive) -> Buffer {
    Buffer::of(given::<D>(primitive))
}

/// Takes the tensors of a job into the batch of its device, if there is a kernel for it.
fn take<const D: usize>((job, batches): (Job, &mut Vec<Batch>)) -> Fate {
    let Job { rank, plan, param, grad, slots } = job;
    let Some(grad) = grad else { return Fate::Left(Job { rank, plan, param, grad, slots }) };
    let param = param.into_tensor::<D>();
    let device = param.device();
    let slots = slots.into_iter().map(Buffer::into_tensor).collect();
    let slots = begun(&plan, &param, slots);
    match prepared(Plans::One(&plan), (param, grad.into_tensor(), slots)) {
        Ok((form, inputs)) => {
            let known = batches.iter().position(|batch| batch.device == device);
            let batch = known.unwrap_or_else(|| {
                let (items, inputs, rows) = (Vec::new(), Vec::new(), Vec::new());
                batches.push(Batch { device, items, inputs, rows });
                batches.len() - 1
            });
            let row = batches[batch].row(numbers(&plan));
            batches[batch].items.push(Item { form, row });
            batches[batch].inputs.extend(inputs);
            Fate::Taken { batch, rank, plan, slots: form.slots() }
        }
        Err((param, grad, slots)) => Fate::Left(Job {
            rank,
            plan,
            param: Buffer::of(param),
            grad: Some(Buffer::of(grad)),
            slots: slots.into_iter().map(Buffer::of).collect(),
        }),
    }
}

impl Batch {
    /// Where these numbers are.
    fn row(&mut self, numbers: [f32; COUNT]) -> u32 {
        let same = |row: &[f32; COUNT]| bits(row) == bits(&numbers);
        let at = self.rows.iter().rposition(same).unwrap_or_else(|| {
            self.rows.push(numbers);
            self.rows.len() - 1
        });
        at as u32
    }

    fn run(self) -> Vec<Primitive> {
        let Self { device, items, inputs, rows } = self;
        let table = Tensor::<1>::from_floats(rows.concat().as_slice(), &device);
        match taken(table) {
            Ok(table) => update(items, inputs, vec![table]),
            Err(_) => unreachable!("numbers of a plan are tensors of the kind that is taken"),
        }
    }
}
