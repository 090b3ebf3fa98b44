//! Cautious steps: along the gradient only.

use burn::optim::Optimizer;
use burn::tensor::Tensor;

use super::super::kernel;
use super::{Stepped, less, state_of_inner, taken};

/// Keeps only those elements of an optimizer's step that point along the gradient, and divides them by their share,
/// taken as at least 0.001 ([Liang et al. 2024](https://arxiv.org/abs/2411.16085)).
///
/// ```text
/// d = p − p'      φ = [d·g > 0]      p ← p − d·φ/max(mean(φ), 0.001)
/// ```
///
/// ```
/// use burn::optim::ModuleOptimizer;
/// use evenkeel::optim::{Cautious, Momentum};
///
/// let optimizer = ModuleOptimizer::from(Cautious::new(Momentum::new(0.9)?));
/// # let _ = optimizer;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// Weight decay in the wrapped optimizer is part of its step, and masked with it. The rules of the Adam family have
/// their own setting, [`cautious`](super::super::Adaptive::cautious), which is fused and leaves the decay alone.
///
/// # Cost
/// About eight passes in addition to the optimizer's.
#[derive(Clone, Debug)]
pub struct Cautious<O> {
    inner: O,
}

impl<O: Optimizer> Cautious<O> {
    /// Wraps an optimizer.
    pub fn new(inner: O) -> Self {
        Self { inner }
    }
}

impl<O: Optimizer> Optimizer for Cautious<O> {
    state_of_inner!();

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> Stepped<O, D> {
        let (step, state) = taken(&self.inner, lr, tensor.clone(), grad.clone(), state);
        let step = kernel::cautious(step.clone(), grad.cast(step.dtype()));
        (less(tensor, step), state)
    }
}
