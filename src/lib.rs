//! Keeps [Burn](https://burn.dev) training on an even keel.

#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]
#![warn(clippy::dbg_macro, clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]
#![deny(unsafe_code)]

pub mod checkpoint;
pub mod clip;
mod error;
pub mod guard;
mod keel;
pub mod monitor;
pub mod optim;
mod recover;
mod report;
mod running;
pub mod schedule;
mod stat;

pub use error::Error;
pub use keel::{Builder, Halted, Keel, Stepped};
pub use recover::Rewind;
pub use report::{Culprit, Fault, Layers, Part, Reading, Report, Verdict};
