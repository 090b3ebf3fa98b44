//! The highest rate at which a model trains, found by training it.
//!
//! [`StableRate`] brackets and bisects the rate in its logarithm, over several seeds. It knows no tensors:
//! whoever asks says what a short run at a rate gives. [`short_run`] is such a run, of a copy of a model.
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

mod range;
mod search;
mod trial;

pub use range::{Edge, StableRange, Tried};
pub use search::{ShortRun, StableRate};
pub use trial::short_run;
