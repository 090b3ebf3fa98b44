//! Schedules to look at.

mod preview;
#[cfg(feature = "plot")]
mod svg;

pub use preview::Preview;
pub(crate) use preview::short;
#[cfg(feature = "plot")]
pub use svg::Plot;
