//! Wrappers that add stability to any optimizer of Burn or of this crate.
//!
//! A wrapper is a Burn [`Optimizer`](burn::optim::Optimizer) itself, and wrappers can be nested.
//! [`ModuleOptimizer::from`](burn::optim::ModuleOptimizer) makes an optimizer for a whole model of it, which
//! [`Keel::wrap`](crate::Keel::wrap) accepts.

mod adaptive_clip;
mod cautious;
mod lars;
mod lookahead;
mod p_norm;
mod trust_ratio;
mod value_clip;

pub use adaptive_clip::AdaptiveClip;
pub use cautious::Cautious;
pub use lars::Lars;
pub use lookahead::{Lookahead, LookaheadState};
pub use p_norm::PNormClip;
pub use trust_ratio::TrustRatio;
pub use value_clip::ValueClip;

use burn::optim::Optimizer;
use burn::tensor::Tensor;

use super::kernel;

/// Returns what one update subtracts from a tensor, `p − p'`, and the state. The update is computed in at least `f32`:
/// in half precision most of it would be lost in the rounding of `p'`.
fn taken<O: Optimizer, const D: usize>(
    inner: &O,
    lr: f64,
    tensor: Tensor<D>,
    grad: Tensor<D>,
    state: Option<O::State<D>>,
) -> Stepped<O, D> {
    let wide = kernel::wide(tensor.dtype());
    let before = tensor.cast(wide);
    let (after, state) = inner.step(lr, before.clone(), grad.cast(wide), state);
    (before - after, state)
}

/// Returns `p − d`, in the type of `p`.
fn less<const D: usize>(before: Tensor<D>, taken: Tensor<D>) -> Tensor<D> {
    let stored = before.dtype();
    (before.cast(taken.dtype()) - taken).cast(stored)
}

/// Defines `State` and `to_device` of a wrapper that adds no state.
macro_rules! state_of_inner {
    () => {
        type State<const D: usize> = O::State<D>;

        fn to_device<const D: usize>(
            state: Self::State<D>,
            device: &burn::tensor::Device,
        ) -> Self::State<D> {
            O::to_device(state, device)
        }
    };
}
use state_of_inner;

/// The result of an inner step: the tensor and the state.
type Stepped<O, const D: usize> = (Tensor<D>, Option<<O as Optimizer>::State<D>>);
