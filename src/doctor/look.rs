//! Reads the parameters and gradients of a model.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::gradients::Slope;
use crate::Error;
use crate::monitor::numbers;

/// One parameter or buffer, at one place in the model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameter {
    pub(super) id: u64,
    pub(super) path: String,
    /// The type of the layer that holds it, as Burn names it: "Struct:Linear".
    pub(super) layer: String,
    /// The path of the layer that counts as one in the depth of a model: the parameter's own, and for the gates of a
    /// recurrent layer, which work next to each other, that of the whole layer.
    pub(super) level: String,
    pub(super) shape: Vec<usize>,
    pub(super) trainable: bool,
    /// Whether all of its elements are 0.
    pub(super) zero: bool,
    /// A hash of the values, equal for equal values.
    pub(super) bits: u64,
}

impl Parameter {
    pub(super) fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    pub(super) fn is_matrix(&self) -> bool {
        self.shape.len() > 1
    }
}

/// Every parameter; a shared one appears once for each place.
pub(super) fn parameters<M: Module>(model: &M) -> Result<Vec<Parameter>, Error> {
    let mut walk = Walk { path: Vec::new(), found: Vec::new(), failed: None };
    model.visit(&mut walk);
    walk.failed.map_or(Ok(walk.found), Err)
}

struct Walk {
    path: Vec<(String, String)>,
    found: Vec<Parameter>,
    failed: Option<Error>,
}

impl ModuleVisitor for Walk {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push((name.to_string(), container.to_string()));
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.base();
        let shape = value.dims().to_vec();
        let values = match numbers(value) {
            Ok(values) => values,
            Err(error) => {
                self.failed = Some(error);
                return;
            }
        };
        let mut hasher = DefaultHasher::new();
        values.iter().for_each(|x| x.to_bits().hash(&mut hasher));
        let names: Vec<&str> = self.path.iter().map(|(name, _)| name.as_str()).collect();
        let gate = self.path.iter().position(|(_, layer)| layer == "Struct:GateController");
        self.found.push(Parameter {
            id: param.id.val(),
            path: names.join("."),
            level: names[..gate.unwrap_or(names.len())].join("."),
            layer: self.path.last().map(|(_, layer)| layer.clone()).unwrap_or_default(),
            shape,
            trainable: param.is_require_grad(),
            zero: values.iter().all(|x| *x == 0.0),
            bits: hasher.finish(),
        });
    }
}

/// The norms of every trainable parameter and of its gradient, each parameter once.
pub(super) fn slopes<M: Module>(model: &M, grads: &GradientsParams) -> Result<Vec<Slope>, Error> {
    let mut walk =
        Slopes { grads, seen: Vec::new(), path: Vec::new(), found: Vec::new(), failed: None };
    model.visit(&mut walk);
    walk.failed.map_or(Ok(walk.found), Err)
}

struct Slopes<'a> {
    grads: &'a GradientsParams,
    seen: Vec<u64>,
    path: Vec<String>,
    found: Vec<Slope>,
    failed: Option<Error>,
}

impl ModuleVisitor for Slopes<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() || self.seen.contains(&param.id.val()) {
            return;
        }
        self.seen.push(param.id.val());
        let norm = |tensor| Ok(numbers(tensor)?.iter().map(|x| x * x).sum::<f64>().sqrt());
        let value = param.base();
        let elements = value.shape().num_elements();
        let read = || -> Result<_, Error> {
            Ok((norm(value)?, self.grads.get::<D>(param.id).map(norm).transpose()?))
        };
        match read() {
            Ok((size, grad)) => {
                let path = self.path.join(".");
                self.found.push(Slope { path, matrix: D > 1, elements, size, grad });
            }
            Err(error) => self.failed = Some(error),
        }
    }
}
