//! What a run leaves behind: its steps as names and numbers, in memory, in files, and live.
//!
//! An [`Entry`] is one training step as flat names and numbers, and a [`History`] a whole run of them in
//! bounded memory. A [`Logbook`] writes entries off the training thread, wherever there is a [`Sink`]:
//!
//! | sink | what it is | feature |
//! |---|---|---|
//! | `JsonLines` | a file, one object a line; [`History`] reads it back | `record` |
//! | `Csv` | a file, one column a name | `record` |
//! | `TensorBoard` | event files for TensorBoard | `tensorboard` |
//! | `Bar` | a progress bar on the terminal | `progress` |
//!
//! With the feature `tracing`, each step of a [`Keel`](crate::Keel) is an event of that crate as well.
//!
//! Of a history, [`findings`] says in words what it gives away, and an [`Overview`] shows it: as a page,
//! as pictures, and for a terminal.

#[cfg(feature = "progress")]
mod bar;
#[cfg(feature = "record")]
mod cells;
mod columns;
#[cfg(feature = "record")]
mod csv;
mod entry;
#[cfg(feature = "record")]
mod file;
mod findings;
mod history;
#[cfg(feature = "record")]
mod json_lines;
mod logbook;
mod names;
mod overview;
mod sink;
#[cfg(feature = "tensorboard")]
mod tensorboard;
mod thin;
#[cfg(feature = "serde")]
mod written;

#[doc(no_inline)]
pub use crate::chart::Chart;
#[cfg(feature = "progress")]
pub use bar::Bar;
#[cfg(feature = "record")]
pub use csv::Csv;
pub use entry::Entry;
pub use findings::{Sign, findings};
pub use history::History;
#[cfg(feature = "record")]
pub use json_lines::JsonLines;
pub use logbook::{Logbook, LogbookBuilder};
pub use overview::{Overview, html};
pub use sink::Sink;
#[cfg(feature = "tensorboard")]
pub use tensorboard::TensorBoard;
