//! Tensors of CubeCL devices, as kernels of our own take them.
//!
//! With Burn's fusion such a tensor is not there yet when it is asked for, but a promise of one: then
//! it is left to tensor operations, which fusion joins into kernels by itself. Whether fusion is on is
//! settled by whoever builds the program, and so it is found out here from the type.

use std::any::Any;

use burn::backend::{BackendTensor, DispatchTensor, DispatchTensorKind};
use burn::tensor::{DType, Tensor};
use burn_cubecl::Cube;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

/// The tensor itself, its elements in order, if it is an `f32` one of a CubeCL device; else the tensor
/// back. Never one of no elements: not every device can launch a kernel over nothing.
// What is given back is what was given, and goes no further than the caller.
#[allow(clippy::result_large_err)]
pub(crate) fn taken<const D: usize>(tensor: Tensor<D>) -> Result<CubeTensor, Tensor<D>> {
    if tensor.dtype() != DType::F32 || tensor.dims().contains(&0) {
        return Err(tensor);
    }
    let back = |kind, autodiff| Tensor::from_dispatch(DispatchTensor { kind, autodiff });
    let DispatchTensor { kind, autodiff } = tensor.into_dispatch();
    let DispatchTensorKind::Cube(BackendTensor::Float(float)) = kind else {
        return Err(back(kind, autodiff));
    };
    let mut float = Some(float);
    match (&mut float as &mut dyn Any).downcast_mut::<Option<CubeTensor>>().and_then(Option::take) {
        Some(cube) => Ok(into_contiguous(cube)),
        None => match float {
            Some(float) => {
                Err(back(DispatchTensorKind::Cube(BackendTensor::Float(float)), autodiff))
            }
            None => unreachable!("only taken above"),
        },
    }
}

/// The tensor as Burn has it.
pub(crate) fn given<const D: usize>(cube: CubeTensor) -> Tensor<D> {
    let mut cube = Some(cube);
    let mut float = None;
    if let Some(same) = (&mut cube as &mut dyn Any).downcast_mut::<Option<Primitive>>() {
        float = same.take();
    }
    match float {
        Some(float) => Tensor::from_primitive::<Cube>(float),
        None => unreachable!("without fusion the two types are one, and with it none was taken"),
    }
}

/// How many elements a unit reads at once, of so many that lie in order.
pub(crate) fn width(elements: usize) -> usize {
    match elements.is_multiple_of(4) {
        true => 4,
        false => 1,
    }
}

type Primitive = <Cube as burn::backend::BackendTypes>::FloatTensorPrimitive;
