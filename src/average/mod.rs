//! Weight averaging over training: exponential moving average (EMA) and stochastic weight averaging (SWA).
//!
//! An average is updated only when an update is applied: a skipped step does not touch it, and a rewind takes it back
//! with the weights. [`Keel`](crate::Keel) keeps one ([`Builder::average`](crate::Builder::average)) and returns it as
//! a separate model ([`Keel::averaged`](crate::Keel::averaged)), so there is no mode to switch and forget.

mod ema;
mod refresh;
mod shadow;
mod swa;

pub use ema::Ema;
pub use refresh::refresh_statistics;
pub(crate) use shadow::Shadow;
pub use swa::Swa;

/// An averaging rule: how much of the new weights goes into their average.
///
/// ```text
/// a ← a + w·(p − a)
/// ```
///
/// Closures are averaging rules. This one starts over with the weights of every hundredth update:
///
/// ```
/// use evenkeel::average::Average;
///
/// let rule = |update: u64, _taken: u64| (update % 100 == 0).then_some(1.0);
/// assert_eq!(rule.weight(200, 2), Some(1.0));
/// assert_eq!(rule.weight(201, 3), None);
/// ```
pub trait Average: Send + Sync {
    /// Returns `w` for the weights after update `update`, counted from 0; `taken` is the number of earlier updates that
    /// went into the average. `None` leaves the average unchanged. The first weights taken are copied, whatever their
    /// weight.
    fn weight(&self, update: u64, taken: u64) -> Option<f64>;
}

impl<F: Fn(u64, u64) -> Option<f64> + Send + Sync> Average for F {
    fn weight(&self, update: u64, taken: u64) -> Option<f64> {
        self(update, taken)
    }
}
