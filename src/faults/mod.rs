//! Fault injection for training loops, and checks of what a run must guarantee after a fault.
//!
//! A guard that was never seen to work can't be relied on. This module breaks batches, losses and gradients at chosen
//! or random steps, and checks any training loop, whether or not it uses evenkeel:
//!
//! | check | question |
//! |---|---|
//! | [`survives`] | is everything finite after every step, and does the loop still train? |
//! | [`leaves_no_trace`] | is the state, bit for bit, as if the faulty batches had never been seen? |
//! | [`resumes_exactly`] | is a run that is saved, loaded into a fresh loop and continued still the same run? |
//!
//! # Testing your own loop
//!
//! Implement [`Trainee`] for it: one step, with the [`Injector`] called where a fault can enter; a loss to judge it by;
//! a [`Fingerprint`]; and a way to save and load, if you want to test that. Here is the loop that everyone writes, and
//! what happens to it at the first NaN:
//!
//! ```
//! use burn::module::Module;
//! use burn::nn::{Linear, LinearConfig};
//! use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
//! use burn::tensor::{Device, Tensor};
//! use evenkeel::Keel;
//! use evenkeel::faults::{
//!     Fingerprint, Harm, Injector, Place, Trainee, Trouble, When, leaves_no_trace, survives,
//! };
//!
//! fn loss(model: &Linear, batch: u64) -> Tensor<1> {
//!     let k = batch as f32;
//!     let x = Tensor::<2>::from_floats([[k.sin(), k.cos()]], &model.weight.val().device());
//!     (model.forward(x.clone()) - x.sum_dim(1)).powi_scalar(2).mean()
//! }
//!
//! struct Bare {
//!     model: Linear,
//!     optimizer: ModuleOptimizer,
//! }
//!
//! impl Trainee for Bare {
//!     fn step(&mut self, at: u64, faults: &mut Injector) -> Result<(), Trouble> {
//!         let loss = faults.loss(at, loss(&self.model, faults.batch_at(at)));
//!         let grads = GradientsParams::from_grads(loss.backward(), &self.model);
//!         let grads = faults.gradients(at, &self.model, grads)?;
//!         self.model = self.optimizer.step(0.01, self.model.clone(), grads);
//!         Ok(())
//!     }
//!     fn loss(&self) -> f64 {
//!         (0..10).map(|k| loss(&self.model, k).into_scalar::<f64>()).sum()
//!     }
//!     fn fingerprint(&self) -> Result<Fingerprint, Trouble> {
//!         Ok(Fingerprint::of(&self.model)?)
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let device = Device::default().autodiff();
//! # let start = LinearConfig::new(2, 1).init(&device);
//! let bare = || Bare { model: start.clone(), optimizer: AdamConfig::new().init() };
//! let faults = Injector::new(7).inject(Harm::Nan, Place::Loss, When::at([20]))?;
//!
//! let broken = survives(bare, 50, &faults).unwrap_err();
//! assert_eq!(broken.at(), Some(20));
//! println!("{broken}");
//!
//! // The same step through evenkeel.
//! struct Kept {
//!     model: Linear,
//!     keel: Keel<Linear>,
//! }
//!
//! impl Trainee for Kept {
//!     fn step(&mut self, at: u64, faults: &mut Injector) -> Result<(), Trouble> {
//!         let loss = faults.loss(at, loss(&self.model, faults.batch_at(at)));
//!         let grads = GradientsParams::from_grads(loss.backward(), &self.model);
//!         let grads = faults.gradients(at, &self.model, grads)?;
//!         self.model = self.keel.step(0.01, self.model.clone(), grads, &loss)?.model;
//!         Ok(())
//!     }
//!     # fn loss(&self) -> f64 {
//!     #     (0..10).map(|k| loss(&self.model, k).into_scalar::<f64>()).sum()
//!     # }
//!     # fn fingerprint(&self) -> Result<Fingerprint, Trouble> {
//!     #     Ok(Fingerprint::of(&self.model)?)
//!     # }
//!     // … and the rest as above
//! }
//!
//! let kept = || Kept {
//!     keel: Keel::wrap(AdamConfig::new().init()).build(&start).expect("a sound model"),
//!     model: start.clone(),
//! };
//! survives(kept, 50, &faults)?;
//! leaves_no_trace(kept, 50, &faults)?;
//! # Ok(())
//! # }
//! ```

mod broken;
mod check;
mod draw;
mod fingerprint;
mod gradients;
mod harm;
mod injector;
mod trainee;
mod when;

pub use broken::Broken;
pub use check::{leaves_no_trace, resumes_exactly, survives};
pub use fingerprint::Fingerprint;
pub use harm::{Harm, Place};
pub use injector::{Injected, Injector};
pub use trainee::{Trainee, Trouble};
pub use when::When;
