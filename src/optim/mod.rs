//! Optimizers.
//!
//! [`Update`] is what [`Keel`](crate::Keel) asks of one: to advance a whole model by one step, and to
//! be put back. Burn's [`ModuleOptimizer`](burn::optim::ModuleOptimizer) is one, with all its
//! parameter groups.

mod adam;
mod descent;
mod groups;
mod hyper;
mod kernel;
mod module;
mod record;
mod rule;
mod sam;
mod schedule_free;
mod units;
mod update;
mod wrap;

pub use adam::{AdaBelief, Adam, AdamW, Adamax, Adaptive, Adopt, NAdam, RAdam, Spam};
pub use descent::{Descent, Heavy, Momentum, Plain, Sgd};
pub use groups::{Groups, vectors};
pub use hyper::Hyper;
pub use record::TensorState;
pub use rule::Rule;
pub use sam::Sam;
pub use schedule_free::{Adapted, ScheduleFree, ScheduleFreeAdamW, ScheduleFreeSgd};
pub use update::{IntoUpdate, Pace, Update};
pub use wrap::{AdaptiveClip, Cautious, Lars, Lookahead, LookaheadState, TrustRatio};
