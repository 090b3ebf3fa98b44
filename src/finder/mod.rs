//! Which rate to train at, found by training.
//!
//! - [`StableRate`] finds the highest rate at which a model trains and below which it does too, in the
//!   logarithm, over several seeds of batches and of first weights.
//! - [`LrFinder`] is the learning rate range test: it raises the rate in sweeps, and reads a rate off the
//!   curve of the loss, or says why none should be. Quicker, and vaguer.
//!
//! Neither knows tensors: whoever asks says what a short run gives. [`short_run`] and [`short_sweep`] are such
//! runs, of a copy of a model: parameters, optimizer, BatchNorm's running statistics and the place in the
//! data stay as they are. [`fresh_run`] is a run of a model made for its seed.
//!
//! A network that [died](LossCurve) does not train, however well its biases do; and where the loss is not finite
//! before the first update, both say so, in place of a rate: see [`Refusal`].
//!
//! ```
//! use burn::nn::{Linear, LinearConfig};
//! use burn::tensor::{Device, Tensor};
//! use evenkeel::finder::{StableRate, short_run};
//! use evenkeel::optim::Sgd;
//!
//! # fn main() -> Result<(), evenkeel::Error> {
//! // ½·4·w²: descent is stable below 2/4.
//! let device = Device::default().autodiff();
//! let model = LinearConfig::new(1, 1).with_bias(false).init(&device);
//! let loss = |model: &Linear, _: u64| model.weight.val().powi_scalar(2).mean() * 2.0;
//!
//! let found = StableRate::new(200)?
//!     .seeds(1)?
//!     .find(|run| short_run(&model, Sgd::new(), run, |batch| batch, loss))?;
//! assert!((found.rate().unwrap() / 0.5 - 1.0).abs() < 0.05);
//! # Ok(())
//! # }
//! ```

mod alive;
mod bracket;
mod curve;
mod estimate;
mod lr_finder;
mod lr_range;
mod range;
mod refusal;
mod run;
mod search;
mod suggestion;
mod sweep;
mod trial;

pub use curve::LossCurve;
pub use estimate::Estimate;
pub use lr_finder::{LrFinder, ShortSweep};
pub use lr_range::LrRange;
pub use range::{Edge, StableRange, Tried};
pub use refusal::Refusal;
pub use run::{Progress, ShortRun};
pub use search::StableRate;
pub use suggestion::Suggestion;
pub use sweep::Sweep;
pub(crate) use trial::diverged;
pub use trial::{fresh_run, short_run, short_sweep};

/// The middle value, of an even number the upper one; NaN of none.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
