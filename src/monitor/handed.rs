//! What a caller hands over, checked by what the host knows of it: nothing is read.

use std::fmt;

use burn::tensor::Tensor;

use crate::Error;

/// Why a loss cannot be used.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Misfit {
    /// The tensor of this name has so many elements, and stands for one number.
    Elements(&'static str, usize),
}

impl Misfit {
    /// As an error of the public item `owner`.
    pub(crate) fn of(self, owner: &'static str) -> Error {
        match self {
            Self::Elements(name, got) => {
                Error::parameter(owner, name, ONE, format_args!("{got}: {REDUCE}"))
            }
        }
    }
}

const ONE: &str = "one number";
const REDUCE: &str = "reduce it with `.mean()`";

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elements(name, got) => write!(f, "`{name}` must be {ONE}, got {got}: {REDUCE}"),
        }
    }
}

/// Checks that `value` has one element: of several the first alone would be read.
pub(crate) fn one_number(name: &'static str, value: &Tensor<1>) -> Result<(), Misfit> {
    match value.shape().num_elements() {
        1 => Ok(()),
        elements => Err(Misfit::Elements(name, elements)),
    }
}
