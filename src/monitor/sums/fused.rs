//! Counts and distances of Flex tensors of type `f32`: every buffer read once, on all cores.

use burn::backend::flex::FlexTensor;
use burn::backend::{DispatchDevice, Flex};
use burn::tensor::{DType, Tensor};
use rayon::prelude::*;

use super::flex::{ALONE, CHUNK, LANES, RUN, dense};

/// Flex tensors that wait to be looked at.
#[derive(Default)]
pub(super) struct Batch {
    counts: Vec<([usize; 2], FlexTensor)>,
    distances: Vec<(usize, [FlexTensor; 2])>,
    ratios: Vec<([usize; 2], [f64; 2], [FlexTensor; 2])>,
    products: Vec<(usize, [FlexTensor; 2])>,
}

/// A run of elements and the slots that it adds to.
enum Task<'a> {
    Count([usize; 2], &'a [f32]),
    Distance(usize, &'a [f32], &'a [f32]),
    Ratio([usize; 2], [f64; 2], &'a [f32], &'a [f32]),
    Product(usize, &'a [f32], &'a [f32]),
}

impl Batch {
    /// Takes the tensor, if it can, to count its zeros into the first slot and its non-finite elements
    /// into the second.
    pub(super) fn count<const D: usize>(
        &mut self,
        slots: [usize; 2],
        tensor: Tensor<D>,
    ) -> Option<Tensor<D>> {
        if !fits(&tensor) {
            return Some(tensor);
        }
        // Checked above, so that this cannot fail and lose the tensor.
        if let Ok(flex) = tensor.try_into_primitive::<Flex>() {
            self.counts.push((slots, dense(flex)));
        }
        None
    }

    /// Takes both tensors, if it can, for `Σ(a − b)²`.
    pub(super) fn distance<const D: usize>(
        &mut self,
        slot: usize,
        a: Tensor<D>,
        b: Tensor<D>,
    ) -> Option<(Tensor<D>, Tensor<D>)> {
        if !fits(&a) || !fits(&b) || a.dims() != b.dims() {
            return Some((a, b));
        }
        if let (Ok(a), Ok(b)) = (a.try_into_primitive::<Flex>(), b.try_into_primitive::<Flex>()) {
            self.distances.push((slot, [in_order(a), in_order(b)]));
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
        for (slots, tensor) in &self.counts {
            slots.iter().for_each(|&slot| sums[slot] = 0.0);
            tasks.extend(tensor.storage::<f32>().chunks(CHUNK).map(|x| Task::Count(*slots, x)));
        }
        for (slot, [a, b]) in &self.distances {
            sums[*slot] = 0.0;
            let blocks = a.storage::<f32>().chunks(CHUNK).zip(b.storage::<f32>().chunks(CHUNK));
            tasks.extend(blocks.map(|(a, b)| Task::Distance(*slot, a, b)));
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
        let partial: Vec<[f64; 2]> = match tasks.len() * CHUNK <= ALONE {
            true => tasks.iter().map(Task::run).collect(),
            false => tasks.par_iter().map(Task::run).collect(),
        };
        // In the order of the chunks, whichever core was first: the same bits every time.
        for (task, [first, second]) in tasks.iter().zip(partial) {
            match task {
                Task::Count(slots, _) | Task::Ratio(slots, ..) => {
                    sums[slots[0]] += first;
                    sums[slots[1]] += second;
                }
                Task::Distance(slot, ..) | Task::Product(slot, ..) => sums[*slot] += first,
            }
        }
        for (slot, _) in &self.distances {
            sums[*slot] = super::bounded(sums[*slot]);
        }
    }
}

fn fits<const D: usize>(tensor: &Tensor<D>) -> bool {
    let on_flex = matches!(tensor.device().as_dispatch(), DispatchDevice::Flex(_));
    on_flex && tensor.dtype() == DType::F32 && !tensor.is_autodiff()
}

/// The tensor over a buffer that has its elements in row-major order, and nothing else.
fn in_order(tensor: FlexTensor) -> FlexTensor {
    let layout = tensor.layout();
    let whole = tensor.bytes().len() == layout.num_elements() * size_of::<f32>();
    match whole && layout.start_offset() == 0 && tensor.is_contiguous() {
        true => tensor,
        false => tensor.to_contiguous(),
    }
}

impl Task<'_> {
    fn run(&self) -> [f64; 2] {
        match self {
            Self::Count(_, x) => count(x),
            Self::Distance(_, a, b) => [distance(a, b), 0.0],
            Self::Ratio(_, by, g, v) => ratio(*by, g, v),
            Self::Product(_, a, b) => [product(a, b), 0.0],
        }
    }
}

/// How many are 0, and how many are not finite: in integers of the elements' width, so that both counts are
/// made in one read, by vectors.
fn count(values: &[f32]) -> [f64; 2] {
    let mut all = [0.0; 2];
    for run in values.chunks(RUN) {
        let (mut zeros, mut broken) = (0_u32, 0_u32);
        for x in run {
            zeros += u32::from(*x == 0.0);
            broken += u32::from(!x.is_finite());
        }
        all[0] += f64::from(zeros);
        all[1] += f64::from(broken);
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
fn ratio([correction, least]: [f64; 2], g: &[f32], v: &[f32]) -> [f64; 2] {
    let (by, least) = ((1.0 / correction) as f32, least as f32);
    let one = |g: f32, v: f32| (g * g / (v * by).max(least), v * by);
    let mut all = [0.0; 2];
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

/// `Σ(a − b)²`: in `f32` over short runs, and in `f64` from there on.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |(a, b): (&f32, &f32)| (a - b) * (a - b);
    let run = |(a, b): (&[f32], &[f32])| {
        let mut lanes = [0_f32; LANES];
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for (a, b) in a.iter().zip(b) {
            for (lane, pair) in lanes.iter_mut().zip(a.iter().zip(b)) {
                *lane += square(pair);
            }
        }
        let rest = a_rest.iter().zip(b_rest).map(|pair| f64::from(square(pair)));
        lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>() + rest.sum::<f64>()
    };
    a.chunks(RUN).zip(b.chunks(RUN)).map(run).sum()
}
