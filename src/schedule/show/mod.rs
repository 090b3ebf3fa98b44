//! Schedules to look at.

mod preview;
#[cfg(feature = "plot")]
mod svg;

pub use preview::Preview;
#[cfg(feature = "plot")]
pub use svg::Plot;
