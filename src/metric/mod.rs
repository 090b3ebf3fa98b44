//! Validation metrics: your own numbers that a run is judged by, such as a validation loss or an accuracy.
//!
//! What to do with such a number:
//!
//! - Record it, with [`Observation::value`](crate::monitor::Observation::value) or
//!   [`Entry::value`](crate::record::Entry::value). It is then in every file and has its own chart on the page; if it
//!   is named one of [`VALIDATION_LOSSES`], it is also drawn with the training loss.
//!   [`findings`](crate::record::findings()) reports when it rises while the training loss falls.
//! - Give it to [`EarlyStopping`], which says whether it is the best so far and whether training should end.
//! - Save a checkpoint with the best one, by [`Keel::save_best`](crate::Keel::save_best);
//!   [`Keel::load_best`](crate::Keel::load_best) restores it.
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

/// Names under which a recorded number is treated as the loss on held-out data.
pub const VALIDATION_LOSSES: [&str; 6] =
    ["valid_loss", "val_loss", "validation_loss", "held_out_loss", "eval_loss", "test_loss"];
