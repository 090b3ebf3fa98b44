//! Checks of a training set-up before the first step: data, model, and first gradients.
//!
//! Most explosions are caused before training begins: a raw column in the thousands, a target in the hundreds, a layer
//! that was cloned instead of created. A [`Doctor`] is shown the parts of a set-up and reports its findings, each
//! [`Finding`] with the measured number, the limit that it exceeds, and a remedy. It changes nothing and makes no
//! training step.
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
//! | [`features`](Doctor::features) | NaN, outlier rows, constant columns, scales and offsets of columns |
//! | [`targets`](Doctor::targets) | NaN, outlier rows, constant columns, a scale or a median far from the outputs of a fresh model |
//! | [`outputs`](Doctor::outputs) | one softmax too many, a function that keeps predictions from reaching the targets |
//! | [`order`](Doctor::order) | unshuffled rows |
//! | [`labels`](Doctor::labels) | rare or absent classes, labels out of range |
//! | [`loss`](Doctor::loss) | the first loss against that of guessing |
//! | [`model`](Doctor::model) | shared, equal, empty and frozen parameters; depth without normalization |
//! | [`batch`](Doctor::batch), or the rows of the features | too few rows for BatchNorm |
//! | [`gradients`](Doctor::gradients) | vanishing, exploding and missing gradients |
//! | [`activation`](Doctor::activation) | dead or saturated units |
//! | [`function`](Doctor::function) | a network that is only a linear function |
//! | [`weight_decay`](Doctor::weight_decay), [`epsilon`](Doctor::epsilon) | the optimizer's effect on norms, biases and small gradients |
//!
//! The limits are rules of thumb, documented at each check. A finding is a reason to look, not a proof.

mod diagnosis;
mod examination;
mod features;
pub(crate) mod finding;
mod gradients;
mod look;
mod optimizer;
mod parameters;
mod targets;
mod units;

pub use diagnosis::Diagnosis;
pub use examination::Doctor;
pub use finding::{Check, Finding, Severity};
pub use units::Saturation;
