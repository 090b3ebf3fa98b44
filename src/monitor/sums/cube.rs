//! Sums of tensors of CubeCL devices: one launch a tensor, which reads it once.

use burn::tensor::{DType, Tensor};
use burn_cubecl::CubeDevice;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::tensor::CubeTensor;

use crate::cube::{given, taken, width};

/// Units of a cube: what every device has.
const UNITS: usize = 256;

/// Elements that are worth a cube.
const SHARE: usize = 1 << 14;

/// Cubes that keep a large device busy.
const CUBES: usize = 512;

/// Tensors that wait to be summed.
#[derive(Default)]
pub(super) struct Batch {
    tensors: Vec<(usize, CubeTensor)>,
}

/// Parts of sums, one after the other: of each slot, how many.
pub(super) struct Parts {
    pub(super) values: Tensor<1>,
    pub(super) slots: Vec<(usize, usize)>,
}

impl Batch {
    /// Takes the tensor if there is a kernel for it; gives it back if not.
    pub(super) fn take<const D: usize>(
        &mut self,
        slot: usize,
        tensor: Tensor<D>,
    ) -> Option<Tensor<D>> {
        match tensor.is_autodiff() {
            true => Some(tensor),
            false => taken(tensor).map(|cube| self.tensors.push((slot, cube))).err(),
        }
    }

    /// The parts of all sums, by device.
    pub(super) fn launch(mut self) -> Vec<Parts> {
        let mut all = Vec::new();
        while let Some((_, first)) = self.tensors.first() {
            let device = first.device.clone();
            let (here, elsewhere) =
                self.tensors.into_iter().partition(|(_, tensor)| tensor.device == device);
            self.tensors = elsewhere;
            all.push(sum(here, &device));
        }
        all
    }
}

/// `Σx²` on the device, of one element; the tensor back if there is no kernel for it.
// What is given back is what was given, and goes no further than the caller.
#[allow(clippy::result_large_err)]
pub(super) fn square<const D: usize>(tensor: Tensor<D>) -> Result<Tensor<1>, Tensor<D>> {
    let cube = taken(tensor)?;
    let device = cube.device.clone();
    Ok(sum(vec![(0, cube)], &device).values.sum())
}

fn cubes(elements: usize) -> usize {
    elements.div_ceil(SHARE).min(CUBES)
}

fn sum(tensors: Vec<(usize, CubeTensor)>, device: &CubeDevice) -> Parts {
    let count = |tensor: &CubeTensor| cubes(tensor.meta.num_elements());
    let slots: Vec<_> = tensors.iter().map(|(slot, tensor)| (*slot, count(tensor))).collect();
    let all: usize = slots.iter().map(|(_, parts)| parts).sum();
    let client = device.client();
    let out = empty_device_dtype(client.clone(), device.clone(), [all].into(), DType::F32);
    let mut at = 0;
    for ((_, tensor), (_, parts)) in tensors.into_iter().zip(&slots) {
        squares::launch(
            &client,
            CubeCount::Static(*parts as u32, 1, 1),
            CubeDim::new_1d(UNITS as u32),
            width(tensor.meta.num_elements()),
            tensor.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            at as u32,
        );
        at += parts;
    }
    Parts { values: given(out), slots }
}

/// Each unit sums every so manieth element, and then the units of a cube are added up by halves.
#[cube(launch)]
fn squares<N: Size>(x: &[Vector<f32, N>], out: &mut [f32], at: u32) {
    let unit = UNIT_POS as usize;
    let mut sum = Vector::<f32, N>::new(0.0f32);
    let mut i = CUBE_POS * UNITS + unit;
    while i < x.len() {
        let value = x[i];
        sum += value * value;
        i += CUBE_COUNT * UNITS;
    }
    let mut sums = Shared::new_slice(UNITS);
    sums[unit] = sum.vector_sum();
    let mut half = CUBE_DIM as usize / 2;
    while half > 0 {
        sync_cube();
        if unit < half {
            let other = sums[unit + half];
            sums[unit] += other;
        }
        half /= 2;
    }
    if unit == 0 {
        out[at as usize + CUBE_POS] = sums[0];
    }
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use burn::tensor::{Device, DeviceKind, Distribution};

    use super::super::{Squares, Sums};
    use super::*;

    #[test]
    fn sums_agree_with_sums_in_f64() {
        let device = Device::wgpu(DeviceKind::DefaultDevice);
        let mut sums = Sums::default();
        let mut expected = Vec::new();
        for len in [1, 2, 255, 256, 257, SHARE - 1, SHARE, SHARE + 1, 5 * SHARE + 3, 1_000_003] {
            let x = Tensor::<1>::random([len], Distribution::Normal(0.0, 1.0), &device);
            let exact: f64 = x.to_data().iter::<f64>().map(|x| x * x).sum();
            sums.square(x);
            expected.push(exact);
        }
        // Views: every element counts once, and nothing else does.
        let whole = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &device);
        let whole = whole.reshape([2, 3]);
        for (view, exact) in [
            (whole.clone().transpose(), 91.0),
            (whole.clone().narrow(1, 1, 2), 4.0 + 9.0 + 25.0 + 36.0),
            (whole.clone().narrow(0, 1, 1), 16.0 + 25.0 + 36.0),
            (whole.clone().narrow(0, 0, 1).expand([2, 3]), 2.0 * (1.0 + 4.0 + 9.0)),
            // Four elements that begin at the second.
            (whole.clone().reshape([1, 6]).narrow(1, 1, 4), 4.0 + 9.0 + 16.0 + 25.0),
            (Tensor::zeros([0, 3], &device), 0.0),
        ] {
            sums.square(view);
            expected.push(exact);
        }
        for (sum, exact) in sums.read().unwrap().into_iter().zip(expected) {
            assert!((sum - exact).abs() <= 1e-5 * exact, "{sum} is not {exact}");
        }
    }

    #[test]
    fn what_is_not_finite_shows_wherever_it_is() {
        let device = Device::wgpu(DeviceKind::DefaultDevice);
        for len in [1, 300, SHARE + 7] {
            for at in [0, len / 2, len - 1] {
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e20] {
                    let mut values = vec![1.0; len];
                    values[at] = bad;
                    let mut sums = Sums::default();
                    sums.square(Tensor::<1>::from_floats(values.as_slice(), &device));
                    let sum = sums.read().unwrap()[0];
                    assert!(!sum.is_finite(), "{bad} at {at} of {len}: {sum}");
                }
            }
        }
    }
}
