//! What would help *this* model on *this* data: remedies, measured one by one and together.
//!
//! An [`Advisor`] is told how the model is built, what its loss on a batch is, and what the batches are.
//! It trains fresh models by each [`Recipe`], at rates up and down from where it works, over several seeds,
//! and says how high the rate may go, which rate is best, and what is reached by it.
//!
//! ```
//! use burn::nn::{Linear, LinearConfig};
//! use burn::tensor::{Device, Tensor};
//! use evenkeel::advise::{Advisor, Aim};
//!
//! # fn main() -> Result<(), evenkeel::Error> {
//! let device = Device::default().autodiff();
//! // Ten rows, again and again.
//! let row = |k: u64| {
//!     let k = k % 10;
//!     Tensor::<2>::from_floats([[k as f32 - 5.0, (k * k % 7) as f32]], &device)
//! };
//!
//! let advice = Advisor::new(
//!     |seed| {
//!         device.seed(seed);
//!         LinearConfig::new(2, 1).init(&device)
//!     },
//!     |model: &Linear, x: Tensor<2>| (model.forward(x.clone()) - x.sum_dim(1)).powi_scalar(2).mean(),
//!     row,
//! )
//! .aim(Aim::LowestLoss)?
//! .over(20)?
//! .seeds(1)?
//! .rates(1e-3, 1.0)?
//! .run()?;
//!
//! println!("{advice}");
//! assert!(advice.outcomes().len() > 5);
//! # Ok(())
//! # }
//! ```
//!
//! # What is measured
//!
//! Plain descent first; then each remedy alone on top of it; then what was best of the data and the model
//! with each optimizer, bare and with clip, warm-up and cosine. A run of `over` updates is
//!
//! - *stable*, if everything stays finite and the mean loss of its last tenth is not above the loss of the
//!   untrained model; a rate is stable if all seeds are, and so are all lower rates down to the best one;
//! - *hopeless*, and ended early, once the median of 10 losses is above 100 times that of the untrained
//!   model.
//!
//! Rates are on a grid of two a decade, and every edge is known to a factor of √10. A highest stable rate is
//! no aim of its own: what is stable may learn nothing, which is why the best rate and what is reached at it
//! stand beside it.
//!
//! Short runs favour what is fast early. Give a run as many updates as decide the matter; a tenth of a
//! training run is a start.

mod advice;
mod advisor;
mod confidence;
#[cfg(feature = "plot")]
mod html;
mod outcome;
mod plan;
#[cfg(feature = "plot")]
mod plot;
mod recipe;
mod search;
mod session;
mod table;
mod trial;

pub use advice::Advice;
pub use advisor::{Advisor, Stage};
pub use outcome::{Aim, Outcome, Point};
pub use recipe::{Bound, Method, Recipe};
