//! The curves, one per file.

mod anneal;
mod constant;
mod cooldown;
mod cosine;
mod cyclic;
mod exponential;
mod exponential_warmup;
mod geometric;
mod inverse_sqrt;
mod inverse_time;
mod knots;
mod logarithmic;
mod multi_step;
mod noam;
mod one_cycle;
mod piecewise;
mod polynomial;
mod ramp;
mod rex;
mod step;
mod sweep;
mod tanh;
mod warm_restarts;
mod wsd;

pub use anneal::Anneal;
pub use constant::Constant;
pub use cooldown::Cooldown;
pub use cosine::Cosine;
pub use cyclic::Cyclic;
pub use exponential::Exponential;
pub use exponential_warmup::ExponentialWarmup;
pub use geometric::Geometric;
pub use inverse_sqrt::InverseSqrt;
pub use inverse_time::InverseTime;
pub use logarithmic::Logarithmic;
pub use multi_step::MultiStep;
pub use noam::Noam;
pub use one_cycle::OneCycle;
pub use piecewise::{PiecewiseConstant, PiecewiseCosine, PiecewiseLinear};
pub use polynomial::Polynomial;
pub use ramp::Ramp;
pub use rex::Rex;
pub use step::Step;
pub use sweep::RangeSweep;
pub use tanh::TanhDecay;
pub use warm_restarts::WarmRestarts;
pub use wsd::Wsd;

#[cfg(feature = "serde")]
pub(super) use {cyclic::Amplitude, knots::Knots, sweep::SweepKind};
