//! Tensors of CubeCL devices, as kernels of our own take them.
//!
//! With Burn's fusion such a tensor is not there yet when it is asked for, but a promise of one, and a
//! kernel is an operation in the queue that keeps the promises. Whether fusion is on is settled by
//! whoever builds the program, and so it is found out here from the type.

use burn::backend::{BackendTensor, BackendTypes, DispatchTensor, DispatchTensorKind};
use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{Cube, CubeBackend};
use burn_fusion::custom::{CustomOpIr, OperationFn, OperationIr, StreamId, TensorIr};
use burn_fusion::{Fusion, FusionBackend};

/// A float tensor as Burn's backend has it: a promise with fusion, and without it a [`CubeTensor`].
pub(crate) type Primitive = <Cube as BackendTypes>::FloatTensorPrimitive;

/// How kernels get at tensors, with fusion and without.
trait Reach: BackendTypes {
    /// Runs kernels over tensors of one device.
    fn run<K>(
        name: &'static str,
        inputs: Vec<Self::FloatTensorPrimitive>,
        outputs: Vec<(Shape, DType)>,
        kernels: K,
    ) -> Vec<Self::FloatTensorPrimitive>
    where
        K: Fn(Vec<CubeTensor>) -> Vec<CubeTensor> + Send + Sync + 'static;
}

impl Reach for CubeBackend {
    fn run<K>(
        _name: &'static str,
        inputs: Vec<CubeTensor>,
        _outputs: Vec<(Shape, DType)>,
        kernels: K,
    ) -> Vec<CubeTensor>
    where
        K: Fn(Vec<CubeTensor>) -> Vec<CubeTensor> + Send + Sync + 'static,
    {
        kernels(inputs)
    }
}

impl<B> Reach for Fusion<B>
where
    B: FusionBackend + BackendTypes<FloatTensorPrimitive = CubeTensor>,
{
    fn run<K>(
        name: &'static str,
        inputs: Vec<Self::FloatTensorPrimitive>,
        outputs: Vec<(Shape, DType)>,
        kernels: K,
    ) -> Vec<Self::FloatTensorPrimitive>
    where
        K: Fn(Vec<CubeTensor>) -> Vec<CubeTensor> + Send + Sync + 'static,
    {
        let Some(client) = inputs.first().map(|tensor| tensor.client.clone()) else {
            return Vec::new();
        };
        let inputs: Vec<TensorIr> = inputs.into_iter().map(|tensor| tensor.into_ir()).collect();
        let output = |(shape, dtype)| TensorIr::uninit(client.create_empty_handle(), shape, dtype);
        let outputs: Vec<TensorIr> = outputs.into_iter().map(output).collect();
        let operation = OperationIr::Custom(CustomOpIr::new(name, &inputs, &outputs));
        let run = OperationFn(move |handles: &mut burn_fusion::custom::HandleContainer<_>| {
            // Whoever is last to use a tensor takes it out, so that a kernel may write over it.
            let tensors = inputs.iter().map(|input| handles.get_float_tensor::<B>(input)).collect();
            for (output, tensor) in outputs.iter().zip(kernels(tensors)) {
                handles.register_float_tensor::<B>(&output.id, tensor);
            }
            Ok(())
        });
        client.register(StreamId::current(), operation, run)
    }
}

/// Runs kernels over float tensors of one CubeCL device, of which there is at least one. What comes of
/// it has these shapes and types.
///
/// With fusion that is later, on another thread, and after what the inputs wait for; the name tells the
/// queue what may follow what.
pub(crate) fn call(
    name: &'static str,
    inputs: Vec<Primitive>,
    outputs: Vec<(Shape, DType)>,
    kernels: impl Fn(Vec<CubeTensor>) -> Vec<CubeTensor> + Send + Sync + 'static,
) -> Vec<Primitive> {
    Cube::run(name, inputs, outputs, kernels)
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
pub(crate) fn given<const D: usize>(tensor: Primitive) -> Tensor<D> {
    Tensor::from_primitive::<Cube>(tensor)
}

/// How many elements a unit reads at once, of so many that lie in order.
pub(crate) fn width(elements: usize) -> usize {
    match elements.is_multiple_of(4) {
        true => 4,
        false => 1,
    }
}
