//! What a run leaves behind: its steps as names and numbers, in memory and in files.
//!
//! An [`Entry`] is one training step as flat names and numbers, and a [`History`] is a whole run of them
//! in bounded memory.

mod columns;
mod entry;
mod findings;
mod history;
mod names;
mod thin;

pub use entry::Entry;
pub use findings::{Sign, findings};
pub use history::History;
