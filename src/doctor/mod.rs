//! What is wrong with a set-up before the first step: data, model, and the first gradients.
//!
//! Most explosions are made before training begins: a raw column of thousands, a target of hundreds, a
//! layer that was cloned instead of made. A [`Doctor`] is shown what there is and says what it found,
//! each [`Finding`] with what was measured, the limit it is beyond, and what to do. It changes nothing,
//! and makes no step.
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::optim::GradientsParams;
//! use burn::tensor::{Device, Tensor};
//! use evenkeel::doctor::{Check, Doctor};
//!
//! # fn main() -> Result<(), evenkeel::Error> {
//! let device = Device::default().autodiff();
//! let model = LinearConfig::new(2, 1).init(&device);
//! let x = Tensor::<2>::from_floats([[0.1, 5000.0], [0.3, 9000.0], [0.2, 1000.0]], &device);
//! let y = Tensor::<2>::from_floats([[150.0], [170.0], [190.0]], &device);
//!
//! let loss = (model.forward(x.clone()) - y.clone()).powi_scalar(2).mean();
//! let grads = GradientsParams::from_grads(loss.backward(), &model);
//! let diagnosis = Doctor::new()
//!     .features(&x)?
//!     .targets(&y)?
//!     .loss(&loss)?
//!     .model(&model)?
//!     .gradients(&model, &grads)?
//!     .finish();
//!
//! println!("{diagnosis}");
//! assert!(diagnosis.found(Check::FeatureScale).is_some());
//! assert!(diagnosis.found(Check::TargetScale).is_some());
//! # Ok(())
//! # }
//! ```
//!
//! # The checks
//!
//! | shown | checks |
//! |---|---|
//! | [`features`](Doctor::features) | NaN, wild rows, constant columns, scales and offsets of columns |
//! | [`targets`](Doctor::targets) | NaN, wild rows, constant columns, a scale or a median far from what a fresh model gives |
//! | [`outputs`](Doctor::outputs) | a softmax too many, a function that keeps predictions from the targets |
//! | [`order`](Doctor::order) | rows that were not shuffled |
//! | [`labels`](Doctor::labels) | classes that are rare, absent, or not there at all |
//! | [`loss`](Doctor::loss) | against what chance gives |
//! | [`model`](Doctor::model) | shared, equal, empty and frozen parameters; depth without normalisation |
//! | [`batch`](Doctor::batch), or the rows of the features | too few for BatchNorm |
//! | [`gradients`](Doctor::gradients) | vanishing, exploding, missing |
//! | [`activation`](Doctor::activation) | units that are dead or saturated |
//! | [`function`](Doctor::function) | a network that is only a line |
//! | [`weight_decay`](Doctor::weight_decay), [`epsilon`](Doctor::epsilon) | what the optimizer will do to norms, biases and small gradients |
//!
//! The limits are rules of thumb, written where each check is. A finding is a reason to look, not a
//! proof.

mod diagnosis;
mod features;
pub(crate) mod finding;
mod gradients;
mod look;
mod optimizer;
mod parameters;
mod patient;
mod targets;
mod units;

pub use diagnosis::Diagnosis;
pub use finding::{Check, Finding, Severity};
pub use patient::Doctor;
pub use units::Squash;
