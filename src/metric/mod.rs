//! Numbers of your own that a run is judged by: a validation loss, an accuracy.
//!
//! Where such a number goes:
//!
//! - into the record of the run, by [`Observation::value`](crate::monitor::Observation::value) or
//!   [`Entry::value`](crate::record::Entry::value): then it is in every file, a picture of its own on the
//!   page, and drawn with the training loss if it is called one of [`VALIDATION_LOSSES`].
//!   [`findings`](crate::record::findings()) says when it rises while the training loss falls;
//! - into [`EarlyStopping`], which says whether it is the best so far and whether training should end;
//! - with the best one goes a checkpoint: [`Keel::save_best`](crate::Keel::save_best), which
//!   [`Keel::load_best`](crate::Keel::load_best) brings back.
//!
//! A guard can look at it too, through a cell that it shares with the loop:
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use burn::nn::LinearConfig;
//! use burn::optim::AdamConfig;
//! use burn::tensor::Device;
//! use evenkeel::{Keel, Reading, Rewind, Verdict};
//!
//! # fn main() -> Result<(), evenkeel::Error> {
//! let model = LinearConfig::new(4, 1).init(&Device::default().autodiff());
//! // The loop writes the ratio of the last validation loss to the best one into it.
//! let ratio = Arc::new(Mutex::new(1.0));
//! let seen = ratio.clone();
//! let guard = move |_: &Reading| match seen.lock() {
//!     Ok(ratio) if *ratio > 2.0 => Verdict::Rewind,
//!     _ => Verdict::Apply,
//! };
//! let keel = Keel::wrap(AdamConfig::new().init())
//!     .guard(guard)
//!     .rewind(Rewind::every(100)?)
//!     .build(&model)?;
//! # let _ = (keel, ratio);
//! # Ok(())
//! # }
//! ```

mod early_stopping;

pub use early_stopping::{Best, Checked, EarlyStopping, End};

/// The names by which a recorded number is known to be the loss on held-out data.
pub const VALIDATION_LOSSES: [&str; 6] =
    ["valid_loss", "val_loss", "validation_loss", "held_out_loss", "eval_loss", "test_loss"];
