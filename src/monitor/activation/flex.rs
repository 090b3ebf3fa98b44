//! Activations on Flex of type `f32`: two reads of the buffer instead of tensor operations.

use burn::backend::Flex;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::NUMBERS;
use crate::monitor::sums::{fits, in_order};

/// The number of elements that one task reads; with fewer than this, one core finishes before others have woken
/// up.
const CHUNK: usize = 1 << 16;
/// The number of elements that stay in the nearest cache between the loops over them.
const RUN: usize = 1024;
/// The number of parallel sums, so that the compiler can use vector instructions.
const LANES: usize = 8;

/// The results of the first read.
#[derive(Clone, Copy, Default)]
struct First {
    finite: f64,
    beyond: f64,
    ends: f64,
    /// The sum of the finite elements.
    sum: f64,
    largest: f32,
}

/// Returns the numbers of an activation whose units lie along `axis`; `None` if Flex cannot measure it. `near`
/// and `beyond` are the low and high bounds at which saturation begins and the range ends.
pub(super) fn numbers<const D: usize>(
    tensor: &Tensor<D>,
    axis: usize,
    near: [f64; 2],
    beyond: [f64; 2],
) -> Option<[f64; NUMBERS]> {
    if !fits(tensor) {
        return None;
    }
    let dims = tensor.dims();
    let flex = in_order(tensor.clone().try_into_primitive::<Flex>().ok()?);
    let x = flex.storage::<f32>();
    let (near, beyond) = (near.map(|at| at as f32), beyond.map(|at| at as f32));

    let first = each(x, |x| first(x, near, beyond)).into_iter().fold(First::default(), First::plus);
    let largest = f64::from(first.largest);
    // Divided by the largest, so that no power overflows.
    let by = if largest > 0.0 { largest.recip() } else { 1.0 };
    let count = first.finite.max(1.0);
    let mean = first.sum * by / count;
    let moments = each(x, |x| moments(x, by, mean));
    let [second, fourth] =
        moments.into_iter().fold([0.0; 2], |sum, part| [sum[0] + part[0], sum[1] + part[1]]);
    let alive = alive(x, dims[axis], dims[axis + 1..].iter().product());
    let (second, fourth) = (second / count, fourth / count);
    Some([first.finite, largest, first.beyond, mean, second, fourth, alive, first.ends])
}

/// Returns `of` each chunk, in order, whichever core finishes first, so that the bits are the same every time.
fn each<T: Send>(x: &[f32], of: impl Fn(&[f32]) -> T + Send + Sync) -> Vec<T> {
    match x.len() <= CHUNK {
        true => vec![of(x)],
        false => x.par_chunks(CHUNK).map(of).collect(),
    }
}

impl First {
    fn plus(self, other: Self) -> Self {
        Self {
            finite: self.finite + other.finite,
            beyond: self.beyond + other.beyond,
            ends: self.ends + other.ends,
            sum: self.sum + other.sum,
            largest: self.largest.max(other.largest),
        }
    }
}

fn finite_or_zero(x: f32) -> f32 {
    if x.is_finite() { x } else { 0.0 }
}

fn first(x: &[f32], near: [f32; 2], beyond: [f32; 2]) -> First {
    let mut all = First::default();
    for run in x.chunks(RUN) {
        all.finite += f64::from(run.iter().map(|x| u32::from(x.is_finite())).sum::<u32>());
        let outside = |[low, high]: [f32; 2]| {
            f64::from(run.iter().map(|&x| u32::from((x > high) | (x < low))).sum::<u32>())
        };
        all.beyond += outside(beyond);
        all.ends += outside(near);
        let (groups, rest) = run.as_chunks::<LANES>();
        let (mut sums, mut most) = ([0.0_f64; LANES], [0.0_f32; LANES]);
        let mut take = |lane: usize, x: f32| {
            let x = finite_or_zero(x);
            sums[lane] += f64::from(x);
            most[lane] = if x.abs() > most[lane] { x.abs() } else { most[lane] };
        };
        for group in groups {
            (0..LANES).for_each(|lane| take(lane, group[lane]));
        }
        rest.iter().enumerate().for_each(|(lane, &x)| take(lane, x));
        all.sum += sums.iter().sum::<f64>();
        all.largest = most.into_iter().fold(all.largest, f32::max);
    }
    all
}

/// `Σ(x·by − mean)²` and `Σ(x·by − mean)⁴` over the finite elements.
fn moments(x: &[f32], by: f64, mean: f64) -> [f64; 2] {
    let mut sums = [[0.0_f64; LANES]; 2];
    let mut take = |lane: usize, x: f32| {
        let off = if x.is_finite() { f64::from(x) * by - mean } else { 0.0 };
        let square = off * off;
        sums[0][lane] += square;
        sums[1][lane] += square * square;
    };
    let (groups, rest) = x.as_chunks::<LANES>();
    for group in groups {
        (0..LANES).for_each(|lane| take(lane, group[lane]));
    }
    rest.iter().enumerate().for_each(|(lane, &x)| take(lane, x));
    sums.map(|lanes| lanes.iter().sum())
}

/// Counts the units with an element other than 0, where each is `inner` elements in a row. NaN is not 0.
fn alive(x: &[f32], units: usize, inner: usize) -> f64 {
    let mut alive = vec![0_u32; units];
    for sample in x.chunks(units * inner) {
        if inner == 1 {
            alive.iter_mut().zip(sample).for_each(|(alive, x)| *alive |= u32::from(*x != 0.0));
        } else {
            for (alive, unit) in alive.iter_mut().zip(sample.chunks(inner)) {
                *alive |= u32::from(*alive == 0 && unit.iter().any(|x| *x != 0.0));
            }
        }
    }
    alive.into_iter().map(f64::from).sum()
}
