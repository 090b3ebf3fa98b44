//! Optimizers.
//!
//! [`Update`] is what [`Keel`](crate::Keel) asks of one: to advance a whole model by one step, and to
//! be put back. Burn's [`ModuleOptimizer`](burn::optim::ModuleOptimizer) is one, with all its
//! parameter groups.

mod module;
mod update;

pub use update::{Pace, Update};
