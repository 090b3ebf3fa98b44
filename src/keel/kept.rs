//! State that changes together with the parameters.

use burn::module::Module;

use super::accumulate::Accumulated;
use crate::average::Shadow;
use crate::optim::ModelOptimizer;
use crate::running_statistics::Running;

/// Everything that belongs to one state of the weights and changes with them, as one value that is taken, replaced or
/// restored as a whole, so that no exit path can forget a part. Consists of handles: a copy shares buffers until one of
/// the two writes.
pub(super) struct Kept<M: Module> {
    pub(super) update: Box<dyn ModelOptimizer<M>>,
    /// Whether the optimizer took part in an update that was taken back.
    pub(super) spent: bool,
    /// The running statistics as they were after the last applied update.
    pub(super) running: Running,
    pub(super) average: Option<Shadow>,
    pub(super) accumulated: Accumulated,
}

impl<M: Module> Kept<M> {
    /// Returns the part that belongs to the state after an update, without gradients that wait for the next one.
    pub(super) fn taken(&self) -> Self {
        Self {
            update: self.update.boxed(),
            spent: self.spent,
            running: self.running.clone(),
            average: self.average.clone(),
            accumulated: Accumulated::default(),
        }
    }
}
