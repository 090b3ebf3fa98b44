//! Saved state, from which a run resumes exactly.
//!
//! Everything with a memory implements [`Persist`]: it returns its [`State`], and restores one completely or not at
//! all. A [`Checkpoint`] is a model, its [`Keel`](crate::Keel), and any number of additional named states, in one file
//! that is complete or absent.

mod canonical;
mod file;
mod folder;
mod plain;
mod state;
pub(crate) mod tensors;

pub(crate) use canonical::{all_finite, canonical};
pub use file::Checkpoint;
pub use folder::{CheckpointDir, Found};
pub(crate) use plain::{as_in, plain};
pub use state::{Discard, Persist, State};
