//! Averages of the weights over training: EMA and SWA, inside the gate.
//!
//! An average is updated when an update is applied, and only then: a skipped step does not touch it,
//! and a rewind takes it back with the weights. [`Keel`](crate::Keel) keeps one
//! ([`Builder::average`](crate::Builder::average)) and gives it out as a model of its own
//! ([`Keel::averaged`](crate::Keel::averaged)): there is no mode to switch and to forget.

mod ema;
mod refresh;
mod shadow;
mod swa;

pub use ema::Ema;
pub use refresh::refresh_statistics;
pub(crate) use shadow::Shadow;
pub use swa::Swa;

/// Says how much of the new weights goes into their average.
///
/// ```text
/// a ← a + w·(p − a)
/// ```
///
/// Closures are averages: this one starts over with the weights of every hundredth update.
///
/// ```
/// use evenkeel::average::Average;
///
/// let rule = |update: u64, _taken: u64| (update % 100 == 0).then_some(1.0);
/// assert_eq!(rule.weight(200, 2), Some(1.0));
/// assert_eq!(rule.weight(201, 3), None);
/// ```
pub trait Average: Send + Sync {
    /// `w` after update `update`, counted from 0, of which `taken` earlier ones went into the average.
    /// `None` leaves the average as it is. The first one taken is copied, whatever its weight.
    fn weight(&self, update: u64, taken: u64) -> Option<f64>;
}

impl<F: Fn(u64, u64) -> Option<f64> + Send + Sync> Average for F {
    fn weight(&self, update: u64, taken: u64) -> Option<f64> {
        self(update, taken)
    }
}
