//! The record of a run: its steps as named numbers, in memory, in files, and live.
//!
//! An [`Entry`] is one training step as a flat list of names and numbers, and a [`History`] is a whole run of
//! entries in bounded memory. A [`Logbook`] writes entries off the training thread, to any number of [`Sink`]s:
//!
//! | sink | what it is | feature |
//! |---|---|---|
//! | `JsonLines` | a file with one JSON object per line, which [`History`] can read | `record` |
//! | `Csv` | a file with one column per name | `record` |
//! | `TensorBoard` | event files for TensorBoard | `tensorboard` |
//! | `ProgressBar` | a progress bar in the terminal | `progress` |
//!
//! With the feature `tracing`, each step of a [`Keel`](crate::Keel) is also emitted as a `tracing` event.
//!
//! [`findings`] lists in words what stands out in a history, and an [`Overview`] shows it as an HTML page, as SVG
//! files, or in a terminal.

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
#[cfg(feature = "progress")]
mod progress_bar;
mod sink;
#[cfg(feature = "tensorboard")]
mod tensorboard;
mod thin;
#[cfg(feature = "serde")]
mod written;

#[doc(no_inline)]
pub use crate::chart::Chart;
#[cfg(feature = "record")]
pub use csv::Csv;
pub use entry::Entry;
pub use findings::{FindingKind, findings};
pub use history::History;
#[cfg(feature = "record")]
pub use json_lines::JsonLines;
pub use logbook::{Logbook, LogbookBuilder};
pub use overview::{Overview, html};
#[cfg(feature = "progress")]
pub use progress_bar::ProgressBar;
pub use sink::Sink;
#[cfg(feature = "tensorboard")]
pub use tensorboard::TensorBoard;
