//! Keeps [Burn](https://burn.dev) training stable: no NaN reaches the weights, and the learning rate can go
//! higher before the loss explodes.
//!
//! [`Keel`] wraps your existing optimizer. Each step is measured, judged, and then applied, skipped, rewound or
//! halted; the report says which, and why. Pass the learning rate as [`schedule.step()`](schedule::Scheduler::step)
//! returns it: the schedule is held or moved back with the weights.
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::optim::{AdamWConfig, GradientsParams};
//! use burn::tensor::{Device, Distribution, Tensor};
//! use evenkeel::Keel;
//! use evenkeel::schedule::{Cosine, Ramp, Schedule};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let device = Device::default().autodiff();
//! # let batches = (0..3).map(|_| Tensor::<2>::random([8, 4], Distribution::Default, &device));
//! let mut model = LinearConfig::new(4, 1).init(&device);
//! // Any rate will do: what is too high is held.
//! let mut schedule = Ramp::new(0.0, 1.0, 50)?.then(50, Cosine::new(1.0, 0.0, 950)?).start();
//! let mut keel = Keel::wrap(AdamWConfig::new().init()).recommended().build(&model)?;
//!
//! for x in batches {
//!     let loss = (model.forward(x.clone()) - x.sum_dim(1)).powi_scalar(2).mean();
//!     let grads = GradientsParams::from_grads(loss.backward(), &model);
//!     let stepped = keel.step(schedule.step(), model, grads, &loss)?;
//!     model = stepped.model;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! This version is for Burn 0.22:
//!
//! ```toml
//! [dependencies]
//! burn = "0.22"
//! evenkeel = "0.1"
//! ```
//!
//! # What helps with what
//!
//! | what you see | what to try |
//! |---|---|
//! | NaN within the first steps | [`Keel`] right away; then smaller inputs and targets: standardize both |
//! | the loss explodes above some rate | [`recommended`](Builder::recommended): its [`bound`] makes any rate work |
//! | no rate is low enough at the start and high enough later | the same, or [`Governor`](curvature::Governor) for gradient descent and momentum |
//! | the loss explodes now and then, after good progress | [`LossSpike`](guard::LossSpike) with a [`Rewind`] |
//! | NaN from single bad batches | nothing more: [`Keel`] skips them |
//! | the loss gets stuck towards the end | decay with [`Cosine`](schedule::Cosine) or [`Step`](schedule::Step), or [`Plateau`](schedule::Plateau) |
//! | what would help most? | [`Doctor`](doctor::Doctor) first, then [`Advisor`](advise::Advisor) |
//! | how high can the rate go? | [`StableRate`](finder::StableRate), or the quicker, less precise [`LrFinder`](finder::LrFinder) |
//! | what is going on in there? | [`Watch`](monitor::Watch) |
//! | are units dead, or near overflow? | [`Watch::probe`](monitor::Watch::probe) |
//! | what stands out in that run? | [`Overview`](record::Overview) |
//! | what happened last night? | [`Logbook`](record::Logbook) |
//! | a deep network without normalization doesn't start | [`init::Lsuv`], or [`init::scale_residuals`] |
//! | a transformer whose logits grow | [`logits`]: QK-norm, soft caps, z-loss |
//! | which layer is it? | [`Halted::culprits`], [`monitor::blame`], [`Reading::layers`] |
//! | training loss falls and validation loss rises | [`EarlyStopping`](metric::EarlyStopping), and [`Keel::save_best`] |
//! | a run has to survive being stopped | [`Keel::save`] and [`Keel::load`] |
//! | batches too large for the device | [`Keel::accumulate`] |
//! | several devices or processes, one run | [`ranks`] |
//! | gradients that vanish in half precision | [`precision::LossScale`] |
//! | a GPU that waits for the host | [`Decide::OnDevice`] |
//!
//! # The pieces
//!
//! - [`schedule`]: schedules as pure functions of the update index, and combinators; [`docs::schedules`] lists their
//!   names in other libraries.
//! - [`guard`]: decides whether a step is applied, skipped, rewound or halted. [`clip`]: gradient clipping. [`bound`]:
//!   limits how far a step may go, whatever the rate. All of them see plain numbers only, and any closure can be one.
//! - [`monitor`]: measures tensors with one readback per step, and samples norms and updates at intervals.
//! - [`optim`]: optimizers that update in one pass over memory, and wrappers for any optimizer; every Burn optimizer
//!   works as well.
//! - [`advise`]: measures what would help your model on your data. [`doctor`]: checks a setup before its first step.
//!   [`standardize`]: scales features to zero mean and unit deviation.
//! - [`init`]: initial weights that fit the depth and the data. [`logits`]: keeps those of attention and of the output
//!   small.
//! - [`finder`]: finds the highest stable rate, and runs the learning-rate range test, with short runs of a copy.
//! - [`curvature`]: measures how high a rate the loss's curvature allows, and holds the rate there.
//! - [`record`]: records runs in memory, in files for other tools, and live.
//! - [`metric`]: tracks a validation loss or another metric of yours, its best value, and when it ends a run.
//! - [`average`]: averages weights. [`precision`]: scales the loss.
//! - [`checkpoint`]: saves state that is either whole or absent.
//! - `faults`, with the feature of the same name: injects faults into a run, and checks any training loop.
//!
//! [`docs::design`] explains how they fit together, and why; [`docs::coming_from`] maps the names that you know from
//! PyTorch, Lightning, fastai or Keras. For a program that keeps its model in a field, see [`docs::hand_written`].
//!
//! # Features
//!
//! - `flex` (default), `ndarray`, `wgpu`, `cuda`: Burn's backends of these names. `flex` has fused readings and updates,
//!   `wgpu` and `cuda` have kernels of this crate. Without any of them, it works on the devices that your own Burn has.
//! - `serde`: incidents, schedules and optimizers as JSON, TOML or any other serde format.
//! - `record`: runs as JSON Lines and CSV. `tensorboard`: runs as event files. `progress`: a progress bar.
//! - `tracing`: steps as events of the `tracing` crate.
//! - `train`: a keel in Burn's own trainer.
//! - `faults`: fault injection, and checks of any training loop.
//!
//! # Limits
//!
//! [`docs::limits`] lists them.
//!
//! # Panics
//!
//! The library does not panic, with one exception, where a trait of Burn's leaves no other way to report an error:
//! loading a wrong record through
//! [`LrScheduler::load_record`](burn::lr_scheduler::LrScheduler::load_record).
//! [`Persist::restore`](checkpoint::Persist::restore) returns an error instead.

// On docs.rs, each item shows the feature that it requires.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]
#![warn(clippy::dbg_macro, clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]
#![deny(unsafe_code)]

// The programs in the README are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub mod advise;
pub mod average;
pub mod bound;
pub mod chart;
pub mod checkpoint;
pub mod clip;
#[cfg(feature = "cube")]
mod cube;
pub mod curvature;
mod decide;
pub mod docs;
pub mod doctor;
mod error;
#[cfg(feature = "faults")]
#[doc(alias = "fault_injection")]
pub mod faults;
pub mod finder;
mod fit;
mod flag;
mod gate;
pub mod guard;
mod incident;
pub mod init;
mod keel;
pub mod logits;
pub mod metric;
pub mod monitor;
pub mod optim;
mod outcome;
mod page;
mod parameter;
pub mod precision;
mod random;
pub mod ranks;
pub mod record;
mod report;
mod rewind;
mod running_statistics;
pub mod schedule;
mod shared;
pub mod standardize;
mod stat;
mod tensor_shelf;
mod text;
mod tied;
#[cfg(feature = "train")]
pub mod train;
pub mod trust;
mod widen;

pub use decide::Decide;
pub use error::Error;
pub use incident::{Incident, Incidents};
pub use keel::{Builder, Keel, RateUse};
pub use outcome::{Halted, Stepped};
pub use parameter::Parameter;
pub use report::{Culprit, Fault, Layers, Part, Reading, Report, Rewound, Verdict};
pub use rewind::Rewind;
pub use tied::tie;
