//! A keel in Burn's own trainer, `burn-train`: feature `train`.
//!
//! [`SupervisedTraining`](burn::train::SupervisedTraining) owns the loop, the model and the optimizer. A
//! [`KeelTrainer`] puts a [`Keel`](crate::Keel) in the optimizer's place, and leaves the rest as it is: the model and
//! its [`TrainStep`](burn::train::TrainStep), metrics, loaders, strategies and checkpoints.
//!
//! ```
//! # use std::sync::Arc;
//! # use burn::data::dataloader::{DataLoaderBuilder, batcher::Batcher};
//! # use burn::data::dataset::InMemDataset;
//! # use burn::module::Module;
//! # use burn::nn::loss::{MseLoss, Reduction};
//! # use burn::nn::{Linear, LinearConfig};
//! # use burn::tensor::{Device, Tensor};
//! # use burn::train::metric::LossMetric;
//! # use burn::train::renderer::CliMetricsRenderer;
//! # use burn::train::{InferenceStep, RegressionOutput, SupervisedTraining, TrainOutput, TrainStep};
//! # #[derive(Module, Debug)]
//! # struct Net { layer: Linear }
//! # impl Net {
//! #     fn output(&self, x: Tensor<2>) -> RegressionOutput {
//! #         let (output, targets) = (self.layer.forward(x.clone()), x.sum_dim(1));
//! #         let loss = MseLoss::new().forward(output.clone(), targets.clone(), Reduction::Mean);
//! #         RegressionOutput { loss, output, targets }
//! #     }
//! # }
//! # impl TrainStep for Net {
//! #     type Input = Tensor<2>;
//! #     type Output = RegressionOutput;
//! #     fn step(&self, x: Tensor<2>) -> TrainOutput<RegressionOutput> {
//! #         let output = self.output(x);
//! #         TrainOutput::new(self, output.loss.backward(), output)
//! #     }
//! # }
//! # impl InferenceStep for Net {
//! #     type Input = Tensor<2>;
//! #     type Output = RegressionOutput;
//! #     fn step(&self, x: Tensor<2>) -> RegressionOutput { self.output(x) }
//! # }
//! # #[derive(Clone)]
//! # struct Pairs;
//! # impl Batcher<f32, Tensor<2>> for Pairs {
//! #     fn batch(&self, items: Vec<f32>, device: &Device) -> Tensor<2> {
//! #         Tensor::<1>::from_floats(items.as_slice(), device).reshape([-1, 2])
//! #     }
//! # }
//! use evenkeel::Keel;
//! use evenkeel::optim::AdamW;
//! use evenkeel::schedule::{Cosine, Schedule};
//! use evenkeel::train::KeelTrainer;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = std::env::temp_dir().join(format!("evenkeel-train-{}", std::process::id()));
//! # let items = || InMemDataset::new((0..32u8).map(|k| f32::from(k) / 32.0).collect());
//! # let loader = || DataLoaderBuilder::new(Pairs).batch_size(8).build(items());
//! # let (train, valid) = (loader(), loader());
//! # let device = Device::default().autodiff();
//! # let net = Net { layer: LinearConfig::new(2, 1).init(&device) };
//! let training = SupervisedTraining::new(&dir, train, valid)
//!     .metrics((LossMetric::new(),))
//! #   .renderer(Box::new(CliMetricsRenderer::new()))
//! #   .with_application_logger(None)
//!     .num_epochs(2);
//!
//! let schedule = Cosine::new(1e-2, 0.0, 8)?.start();
//! let trainer = KeelTrainer::new(schedule, Keel::wrap(AdamW::new()).recommended()).checkpoints(&dir);
//! let result = trainer.launch(training, net);
//! let net = result.model.into_inner();
//! assert_eq!(trainer.updates(), 8);
//! # let _ = net;
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is different from a loop of your own
//! - Burn's learner copies the model's handles before each step, so that parameters are written into new memory and
//!   not in place.
//! - Burn reports the loss of each step, also of one that was rejected: its own training loss of an epoch with a NaN
//!   in it is NaN. [`KeelTrainer::attach`] registers a loss of the applied steps beside it.
//! - Burn sums gradients over the batches of [`grads_accumulation`] and over devices; here they are averaged. With
//!   Burn's accumulation a bad batch costs the others of its update; [`KeelTrainer::accumulate`] drops it alone.
//!
//! # What does not go together
//! [`Decide::OnDevice`](crate::Decide::OnDevice), because Burn saves at times at which steps may be pending; loss
//! scaling, because the model's own `step` makes the gradients; and Burn's distributed training, where each rank would
//! step the same keel. The first two stop the training before it begins, with the reason.
//!
//! [`grads_accumulation`]: burn::train::SupervisedTraining::grads_accumulation

mod guarded;
mod inner;
mod loss;
mod metric;
mod rates;
mod slot;
mod trainer;

pub use guarded::Guarded;
pub use loss::TrainLoss;
pub use metric::KeelMetric;
pub use rates::Rates;
pub use trainer::KeelTrainer;
