//! Tensors of CubeCL devices, in the form that this crate's kernels take.
//!
//! With Burn's fusion, such a tensor does not exist yet when it is requested: it is a promise of one, and a kernel is
//! an operation in the queue that fulfills the promises. Whether fusion is enabled depends on the program's build, so
//! it is found out here from the type.

use burn::backend::{BackendTensor, BackendTypes, DispatchTensor, DispatchTensorKind};
use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{Cube, CubeBackend};
use burn_fusion::custom::{CustomOpIr, OperationFn, OperationIr, StreamId, TensorIr};
use burn_fusion::{Fusion, FusionBackend};

/// A float tensor in Burn's backend: a promise with fusion, and a [`CubeTensor`] without it.
pub(crate) type Primitive = <Cube as BackendTypes>::FloatTensorPrimitive;

/// How kernels access tensors, with and without fusion.
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
            // The last user of a tensor takes it out, so that a kernel may write over it.
            let tensors = inputs.iter().map(|input| handles.get_float_tensor::<B>(input)).collect();
            for (output, tensor) in outputs.iter().zip(kernels(tensors)) {
                handles.register_float_tensor::<B>(&output.id, tensor);
            }
            Ok(())
        });
        client.register(StreamId::current(), operation, run)
    }
}

/// Runs kernels over float tensors of one CubeCL device; there must be at least one. The results have the given shapes
/// and types.
///
/// With fusion, the kernels run later, on another thread, and after the operations that the inputs wait for; the name
/// tells the queue what may follow what.
pub(crate) fn call(
    name: &'static str,
    inputs: Vec<Primitive>,
    outputs: Vec<(Shape, DType)>,
    kernels: impl Fn(Vec<CubeTensor>) -> Vec<CubeTensor> + Send + Sync + 'static,
) -> Vec<Primitive> {
    Cube::run(name, inputs, outputs, kernels)
}

/// Returns the tensor as the backend has it, if it is on a CubeCL device and of type `f32` or of a half precision that
/// the device computes with; otherwise returns the tensor unchanged. Tensors without elements are always returned
/// unchanged: not every device can launch a kernel over nothing.
// The error is the argument itself, and goes no further than the caller.
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

/// Returns all tensors [taken](taken), or all of them unchanged.
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

/// Returns the tensor as Burn has it.
pub(crate) fn given<const D: usize>(tensor: Primitive) -> Tensor<D> {
    Tensor::from_primitive::<Cube>(tensor)
}

/// Returns how many elements a unit reads at once, for this number of contiguous elements.
pub(crate) fn width(elements: usize) -> usize {
    match elements.is_multiple_of(4) {
        true => 4,
        false => 1,
    }
}
