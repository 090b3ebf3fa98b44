//! Deciding without leaving the device: the verdict is a flag there, and everything that a step would
//! change is selected by it.

mod flag;
mod select;

pub(crate) use flag::Flag;

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor};

use crate::monitor::{HALF_SQUARES, Monitor, Row, Slot};
use crate::shelf::Shelf;

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
        let mut gather = Gather {
            grads,
            statistics: monitor.statistics(),
            parameters,
            slots: Vec::new(),
            sums: Vec::new(),
            seen: HashSet::new(),
        };
        model.visit(&mut gather);
        let Gather { slots, mut sums, .. } = gather;

        let loss = flag::widened(loss.without_autodiff());
        let (device, mut dtype) = (loss.device(), loss.dtype());
        if sums.iter().any(|sum| sum.dtype() == DType::F64) {
            dtype = DType::F64;
        }
        let here = |value: Tensor<1>| flag::moved(value, &device).cast(dtype);
        sums = sums.into_iter().map(here).collect();
        let loss = here(loss);

        let zero = Tensor::<1>::zeros([1], (&device, dtype));
        let gradients = slots.iter().zip(&sums).filter(|(slot, _)| slot.is_gradient());
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

        let mut checked = sums.clone();
        checked.extend([loss.clone().abs(), total.clone()]);
        let mut ok = Flag::all_finite(checked, &device);
        if squares {
            ok = ok.and(halves_hold(&slots, &sums, &factor, &device));
        }
        let mut values = sums;
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
        let mut sums = select::Sums { ids: ids.iter().copied().collect(), sums: Vec::new() };
        after.visit(&mut sums);
        let device = self.ok.device();
        let sums = sums.sums.into_iter().map(|sum| flag::moved(sum, &device)).collect();
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

/// The sums of squares that a reading is made of, each a tensor of one element.
struct Gather<'a> {
    grads: &'a GradientsParams,
    statistics: &'a [ParamId],
    parameters: bool,
    slots: Vec<Slot>,
    sums: Vec<Tensor<1>>,
    /// A parameter used in two places is visited twice, and has one gradient.
    seen: HashSet<ParamId>,
}

impl Gather<'_> {
    fn add<const D: usize>(&mut self, slot: Slot, tensor: Tensor<D>) {
        self.slots.push(slot);
        self.sums.push(flag::squares(tensor));
    }
}

impl ModuleVisitor for Gather<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = || param.base().without_autodiff();
        if let Some(grad) = self.grads.get::<D>(param.id)
            && self.seen.insert(param.id)
        {
            self.add(Slot::Gradient(param.id, grad.dtype()), grad);
            if self.parameters {
                self.add(Slot::Parameter, value());
            }
        }
        if self.statistics.contains(&param.id) {
            self.add(Slot::Statistic, value());
        }
    }
}
