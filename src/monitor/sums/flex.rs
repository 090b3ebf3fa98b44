//! Sums of Flex tensors: every buffer is read once, in place, on all cores.

use burn::backend::flex::FlexTensor;
use burn::backend::{BackendTensor, DispatchTensor, DispatchTensorKind};
use burn::tensor::{DType, Element, Tensor, bf16, f16};
use num_traits::{AsPrimitive, Float};
use rayon::prelude::*;

use super::bounded;

/// The number of elements that one task sums: 256 KiB of `f32`, so that a large tensor gives work to every core
/// and a task is worth its dispatch.
pub(super) const CHUNK: usize = 1 << 16;

/// With fewer elements in all, one core finishes before others have woken up.
pub(super) const ALONE: usize = 1 << 18;

/// Flex tensors waiting to be summed.
#[derive(Default)]
pub(super) struct Batch {
    tensors: Vec<(usize, FlexTensor)>,
}

impl Batch {
    /// Takes the tensor if it is on Flex and of a float type; returns it otherwise.
    pub(super) fn take<const D: usize>(
        &mut self,
        slot: usize,
        tensor: Tensor<D>,
    ) -> Option<Tensor<D>> {
        match tensor.into_dispatch() {
            DispatchTensor {
                kind: DispatchTensorKind::Flex(BackendTensor::Float(flex)), ..
            } if is_float(&flex) => {
                self.tensors.push((slot, dense(flex)));
                None
            }
            other => Some(Tensor::from_dispatch(other)),
        }
    }

    /// Writes each sum to its slot.
    pub(super) fn read(self, sums: &mut [f64]) {
        let elements: usize = self.tensors.iter().map(|(_, t)| t.layout().num_elements()).sum();
        let mut tasks: Vec<(usize, Block<'_>)> = Vec::with_capacity(self.tensors.len());
        for (slot, tensor) in &self.tensors {
            cut(tensor, |block| tasks.push((*slot, block)));
        }
        let partial: Vec<f64> = match elements <= ALONE {
            true => tasks.iter().map(|(_, block)| block.sum()).collect(),
            false => tasks.par_iter().map(|(_, block)| block.sum()).collect(),
        };

        for (slot, _) in &self.tensors {
            sums[*slot] = 0.0;
        }
        // In the order of the chunks, whichever core finished first, so that the bits are the same every time.
        for ((slot, _), partial) in tasks.iter().zip(partial) {
            sums[*slot] += partial;
        }
        for (slot, tensor) in &self.tensors {
            if tensor.dtype() != DType::F64 {
                sums[*slot] = bounded(sums[*slot]);
            }
        }
    }
}

/// Returns the tensor over a buffer that holds exactly its elements, each once, in any order: a sum does not
/// depend on a transposition, but a broadcast or a narrowed view has to be copied out.
pub(super) fn dense(tensor: FlexTensor) -> FlexTensor {
    let layout = tensor.layout();
    let elements = layout.num_elements();
    let whole =
        tensor.bytes().len() == elements * tensor.dtype().size() && layout.start_offset() == 0;
    if whole && layout.is_contiguous() {
        return tensor;
    }
    let mut axes: Vec<(isize, usize)> = layout
        .strides()
        .iter()
        .copied()
        .zip(layout.shape().iter().copied())
        .filter(|(_, size)| *size != 1)
        .collect();
    axes.sort_unstable();
    let mut expected = 1;
    let permuted = axes.iter().all(|&(stride, size)| {
        let fits = stride == expected;
        expected *= size as isize;
        fits
    });
    match permuted && whole {
        true => tensor,
        false => tensor.to_contiguous(),
    }
}

fn is_float(tensor: &FlexTensor) -> bool {
    matches!(tensor.dtype(), DType::F16 | DType::BF16 | DType::F32 | DType::F64)
}

/// A run of elements of one type.
enum Block<'a> {
    F16(&'a [f16]),
    Bf16(&'a [bf16]),
    F32(&'a [f32]),
    F64(&'a [f64]),
}

/// Cuts a tensor into the runs that tasks sum.
fn cut<'a>(tensor: &'a FlexTensor, take: impl FnMut(Block<'a>)) {
    fn runs<E: Element + bytemuck::Pod>(tensor: &FlexTensor) -> std::slice::Chunks<'_, E> {
        tensor.storage::<E>().chunks(CHUNK)
    }
    match tensor.dtype() {
        DType::F16 => runs(tensor).map(Block::F16).for_each(take),
        DType::BF16 => runs(tensor).map(Block::Bf16).for_each(take),
        DType::F64 => runs(tensor).map(Block::F64).for_each(take),
        _ => runs(tensor).map(Block::F32).for_each(take),
    }
}

impl Block<'_> {
    fn sum(&self) -> f64 {
        match self {
            Self::F16(x) => squares(x, |x| x.to_f32()),
            Self::Bf16(x) => squares(x, |x| x.to_f32()),
            Self::F32(x) => squares(x, |x| x),
            Self::F64(x) => squares(x, |x| x),
        }
    }
}

/// The number of lanes that the compiler can keep in registers, whatever the vector width.
pub(super) const LANES: usize = 16;

/// The number of elements summed in the arithmetic of `A` before they are added up in `f64`.
pub(super) const RUN: usize = 1024;

/// Returns `Σx²`: squared and summed in `A` over short runs, and in `f64` from there on.
pub(super) fn squares<E: Copy, A: Float + AsPrimitive<f64>>(
    values: &[E],
    widen: impl Fn(E) -> A,
) -> f64 {
    let square = |x: &E| {
        let x = widen(*x);
        x * x
    };
    let run = |run: &[E]| {
        let mut lanes = [A::zero(); LANES];
        let (whole, rest) = run.as_chunks::<LANES>();
        for group in whole {
            for (lane, x) in lanes.iter_mut().zip(group) {
                *lane = *lane + square(x);
            }
        }
        let whole = lanes.iter().map(|lane| lane.as_()).sum::<f64>();
        rest.iter().fold(whole, |sum, x| sum + square(x).as_())
    };
    values.chunks(RUN).map(run).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_agree_with_a_sum_in_f64() {
        for len in [0, 1, 15, 16, 17, 1023, 1024, 1025, 5000] {
            let values: Vec<f32> = (0..len).map(|i| ((i * 37 % 101) as f32 - 50.0) / 7.0).collect();
            let exact: f64 = values.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            let sum = squares(&values, |x| x);
            assert!((sum - exact).abs() <= 1e-6 * exact, "{len}: {sum} is not {exact}");
        }
    }
}
