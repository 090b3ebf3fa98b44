//! Feedback: factors that depend on the course of the run.
//!
//! They are schedules, and are read with [`at`](super::Schedule::at) like all others, but their
//! values depend on what was reported to them. Reports go through a handle: a clone of the
//! schedule, which shares its memory.

mod backoff;
mod greedy;
mod level;
mod metric;
mod plateau;
mod setback;

pub use backoff::Backoff;
pub use greedy::Greedy;
pub(crate) use level::BackoffLevel;
pub use plateau::Plateau;
pub use setback::Setback;

#[cfg(feature = "serde")]
pub(super) use metric::Threshold;
