//! Schedules to look at.

mod preview;
mod svg;

pub use preview::Preview;
pub use svg::Plot;
