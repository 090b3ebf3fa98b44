//! Previews and plots of schedules.

mod preview;
mod svg;

pub use preview::Preview;
pub use svg::Plot;
