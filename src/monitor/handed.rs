//! Checks of the loss and gradients passed by a caller, from what the host knows of them: nothing is read.

use std::collections::HashSet;
use std::fmt;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::Error;

/// Why a loss or gradients cannot be used.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Misfit {
    /// The tensor with this name has this many elements, but stands for one number.
    Elements(&'static str, usize),
    /// None of the model's parameters has a gradient; this many require one.
    Foreign(usize),
}

impl Misfit {
    /// Returns the error of the public item `owner`.
    pub(crate) fn of(self, owner: &'static str) -> Error {
        match self {
            Self::Elements(name, got) => {
                Error::parameter(owner, name, ONE, format_args!("{got}: {REDUCE}"))
            }
            Self::Foreign(_) => Error::parameter(owner, "grads", "those of the model", self),
        }
    }

    /// Returns the error for a caller that passed a function for the loss instead of gradients.
    pub(crate) fn of_function(self, owner: &'static str) -> Error {
        match self {
            Self::Foreign(all) => {
                let must = "a function of the model's parameters";
                let got = format_args!("one that has a gradient for none of the {all}");
                Error::parameter(owner, "loss", must, got)
            }
            elements => elements.of(owner),
        }
    }
}

const ONE: &str = "one number";
const REDUCE: &str = "reduce it with `.mean()`";

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elements(name, got) => write!(f, "`{name}` must be {ONE}, got {got}: {REDUCE}"),
            Self::Foreign(0) => f.write_str(
                "none of the model's parameters asks for a gradient: is it frozen, or the `valid()` \
                 copy?",
            ),
            Self::Foreign(all) => write!(
                f,
                "none of the model's {all} parameters has a gradient: are they of another model?"
            ),
        }
    }
}

/// Checks that `value` has one element: of several, only the first would be read.
pub(crate) fn one_number(name: &'static str, value: &Tensor<1>) -> Result<(), Misfit> {
    match value.shape().num_elements() {
        1 => Ok(()),
        elements => Err(Misfit::Elements(name, elements)),
    }
}

/// Checks that some parameter of `model` has a gradient in `grads`: without one, a step does nothing.
pub(crate) fn any_gradient<M: Module>(model: &M, grads: &GradientsParams) -> Result<(), Misfit> {
    let mut find = Find { grads, found: false };
    model.visit(&mut find);
    if find.found {
        return Ok(());
    }
    let mut count = Count(HashSet::new());
    model.visit(&mut count);
    Err(Misfit::Foreign(count.0.len()))
}

/// Makes both checks for the inputs of a step.
pub(crate) fn loss_and_gradients<M: Module>(
    model: &M,
    grads: &GradientsParams,
    loss: &Tensor<1>,
) -> Result<(), Misfit> {
    one_number("loss", loss)?;
    any_gradient(model, grads)
}

struct Find<'a> {
    grads: &'a GradientsParams,
    found: bool,
}

impl ModuleVisitor for Find<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found = self.found || self.grads.get::<D>(param.id).is_some();
    }
}

/// The parameters that require a gradient, each once.
struct Count(HashSet<ParamId>);

impl ModuleVisitor for Count {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.0.insert(param.id);
        }
    }
}
