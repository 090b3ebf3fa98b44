//! Updates on Flex: each element is read and written once, in place, on all cores. The cores share a large tensor, and
//! divide many small ones among them.

mod buffers;
mod cast;
mod loops;
mod task;

use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Element};

use super::portable::LEAST_SHARE;
use super::{Buffer, Job, Limits, Plan, wide};
use buffers::Place;
use loops::{Phase, SLOTS, Sums};
use task::{Grad, Param, Piece};

/// Total number of elements below which one core is done before others have woken up.
pub(super) const ALONE: usize = 1 << 16;

/// Returns the number of elements of a job, if its parameter is on Flex.
pub(super) fn elements(job: &Job) -> Option<usize> {
    match &job.param {
        Buffer::Flex(param) => Some(param.layout().num_elements()),
        Buffer::Other(_) => None,
    }
}

/// Runs a job, if its tensors are all on Flex and of compatible types.
pub(super) fn step(job: &mut Job) {
    if job.done || !suits(job) {
        return;
    }
    let Job { plan, param: Buffer::Flex(param), grad: Buffer::Flex(grad), slots, done, .. } = job
    else {
        return;
    };
    while slots.len() < plan.slots() {
        let shape = param.layout().shape().clone();
        slots.push(Buffer::Flex(FlexTensor::zeros(shape, wide(param.dtype()))));
    }
    buffers::make_dense(grad);
    *done = true;
    let (plan, grad) = (&*plan, &*grad);
    let mut update = Update::of(plan, param, grad, slots);
    match plan {
        Plan::Adam(plan) if plan.scaling.is_needed() => {
            let sums = update.pass(Phase::Moments);
            let n = grad.layout().num_elements() as f64;
            let rate = plan.scaling.rms.map_or(1.0, |threshold| {
                let rms = (sums[0] / n).sqrt();
                1.0 / (rms / threshold).max(1.0)
            });
            let share = match plan.scaling.cautious {
                true => 1.0 / (sums[1] / n).max(LEAST_SHARE),
                false => 1.0,
            };
            // Everything that was read from old buffers is now in the new ones.
            update.old = Default::default();
            update.pass(Phase::Apply { rate, share });
        }
        _ => {
            update.pass(Phase::Whole);
        }
    }
}

/// One tensor's update, over buffers that can be written.
struct Update<'a> {
    plan: &'a Plan,
    param: &'a mut FlexTensor,
    grad: &'a FlexTensor,
    slots: [Option<&'a mut FlexTensor>; SLOTS],
    /// Tensors with the old values, where buffers were shared: of the parameter, then of the state.
    old: (Option<FlexTensor>, [Option<FlexTensor>; SLOTS]),
}

impl<'a> Update<'a> {
    fn of(
        plan: &'a Plan,
        param: &'a mut FlexTensor,
        grad: &'a FlexTensor,
        slots: &'a mut [Buffer],
    ) -> Self {
        let mut old = (buffers::own(param), [const { None }; SLOTS]);
        let mut given = slots.iter_mut().zip(&mut old.1);
        let slots = std::array::from_fn(|_| match given.next() {
            Some((Buffer::Flex(slot), old)) => {
                *old = buffers::own(slot);
                Some(slot)
            }
            _ => None,
        });
        Self { plan, param, grad, slots, old }
    }

    /// Makes one pass over all elements.
    fn pass(&mut self, phase: Phase) -> Sums {
        let Self { plan, param, grad, slots, old: (old, olds) } = self;
        let (dtype, old) = (param.dtype(), old.as_ref());
        let grad = match grad.dtype() {
            DType::F16 => Grad::F16(grad.storage()),
            DType::BF16 => Grad::Bf16(grad.storage()),
            DType::F64 => Grad::F64(grad.storage()),
            _ => Grad::F32(grad.storage()),
        };
        match dtype {
            DType::F64 => {
                let param = Param::Wide(Place::new(param, old));
                Piece::<f64> { plan, param, grad, state: state(slots, olds) }.share(phase)
            }
            narrow => {
                let param = match narrow {
                    DType::F16 => Param::F16(Place::new(param, old)),
                    DType::BF16 => Param::Bf16(Place::new(param, old)),
                    _ => Param::Wide(Place::new(param, old)),
                };
                Piece::<f32> { plan, param, grad, state: state(slots, olds) }.share(phase)
            }
        }
    }
}

fn state<'t, E: Element + bytemuck::Pod>(
    slots: &'t mut [Option<&mut FlexTensor>; SLOTS],
    old: &'t [Option<FlexTensor>; SLOTS],
) -> [Place<'t, E>; SLOTS] {
    let mut old = old.iter();
    slots.each_mut().map(|slot| {
        let old = old.next().and_then(Option::as_ref);
        slot.as_mut().map_or_else(Place::nowhere, |slot| Place::new(slot, old))
    })
}

/// Returns whether all tensors of the job are on Flex and of compatible types.
fn suits(job: &Job) -> bool {
    let (Buffer::Flex(param), Buffer::Flex(grad)) = (&job.param, &job.grad) else {
        return false;
    };
    let float = |tensor: &FlexTensor| {
        matches!(tensor.dtype(), DType::F16 | DType::BF16 | DType::F32 | DType::F64)
    };
    let shape = param.layout().shape();
    let state = job.slots.iter().all(|slot| match slot {
        Buffer::Flex(slot) => slot.dtype() == wide(param.dtype()) && slot.layout().shape() == shape,
        Buffer::Other(_) => false,
    });
    let elsewhere = match job.plan {
        // The first update of a sequence that starts at the parameter.
        Plan::Free(_) => job.slots.is_empty(),
        // A second pass would need the gradient as the first has cut it.
        Plan::Adam(plan) => {
            plan.scaling.is_needed() && plan.spike.is_finite() && plan.by_gradient != 0.0
        }
        Plan::Momentum(_) => false,
    };
    float(param) && float(grad) && grad.layout().shape() == shape && state && !elsewhere
}
