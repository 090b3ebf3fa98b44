//! The averages of squared gradients that optimizers of the Adam family divide by.

use std::collections::HashMap;

use burn::module::ParamId;
use burn::tensor::Tensor;

use super::kernel::Buffer;

/// The averages of squared gradients of an optimizer, by parameter, as they are now: what
/// [`ModelOptimizer::second_moments`](super::ModelOptimizer::second_moments) shows, and a
/// [`Watch`](crate::monitor::Watch::second_moments) looks at.
///
/// # Cost
/// Handles. While one is held, the optimizer's next update cannot write over its own state, and needs
/// memory for another.
#[derive(Debug, Clone, Default)]
pub struct SecondMoments {
    of: HashMap<ParamId, SecondMoment>,
}

/// That of one parameter.
#[derive(Debug, Clone)]
pub(super) struct SecondMoment {
    pub(super) average: Buffer,
    /// What its bias is divided by.
    pub(super) correction: f64,
    pub(super) epsilon: f64,
}

impl SecondMoments {
    /// Whether there are none: the optimizer has no such averages, or has made no update yet.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    pub(super) fn put(&mut self, id: ParamId, moment: SecondMoment) {
        self.of.insert(id, moment);
    }

    /// The average, what it is to be divided by, and `ε`.
    pub(crate) fn get<const D: usize>(&self, id: ParamId) -> Option<(Tensor<D>, f64, f64)> {
        let SecondMoment { average, correction, epsilon } = self.of.get(&id)?.clone();
        Some((average.into_tensor(), correction, epsilon))
    }
}
