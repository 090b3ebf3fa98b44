//! Several sums at once of Flex tensors of type `f32`: every buffer read once, on all cores.

use burn::backend::flex::FlexTensor;
use burn::backend::{DispatchDevice, Flex};
use burn::tensor::{DType, Tensor};
use rayon::prelude::*;

use super::flex::{ALONE, CHUNK, LANES, RUN, dense, squares};

/// Flex tensors that wait to be looked at.
#[derive(Default)]
pub(super) struct Batch {
    counted: Vec<([usize; 3], FlexTensor)>,
    moved: Vec<([usize; 2], [FlexTensor; 2])>,
    ratios: Vec<([usize; 2], [f64; 2], [FlexTensor; 2])>,
    products: Vec<(usize, [FlexTensor; 2])>,
}

/// A run of elements and the slots that it adds to.
enum Task<'a> {
    Counted([usize; 3], &'a [f32]),
    Moved([usize; 2], &'a [f32], &'a [f32]),
    Ratio([usize; 2], [f64; 2], &'a [f32], &'a [f32]),
    Product(usize, &'a [f32], &'a [f32]),
}

impl Batch {
    /// Takes the tensor, if it can, for `Σx²`, the number of zeros, and that of non-finite elements.
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

    /// Puts each number into its slot.
    pub(super) fn read(self, sums: &mut [f64]) {
        let mut tasks = Vec::new();
        for (slots, tensor) in &self.counted {
            slots.iter().for_each(|&slot| sums[slot] = 0.0);
            tasks.extend(tensor.storage::<f32>().chunks(CHUNK).map(|x| Task::Counted(*slots, x)));
        }
        for (slots, [a, b]) in &self.moved {
            slots.iter().for_each(|&slot| sums[slot] = 0.0);
            let blocks = a.storage::<f32>().chunks(CHUNK).zip(b.storage::<f32>().chunks(CHUNK));
            tasks.extend(blocks.map(|(a, b)| Task::Moved(*slots, a, b)));
        }
        for (slots, by, [g, v]) in &self.ratios {
            slots.iter().for_each(|&slot| sums[slot] = 0.0);
            let blocks = g.storage::<f32>().chunks(CHUNK).zip(v.storage::<f32>().chunks(CHUNK));
            tasks.extend(blocks.map(|(g, v)| Task::Ratio(*slots, *by, g, v)));
        }
        for (slot, [a, b]) in &self.products {
            sums[*slot] = 0.0;
            let blocks = a.storage::<f32>().chunks(CHUNK).zip(b.storage::<f32>().chunks(CHUNK));
            tasks.extend(blocks.map(|(a, b)| Task::Product(*slot, a, b)));
        }
        let partial: Vec<[f64; 3]> = match tasks.len() * CHUNK <= ALONE {
            true => tasks.iter().map(Task::run).collect(),
            false => tasks.par_iter().map(Task::run).collect(),
        };
        // In the order of the chunks, whichever core was first: the same bits every time.
        for (task, partial) in tasks.iter().zip(partial) {
            task.slots().iter().zip(partial).for_each(|(&slot, part)| sums[slot] += part);
        }
        let squares = self.moved.iter().flat_map(|(slots, _)| *slots);
        for slot in squares.chain(self.counted.iter().map(|(slots, _)| slots[0])) {
            sums[slot] = super::bounded(sums[slot]);
        }
    }
}

pub(in crate::monitor) fn fits<const D: usize>(tensor: &Tensor<D>) -> bool {
    let on_flex = matches!(tensor.device().as_dispatch(), DispatchDevice::Flex(_));
    on_flex && tensor.dtype() == DType::F32 && !tensor.is_autodiff()
}

/// The tensor over a buffer that has its elements in row-major order, and nothing else.
pub(in crate::monitor) fn in_order(tensor: FlexTensor) -> FlexTensor {
    let layout = tensor.layout();
    let whole = tensor.bytes().len() == layout.num_elements() * size_of::<f32>();
    match whole && layout.start_offset() == 0 && tensor.is_contiguous() {
        true => tensor,
        false => tensor.to_contiguous(),
    }
}

impl Task<'_> {
    fn slots(&self) -> &[usize] {
        match self {
            Self::Counted(slots, _) => slots,
            Self::Moved(slots, ..) | Self::Ratio(slots, ..) => slots,
            Self::Product(slot, ..) => std::slice::from_ref(slot),
        }
    }

    fn run(&self) -> [f64; 3] {
        match self {
            Self::Counted(_, x) => counted(x),
            Self::Moved(_, a, b) => moved(a, b),
            Self::Ratio(_, by, g, v) => ratio(*by, g, v),
            Self::Product(_, a, b) => [product(a, b), 0.0, 0.0],
        }
    }
}

/// `Σx²`, how many are 0, and how many are not finite: these in integers of the elements' width, so that
/// they are counted by vectors, and run by run, so that only the first of the three reads memory.
fn counted(values: &[f32]) -> [f64; 3] {
    let mut all = [0.0; 3];
    for run in values.chunks(RUN) {
        let (mut zeros, mut broken) = (0_u32, 0_u32);
        for x in run {
            zeros += u32::from(*x == 0.0);
            broken += u32::from(!x.is_finite());
        }
        all[0] += squares(run, |x: f32| x);
        all[1] += f64::from(zeros);
        all[2] += f64::from(broken);
    }
    all
}

/// `Σab`: in `f32` over short runs, and in `f64` from there on.
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

/// `Σg²/max(v/c, least)` and `Σv/c`: in `f32` over short runs, and in `f64` from there on.
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

/// `Σa²` and `Σ(b − a)²`: in `f32` over short runs, and in `f64` from there on.
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
