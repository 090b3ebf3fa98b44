//! Kinds of harm, and the places where it is done.

use std::fmt;

use burn::tensor::Tensor;

use super::draw;
use crate::Error;

/// A kind of harm to a tensor.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::faults::{Harm, Injector, Place, When};
///
/// let mut faults = Injector::new(7).inject(Harm::Spike(10.0), Place::Batch, When::at([3]))?;
/// let batch = Tensor::<1>::from_floats([1.0, 2.0], &Device::default());
/// assert_eq!(faults.batch(2, batch.clone()).sum().into_scalar::<f64>(), 3.0);
/// assert_eq!(faults.batch(3, batch).sum().into_scalar::<f64>(), 30.0);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Harm {
    /// One element, drawn at random, becomes NaN.
    Nan,
    /// One element becomes +∞.
    Infinity,
    /// One element becomes −∞.
    NegativeInfinity,
    /// One element becomes half of the largest number of its type, which is finite but overflows when squared.
    Overflow,
    /// All elements are multiplied by this factor.
    Spike(f64),
    /// All elements become 0.
    Zero,
    /// The batch of the step at which the harm began is repeated. Only for [`Place::Batch`], and only seen by loops
    /// that ask [`Injector::batch_at`](super::Injector::batch_at) which batch to use.
    Repeat,
}

/// Where harm is done.
///
/// ```
/// use evenkeel::faults::{Harm, Injector, Place, When};
///
/// let faults = Injector::new(7).inject(Harm::Zero, Place::gradient("head"), When::at([3]))?;
/// assert_eq!(faults, Injector::new(7).dead("head", When::at([3]))?);
///
/// // Only a batch can be repeated.
/// let wrong = Injector::new(7).inject(Harm::Repeat, Place::Loss, When::at([3]));
/// assert!(wrong.unwrap_err().is_parameter());
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// The batch: any tensor passed through [`Injector::batch`](super::Injector::batch).
    Batch,
    /// The loss: any tensor passed through [`Injector::loss`](super::Injector::loss). It is multiplied, so that the
    /// harm carries over into the gradients if this happens before the backward pass.
    Loss,
    /// Every gradient.
    Gradients,
    /// The gradients of the parameter at this path, or of all parameters under it: `"head"` matches `head` and
    /// `head.weight`, but not `header.weight`.
    Gradient(String),
    /// The gradient of one parameter, drawn at random at each step.
    AnyGradient,
}

impl Place {
    /// Returns the place of the gradient or gradients at this path.
    pub fn gradient(path: impl Into<String>) -> Self {
        Self::Gradient(path.into())
    }

    /// Returns whether the place is among the gradients.
    pub(super) fn is_gradient(&self) -> bool {
        matches!(self, Self::Gradients | Self::Gradient(_) | Self::AnyGradient)
    }
}

impl Harm {
    pub(super) fn check(self, place: &Place) -> Result<Self, Error> {
        match self {
            Self::Spike(k) if !k.is_finite() => {
                Err(Error::parameter("Harm", "Spike", "a finite number", k))
            }
            Self::Repeat if *place != Place::Batch => {
                Err(Error::parameter("Harm", "Repeat", "put on Place::Batch", place))
            }
            _ => Ok(self),
        }
    }

    /// Returns the value for the element that is hit; `None` if all elements are.
    fn element<const D: usize>(self, tensor: &Tensor<D>) -> Option<f64> {
        match self {
            Self::Nan => Some(f64::NAN),
            Self::Infinity => Some(f64::INFINITY),
            Self::NegativeInfinity => Some(f64::NEG_INFINITY),
            Self::Overflow => Some(half_of_the_largest(tensor)),
            Self::Spike(_) | Self::Zero | Self::Repeat => None,
        }
    }

    /// Returns the tensor with the harm done to it; `word` draws the element. Autodiff passes through.
    pub(super) fn on<const D: usize>(self, tensor: Tensor<D>, word: u64) -> Tensor<D> {
        let len = tensor.shape().num_elements();
        if len == 0 {
            return tensor;
        }
        match (self, self.element(&tensor)) {
            (_, Some(value)) => {
                let (shape, at) = (tensor.shape(), draw::below(len, word));
                let options = (&tensor.device(), tensor.dtype());
                let value = Tensor::<1>::full([1], value, options);
                tensor.reshape([len]).slice_assign(at..at + 1, value).reshape(shape)
            }
            (Self::Spike(k), _) => tensor.mul_scalar(k),
            // Not a product with 0, which would keep NaN.
            (Self::Zero, _) => tensor.zeros_like(),
            _ => tensor,
        }
    }

    /// Returns the loss with the harm done to it, as a product.
    pub(super) fn on_loss(self, loss: Tensor<1>) -> Tensor<1> {
        let factor = match self {
            Self::Spike(k) => k,
            Self::Zero => 0.0,
            Self::Repeat => 1.0,
            _ => self.element(&loss).unwrap_or(1.0),
        };
        loss.mul_scalar(factor)
    }
}

fn half_of_the_largest<const D: usize>(tensor: &Tensor<D>) -> f64 {
    tensor.dtype().finfo().map_or(f64::from(f32::MAX), |info| info.max) / 2.0
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nan => f.write_str("NaN"),
            Self::Infinity => f.write_str("+∞"),
            Self::NegativeInfinity => f.write_str("−∞"),
            Self::Overflow => f.write_str("a value whose square overflows"),
            Self::Spike(k) => write!(f, "a factor of {k}"),
            Self::Zero => f.write_str("zeros"),
            Self::Repeat => f.write_str("an earlier batch again"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch => f.write_str("the batch"),
            Self::Loss => f.write_str("the loss"),
            Self::Gradients => f.write_str("all gradients"),
            Self::Gradient(path) => write!(f, "the gradient of `{path}`"),
            Self::AnyGradient => f.write_str("one gradient"),
        }
    }
}
