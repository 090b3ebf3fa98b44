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

#[cfg(test)]
mod tests {
    use burn::optim::{Optimizer, SgdConfig};
    use burn::tensor::{Device, Tensor};

    use super::{Lars, TrustRatio};

    /// A step at a rate of 1 from elements of 3 along a gradient of 1: where a matrix of four elements arrives, and where
    /// a vector does.
    fn arrive<O: Optimizer>(rule: &O) -> [f32; 2] {
        fn at<O: Optimizer, const D: usize>(rule: &O, shape: [usize; D]) -> f32 {
            let tensor = |x: f32| Tensor::<D>::full(shape, x, &Device::flex());
            let (arrived, _) = rule.step(1.0, tensor(3.0), tensor(1.0), None);
            arrived.max().into_scalar::<f32>()
        }
        [at(rule, [2, 2]), at(rule, [4])]
    }

    /// Both norms are 6 and 2: LARS scales the gradient to a tenth of 6, a trust ratio the step to all of it.
    #[test]
    fn only_matrices_are_scaled_if_asked_for() {
        let near = |is: [f32; 2], should: [f32; 2]| {
            assert!(is.iter().zip(should).all(|(a, b)| (a - b).abs() < 1e-6), "{is:?} {should:?}");
        };
        let sgd = || SgdConfig::new().build();
        near(arrive(&Lars::new(0.1, sgd()).unwrap()), [2.7, 2.7]);
        near(arrive(&Lars::new(0.1, sgd()).unwrap().matrices_only()), [2.7, 2.0]);
        near(arrive(&TrustRatio::new(sgd())), [0.0, 0.0]);
        near(arrive(&TrustRatio::new(sgd()).matrices_only()), [0.0, 2.0]);
    }
}
