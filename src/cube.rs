//! Tensors of CubeCL devices, as kernels of our own take them.
//!
//! With Burn's fusion such a tensor is not there yet when it is asked for, but a promise of one: then
//! it is left to tensor operations, which fusion joins into kernels by itself. Whether fusion is on is
//! settled by whoever builds the program, and so it is found out here from the type.

use std::any::Any;

use burn::backend::{BackendTensor, BackendTypes, DispatchTensor, DispatchTensorKind};
use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::Cube;
use burn_cubecl::tensor::CubeTensor;

/// A float tensor as kernels take it.
pub(crate) type Primitive = CubeTensor;

/// Runs kernels over float tensors of one CubeCL device. What comes of it has these shapes and types.
pub(crate) fn call(
    _name: &'static str,
    inputs: Vec<Primitive>,
    _outputs: Vec<(Shape, DType)>,
    kernels: impl Fn(Vec<CubeTensor>) -> Vec<CubeTensor>,
) -> Vec<Primitive> {
    kernels(inputs)
}

/// The tensor as the backend has it, if it is one of a CubeCL device, of `f32` or of a half precision
/// that the device computes with; else the tensor back. Never one of no elements: not every device can
/// launch a kernel over nothing.
// What is given back is what was given, and goes no further than the caller.
#[allow(clippy::result_large_err)]
pub(crate) fn taken<const D: usize>(tensor: Tensor<D>) -> Result<Primitive, Tensor<D>> {
    let fits = match tensor.dtype() {
        DType::F32 => true,
        half @ (DType::F16 | DType::BF16) => tensor.device().supports_dtype(half),
        _ => false,
    };
    if !fits || tensor.dims().contains(&0) {
        return Err(tensor);
    }
    let back = |kind, autodiff| Tensor::from_dispatch(DispatchTensor { kind, autodiff });
    let DispatchTensor { kind, autodiff } = tensor.into_dispatch();
    let DispatchTensorKind::Cube(BackendTensor::Float(float)) = kind else {
        return Err(back(kind, autodiff));
    };
    let mut float = Some(float);
    match (&mut float as &mut dyn Any).downcast_mut::<Option<CubeTensor>>().and_then(Option::take) {
        Some(cube) => Ok(cube),
        None => match float {
            Some(float) => {
                Err(back(DispatchTensorKind::Cube(BackendTensor::Float(float)), autodiff))
            }
            None => unreachable!("only taken above"),
        },
    }
}

/// All of them [taken](taken), or all of them back.
pub(crate) fn all_taken<const D: usize>(
    tensors: Vec<Tensor<D>>,
) -> Result<Vec<Primitive>, Vec<Tensor<D>>> {
    let mut done = Vec::with_capacity(tensors.len());
    let mut tensors = tensors.into_iter();
    while let Some(tensor) = tensors.next() {
        match taken(tensor) {
            Ok(primitive) => done.push(primitive),
            Err(tensor) => {
                return Err(done.into_iter().map(given).chain([tensor]).chain(tensors).collect());
            }
        }
    }
    Ok(done)
}

/// The tensor as Burn has it.
pub(crate) fn given<const D: usize>(cube: Primitive) -> Tensor<D> {
    let mut cube = Some(cube);
    let mut float = None;
    if let Some(same) = (&mut cube as &mut dyn Any).downcast_mut::<Option<OfBurn>>() {
        float = same.take();
    }
    match float {
        Some(float) => Tensor::from_primitive::<Cube>(float),
        None => unreachable!("without fusion the two types are one, and with it none was taken"),
    }
}

type OfBurn = <Cube as BackendTypes>::FloatTensorPrimitive;

/// How many elements a unit reads at once, of so many that lie in order.
pub(crate) fn width(elements: usize) -> usize {
    match elements.is_multiple_of(4) {
        true => 4,
        false => 1,
    }
}
