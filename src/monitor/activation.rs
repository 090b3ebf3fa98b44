//! The numbers of one activation: measured on its device, and read later.

#[cfg(feature = "flex")]
mod flex;

use burn::tensor::{Bool, Tensor};

use super::Observation;
use super::probe::largest_finite;
use crate::widen::widened;

/// The number of values read for each activation.
const NUMBERS: usize = 8;

/// The distance from an end of the range, as a share of it, within which an element is saturated: 0.97 for ±1.
const NEAR: f64 = 0.015;

/// An activation that has been measured but not yet read.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) name: String,
    elements: usize,
    units: usize,
    /// The largest number of its element type.
    limit: f64,
    /// In order: the number of finite elements; the largest absolute value among these; the number of elements
    /// beyond the range; mean, second and fourth central moment of the finite elements, each divided by the
    /// largest; the number of units that are alive; the number of elements at an end of the range.
    numbers: Numbers,
}

#[derive(Debug, Clone)]
enum Numbers {
    /// Still on their device.
    Waiting(Box<[Tensor<1>; NUMBERS]>),
    #[cfg_attr(not(feature = "flex"), allow(dead_code))]
    Known([f64; NUMBERS]),
}

/// Returns the axis that units lie along: the channels of an image, and the last axis of any other tensor.
fn unit_axis(rank: usize) -> usize {
    match rank {
        0..=3 => rank.saturating_sub(1),
        _ => 1,
    }
}

impl Taken {
    /// Measures `tensor`, which must not be tracked by autodiff; `None` if it is empty. Its units lie along the
    /// given axis; it has none if there is no such axis.
    pub(super) fn of<const D: usize>(
        name: &str,
        tensor: Tensor<D>,
        range: (f64, f64),
        axis: Option<usize>,
    ) -> Option<Self> {
        let elements = tensor.shape().num_elements();
        if elements == 0 || D == 0 {
            return None;
        }
        let limit = largest_finite(tensor.dtype());
        let (axis, units) = match axis {
            None => (unit_axis(D), tensor.dims()[unit_axis(D)]),
            Some(axis) => match tensor.dims().get(axis) {
                Some(&units) => (axis, units),
                None => (unit_axis(D), 0),
            },
        };
        let (low, high) = range;
        let near = NEAR * (high - low);
        #[cfg(feature = "flex")]
        if let Some(numbers) = flex::numbers(&tensor, axis, [low + near, high - near], [low, high])
        {
            let numbers = Numbers::Known(numbers);
            return Some(Self { name: name.to_string(), elements, units, limit, numbers });
        }
        let x = widened(tensor);
        let wide = x.dtype();
        let share = |flags: Tensor<D, Bool>| flags.float().cast(wide);

        let bad = x.clone().is_finite().bool_not();
        let finite = share(bad.clone().bool_not()).sum();
        let whole = x.clone().mask_fill(bad.clone(), 0.0);
        let largest = whole.clone().abs().max();
        // Divided by the largest, so that no power overflows; if all elements are 0, by a positive number.
        let scale = largest.clone().clamp_min(f64::from(f32::MIN_POSITIVE));
        let y = whole / scale.reshape([1; D]);
        let count = finite.clone().clamp_min(1.0);
        let mean = y.clone().sum() / count.clone();
        let off = (y - mean.clone().reshape([1; D])).mask_fill(bad.clone(), 0.0);
        let squares = off.clone() * off;
        let second = squares.clone().sum() / count.clone();
        let fourth = (squares.clone() * squares).sum() / count;

        // A non-finite unit is not dead, and devices disagree on whether NaN is not equal to 0.
        let mut alive = share(x.clone().not_equal_elem(0.0).bool_or(bad));
        for other in (0..D).filter(|&other| other != axis) {
            alive = alive.max_dim(other);
        }
        let ends = x.clone().greater_elem(high - near).bool_or(x.clone().lower_elem(low + near));
        let beyond = x.clone().greater_elem(high).bool_or(x.lower_elem(low));
        let numbers = [
            finite,
            largest,
            share(beyond).sum(),
            mean,
            second,
            fourth,
            alive.sum(),
            share(ends).sum(),
        ];
        let numbers = Numbers::Waiting(Box::new(numbers));
        Some(Self { name: name.to_string(), elements, units, limit, numbers })
    }

    /// Returns the numbers that have to be read, and the facts needed to interpret them.
    pub(super) fn split(self) -> (Vec<Tensor<1>>, Facts) {
        let Self { name, elements, units, limit, numbers } = self;
        let (waiting, known) = match numbers {
            Numbers::Waiting(numbers) => (numbers.to_vec(), None),
            Numbers::Known(numbers) => (Vec::new(), Some(numbers)),
        };
        (waiting, Facts { name, elements, units, limit, known })
    }
}

/// What is known of an activation without a readback.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    name: String,
    elements: usize,
    units: usize,
    limit: f64,
    known: Option<[f64; NUMBERS]>,
}

impl Facts {
    /// Adds the numbers of the activation, which are the next of `read` if they had to be read. A number without
    /// a value, such as the mean if no element is finite, is left out.
    pub(super) fn tell(&self, read: &mut impl Iterator<Item = f64>, to: &mut Observation) {
        let numbers = self.known.map_or_else(|| read.take(NUMBERS).collect(), Vec::from);
        let &[finite, largest, beyond, mean, second, fourth, alive, ends] = numbers.as_slice()
        else {
            return;
        };
        let all = self.elements as f64;
        let mut push = |quantity: &str, value: f64| {
            if value.is_finite() {
                to.push(format!("{quantity}/{}", self.name), value);
            }
        };
        if finite > 0.0 {
            push("mean", mean * largest);
            push("std", second.sqrt() * largest);
            push("abs_max", largest);
            push("headroom", self.limit.log2() - largest.log2());
        }
        if second > 0.0 {
            push("kurtosis", fourth / (second * second));
        }
        push("dead", 1.0 - alive / self.units as f64);
        if beyond == 0.0 {
            push("saturated", ends / all);
        }
        push("nonfinite", 1.0 - finite / all);
    }
}
