//! Deciding without leaving the device: the verdict is a flag there, and everything that a step would
//! change is selected by it.

mod flag;
mod select;

pub(crate) use flag::Flag;

use std::collections::HashSet;

use burn::module::{Module, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor};

use crate::monitor::{HALF_SQUARES, Monitor, Row, Slot, Squares, square_on_device, squares_of};
use crate::shelf::Shelf;
use crate::wide::widened;

/// What a gate is to judge by.
pub(crate) struct Asked<'a> {
    pub(crate) grads: &'a GradientsParams,
    pub(crate) loss: Tensor<1>,
    /// Whether the parameters themselves are checked.
    pub(crate) parameters: bool,
    /// The bound on the gradient's norm, once unscaled.
    pub(crate) norm_at_most: Option<f64>,
    /// How many times too large the gradients are.
    pub(crate) scale: f64,
    /// Whether the optimizer squares gradients in their own type.
    pub(crate) squares: bool,
}

/// Sums of squares that stay on their devices, each a tensor of one element.
#[derive(Default)]
struct OnDevice(Vec<Tensor<1>>);

impl Squares for OnDevice {
    fn square<const D: usize>(&mut self, tensor: Tensor<D>) {
        self.0.push(square_on_device(tensor));
    }
}

/// One step's verdict and factor, on the device.
pub(crate) struct Gate {
    /// Whether everything was finite before the update.
    ok: Flag,
    /// What the gradients are to be multiplied by; `None` is 1.
    factor: Option<Tensor<1>>,
    slots: Vec<Slot>,
    values: Vec<Tensor<1>>,
}

impl Gate {
    /// Judges a step. Nothing is read.
    pub(crate) fn open<M: Module>(model: &M, monitor: &Monitor, asked: Asked<'_>) -> Self {
        let Asked { grads, loss, parameters, norm_at_most, scale, squares } = asked;
        let (slots, OnDevice(sums)) = monitor.gather(model, grads, parameters, OnDevice::default());

        let loss = widened(loss.without_autodiff());
        let (device, mut dtype) = (loss.device(), loss.dtype());
        if sums.iter().any(|sum| sum.dtype() == DType::F64) {
            dtype = DType::F64;
        }
        let here = |value: Tensor<1>| flag::moved(value, &device).cast(dtype);
        let mut values: Vec<Tensor<1>> = sums.into_iter().map(here).collect();
        let loss = here(loss);

        let zero = Tensor::<1>::zeros([1], (&device, dtype));
        let gradients = slots.iter().zip(&values).filter(|(slot, _)| slot.is_gradient());
        let total = gradients.fold(zero, |total, (_, sum)| total + sum.clone());

        // A bound on the unscaled gradient is `scale` times as much on the scaled one.
        let clipped = norm_at_most.map(|bound| {
            let norm = total.clone().sqrt();
            (norm.ones_like().mul_scalar(bound * scale) / norm).clamp_max(1.0)
        });
        let one = || Tensor::<1>::ones([1], (&device, dtype));
        let clip = clipped.clone().unwrap_or_else(one);
        let factor = match (clipped, scale == 1.0) {
            (None, true) => None,
            (None, false) => Some(one().div_scalar(scale)),
            (Some(clip), true) => Some(clip),
            (Some(clip), false) => Some(clip.div_scalar(scale)),
        };

        let mut checked = values.clone();
        checked.extend([loss.clone().abs(), total.clone()]);
        let mut ok = Flag::all_finite(checked, &device);
        if squares {
            ok = ok.and(halves_hold(&slots, &values, &factor, &device));
        }
        values.extend([loss, total, clip]);
        Self { ok, factor, slots, values }
    }

    /// The gradients to step along: clipped and unscaled, or zero if the step is dropped.
    pub(crate) fn gradients<M: Module>(
        &self,
        model: &M,
        grads: GradientsParams,
    ) -> GradientsParams {
        let mut gated = select::Gated { gate: self, grads, seen: HashSet::new() };
        model.visit(&mut gated);
        gated.grads
    }

    /// The model after the step: `after` where the step is good and `after` is finite, else `before`.
    /// With it, whether it is the former, and the step's numbers.
    pub(crate) fn close<M: Module>(
        self,
        before: &M,
        after: M,
        monitor: &mut Monitor,
    ) -> (M, Flag, Row) {
        let ids: Vec<ParamId> = self.slots.iter().filter_map(Slot::gradient).collect();
        let OnDevice(sums) = squares_of(&after, ids.iter().copied(), OnDevice::default());
        let device = self.ok.device();
        let sums = sums.into_iter().map(|sum| flag::moved(sum, &device)).collect();
        let sound = self.ok.clone().and(Flag::all_finite(sums, &device));

        let mut old =
            select::Values { ids: ids.iter().copied().collect(), values: Shelf::default() };
        before.visit(&mut old);
        let model = after.map(&mut select::Choose { flag: &sound, old: old.values });

        let mut values = self.values;
        let dtype = values.first().map_or(DType::F32, |value| value.dtype());
        values.extend([self.ok.number(dtype), sound.number(dtype)]);
        let row = monitor.row(before, Tensor::cat(values, 0), self.slots);
        (model, sound, row)
    }
}

/// Whether no gradient of type `f16` has a square that overflows there once the factor is on it.
fn halves_hold(
    slots: &[Slot],
    sums: &[Tensor<1>],
    factor: &Option<Tensor<1>>,
    device: &Device,
) -> Flag {
    let halves = slots.iter().zip(sums).filter(|(slot, _)| slot.is_half());
    let norms = halves.map(|(_, sum)| {
        let norm = sum.clone().sqrt();
        match factor {
            Some(factor) => norm * factor.clone(),
            None => norm,
        }
    });
    Flag::all_at_most(norms.collect(), HALF_SQUARES, device)
}
