//! Learning-rate finders: determine which rate to train at by short training runs.
//!
//! - [`StableRate`] finds the highest rate at which a model trains, and below which it trains too, on a
//!   logarithmic scale, over several seeds for the batches and the initial weights.
//! - [`LrFinder`] is the learning rate range test: it raises the rate in sweeps and reads a rate off the loss
//!   curve, or reports why none should be read. It is quicker and less precise.
//!
//! Neither works with tensors: the caller supplies a function that performs a short run. [`short_run`] and
//! [`short_sweep`] perform such runs on a copy of a model: parameters, optimizer, BatchNorm running statistics
//! and the position in the data stay unchanged. [`fresh_run`] performs a run of a model created for its seed.
//!
//! A network that [died](LossCurve) does not train, however well its biases do. Both finders report this, and a
//! loss that is not finite before the first update, in place of a rate: see [`Refusal`].
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

/// Returns the median; of an even number of values the upper one, of none NaN.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
