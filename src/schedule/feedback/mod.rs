//! Factors that learn from the run.
//!
//! They are schedules, and are asked by [`at`](super::Schedule::at) as all others; but what they
//! answer depends on what they were told. They are told through a handle: a clone of the schedule,
//! with which it shares its memory.

mod damped;
mod damping;
mod greedy;
mod metric;
mod plateau;
mod setback;

pub(crate) use damped::Damped;
pub use damping::Damping;
pub use greedy::Greedy;
pub use plateau::Plateau;
pub use setback::Setback;

#[cfg(feature = "serde")]
pub(super) use metric::Threshold;
