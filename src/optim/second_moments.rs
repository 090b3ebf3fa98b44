//! The averages of squared gradients that optimizers of the Adam family divide by.

use std::collections::HashMap;

use burn::module::ParamId;
use burn::tensor::Tensor;

use super::kernel::Buffer;

/// An optimizer's current averages of squared gradients, by parameter.
/// [`ModelOptimizer::second_moments`](super::ModelOptimizer::second_moments) returns them, and a
/// [`Watch`](crate::monitor::Watch::second_moments) looks at them.
///
/// # Cost
/// Handles only. While one is held, the optimizer's next update cannot overwrite its state, and needs memory for
/// another.
#[derive(Debug, Clone, Default)]
pub struct SecondMoments {
    of: HashMap<ParamId, SecondMoment>,
}

/// The average of one parameter.
#[derive(Debug, Clone)]
pub(super) struct SecondMoment {
    pub(super) average: Buffer,
    /// Divisor that corrects its bias.
    pub(super) correction: f64,
    pub(super) epsilon: f64,
}

impl SecondMoments {
    /// Returns whether there are none: the optimizer has no such averages, or has made no update yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    pub(super) fn put(&mut self, id: ParamId, moment: SecondMoment) {
        self.of.insert(id, moment);
    }

    /// Returns the average, the divisor that corrects its bias, and `ε`.
    pub(crate) fn get<const D: usize>(&self, id: ParamId) -> Option<(Tensor<D>, f64, f64)> {
        let SecondMoment { average, correction, epsilon } = self.of.get(&id)?.clone();
        Some((average.into_tensor(), correction, epsilon))
    }
}
