//! Sums of squares of many tensors, read together.

#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod fused;
mod on_device;
mod portable;

pub(crate) use on_device::OnDevice;

use burn::module::ParamId;
use burn::tensor::{Bool, DType, Tensor};
#[cfg(feature = "flex")]
pub(super) use fused::{fits, in_order};

use crate::Error;
use crate::tensor_shelf::Shelf;
use crate::widen::widened;

/// Sums to be read together. Slots are numbered in the order in which they were added.
#[derive(Default)]
pub(super) struct Sums {
    slots: usize,
    #[cfg(feature = "flex")]
    flex: flex::Batch,
    #[cfg(feature = "flex")]
    fused: fused::Batch,
    #[cfg(feature = "cube")]
    cube: cube::Batch,
    portable: portable::Batch,
    folded: Shelf,
}

/// A collector of sums of squares.
pub(crate) trait Squares {
    /// Adds `Σx²`, accumulated in at least `f32`.
    fn square<const D: usize>(&mut self, tensor: Tensor<D>);
}

/// A sum that overflows `f32` reads as infinity, except for an `f64` tensor.
impl Squares for Sums {
    fn square<const D: usize>(&mut self, tensor: Tensor<D>) {
        let slot = self.take_slot();
        #[cfg(feature = "flex")]
        let tensor = match self.flex.take(slot, tensor) {
            None => return,
            Some(foreign) => foreign,
        };
        #[cfg(feature = "cube")]
        let tensor = match self.cube.take(slot, tensor) {
            None => return,
            Some(foreign) => foreign,
        };
        self.portable.square(slot, tensor);
    }
}

impl Sums {
    /// Adds a single value, unchanged.
    pub(super) fn value(&mut self, tensor: Tensor<1>) {
        let slot = self.take_slot();
        self.portable.value(slot, tensor);
    }

    /// Adds `Σx²`, the number of zeros, and the number of non-finite elements.
    pub(super) fn counted<const D: usize>(&mut self, tensor: Tensor<D>) {
        #[cfg(feature = "flex")]
        let tensor = {
            let first = self.slots;
            match self.fused.counted([first, first + 1, first + 2], tensor) {
                None => {
                    self.slots += 3;
                    return;
                }
                Some(foreign) => foreign,
            }
        };
        self.square(tensor.clone());
        // A count of more than 2²⁴ is rounded where the device sums in `f32`.
        let count = |flags: Tensor<D, Bool>| flags.float().cast(DType::F32).sum();
        self.value(count(tensor.clone().equal_elem(0.0)));
        self.value(count(tensor.is_finite().bool_not()));
    }

    /// Adds `Σa²`, followed by `Σ(b − a)²`.
    pub(super) fn moved<const D: usize>(&mut self, a: Tensor<D>, b: Tensor<D>) {
        #[cfg(feature = "flex")]
        let (a, b) = {
            match self.fused.moved([self.slots, self.slots + 1], a, b) {
                None => {
                    self.slots += 2;
                    return;
                }
                Some(foreign) => foreign,
            }
        };
        self.square(a.clone());
        self.square(widened(b) - widened(a));
    }

    /// Adds `Σab`.
    pub(super) fn product<const D: usize>(&mut self, a: Tensor<D>, b: Tensor<D>) {
        let slot = self.take_slot();
        #[cfg(feature = "flex")]
        let (a, b) = match self.fused.product(slot, a, b) {
            None => return,
            Some(foreign) => foreign,
        };
        self.portable.value(slot, (widened(a) * widened(b)).sum());
    }

    /// Adds `Σg²/max(v/c, ε²)`, followed by `Σv/c`.
    pub(super) fn ratio<const D: usize>(
        &mut self,
        g: Tensor<D>,
        v: Tensor<D>,
        [correction, epsilon]: [f64; 2],
    ) {
        let slots = [self.take_slot(), self.take_slot()];
        let floor = (epsilon * epsilon).max(f64::from(f32::MIN_POSITIVE));
        #[cfg(feature = "flex")]
        let (g, v) = match self.fused.ratio(slots, g, v, [correction, floor]) {
            None => return,
            Some(foreign) => foreign,
        };
        let v = widened(v) / correction;
        self.portable.value(slots[1], v.clone().sum());
        self.portable.square(slots[0], widened(g) / v.clamp_min(floor).sqrt());
    }

    /// Returns whether sums and copies of this tensor are made on the host, in one parallel pass.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables))]
    pub(super) fn is_on_the_host<const D: usize>(tensor: &Tensor<D>) -> bool {
        #[cfg(feature = "flex")]
        return fits(tensor);
        #[cfg(not(feature = "flex"))]
        return false;
    }

    /// Copies a tensor that is [on the host](Self::is_on_the_host) into `room`, if there is any; without room,
    /// the tensor is held.
    pub(super) fn copy<const D: usize>(
        &mut self,
        id: ParamId,
        room: Option<Tensor<D>>,
        x: Tensor<D>,
    ) {
        // A sum that starts with this tensor, and that is not reported.
        self.fold(id, room, true, false, x);
    }

    /// Adds `g` to a sum over samples, which [`read_folded`](Self::read_folded) returns under this name, and adds
    /// `Σ(s + g)²` if it is `told`. When the sum starts, an existing `s` is only a buffer to reuse.
    pub(super) fn fold<const D: usize>(
        &mut self,
        id: ParamId,
        sum: Option<Tensor<D>>,
        begins: bool,
        told: bool,
        g: Tensor<D>,
    ) {
        let slot = told.then(|| self.take_slot());
        let g = widened(g);
        #[cfg(feature = "flex")]
        let (sum, g) = match sum {
            None => (None, g),
            Some(sum) => match self.fused.folded((id, slot), sum, !begins, g) {
                None => return,
                Some((sum, g)) => (Some(sum), g),
            },
        };
        let sum = match sum.filter(|_| !begins) {
            Some(sum) => sum + g,
            None => g,
        };
        if let Some(slot) = slot {
            self.portable.square(slot, sum.clone());
        }
        self.folded.put(id, sum);
    }

    fn take_slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    /// Returns all sums, by slot. One readback per device.
    pub(super) fn read(self) -> Result<Vec<f64>, Error> {
        self.read_folded().map(|(sums, _)| sums)
    }

    /// Returns all sums, by slot, and the sums over samples. One readback per device.
    #[cfg_attr(not(any(feature = "cube", feature = "flex")), allow(unused_mut))]
    pub(super) fn read_folded(mut self) -> Result<(Vec<f64>, Shelf), Error> {
        let mut sums = vec![f64::NAN; self.slots];
        #[cfg(feature = "flex")]
        {
            self.flex.read(&mut sums);
            self.fused.read(&mut sums, &mut self.folded);
        }
        #[cfg(feature = "cube")]
        for cube::Parts { slots, values } in self.cube.launch() {
            self.portable.parts(slots, values);
        }
        self.portable.read(&mut sums)?;
        Ok((sums, self.folded))
    }

    /// Returns the sums of tensors that are all [on the host](Self::is_on_the_host): without a readback, and
    /// therefore without errors.
    #[cfg_attr(not(feature = "flex"), allow(unused_mut))]
    pub(super) fn on_the_host(mut self) -> (Vec<f64>, Shelf) {
        let mut sums = vec![f64::NAN; self.slots];
        #[cfg(feature = "flex")]
        self.fused.read(&mut sums, &mut self.folded);
        (sums, self.folded)
    }
}

/// Returns `Σx²` of one tensor, left on its device.
fn square_on_device<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    #[cfg(feature = "cube")]
    let tensor = match cube::square(tensor) {
        Ok(sum) => return sum,
        Err(tensor) => tensor,
    };
    let tensor = widened(tensor);
    (tensor.clone() * tensor).sum()
}

/// Makes a sum of squares above the largest `f32` infinite, so that the verdict on a gradient does not depend on
/// whether a device sums in `f32` or in `f64`.
fn bounded(sum: f64) -> f64 {
    match sum > f64::from(f32::MAX) {
        true => f64::INFINITY,
        false => sum,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// Views over other buffers: every element they show counts once, and no other.
    #[test]
    fn a_view_is_summed_as_what_it_shows() {
        let device = Device::flex();
        let whole =
            Tensor::<1>::from_floats([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &device).reshape([2, 3]);
        let views = [
            (whole.clone(), 91.0),
            (whole.clone().transpose(), 91.0),
            (whole.clone().narrow(1, 1, 2), 4.0 + 9.0 + 25.0 + 36.0),
            (whole.clone().narrow(0, 1, 1), 16.0 + 25.0 + 36.0),
            (whole.clone().narrow(1, 0, 1).expand([2, 3]), 3.0 * (1.0 + 16.0)),
            (whole.clone().narrow(0, 0, 1).expand([2, 3]), 2.0 * (1.0 + 4.0 + 9.0)),
            (whole.clone().flip([0, 1]), 91.0),
            (whole.narrow(0, 0, 1).narrow(1, 0, 1), 1.0),
            (Tensor::zeros([0, 3], &device), 0.0),
        ];
        let mut sums = Sums::default();
        views.iter().for_each(|(view, _)| sums.square(view.clone()));
        let expected: Vec<f64> = views.iter().map(|(_, sum)| *sum).collect();
        assert_eq!(sums.read().unwrap(), expected);
    }

    /// On Flex with the fused pass, and in half precision with tensor operations.
    #[test]
    fn counts_distances_and_ratios_are_those_of_a_loop() {
        let device = Device::flex();
        for rows in [1, 3, 1000, 5000] {
            let x: Vec<f32> = (0..rows * 70).map(|i| (i * 37 % 11) as f32 - 5.0).collect();
            let a = Tensor::<1>::from_floats(x.as_slice(), &device).reshape([rows, 70]);
            let b = a.clone().flip([0]).add_scalar(1.0);
            let broken = a.clone().mask_fill(a.clone().equal_elem(5.0), f32::INFINITY);
            let broken = broken.clone().mask_fill(broken.equal_elem(4.0), f32::NAN);
            let zeros = x.iter().filter(|x| **x == 0.0).count() as f64;
            let bad = x.iter().filter(|x| **x >= 4.0).count() as f64;
            let y: Vec<f32> = x.chunks(70).rev().flatten().map(|x| x + 1.0).collect();
            let far: f64 = x.iter().zip(&y).map(|(x, y)| f64::from(x - y).powi(2)).sum();
            for dtype in [DType::F32, DType::F16] {
                let mut sums = Sums::default();
                let [a, b, broken] = [&a, &b, &broken].map(|t| t.clone().cast(dtype));
                sums.counted(broken.transpose());
                sums.counted(a.clone().transpose());
                sums.moved(a.clone(), b.clone());
                sums.moved(a.clone().narrow(0, rows - 1, 1), b.clone().narrow(0, 0, 1));
                sums.product(a.clone(), b.clone());
                sums.ratio(a.clone(), a.transpose().abs().transpose(), [0.5, 0.7]);
                let read = sums.read().unwrap();
                assert_eq!((read[0].is_finite(), &read[1..3]), (false, &[zeros, bad][..]));
                assert_eq!(read[4..6], [zeros, 0.0]);
                let squares: f64 = x.iter().map(|&x| f64::from(x).powi(2)).sum();
                for (sum, exact) in [(read[3], squares), (read[6], squares), (read[7], far)] {
                    assert!((sum - exact).abs() <= 1e-6 * exact, "{rows}: {sum} not {exact}");
                }
                let wide = x.iter().map(|&x| f64::from(x));
                let ratio: f64 = wide.clone().map(|x| x * x / (2.0 * x.abs()).max(0.7 * 0.7)).sum();
                let average: f64 = wide.map(|x| 2.0 * x.abs()).sum();
                let product: f64 = x.iter().zip(&y).map(|(x, y)| f64::from(x * y)).sum();
                assert!((read[10] - product).abs() <= 1e-5 * average, "{rows}: {}", read[10]);
                for (sum, exact) in [(read[11], ratio), (read[12], average)] {
                    assert!((sum - exact).abs() <= 1e-4 * exact, "{rows}: {sum} not {exact}");
                }
                // The last row, against itself plus 1.
                assert!((read[9] - 70.0).abs() < 1e-3, "{}", read[9]);
            }
        }
    }

    /// Added to nothing, to itself, and to a tensor that is held elsewhere, which must not change.
    #[test]
    fn a_sum_over_samples_is_that_of_a_loop() {
        let device = Device::flex();
        let id = ParamId::new();
        for rows in [0, 1, 50, 5000] {
            let of = |k: i32| -> Vec<f32> {
                (0..rows * 70).map(|i| ((i * 37 + k * 11) % 13) as f32 - 6.0).collect()
            };
            let values = |t: Tensor<2>| -> Vec<f32> { t.into_data().iter().collect() };
            for dtype in [DType::F32, DType::F16] {
                let tensor = |k: i32| {
                    Tensor::<1>::from_floats(of(k).as_slice(), &device)
                        .reshape([rows as usize, 70])
                        .cast(dtype)
                };
                let mut sum: Option<Tensor<2>> = None;
                let mut expected = vec![0.0; rows as usize * 70];
                let mut held = Vec::new();
                for k in 0..6 {
                    let begins = k % 4 == 0;
                    if begins {
                        expected.fill(0.0);
                    }
                    expected.iter_mut().zip(of(k)).for_each(|(sum, g)| *sum += g);
                    let mut sums = Sums::default();
                    // A view whose elements are in another order.
                    let g = tensor(k).transpose().add_scalar(0.0).transpose();
                    sums.square(g.clone());
                    sums.fold(id, sum.take(), begins, true, g);
                    let (numbers, mut shelf) = sums.read_folded().unwrap();
                    let all = shelf.take::<2>(id).unwrap();
                    assert_eq!(values(all.clone()), expected, "{rows} rows, sample {k}");
                    let squares: f64 = expected.iter().map(|x| f64::from(*x).powi(2)).sum();
                    assert!((numbers[1] - squares).abs() <= 1e-6 * squares, "{numbers:?}");
                    if k % 2 == 1 {
                        held.push((all.clone(), expected.clone()));
                    }
                    sum = Some(all);
                }
                for (held, expected) in held {
                    assert_eq!(values(held), expected);
                }
            }
        }
    }
}
