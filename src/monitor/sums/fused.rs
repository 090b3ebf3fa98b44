//! Several sums at once over Flex tensors of type `f32`: every buffer is read once, on all cores.

use burn::backend::flex::FlexTensor;
use burn::backend::{DispatchDevice, Flex};
use burn::module::ParamId;
use burn::tensor::{DType, Tensor};
use rayon::prelude::*;

use super::flex::{ALONE, LANES, RUN, dense, squares};
use crate::tensor_shelf::Shelf;

/// The number of elements that one task reads: few enough that they are still in a core's cache when the next
/// task over the same elements begins.
const CHUNK: usize = 1 << 14;

/// Flex tensors waiting to be read.
#[derive(Default)]
pub(super) struct Batch {
    counted: Vec<([usize; 3], FlexTensor)>,
    moved: Vec<([usize; 2], [FlexTensor; 2])>,
    ratios: Vec<([usize; 2], [f64; 2], [FlexTensor; 2])>,
    products: Vec<(usize, [FlexTensor; 2])>,
    folds: Vec<Fold>,
}

/// A sum over samples, and what is added to it.
struct Fold {
    id: ParamId,
    slot: Option<usize>,
    sum: FlexTensor,
    /// The previous value of the sum: `sum` itself, a tensor that is also held elsewhere and must not change, or
    /// nothing.
    onto: Onto<FlexTensor>,
    g: FlexTensor,
}

#[derive(Clone, Copy)]
enum Onto<T> {
    Nothing,
    Itself,
    Other(T),
}

/// A run of elements and the slots that it adds to.
enum Task<'a> {
    Counted([usize; 3], &'a [f32]),
    Moved([usize; 2], &'a [f32], &'a [f32]),
    Ratio([usize; 2], [f64; 2], &'a [f32], &'a [f32]),
    Product(usize, &'a [f32], &'a [f32]),
    Fold(Option<usize>, &'a mut [f32], Onto<&'a [f32]>, &'a [f32]),
}

impl Batch {
    /// Takes the tensor, if it can, for `Σx²`, the number of zeros, and the number of non-finite elements.
    pub(super) fn counted<const D: usize>(
        &mut self,
        slots: [usize; 3],
        tensor: Tensor<D>,
    ) -> Option<Tensor<D>> {
        if !fits(&tensor) {
            return Some(tensor);
        }
        // Checked above, so that this cannot fail and lose the tensor.
        if let Ok(flex) = tensor.try_into_primitive::<Flex>() {
            self.counted.push((slots, dense(flex)));
        }
        None
    }

    /// Takes both tensors, if it can, for `Σa²` and `Σ(b − a)²`.
    pub(super) fn moved<const D: usize>(
        &mut self,
        slots: [usize; 2],
        a: Tensor<D>,
        b: Tensor<D>,
    ) -> Option<(Tensor<D>, Tensor<D>)> {
        if !fits(&a) || !fits(&b) || a.dims() != b.dims() {
            return Some((a, b));
        }
        if let (Ok(a), Ok(b)) = (a.try_into_primitive::<Flex>(), b.try_into_primitive::<Flex>()) {
            self.moved.push((slots, [in_order(a), in_order(b)]));
        }
        None
    }

    /// Takes both tensors, if it can, for `Σg²/max(v/c, least)` and `Σv/c`.
    pub(super) fn ratio<const D: usize>(
        &mut self,
        slots: [usize; 2],
        g: Tensor<D>,
        v: Tensor<D>,
        by: [f64; 2],
    ) -> Option<(Tensor<D>, Tensor<D>)> {
        if !fits(&g) || !fits(&v) || g.dims() != v.dims() {
            return Some((g, v));
        }
        if let (Ok(g), Ok(v)) = (g.try_into_primitive::<Flex>(), v.try_into_primitive::<Flex>()) {
            self.ratios.push((slots, by, [in_order(g), in_order(v)]));
        }
        None
    }

    /// Takes both tensors, if it can, for `Σab`.
    pub(super) fn product<const D: usize>(
        &mut self,
        slot: usize,
        a: Tensor<D>,
        b: Tensor<D>,
    ) -> Option<(Tensor<D>, Tensor<D>)> {
        if !fits(&a) || !fits(&b) || a.dims() != b.dims() {
            return Some((a, b));
        }
        if let (Ok(a), Ok(b)) = (a.try_into_primitive::<Flex>(), b.try_into_primitive::<Flex>()) {
            self.products.push((slot, [in_order(a), in_order(b)]));
        }
        None
    }

    /// Takes the tensors, if it can, for `s + g`, and for `Σ(s + g)²` if there is a slot.
    ///
    /// The sum is written over `s` if it is not held elsewhere. Without `adds`, the sum is `g` alone, and `s` is
    /// only a buffer to reuse.
    pub(super) fn folded<const D: usize>(
        &mut self,
        (id, slot): (ParamId, Option<usize>),
        sum: Tensor<D>,
        adds: bool,
        g: Tensor<D>,
    ) -> Option<(Tensor<D>, Tensor<D>)> {
        if !fits(&sum) || !fits(&g) || sum.dims() != g.dims() {
            return Some((sum, g));
        }
        if let (Ok(sum), Ok(g)) = (sum.try_into_primitive::<Flex>(), g.try_into_primitive::<Flex>())
        {
            let (sum, g) = (in_order(sum), in_order(g));
            let room = || FlexTensor::empty(sum.layout().shape().clone(), sum.dtype());
            let (sum, onto) = match (sum.is_unique(), adds) {
                (true, true) => (sum, Onto::Itself),
                (true, false) => (sum, Onto::Nothing),
                (false, true) => (room(), Onto::Other(sum)),
                (false, false) => (room(), Onto::Nothing),
            };
            self.folds.push(Fold { id, slot, sum, onto, g });
        }
        None
    }

    /// Writes each number to its slot, and puts each sum over samples onto the shelf.
    pub(super) fn read(mut self, sums: &mut [f64], folded: &mut Shelf) {
        let mut tasks = Vec::new();
        for (slots, tensor) in &self.counted {
            tasks.extend(runs(tensor).map(|x| Task::Counted(*slots, x)));
        }
        for (slots, [a, b]) in &self.moved {
            tasks.extend(runs(a).zip(runs(b)).map(|(a, b)| Task::Moved(*slots, a, b)));
        }
        for (slots, by, [g, v]) in &self.ratios {
            tasks.extend(runs(g).zip(runs(v)).map(|(g, v)| Task::Ratio(*slots, *by, g, v)));
        }
        for (slot, [a, b]) in &self.products {
            tasks.extend(runs(a).zip(runs(b)).map(|(a, b)| Task::Product(*slot, a, b)));
        }
        for Fold { slot, sum, onto, g, .. } in &mut self.folds {
            let (g, onto) = (runs(g), &*onto);
            let mut old = match onto {
                Onto::Other(old) => Some(runs(old)),
                _ => None,
            };
            let mut sum = sum.storage_mut::<f32>();
            for g in g {
                let Some(sum) = sum.split_off_mut(..g.len()) else { break };
                let onto = match (onto, old.as_mut().and_then(Iterator::next)) {
                    (_, Some(old)) => Onto::Other(old),
                    (Onto::Itself, None) => Onto::Itself,
                    (_, None) => Onto::Nothing,
                };
                tasks.push(Task::Fold(*slot, sum, onto, g));
            }
        }
        let partial = done(&mut tasks);
        for task in &tasks {
            task.slots().iter().for_each(|&slot| sums[slot] = 0.0);
        }
        // In the order of the chunks, whichever core finished first, so that the bits are the same every time.
        for (task, partial) in tasks.iter().zip(partial) {
            task.slots().iter().zip(partial).for_each(|(&slot, part)| sums[slot] += part);
        }
        let squares = self.moved.iter().flat_map(|(slots, _)| *slots);
        for slot in squares.chain(self.counted.iter().map(|(slots, _)| slots[0])) {
            sums[slot] = super::bounded(sums[slot]);
        }
        for Fold { id, sum, .. } in self.folds {
            // The shelf does not know ranks; its reader does.
            folded.put(id, Tensor::<1>::from_primitive::<Flex>(sum));
        }
    }
}

pub(in crate::monitor) fn fits<const D: usize>(tensor: &Tensor<D>) -> bool {
    let on_flex = matches!(tensor.device().as_dispatch(), DispatchDevice::Flex(_));
    on_flex && tensor.dtype() == DType::F32 && !tensor.is_autodiff()
}

/// Returns the tensor over a buffer that holds exactly its elements, in row-major order.
pub(in crate::monitor) fn in_order(tensor: FlexTensor) -> FlexTensor {
    let layout = tensor.layout();
    let whole = tensor.bytes().len() == layout.num_elements() * size_of::<f32>();
    match whole && layout.start_offset() == 0 && tensor.is_contiguous() {
        true => tensor,
        false => tensor.to_contiguous(),
    }
}

/// Returns the result of each task. Tasks over the same elements run one after the other, on one core.
fn done(tasks: &mut [Task<'_>]) -> Vec<[f64; 3]> {
    if tasks.len() * CHUNK <= ALONE {
        return tasks.iter_mut().map(Task::run).collect();
    }
    let mut partial = vec![[0.0; 3]; tasks.len()];
    let mut both: Vec<_> = tasks.iter_mut().zip(&mut partial).collect();
    both.sort_by_key(|(task, _)| task.place());
    both.par_chunk_by_mut(|(a, _), (b, _)| a.place() == b.place())
        .for_each(|same| same.iter_mut().for_each(|(task, partial)| **partial = task.run()));
    partial
}

/// Returns the elements of a tensor in order, in runs; an empty tensor has one empty run.
fn runs(tensor: &FlexTensor) -> impl Iterator<Item = &[f32]> {
    let elements = tensor.storage::<f32>();
    elements.chunks(CHUNK).chain(elements.is_empty().then_some(elements))
}

impl Task<'_> {
    fn slots(&self) -> &[usize] {
        match self {
            Self::Counted(slots, _) => slots,
            Self::Moved(slots, ..) | Self::Ratio(slots, ..) => slots,
            Self::Product(slot, ..) => std::slice::from_ref(slot),
            Self::Fold(slot, ..) => slot.as_slice(),
        }
    }

    /// Returns the start of the elements that it may share with other tasks.
    fn place(&self) -> *const f32 {
        match self {
            Self::Counted(_, x) | Self::Moved(_, x, _) | Self::Ratio(_, _, x, _) => x.as_ptr(),
            Self::Product(_, x, _) | Self::Fold(_, _, _, x) => x.as_ptr(),
        }
    }

    fn run(&mut self) -> [f64; 3] {
        match self {
            Self::Counted(_, x) => counted(x),
            Self::Moved(_, a, b) => moved(a, b),
            Self::Ratio(_, by, g, v) => ratio(*by, g, v),
            Self::Product(_, a, b) => [product(a, b), 0.0, 0.0],
            Self::Fold(slot, sum, onto, g) => {
                fold(sum, *onto, g);
                [slot.map_or(0.0, |_| squares(sum, |x: f32| x)), 0.0, 0.0]
            }
        }
    }
}

/// Adds `g` to the previous value of the sum.
fn fold(sum: &mut [f32], onto: Onto<&[f32]>, g: &[f32]) {
    match onto {
        Onto::Nothing => sum.copy_from_slice(g),
        Onto::Itself => sum.iter_mut().zip(g).for_each(|(sum, g)| *sum += g),
        Onto::Other(old) => {
            sum.iter_mut().zip(old.iter().zip(g)).for_each(|(sum, (old, g))| *sum = old + g);
        }
    }
}

/// Returns `Σx²`, the number of zeros, and the number of non-finite elements. The counts are integers of the
/// elements' width, so that they use vector instructions, and are taken run by run, so that only the first of the
/// three reads memory.
fn counted(values: &[f32]) -> [f64; 3] {
    // Compares bits, which vector instructions do as fast as numbers.
    let is_zero = |x: &f32| u32::from(x.to_bits() << 1 == 0);
    let is_broken = |x: &f32| u32::from(x.to_bits() & EXPONENT == EXPONENT);
    let mut all = [0.0; 3];
    for run in values.chunks(RUN) {
        let mut counts = [[0_u32; LANES]; 2];
        let (lanes, rest) = run.as_chunks::<LANES>();
        for lane in lanes {
            for i in 0..LANES {
                counts[0][i] += is_zero(&lane[i]);
                counts[1][i] += is_broken(&lane[i]);
            }
        }
        let [zeros, broken] = counts.map(|lanes| lanes.iter().sum::<u32>());
        all[0] += squares(run, |x: f32| x);
        all[1] += f64::from(zeros + rest.iter().map(is_zero).sum::<u32>());
        all[2] += f64::from(broken + rest.iter().map(is_broken).sum::<u32>());
    }
    all
}

/// The bits that are all set in a non-finite number.
const EXPONENT: u32 = 0x7f80_0000;

/// Returns `Σab`: in `f32` over short runs, and in `f64` from there on.
fn product(a: &[f32], b: &[f32]) -> f64 {
    let mut all = 0.0;
    for (a, b) in a.chunks(RUN).zip(b.chunks(RUN)) {
        let mut lanes = [0_f32; LANES];
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for (a, b) in a.iter().zip(b) {
            lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += a * b);
        }
        all += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
        all += a_rest.iter().zip(b_rest).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    }
    all
}

/// Returns `Σg²/max(v/c, least)` and `Σv/c`: in `f32` over short runs, and in `f64` from there on.
fn ratio([correction, least]: [f64; 2], g: &[f32], v: &[f32]) -> [f64; 3] {
    let (by, least) = ((1.0 / correction) as f32, least as f32);
    let one = |g: f32, v: f32| (g * g / (v * by).max(least), v * by);
    let mut all = [0.0; 3];
    for (g, v) in g.chunks(RUN).zip(v.chunks(RUN)) {
        let mut lanes = [[0_f32; LANES]; 2];
        let ((g, g_rest), (v, v_rest)) = (g.as_chunks::<LANES>(), v.as_chunks::<LANES>());
        for (g, v) in g.iter().zip(v) {
            for i in 0..LANES {
                let (ratio, average) = one(g[i], v[i]);
                lanes[0][i] += ratio;
                lanes[1][i] += average;
            }
        }
        let rest = g_rest.iter().zip(v_rest).map(|(g, v)| one(*g, *v));
        let rest =
            rest.fold((0.0, 0.0), |sum, (r, a)| (sum.0 + f64::from(r), sum.1 + f64::from(a)));
        all[0] += lanes[0].iter().map(|&lane| f64::from(lane)).sum::<f64>() + rest.0;
        all[1] += lanes[1].iter().map(|&lane| f64::from(lane)).sum::<f64>() + rest.1;
    }
    all
}

/// Returns `Σa²` and `Σ(b − a)²`: in `f32` over short runs, and in `f64` from there on.
fn moved(a: &[f32], b: &[f32]) -> [f64; 3] {
    let square = |(a, b): (&f32, &f32)| (b - a) * (b - a);
    let mut all = [0.0; 3];
    for (a, b) in a.chunks(RUN).zip(b.chunks(RUN)) {
        all[0] += squares(a, |x: f32| x);
        let mut lanes = [0_f32; LANES];
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for (a, b) in a.iter().zip(b) {
            for (lane, pair) in lanes.iter_mut().zip(a.iter().zip(b)) {
                *lane += square(pair);
            }
        }
        all[1] += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
        all[1] += a_rest.iter().zip(b_rest).map(|pair| f64::from(square(pair))).sum::<f64>();
    }
    all
}
