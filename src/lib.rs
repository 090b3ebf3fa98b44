//! Keeps [Burn](https://burn.dev) training on an even keel: no NaN reaches the weights, and the
//! learning rate goes higher before the loss explodes.
//!
//! [`Keel`] wraps the optimizer you have. Each step is measured, judged, and then applied, skipped,
//! rewound or halted; the report says which, and why. A schedule's rate goes in as
//! [`schedule.step()`](schedule::Scheduler::step) returns it, and the schedule is held or moved back
//! with the weights.
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
//! # What helps with what
//!
//! | what you see | what to try |
//! |---|---|
//! | NaN within the first steps | [`Keel`] at once; then smaller inputs and targets: standardize both |
//! | the loss explodes above some rate | [`recommended`](Builder::recommended): its [`bound`] makes any rate work |
//! | no rate is low enough at the start and high enough later | the same; or [`Governor`](curvature::Governor), for descent and momentum |
//! | it explodes now and then, after good progress | [`LossSpike`](guard::LossSpike), answering with a [`Rewind`] |
//! | NaN from single bad batches | nothing more: [`Keel`] skips them |
//! | it gets stuck towards the end | [`Cosine`](schedule::Cosine) or [`Step`](schedule::Step) down, or [`Plateau`](schedule::Plateau) |
//! | what would help most? | [`Advisor`](advise::Advisor), and [`Doctor`](doctor::Doctor) first |
//! | how high may the rate go? | [`StableRate`](finder::StableRate), or quicker and vaguer [`LrFinder`](finder::LrFinder) |
//! | what is going on in there? | [`Watch`](monitor::Watch) |
//! | are units dead, or near overflow? | [`Watch::probe`](monitor::Watch::probe) |
//! | what stands out in that run? | [`Overview`](record::Overview) |
//! | what happened last night? | [`Logbook`](record::Logbook) |
//! | which layer is it? | [`Halted::culprits`], [`monitor::blame`], [`Reading::layers`] |
//! | training falls and validation rises | [`EarlyStopping`](metric::EarlyStopping), and [`Keel::save_best`] |
//! | a run has to survive being stopped | [`Keel::save`] and [`Keel::load`] |
//! | batches too large for the device | [`Keel::accumulate`] |
//! | several devices or processes, one run | [`ranks`] |
//! | gradients that vanish in half precision | [`precision::LossScale`] |
//! | a GPU that waits for the host | [`Decide::OnDevice`] |
//!
//! # The pieces
//!
//! - [`schedule`]: values as pure functions of the update, and combinators; what other libraries call
//!   them is in [`docs::schedules`].
//! - [`guard`]: judges of a step. [`clip`]: choosers of a factor. [`bound`]: how far a step may go, whatever rate
//!   is asked for. All see plain numbers only, and any closure is one.
//! - [`monitor`]: tensors in, numbers out, one readback a step; and a watch over norms and updates, now and
//!   then.
//! - [`optim`]: optimizers that are one pass over memory, and wrappers for any; every Burn optimizer
//!   will do as well.
//! - [`advise`]: what would help your model on your data, measured. [`doctor`]: what is wrong with a set-up
//!   before its first step. [`standardize`]: features of zero mean and unit deviation.
//! - [`finder`]: the highest stable rate, and the learning rate range test, by short runs of a copy.
//! - [`curvature`]: how high the loss's curvature lets the rate go, and a governor that holds it there.
//! - [`record`]: what a run leaves behind, in memory, in files for other tools, and live.
//! - [`metric`]: a validation loss or another number of your own, the best of it, and when it ends a run.
//! - [`average`]: averaged weights. [`precision`]: loss scaling.
//! - [`checkpoint`]: saved state that is whole or absent.
//! - `faults`, with the feature of that name: faults put into a run on purpose, and checks of any loop.
//!
//! How they fit together, and why, is in [`docs::design`]; what you know from PyTorch, Lightning, fastai or Keras is
//! in [`docs::coming_from`]. A program that holds its model in a field: [`docs::hand_written`].
//!
//! # Panics
//!
//! The library does not panic, but for one place where a trait of Burn's leaves no other way to refuse:
//! loading a wrong record through
//! [`LrScheduler::load_record`](burn::lr_scheduler::LrScheduler::load_record).
//! [`Persist::restore`](checkpoint::Persist::restore) returns an error instead.

// On docs.rs each item says which feature it is behind.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]
#![warn(clippy::dbg_macro, clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]
#![deny(unsafe_code)]

pub mod advise;
pub mod average;
mod bits;
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
pub mod faults;
pub mod finder;
mod fit;
mod gate;
pub mod guard;
mod incident;
mod keel;
pub mod metric;
pub mod monitor;
pub mod optim;
mod page;
mod parameter;
pub mod precision;
pub mod ranks;
pub mod record;
mod recover;
mod report;
mod running;
pub mod schedule;
mod shared;
mod shelf;
pub mod standardize;
mod stat;
mod text;
mod tied;
#[cfg(feature = "train")]
pub mod train;
pub mod trust;
mod wide;

pub use decide::Decide;
pub use error::Error;
pub use incident::{Incident, Incidents};
pub use keel::{Builder, Halted, Keel, RateUse, Stepped};
pub use parameter::Parameter;
pub use recover::Rewind;
pub use report::{Culprit, Fault, Layers, Part, Reading, Report, Rewound, Verdict};
pub use tied::tie;
