//! Conversion of shelves of tensors to bytes and back.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bytes, ExecutionError, Tensor, TensorData};
use burn_pack::{Reader, Writer};

use crate::Error;
use crate::tensor_shelf::Shelf;

/// Converts everything on a shelf to bytes, by the paths that the parameters have in `model`.
pub(crate) fn to_bytes<M: Module>(shelf: &Shelf, model: &M) -> Result<Vec<u8>, Error> {
    let mut save = Save { shelf, path: Vec::new(), found: BTreeMap::new(), failed: None };
    model.visit(&mut save);
    if let Some(cause) = save.failed {
        return Err(Error::io("reading tensors from the device", cause));
    }
    let tensors = save.found.into_iter().map(|(path, data)| {
        let (bytes, shape, dtype) = data.into_parts();
        burn_pack::Tensor::new(path, dtype, shape, None, bytes)
    });
    let bytes = Writer::new(tensors.collect()).into_bytes();
    Ok(bytes.map_err(|cause| Error::io("writing tensors", cause))?.to_vec())
}

/// Returns the shelf that [`to_bytes`] wrote, for a model of the same architecture.
pub(crate) fn from_bytes<M: Module>(bytes: &[u8], model: &M) -> Result<Shelf, Error> {
    let damaged = |cause| Error::record(format_args!("kept tensors are damaged: {cause}"));
    let reader = Reader::from_bytes(Bytes::from_bytes_vec(bytes.to_vec())).map_err(damaged)?;
    let mut data = BTreeMap::new();
    for tensor in reader.into_tensors().map_err(damaged)? {
        let (path, dtype, shape, _, bytes) = tensor.into_parts().map_err(damaged)?;
        data.insert(path, TensorData::from_bytes(bytes, shape, dtype));
    }
    let mut load = Load { data, path: Vec::new(), shelf: Shelf::default(), misfit: None };
    model.visit(&mut load);
    let foreign = load.data.into_keys().next();
    match load.misfit.or(foreign) {
        Some(path) => Err(Error::record(format_args!("what was kept for `{path}` does not fit"))),
        None => Ok(load.shelf),
    }
}

/// Reads a tensor's values to the host.
pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> Result<TensorData, ExecutionError> {
    tensor.try_into_data()
}

/// Reads them for Burn's records, whose interface cannot fail.
pub(crate) fn flatten<const D: usize>(tensor: &Tensor<D>) -> TensorData {
    tensor.clone().into_data()
}

struct Save<'a> {
    shelf: &'a Shelf,
    path: Vec<String>,
    found: BTreeMap<String, TensorData>,
    failed: Option<String>,
}

impl ModuleVisitor for Save<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(tensor) = self.shelf.get::<D>(param.id) else { return };
        match tensor.try_into_data() {
            Ok(data) => drop(self.found.insert(self.path.join("."), data)),
            Err(cause) => self.failed = Some(cause.to_string()),
        }
    }
}

struct Load {
    data: BTreeMap<String, TensorData>,
    path: Vec<String>,
    shelf: Shelf,
    misfit: Option<String>,
}

impl ModuleVisitor for Load {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        let Some(data) = self.data.remove(&path) else { return };
        let value = param.base().without_autodiff();
        if data.shape().to_vec() != value.dims() {
            self.misfit = Some(path);
            return;
        }
        let dtype = data.dtype();
        self.shelf.put(param.id, Tensor::<D>::from_data(data, (&value.device(), dtype)));
    }
}
