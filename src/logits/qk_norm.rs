//! Normalized queries and keys.

use burn::module::Module;
use burn::nn::{RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Tensor};

use crate::Error;
use crate::error::check::Param;

/// Normalizes the queries and the keys of each head before their product, so that the logits of attention don't grow with
/// the weights that make them (QK-norm).
///
/// ```text
/// q ← γ_q·q/rms(q)    k ← γ_k·k/rms(k)    over the dimension of the head
/// ```
///
/// With the initial gains of 1, the logits `q·k/√d` lie between `±√d`, at any scale of the weights: the length of a step
/// in these weights no longer sets the sharpness of attention.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use evenkeel::logits::QkNorm;
///
/// let device = Device::default();
/// let norm = QkNorm::new(16, &device)?;
/// // [batch, heads, positions, dimension of a head]
/// let huge = || Tensor::<4>::random([2, 4, 8, 16], Distribution::Normal(0.0, 1e3), &device);
///
/// let (q, k) = norm.forward(huge(), huge())?;
/// let logits = q.matmul(k.swap_dims(2, 3)) / 16f32.sqrt();
/// assert!(logits.abs().max().into_scalar::<f32>() <= 4.001);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Cost
/// Two of Burn's [`RmsNorm`], with `2·d` parameters.
///
/// # Source
/// Henry et al., "Query-key normalization for transformers", 2020; Dehghani et al., "Scaling vision transformers to 22
/// billion parameters", 2023, with LayerNorm; OLMo 2, 2024, with RMSNorm as here.
#[derive(Module, Debug)]
pub struct QkNorm {
    query: RmsNorm,
    key: RmsNorm,
}

impl QkNorm {
    /// Creates it for heads of this dimension, with gains of 1.
    ///
    /// # Errors
    /// If the dimension is 0.
    pub fn new(head_dimension: usize, device: &Device) -> Result<Self, Error> {
        Param("QkNorm", "head_dimension").at_least(1, head_dimension as u64)?;
        let norm = || RmsNormConfig::new(head_dimension).init(device);
        Ok(Self { query: norm(), key: norm() })
    }

    /// Returns the normalized queries and keys.
    ///
    /// # Shapes
    /// `[…, head_dimension]` each, with any number of axes before; queries and keys may differ in those.
    ///
    /// # Errors
    /// If the last axis of one has another length.
    pub fn forward<const D: usize>(
        &self,
        q: Tensor<D>,
        k: Tensor<D>,
    ) -> Result<(Tensor<D>, Tensor<D>), Error> {
        let [dimension] = self.query.gamma.shape().dims();
        for (name, tensor) in [("q", &q), ("k", &k)] {
            let got = tensor.dims();
            let must = format_args!("of a last axis of {dimension}");
            Param("QkNorm", name).must(
                got.last() == Some(&dimension),
                must,
                format_args!("{got:?}"),
            )?;
        }
        Ok((self.query.forward(q), self.key.forward(k)))
    }
}
