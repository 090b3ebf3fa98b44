//! The curves, one a file.

mod constant;
mod cosine;
mod ramp;
mod step;

pub use constant::Constant;
pub use cosine::Cosine;
pub use ramp::Ramp;
pub use step::Step;
