//! Optimizers.
//!
//! [`ModelOptimizer`] is what [`Keel`](crate::Keel) asks of one: to advance a whole model by one step, and to
//! be put back. Burn's [`ModuleOptimizer`](burn::optim::ModuleOptimizer) is one, with all its
//! parameter groups. So are the rules here, which are one pass over memory where Burn's are a dozen:
//!
//! | | |
//! |---|---|
//! | [`Sgd`], [`Momentum`] | descent, with Polyak's or Nesterov's momentum |
//! | [`Adam`], [`AdamW`], [`NAdam`], [`RAdam`], [`AdaBelief`], [`Adamax`], [`Adopt`] | the Adam family |
//! | [`ScheduleFreeSgd`], [`ScheduleFreeAdamW`] | averages in the place of a schedule |
//!
//! They are Burn [`Optimizer`](burn::optim::Optimizer)s too, and work in `ModuleOptimizer` and
//! `Learner`; the fused pass over all tensors, with the clips' factor in it, is that of [`ParamGroups`], which
//! is what [`Keel::wrap`](crate::Keel::wrap) makes of a rule.
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
//! For what makes training unstable there are [`AdamW`]'s [`update_rms_at_most`](Adaptive::update_rms_at_most)
//! (StableAdamW), [`cautious`](Adaptive::cautious), [`gradient_start`](Adaptive::gradient_start) (GI-Adam) and
//! [`spam`](Adaptive::spam), and around any Burn optimizer [`Lookahead`], [`TrustRatio`] (LAMB), [`Lars`],
//! [`AdaptiveClip`], [`ValueClip`], [`PNormClip`] and [`Cautious`]. [`Sam`] is for loops with two backward passes, and
//! [`MasterWeights`] for models in half precision.
//!
//! Rates of averaging, `ε`, weight decay, momentum and its dampening may be curves over the updates: see
//! [`HyperParam`]. The other settings of a rule, and those of wrappers, are numbers.
//!
//! An element of a gradient is taken as at most 9·10¹⁸, and with weights in `f64` as at most 6·10¹⁵³: then the square
//! of a difference of two is finite.

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
pub use model_optimizer::{DeviceVerdict, IntoModelOptimizer, ModelOptimizer, StepArgs};
pub use record::TensorState;
pub use rule::Rule;
pub use sam::Sam;
pub use schedule_free::{Adapted, ScheduleFree, ScheduleFreeAdamW, ScheduleFreeSgd};
pub use second_moments::SecondMoments;
pub use wrap::{
    AdaptiveClip, Cautious, Lars, Lookahead, LookaheadState, PNormClip, TrustRatio, ValueClip,
};
