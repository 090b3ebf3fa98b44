//! Sums of tensors on CubeCL devices: one launch for several tensors, each of which is read once. With Burn's
//! fusion, the sums of all tensors are one operation in its queue.

use burn::backend::TensorMetadata;
use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Tensor};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::tensor::CubeTensor;

use crate::cube::{Primitive, call, given, taken, width};

/// The number of units in a cube, which every device supports.
const UNITS: usize = 256;

/// The number of units that read side by side.
const GROUP: usize = 32;

/// The number of units that add up the results of all units.
const FEW: usize = 16;

/// The number of elements that are worth a cube.
const SHARE: usize = 1 << 15;

/// The number of cubes that keep a large device busy.
const CUBES: usize = 512;

/// Tensors waiting to be summed.
#[derive(Default)]
pub(super) struct Batch {
    tensors: Vec<(usize, Primitive)>,
}

/// Partial sums, one after the other, and how many each slot has.
pub(super) struct Parts {
    pub(super) values: Tensor<1>,
    pub(super) slots: Vec<(usize, usize)>,
}

impl Batch {
    /// Takes the tensor if there is a kernel for it; returns it otherwise.
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

    /// Returns the partial sums, by device.
    pub(super) fn launch(self) -> Vec<Parts> {
        self.by_device().into_iter().map(|tensors| sum(tensors, None)).collect()
    }

    /// Returns all sums by device: their slots, and the sums in that order.
    pub(super) fn rows(self) -> impl Iterator<Item = (Vec<usize>, Tensor<1>)> {
        self.by_device().into_iter().map(|tensors| {
            let most = tensors.iter().map(|(_, tensor)| parts(tensor)).max().unwrap_or(1);
            let Parts { values, slots } = sum(tensors, Some(most));
            let rows = slots.len();
            let slots = slots.into_iter().map(|(slot, _)| slot).collect();
            match most {
                1 => (slots, values),
                _ => (slots, values.reshape([rows, most]).sum_dim(1).reshape([rows])),
            }
        })
    }

    fn by_device(mut self) -> Vec<Vec<(usize, Primitive)>> {
        let mut all = Vec::new();
        while let Some((_, first)) = self.tensors.first() {
            let device = first.device();
            let (here, elsewhere) =
                self.tensors.into_iter().partition(|(_, tensor)| tensor.device() == device);
            self.tensors = elsewhere;
            all.push(here);
        }
        all
    }
}

/// Returns `Σx²` on the device, as one element; returns the tensor if there is no kernel for it.
// The error is the argument itself, and goes no further than the caller.
#[allow(clippy::result_large_err)]
pub(super) fn square<const D: usize>(tensor: Tensor<D>) -> Result<Tensor<1>, Tensor<D>> {
    let Parts { values, slots } = sum(vec![(0, taken(tensor)?)], None);
    Ok(match slots.first() {
        Some((_, 1)) => values,
        _ => values.sum(),
    })
}

/// Returns how many cubes sum a tensor; each makes one partial sum.
fn parts(tensor: &Primitive) -> usize {
    tensor.shape().num_elements().div_ceil(SHARE).min(CUBES)
}

/// Returns the partial sums of tensors of one device. With `room`, each tensor has that many, of which the last
/// may be empty.
fn sum(tensors: Vec<(usize, Primitive)>, room: Option<usize>) -> Parts {
    let slots: Vec<_> = tensors.iter().map(|(slot, tensor)| (*slot, parts(tensor))).collect();
    let counts: Vec<_> = slots.iter().map(|(_, parts)| *parts).collect();
    let all: usize = counts.iter().map(|parts| room.unwrap_or(*parts)).sum();
    let inputs = tensors.into_iter().map(|(_, tensor)| tensor).collect();
    let output = vec![([all].into(), DType::F32)];
    let sums = call("evenkeel_squares", inputs, output, move |tensors| {
        let Some((client, device)) = tensors.first().map(|t| (t.client.clone(), t.device.clone()))
        else {
            return Vec::new();
        };
        let out = empty_device_dtype(client.clone(), device, [all].into(), DType::F32);
        // Bindings are also needed for the sums, and for the other arguments of a kernel.
        let free = client.properties().hardware.max_bindings.saturating_sub(2) as usize;
        let most = free.clamp(1, TOGETHER);
        let mut at = 0;
        let mut alike: Vec<(Alike, Vec<One>)> = Vec::new();
        for (tensor, cubes) in tensors.into_iter().map(into_contiguous).zip(&counts) {
            let of = Alike { dtype: tensor.dtype, width: width(tensor.meta.num_elements()) };
            let one = One { tensor, at: at as u32, cubes: *cubes as u32 };
            at += room.unwrap_or(*cubes);
            match alike.iter_mut().find(|(known, ones)| *known == of && ones.len() < most) {
                Some((_, ones)) => ones.push(one),
                None => alike.push((of, vec![one])),
            }
        }
        alike.into_iter().for_each(|(of, ones)| launch(of, ones, &out, room.unwrap_or(0)));
        vec![out]
    });
    match sums.into_iter().next() {
        Some(values) => Parts { values: given(values), slots },
        None => unreachable!("no tensors have no sums"),
    }
}

/// The properties that tensors of one kernel share.
#[derive(Clone, Copy, PartialEq)]
struct Alike {
    dtype: DType,
    width: usize,
}

/// A tensor, the position of its partial sums, and their number.
struct One {
    tensor: CubeTensor,
    at: u32,
    cubes: u32,
}

/// The number of tensors that one launch sums, if the device has enough bindings: a launch takes longer than a
/// small tensor.
const TOGETHER: usize = 16;

fn launch(of: Alike, ones: Vec<One>, out: &CubeTensor, room: usize) {
    let cubes = ones.iter().map(|one| one.cubes).sum();
    let (mut inputs, mut places) = (SequenceArg::new(), SequenceArg::new());
    let mut end = 0;
    for One { tensor, at, cubes } in ones {
        let elements = tensor.meta.num_elements();
        let turns = (elements / of.width).div_ceil(cubes as usize * UNITS) as u32;
        end += cubes;
        places.push(PlaceLaunch::new(at, end, turns));
        inputs.push(tensor.into_buffer_arg());
    }
    squares::launch(
        &out.client,
        CubeCount::Static(cubes, 1, 1),
        CubeDim::new_1d(UNITS as u32),
        of.width,
        inputs,
        out.clone().into_buffer_arg(),
        places,
        room as u32,
        dtype_to_storage_type(of.dtype),
    );
}

/// The position of a tensor's partial sums, the end of its range of cubes, and how often each unit reads.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Place {
    at: u32,
    end: u32,
    turns: u32,
}

/// Each cube sums a block of one tensor; then a few of its units add up the results of all units, and one unit
/// adds up theirs.
#[cube(launch)]
fn squares<X: Float, N: Size>(
    tensors: &Sequence<Box<[Vector<X, N>]>>,
    out: &mut [f32],
    places: &Sequence<Place>,
    room: u32,
    #[define(X)] _type: ElemType,
) {
    let unit = UNIT_POS as usize;
    let cube = CUBE_POS as u32;
    let mut sum = 0.0f32.runtime();
    let mut at = 0u32.runtime();
    let mut begin = 0u32.runtime();
    let mut end = 0u32.runtime();
    #[unroll]
    for k in 0..comptime!(tensors.len()) {
        let mut first = 0u32;
        if comptime!(k > 0) {
            first = places.index(comptime!(k - 1)).end;
        }
        let place = places.index(k);
        if cube >= first && cube < place.end {
            at = place.at;
            begin = first;
            end = place.end;
            sum = block(tensors.index(k), place.turns, cube - first);
        }
    }
    let mut sums = Shared::new_slice(UNITS);
    let mut few = Shared::new_slice(FEW);
    sums[unit] = sum;
    sync_cube();
    if unit < FEW {
        let mut part = 0.0f32;
        for other in 0..comptime!(UNITS / FEW) {
            part += sums[unit + other * FEW];
        }
        few[unit] = part;
    }
    sync_cube();
    if unit == 0 {
        let mut all = 0.0f32;
        for other in 0..comptime!(FEW) {
            all += few[other];
        }
        out[(at + cube - begin) as usize] = all;
    }
    // The last cube of a tensor zeroes the unused room.
    if cube + 1 == end {
        let mut i = (end - begin) as usize + unit;
        while i < room as usize {
            out[at as usize + i] = 0.0;
            i += UNITS;
        }
    }
}

/// Returns the sum of the squares that this unit reads. Elements read together by a group of units lie side by
/// side, turn after turn.
#[cube]
fn block<X: Float, N: Size>(x: &[Vector<X, N>], turns: u32, cube: u32) -> f32 {
    let (unit, turns) = (UNIT_POS as usize, turns as usize);
    let first = cube as usize * UNITS * turns + unit / GROUP * (GROUP * turns) + unit % GROUP;
    let mut sum = Vector::<f32, N>::new(0.0f32);
    for turn in 0..turns {
        let i = first + turn * GROUP;
        if i < x.len() {
            let value = Vector::<f32, N>::cast_from(x[i]);
            sum += value * value;
        }
    }
    sum.vector_sum()
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use burn::tensor::{Device, DeviceKind, Distribution};

    use super::super::{OnDevice, Squares, Sums};
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
        // Views: every element they show counts once, and no other.
        let whole = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &device);
        let whole = whole.reshape([2, 3]);
        for (view, exact) in [
            (whole.clone().transpose(), 91.0),
            (whole.clone().narrow(1, 1, 2), 4.0 + 9.0 + 25.0 + 36.0),
            (whole.clone().narrow(0, 1, 1), 16.0 + 25.0 + 36.0),
            (whole.clone().narrow(0, 0, 1).expand([2, 3]), 2.0 * (1.0 + 4.0 + 9.0)),
            // Four elements, starting at the second.
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

    /// Summed in single precision; half precision would overflow at 256.
    #[test]
    fn half_precision_is_summed_in_single() {
        let device = Device::wgpu(DeviceKind::DefaultDevice);
        let types = [DType::F16, DType::BF16].into_iter();
        for dtype in types.filter(|dtype| device.supports_dtype(*dtype)) {
            let mut sums = Sums::default();
            for len in [1, 4, 257, SHARE + 1] {
                sums.square(Tensor::<1>::full([len], 512.0, &device).cast(dtype));
            }
            let expected = [1, 4, 257, SHARE + 1].map(|len| 262_144.0 * len as f64);
            for (sum, expected) in sums.read().unwrap().into_iter().zip(expected) {
                assert!((sum - expected).abs() <= 1e-5 * expected, "{sum} is not {expected}");
            }
        }
    }

    /// Left on the device, in the order in which they were added.
    #[test]
    fn sums_that_nobody_reads_are_those_that_are_read() {
        let device = Device::wgpu(DeviceKind::DefaultDevice);
        for lengths in [vec![1, 0, 300, 4], vec![7], vec![5, 3 * SHARE + 1, SHARE, 2]] {
            let (mut read, mut left) = (Sums::default(), OnDevice::default());
            for len in &lengths {
                let x = Tensor::<1>::random([*len], Distribution::Normal(0.0, 1.0), &device);
                read.square(x.clone());
                left.square(x);
            }
            let left = left.vector(&device, DType::F32).unwrap().into_data();
            assert_eq!(left.shape().to_vec(), [lengths.len()]);
            for (a, b) in left.iter::<f64>().zip(read.read().unwrap()) {
                assert!((a - b).abs() <= 1e-5 * b, "{a} is not {b}");
            }
        }
        assert!(OnDevice::default().vector(&device, DType::F32).is_none());
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
