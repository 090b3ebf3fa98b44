//! What a run leaves behind: its steps as names and numbers, in memory and in files.
//!
//! An [`Entry`] is one training step as flat names and numbers, and a [`History`] is a whole run of them
//! in bounded memory. [`findings`] says in words what it gives away, and an [`Overview`] shows it: as a
//! page, as pictures, and for a terminal.

mod chart;
mod columns;
mod entry;
mod findings;
mod history;
mod names;
mod overview;
mod thin;

pub use chart::Chart;
pub use entry::Entry;
pub use findings::{Sign, findings};
pub use history::History;
pub use overview::{Overview, html};
