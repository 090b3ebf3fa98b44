//! Burn's CubeCL backend as kernels of our own reach it, with Burn's fusion or without.
//!
//! With fusion a tensor is not there yet when it is asked for, but a promise of one. Then kernels join
//! its queue, all of a call as one operation, which gets the tensors when its turn comes. Whether
//! fusion is on is settled by whoever builds the program; here both are one trait, and the type that
//! Burn has chosen says which.

use burn::backend::{BackendTensor, BackendTypes, DispatchTensor, DispatchTensorKind};
use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{Cube, CubeBackend};
use burn_fusion::custom::{
    CustomOpIr, HandleContainer, OperationFn, OperationIr, StreamId, TensorIr,
};
use burn_fusion::{Fusion, FusionBackend, FusionHandle, FusionTensor};

/// A float tensor as Burn's CubeCL backend has it.
pub(crate) type Primitive = <Cube as BackendTypes>::FloatTensorPrimitive;

type Handle<B> = FusionHandle<<B as FusionBackend>::FusionRuntime>;

/// A backend that kernels can be run on.
pub(crate) trait Reach: BackendTypes {
    /// Runs kernels over some tensors, at least one and all on one device: at once, or when their turn
    /// comes. What comes of it has these shapes and types.
    fn call(
        name: &'static str,
        inputs: Vec<Self::FloatTensorPrimitive>,
        outputs: Vec<(Shape, DType)>,
        kernels: impl Fn(Vec<CubeTensor>) -> Vec<CubeTensor> + Send + Sync + 'static,
    ) -> Vec<Self::FloatTensorPrimitive>;
}

impl Reach for CubeBackend {
    fn call(
        _: &'static str,
        inputs: Vec<CubeTensor>,
        _: Vec<(Shape, DType)>,
        kernels: impl Fn(Vec<CubeTensor>) -> Vec<CubeTensor> + Send + Sync + 'static,
    ) -> Vec<CubeTensor> {
        kernels(inputs)
    }
}

impl<B> Reach for Fusion<B>
where
    B: FusionBackend + BackendTypes<FloatTensorPrimitive = CubeTensor>,
{
    fn call(
        name: &'static str,
        inputs: Vec<FusionTensor<B::FusionRuntime>>,
        outputs: Vec<(Shape, DType)>,
        kernels: impl Fn(Vec<CubeTensor>) -> Vec<CubeTensor> + Send + Sync + 'static,
    ) -> Vec<FusionTensor<B::FusionRuntime>> {
        let Some(client) = inputs.first().map(|tensor| tensor.client.clone()) else {
            return Vec::new();
        };
        // Whoever holds a tensor as the last one gives its buffer away with it.
        let inputs: Vec<_> = inputs.into_iter().map(FusionTensor::into_ir).collect();
        let output = |(shape, dtype)| TensorIr::uninit(client.create_empty_handle(), shape, dtype);
        let outputs: Vec<_> = outputs.into_iter().map(output).collect();
        let ids: Vec<_> = outputs.iter().map(|output| output.id).collect();
        let sources = inputs.clone();
        let operation = OperationFn(move |handles: &mut HandleContainer<Handle<B>>| {
            let inputs = sources.iter().map(|ir| handles.get_float_tensor::<B>(ir)).collect();
            for (id, tensor) in ids.iter().zip(kernels(inputs)) {
                handles.register_float_tensor::<B>(id, tensor);
            }
            Ok(())
        });
        let custom = CustomOpIr { id: name.into(), inputs, outputs, scalars: Vec::new() };
        client.register(StreamId::current(), OperationIr::Custom(custom), operation)
    }
}

/// Runs kernels over float tensors of one CubeCL device: see [`Reach::call`].
pub(crate) fn call(
    name: &'static str,
    inputs: Vec<Primitive>,
    outputs: Vec<(Shape, DType)>,
    kernels: impl Fn(Vec<CubeTensor>) -> Vec<CubeTensor> + Send + Sync + 'static,
) -> Vec<Primitive> {
    <Cube as Reach>::call(name, inputs, outputs, kernels)
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
    let DispatchTensor { kind, autodiff } = tensor.into_dispatch();
    match kind {
        DispatchTensorKind::Cube(BackendTensor::Float(float)) => Ok(float),
        kind => Err(Tensor::from_dispatch(DispatchTensor { kind, autodiff })),
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
pub(crate) fn given<const D: usize>(primitive: Primitive) -> Tensor<D> {
    Tensor::from_primitive::<Cube>(primitive)
}

/// How many elements a unit reads at once, of so many that lie in order.
pub(crate) fn width(elements: usize) -> usize {
    match elements.is_multiple_of(4) {
        true => 4,
        false => 1,
    }
}
