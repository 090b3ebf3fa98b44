//! Optimizers: fused rules (SGD, the Adam family, schedule-free) and wrappers for any optimizer.
//!
//! [`ModelOptimizer`] is what [`Keel`](crate::Keel) requires of an optimizer: it advances a whole model by one step, and can be
//! restored. Burn's [`ModuleOptimizer`](burn::optim::ModuleOptimizer) implements it, with all its parameter groups. The
//! rules of this crate can be used in the same way; they make one pass over memory where Burn's make about a dozen:
//!
//! | | |
//! |---|---|
//! | [`Sgd`], [`Momentum`] | gradient descent, with Polyak's or Nesterov's momentum |
//! | [`Adam`], [`AdamW`], [`NAdam`], [`RAdam`], [`AdaBelief`], [`Adamax`], [`Adopt`] | the Adam family |
//! | [`ScheduleFreeSgd`], [`ScheduleFreeAdamW`] | averaging in place of a schedule |
//!
//! They are Burn [`Optimizer`](burn::optim::Optimizer)s too, and work in `ModuleOptimizer` and `Learner`. The fused
//! pass over all tensors, which includes the clips' factor, is that of [`ParamGroups`], which
//! [`Keel::wrap`](crate::Keel::wrap) makes of a rule.
//!
//! ```
//! use evenkeel::Keel;
//! use evenkeel::clip::GlobalNorm;
//! use evenkeel::optim::AdamW;
//! # use burn::{nn::LinearConfig, tensor::Device};
//!
//! # let model = LinearConfig::new(2, 1).init(&Device::default().autodiff());
//! let optimizer = AdamW::new().beta_2(0.95)?.weight_decay(0.1)?.decay_matrices_only();
//! let keel = Keel::wrap(optimizer).clip(GlobalNorm::at_most(1.0)?).build(&model)?;
//! # let _ = keel;
//! # Ok::<(), evenkeel::Error>(())
//! ```
//!
//! To keep training stable, [`AdamW`] has [`update_rms_at_most`](Adaptive::update_rms_at_most) (StableAdamW),
//! [`cautious`](Adaptive::cautious), [`gradient_start`](Adaptive::gradient_start) (GI-Adam) and
//! [`spam`](Adaptive::spam). The wrappers [`Lookahead`], [`TrustRatio`] (LAMB), [`Lars`], [`AdaptiveClip`],
//! [`ValueClip`], [`PNormClip`] and [`Cautious`] work with any Burn optimizer. [`Sam`] is for loops with two
//! backward passes, and [`MasterWeights`] for models in half precision.
//!
//! Averaging rates, `ε`, weight decay, momentum, its dampening and NAdam's `ψ` may be curves over the updates: see
//! [`HyperParam`]. The other settings of a rule, and those of wrappers, are numbers.
//!
//! The rules clamp the elements of a gradient to ±9·10¹⁸, and with weights in `f64` to ±6·10¹⁵³, so that the square of
//! a difference of two is finite.

mod adam;
#[cfg(feature = "serde")]
mod config;
mod descent;
mod groups;
mod hyper;
mod kernel;
mod master;
mod model_optimizer;
mod module;
mod record;
mod rule;
mod sam;
mod schedule_free;
mod second_moments;
mod units;
mod wrap;

pub use adam::{AdaBelief, Adam, AdamW, Adamax, Adaptive, Adopt, NAdam, RAdam, Spam};
#[cfg(feature = "serde")]
pub use config::OptimizerConfig;
pub use descent::{Descent, Heavy, Momentum, Plain, Sgd};
pub use groups::{ParamGroups, biases_and_norms};
pub use hyper::HyperParam;
pub use master::MasterWeights;
pub use model_optimizer::{
    DeviceOptimizer, DeviceVerdict, IntoModelOptimizer, ModelOptimizer, StepArgs,
};
pub use record::TensorState;
pub use rule::Rule;
pub use sam::Sam;
pub use schedule_free::{Adapted, ScheduleFree, ScheduleFreeAdamW, ScheduleFreeSgd};
pub use second_moments::SecondMoments;
pub use wrap::{
    AdaptiveClip, Cautious, Lars, Lookahead, LookaheadState, PNormClip, TrustRatio, ValueClip,
};
