//! A smooth bound.

use burn::tensor::Tensor;

use crate::Error;
use crate::error::check::Param;

/// Bounds logits smoothly by `cap`: near 0 they are unchanged, and none is beyond `±cap`.
///
/// ```text
/// x ← cap·tanh(x/cap)        slope 1 − tanh²(x/cap)
/// ```
///
/// Gemma 2 uses 50 for the logits of attention and 30 for those of the output.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::logits::soft_cap;
///
/// let x = Tensor::<1>::from_floats([0.3, 1e4, -1e4], &Device::default());
/// let capped: Vec<f32> = soft_cap(x, 30.0)?.into_data().iter().collect();
/// assert!((capped[0] - 0.3).abs() < 1e-4);
/// assert_eq!(capped[1..], [30.0, -30.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Edges
/// NaN stays NaN, and ±∞ becomes `±cap`: a fault in front of the cap may become finite here, and shows in the gradient
/// alone, if at all.
///
/// # Errors
/// If `cap` is not a positive finite number.
///
/// # Cost
/// Three elementwise operations.
///
/// # Source
/// Bello et al., "Neural combinatorial optimization with reinforcement learning", 2016; Gemma Team, "Gemma 2", 2024.
#[doc(alias = "logit_softcapping")]
pub fn soft_cap<const D: usize>(x: Tensor<D>, cap: f64) -> Result<Tensor<D>, Error> {
    let cap = Param("soft_cap", "cap").positive(cap)?;
    Ok(x.div_scalar(cap).tanh().mul_scalar(cap))
}
