//! A penalty on the normalizer of the softmax.

use burn::tensor::{Bool, Tensor};

use crate::Error;
use crate::error::check::Param;
use crate::widen::widened;

/// A term to add to a cross-entropy, which keeps the softmax's normalizer near 1.
///
/// ```text
/// z_loss = coefficient·mean(log²Z)        Z = Σ_k exp(logit_k)
/// ```
///
/// The softmax doesn't change when a number is added to all logits, so nothing else keeps them from drifting to where
/// half precision is coarse or overflows. The usual coefficient is 10⁻⁴.
///
/// ```
/// use burn::nn::loss::CrossEntropyLossConfig;
/// use burn::tensor::{Device, Int, Tensor};
/// use evenkeel::logits::ZLoss;
///
/// let device = Device::default().autodiff();
/// let logits = Tensor::<2>::from_floats([[0.0, 0.0], [0.0, 0.0]], &device);
/// let targets = Tensor::<1, Int>::from_ints([0, 1], &device);
///
/// let z_loss = ZLoss::new(1e-4)?.forward(logits.clone());
/// assert!((z_loss.clone().into_scalar::<f32>() - 1e-4 * 2f32.ln().powi(2)).abs() < 1e-9);
/// let loss = CrossEntropyLossConfig::new().init(&device).forward(logits, targets) + z_loss;
/// # let _ = loss;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Shapes
/// Logits `[…, classes]` of any rank; the result is one number, of the element type of the logits. The sums are taken
/// in `f32` or wider.
///
/// # Cost
/// About eight passes over the logits, and their backward passes.
///
/// # Source
/// Chowdhery et al., "PaLM", 2022, section 5; Wortsman et al., "Small-scale proxies for large-scale transformer training
/// instabilities", 2023.
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "z_loss")]
pub struct ZLoss {
    coefficient: f64,
}

impl ZLoss {
    /// Creates the term with this coefficient.
    ///
    /// # Errors
    /// If it is not a positive finite number.
    pub fn new(coefficient: f64) -> Result<Self, Error> {
        Ok(Self { coefficient: Param("ZLoss", "coefficient").positive(coefficient)? })
    }

    /// Returns the term, over all rows.
    #[must_use]
    pub fn forward<const D: usize>(&self, logits: Tensor<D>) -> Tensor<1> {
        let dtype = logits.dtype();
        log_z(logits).powi_scalar(2).mean().mul_scalar(self.coefficient).cast(dtype)
    }

    /// Returns the term over the rows for which `counts` is true, which leaves out padding: a tensor of the shape of the
    /// logits, but for a last axis of length 1. It is 0 if no row counts.
    ///
    /// # Errors
    /// If `counts` has another shape.
    pub fn forward_masked<const D: usize>(
        &self,
        logits: Tensor<D>,
        counts: Tensor<D, Bool>,
    ) -> Result<Tensor<1>, Error> {
        let (shape, got, dtype) = (logits.dims(), counts.dims(), logits.dtype());
        let mut must = shape;
        must[D - 1] = 1;
        Param("ZLoss", "counts").must(
            got == must,
            format_args!("of shape {must:?}"),
            format_args!("{got:?}"),
        )?;
        let padding = counts.clone().bool_not();
        // Before the logarithm too: 0·NaN would be NaN in the gradient.
        let logits = logits.mask_fill(padding.clone().expand(shape), 0.0);
        let squares = log_z(logits).powi_scalar(2).mask_fill(padding, 0.0);
        let rows = counts.float().sum().clamp_min(1.0).cast(squares.dtype());
        Ok((squares.sum() / rows).mul_scalar(self.coefficient).cast(dtype))
    }
}

/// `log Σ exp(x)` along the last axis, which stays with a length of 1.
fn log_z<const D: usize>(logits: Tensor<D>) -> Tensor<D> {
    let logits = widened(logits);
    // Its gradient is zero but for rounding: the shift cancels.
    let largest = logits.clone().detach().max_dim(D - 1);
    (logits - largest.clone()).exp().sum_dim(D - 1).log() + largest
}
