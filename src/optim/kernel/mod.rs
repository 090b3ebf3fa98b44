//! Updates of one tensor or of many: on Flex and on CubeCL devices by the crate's own kernels, elsewhere by tensor
//! operations. The choice is made for each tensor, by its device, types and layout.
//!
//! A kernel takes a [`Plan`] and buffers. It knows nothing of rules, models and schedules.

mod choice;
#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod flex;
mod plan;
mod portable;
mod queue;
#[cfg(all(test, feature = "flex"))]
mod tests;

pub(crate) use choice::{Picker, Plans};
pub(crate) use plan::{Adam, Free, Incoming, Momentum, Normal, Plan, Scaling, Second};
pub(crate) use portable::{LEAST_SHARE, begun, cautious};
pub(crate) use queue::Queue;

#[cfg(feature = "flex")]
use burn::backend::flex::FlexTensor;
#[cfg(feature = "flex")]
use burn::backend::{BackendTensor, DispatchTensor, DispatchTensorKind, Flex};
use burn::tensor::kind::BridgeTensor;
use burn::tensor::{DType, Device, ExecutionError, Tensor, TensorData};

use crate::checkpoint::tensors;
use crate::flag::Flag;

/// Calls a function with the rank as a constant; no rank is above 8.
macro_rules! with_rank {
    ($rank:expr, $call:ident, $argument:expr) => {
        match $rank {
            0 => $call::<0>($argument),
            1 => $call::<1>($argument),
            2 => $call::<2>($argument),
            3 => $call::<3>($argument),
            4 => $call::<4>($argument),
            5 => $call::<5>($argument),
            6 => $call::<6>($argument),
            7 => $call::<7>($argument),
            _ => $call::<8>($argument),
        }
    };
}

#[cfg(feature = "cube")]
use with_rank;

/// A tensor without its rank in the type, in the form that its kernel takes.
#[derive(Debug, Clone)]
pub(crate) enum Buffer {
    #[cfg(feature = "flex")]
    Flex(FlexTensor),
    /// Boxed, because it is much larger.
    Other(Box<BridgeTensor>),
}

impl Buffer {
    pub(crate) fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        #[cfg(feature = "flex")]
        let tensor = match tensor.into_dispatch() {
            DispatchTensor {
                kind: DispatchTensorKind::Flex(BackendTensor::Float(flex)), ..
            } => {
                return Self::Flex(flex);
            }
            other => Tensor::<D>::from_dispatch(other),
        };
        Self::Other(Box::new(tensor.into_bridge()))
    }

    /// Moves the tensor to the device of `other`.
    pub(crate) fn beside<const D: usize>(self, other: &Self) -> Self {
        match (self, other) {
            #[cfg(feature = "flex")]
            (this @ Self::Flex(_), Self::Flex(_)) => this,
            (this, other) => {
                let (device, tensor) = (other.device(), this.into_tensor::<D>());
                match tensor.device() == device {
                    true => Self::of(tensor),
                    false => Self::of(tensor.to_device(&device)),
                }
            }
        }
    }

    /// Returns the device that it is on.
    pub(crate) fn device(&self) -> Device {
        fn at<const D: usize>(buffer: Buffer) -> Device {
            buffer.into_tensor::<D>().device()
        }
        match self {
            #[cfg(feature = "flex")]
            Self::Flex(_) => Device::flex(),
            Self::Other(bridge) => with_rank!(bridge.rank(), at, self.clone()),
        }
    }

    /// Reads the tensor to the host, for saving.
    pub(crate) fn data(&self) -> Result<TensorData, ExecutionError> {
        fn at<const D: usize>(buffer: Buffer) -> Result<TensorData, ExecutionError> {
            tensors::read(buffer.into_tensor::<D>())
        }
        with_rank!(self.rank(), at, self.clone())
    }

    /// Returns one of the two, by the flag.
    pub(crate) fn chosen(flag: &Flag, yes: Self, no: Self) -> Self {
        fn at<const D: usize>((flag, yes, no): (&Flag, Buffer, Buffer)) -> Buffer {
            Buffer::of(flag.choose(yes.into_tensor::<D>(), no.into_tensor::<D>()))
        }
        let rank = yes.rank();
        with_rank!(rank, at, (flag, yes, no))
    }

    pub(crate) fn shape(&self) -> Vec<usize> {
        match self {
            #[cfg(feature = "flex")]
            Self::Flex(flex) => flex.layout().shape().to_vec(),
            Self::Other(bridge) => bridge.shape().to_vec(),
        }
    }

    fn rank(&self) -> usize {
        match self {
            #[cfg(feature = "flex")]
            Self::Flex(flex) => flex.layout().num_dims(),
            Self::Other(bridge) => bridge.rank(),
        }
    }

    pub(crate) fn into_tensor<const D: usize>(self) -> Tensor<D> {
        match self {
            #[cfg(feature = "flex")]
            Self::Flex(flex) => Tensor::from_primitive::<Flex>(flex),
            Self::Other(bridge) => Tensor::from_bridge(*bridge),
        }
    }
}

/// One tensor's update.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) rank: usize,
    pub(crate) plan: Plan,
    pub(crate) param: Buffer,
    /// Held until the job is finished: if one core frees memory that another has allocated, both wait for each other.
    pub(crate) grad: Buffer,
    /// The existing state, in the order of the rule. The rest starts at zero, or at the rule's initial value.
    pub(crate) slots: Vec<Buffer>,
    /// Whether a kernel has done the whole job.
    pub(crate) done: bool,
}

/// The result of a job.
pub(crate) struct Done {
    pub(crate) param: Buffer,
    pub(crate) slots: Vec<Buffer>,
}

impl Job {
    pub(crate) fn new(
        rank: usize,
        plan: Plan,
        param: Buffer,
        grad: Buffer,
        slots: Vec<Buffer>,
    ) -> Self {
        Self { rank, plan, param, grad, slots, done: false }
    }

    fn finish(self, shared: &Shared) -> Done {
        fn by_tensors<const D: usize>((job, shared): (Job, &Shared)) -> Done {
            let Job { plan, param, grad, slots, .. } = job;
            let (param, grad) = (param.into_tensor::<D>(), grad.into_tensor());
            let slots = slots.into_iter().map(Buffer::into_tensor).collect();
            let slots = begun(&plan, &param, slots);
            let (param, slots) = step(shared, Plans::One(&plan), param, grad, slots);
            Done { param: Buffer::of(param), slots: slots.into_iter().map(Buffer::of).collect() }
        }
        match self.done {
            true => Done { param: self.param, slots: self.slots },
            // Tensors have their rank in the type.
            false => with_rank!(self.rank, by_tensors, (self, shared)),
        }
    }
}

/// Runs one job.
pub(crate) fn run_one(job: Job) -> Done {
    #[cfg(feature = "flex")]
    let job = {
        let mut job = job;
        flex::step(&mut job);
        job
    };
    job.finish(&Shared::default())
}

/// Data that the updates of one model share.
#[derive(Default)]
pub(crate) struct Shared {
    #[cfg(feature = "cube")]
    tables: cube::Tables,
}

/// Makes one update of a tensor on any device: by a kernel on CubeCL devices, otherwise in operations. The state must
/// be complete, as returned by [`begun`].
pub(crate) fn step<const D: usize>(
    shared: &Shared,
    plans: Plans<'_>,
    param: Tensor<D>,
    grad: Tensor<D>,
    slots: Vec<Tensor<D>>,
) -> (Tensor<D>, Vec<Tensor<D>>) {
    #[cfg(feature = "cube")]
    let (param, grad, slots) = match cube::step(&shared.tables, plans, (param, grad, slots)) {
        Ok(done) => return done,
        Err(tensors) => tensors,
    };
    let Shared { .. } = shared;
    let Some(counts) = plans.picker().and_then(Picker::counts) else {
        return portable::step(plans, param, grad, slots);
    };
    let before = (param.clone(), slots.clone());
    let (param, slots) = portable::step(plans, param, grad, slots);
    let slots = slots.into_iter().zip(before.1).map(|(new, old)| counts.choose(new, old));
    (counts.choose(param, before.0), slots.collect())
}

/// Returns the type in which a tensor of this type is computed, and its state kept.
pub(crate) fn wide(dtype: DType) -> DType {
    match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}

/// Bounds that keep every intermediate number of an update finite, in the type of the computation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bound on a gradient: the square of a difference of two is finite.
    pub(crate) gradient: f64,
    /// Lower bound on `ε`: anything smaller would be flushed to 0, and 0/0 is NaN.
    pub(crate) least: f64,
}

impl Limits {
    pub(crate) const SINGLE: Self = Self { gradient: 9e18, least: f32::MIN_POSITIVE as f64 };
    pub(crate) const DOUBLE: Self = Self { gradient: 6e153, least: f64::MIN_POSITIVE };

    pub(crate) fn of(wide: DType) -> Self {
        match wide {
            DType::F64 => Self::DOUBLE,
            _ => Self::SINGLE,
        }
    }

    /// Returns the nearest `ε` that neither vanishes nor makes a state overflow when added to it.
    pub(crate) fn epsilon(self, epsilon: f64) -> f64 {
        epsilon.clamp(self.least, self.gradient)
    }
}
