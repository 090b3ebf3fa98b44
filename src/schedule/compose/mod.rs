//! Schedules made of schedules.

mod bound;
mod pair;
mod scale;
mod shift;
mod then;

pub use bound::Clamp;
pub use pair::{Max, Min, Plus, Times};
pub use scale::Scale;
pub use shift::Shift;
pub use then::Then;
