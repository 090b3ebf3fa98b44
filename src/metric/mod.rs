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

mod early_stopping;

pub use early_stopping::{Best, Checked, EarlyStopping, End};

/// The names by which a recorded number is known to be the loss on held-out data.
pub const VALIDATION_LOSSES: [&str; 6] =
    ["valid_loss", "val_loss", "validation_loss", "held_out_loss", "eval_loss", "test_loss"];
