//! Saved state: what resumes a run exactly, and how it is kept from being half of one.
//!
//! Everything with a memory implements [`Persist`]: it gives its [`State`], and takes one back
//! whole or not at all. A [`Checkpoint`] is a model, its [`Keel`](crate::Keel), and any number of
//! named states beside them, in one file that is complete or absent.

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
