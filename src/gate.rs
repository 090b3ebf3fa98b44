//! Deciding a step on the device: the verdict is a flag there, and it selects everything that the step would change.

use burn::module::{Module, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, DType, Device, Int, Tensor};

use crate::flag::{Choose, Flag, Values, gated};
use crate::monitor::{Extent, HALF_SQUARES, Monitor, OnDevice, Row, Slot, products, squares_of};
use crate::tensor_shelf::Shelf;
use crate::widen::widened;

/// What a gate judges a step by.
pub(crate) struct Asked<'a> {
    pub(crate) grads: &'a GradientsParams,
    pub(crate) loss: Tensor<1>,
    pub(crate) extent: Extent,
    /// Bound on the gradient's norm after unscaling.
    pub(crate) norm_at_most: Option<f64>,
    /// The factor by which the gradients are too large.
    pub(crate) scale: f64,
    /// Whether the optimizer squares gradients in their own type.
    pub(crate) squares: bool,
}

/// The verdict and factor of one step, on the device.
pub(crate) struct Gate {
    /// Whether everything was finite before the update.
    ok: Flag,
    /// Factor on the gradients; `None` means 1.
    factor: Option<Tensor<1>>,
    slots: Vec<Slot>,
    values: Vec<Tensor<1>>,
    products: Option<Tensor<1>>,
}

impl Gate {
    /// Judges a step, without a readback.
    pub(crate) fn open<M: Module>(model: &M, monitor: &Monitor, asked: Asked<'_>) -> Self {
        let Asked { grads, loss, extent, norm_at_most, scale, squares } = asked;
        let parameters = extent >= Extent::Parameters;
        let (slots, sums) = monitor.gather(model, grads, parameters, OnDevice::default());
        let loss = widened(loss.without_autodiff());
        let device = loss.device();
        let sums = sums.vector(&device, loss.dtype());
        let dtype = sums.as_ref().map_or(loss.dtype(), Tensor::dtype);
        let loss = loss.cast(dtype);
        let gradients = |slot: &Slot| slot.is_gradient();
        let total = match chosen(&sums, &slots, gradients) {
            Some(squares) => squares.sum(),
            None => Tensor::zeros([1], (&device, dtype)),
        };

        // A bound on the unscaled gradient is `scale` times as large on the scaled one.
        let clipped = norm_at_most.map(|bound| {
            let norm = total.clone().sqrt();
            let bound = norm.full_like(bound * scale);
            // No quotient where nothing is clipped: 0/0 is NaN, and the flag does not look at factors.
            let short = norm.clone().lower_equal(bound.clone());
            (bound / norm).mask_fill(short, 1.0)
        });
        let one = || Tensor::<1>::ones([1], (&device, dtype));
        let clip = clipped.clone().unwrap_or_else(one);
        let factor = match (clipped, scale == 1.0) {
            (None, true) => None,
            (None, false) => Some(one().div_scalar(scale)),
            (Some(clip), true) => Some(clip),
            (Some(clip), false) => Some(clip.div_scalar(scale)),
        };

        let checked = [loss.clone().abs(), total.clone()];
        let mut ok = Flag::all_finite(sums.iter().cloned().chain(checked).collect(), &device);
        if squares {
            ok = ok.and(halves_hold(&slots, &sums, &factor, &device));
        }
        let values = sums.into_iter().chain([loss, total, clip]).collect();
        let here = |product: Tensor<1>| product.to_device(&device).cast(dtype);
        let products: Vec<_> = products(extent, model, grads).into_iter().map(here).collect();
        let products = (!products.is_empty()).then(|| Tensor::cat(products, 0));
        Self { ok, factor, slots, values, products }
    }

    /// Returns the gradients to step along: clipped and unscaled, or zero if the step is dropped.
    pub(crate) fn gradients<M: Module>(
        &self,
        model: &M,
        grads: GradientsParams,
    ) -> GradientsParams {
        gated(model, grads, self.factor.as_ref(), &self.ok)
    }

    /// Returns the factor on the gradients, if there is one.
    pub(crate) fn factor(&self) -> Option<&Tensor<1>> {
        self.factor.as_ref()
    }

    /// Returns whether the step is good, as far as is known before the update.
    pub(crate) fn verdict(&self) -> &Tensor<1, Bool> {
        self.ok.tensor()
    }

    /// Returns the largest gradient norm, after the factor, that a good step may have.
    pub(crate) fn norm_at_most(&self, clip: Option<f64>, scale: f64) -> f64 {
        let largest = match self.values.first().map(Tensor::dtype) {
            Some(DType::F64) => f64::MAX.sqrt(),
            _ => f64::from(f32::MAX).sqrt(),
        };
        // Results computed in single precision may be slightly too large.
        1.001 * clip.map_or(largest / scale, |bound| bound.min(largest / scale))
    }

    /// Returns the verdict and the step's numbers, if the update cannot spoil anything and has followed the verdict.
    pub(crate) fn settle<M: Module>(self, model: &M, monitor: &mut Monitor) -> (Flag, Row) {
        let ok = self.ok.clone();
        self.concluded(model, ok, monitor)
    }

    /// Returns the model after the step: `after` if the step is good and `after` is finite, otherwise `before`. Also
    /// returns whether it is `after`, and the step's numbers.
    pub(crate) fn close<M: Module>(
        self,
        before: &M,
        after: M,
        monitor: &mut Monitor,
    ) -> (M, Flag, Row) {
        let ids: Vec<ParamId> = self.slots.iter().filter_map(Slot::gradient).collect();
        let sums = squares_of(&after, ids.iter().copied(), OnDevice::default());
        let device = self.ok.device();
        let sums = sums.vector(&device, DType::F32);
        let sound = self.ok.clone().and(Flag::all_finite(sums.into_iter().collect(), &device));

        let mut old = Values { ids: ids.iter().copied().collect(), values: Shelf::default() };
        before.visit(&mut old);
        let model = after.map(&mut Choose { flag: &sound, old: old.values });
        let (flag, row) = self.concluded(before, sound, monitor);
        (model, flag, row)
    }

    fn concluded<M: Module>(self, model: &M, sound: Flag, monitor: &mut Monitor) -> (Flag, Row) {
        let mut values = self.values;
        let dtype = values.first().map_or(DType::F32, |value| value.dtype());
        values.extend([self.ok.number(dtype), sound.number(dtype)]);
        let row = monitor.row(model, Tensor::cat(values, 0), self.products, self.slots);
        (sound, row)
    }
}

/// Returns the sums of the wanted slots, if there are any.
fn chosen(
    sums: &Option<Tensor<1>>,
    slots: &[Slot],
    is_wanted: impl Fn(&Slot) -> bool,
) -> Option<Tensor<1>> {
    let sums = sums.as_ref()?;
    let wanted = slots.iter().enumerate().filter(|(_, slot)| is_wanted(slot));
    let wanted: Vec<i32> = wanted.map(|(at, _)| at as i32).collect();
    match (wanted.first(), wanted.len()) {
        (None, _) => None,
        (_, all) if all == slots.len() => Some(sums.clone()),
        _ => {
            let places = Tensor::<1, Int>::from_ints(wanted.as_slice(), &sums.device());
            Some(sums.clone().select(0, places))
        }
    }
}

/// Returns whether no gradient of type `f16` has a square that overflows `f16` after the factor.
fn halves_hold(
    slots: &[Slot],
    sums: &Option<Tensor<1>>,
    factor: &Option<Tensor<1>>,
    device: &Device,
) -> Flag {
    let norms = chosen(sums, slots, Slot::is_half).map(|sums| match factor {
        Some(factor) => sums.sqrt() * factor.clone(),
        None => sums.sqrt(),
    });
    Flag::all_at_most(norms.into_iter().collect(), HALF_SQUARES, device)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is above the root of the largest number has no finite square; a scale divides it.
    #[test]
    fn the_largest_norm_of_a_good_step_is_the_clip_or_what_can_be_squared() {
        let device = Device::flex();
        let ones = Tensor::<1>::ones([1], &device);
        let ok = Flag::all_finite(vec![ones.clone()], &device);
        let values = vec![ones];
        let gate = Gate { ok, factor: None, slots: Vec::new(), values, products: None };
        let largest = f64::from(f32::MAX).sqrt();
        let close = |found: f64, expected: f64| {
            assert!((found / expected - 1.0).abs() < 1e-12, "{found} for {expected}");
        };
        close(gate.norm_at_most(None, 1.0), 1.001 * largest);
        close(gate.norm_at_most(None, 4.0), 1.001 * largest / 4.0);
        close(gate.norm_at_most(Some(3.0), 4.0), 1.001 * 3.0);
        close(gate.norm_at_most(Some(largest), 4.0), 1.001 * largest / 4.0);
    }
}
