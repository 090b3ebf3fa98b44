//! Values that depend on the index of the update: learning rates above all.
//!
//! A [`Schedule`] is a pure function of a `u64`. It knows no optimizer, no loss and no clock, so it
//! can be read at any update, in any order, and resuming needs the position alone. Any closure is
//! one. Combinators build larger ones; [`Scheduler`] counts updates for a training loop.
//!
//! ```
//! use evenkeel::schedule::{Cosine, Ramp, Schedule};
//!
//! let curve = Ramp::new(0.0, 3e-3, 500)?.then(500, Cosine::new(3e-3, 3e-5, 9_500)?);
//! assert_eq!(curve.at(0), 0.0);
//! assert_eq!(curve.at(500), 3e-3);
//! assert_eq!(curve.at(10_000), 3e-5);
//! assert_eq!(curve.at(u64::MAX), 3e-5);
//!
//! let mut schedule = curve.clone().start();
//! assert_eq!(schedule.step(), 0.0);
//! assert_eq!(schedule.step(), curve.at(1));
//! # Ok::<(), evenkeel::Error>(())
//! ```
//!
//! # What every schedule keeps
//!
//! - `at(0)` is the value of the first applied update.
//! - The unit is *updates that were applied*: neither epochs, nor batches, nor rejected steps.
//! - A schedule with an end holds its last value past it.
//! - Whatever the constructor accepted is finite for every `u64`.

mod compose;
mod curve;
mod damping;
mod rate;
mod scheduler;

pub use compose::{Clamp, Max, Min, Plus, Scale, Shift, Then, Times};
pub use curve::{Constant, Cosine, Ramp, Step};
pub(crate) use damping::Damping;
pub use rate::Rate;
pub use scheduler::Scheduler;

use std::sync::Arc;

use crate::Error;

/// A value as a pure function of the update's index.
///
/// Implementors give [`at`](Self::at); everything else is provided. Closures are schedules:
///
/// ```
/// use evenkeel::schedule::Schedule;
///
/// let sawtooth = |update: u64| 1e-3 * (1.0 - (update % 10) as f64 / 10.0);
/// assert_eq!(sawtooth.at(10), 1e-3);
/// ```
pub trait Schedule {
    /// The value for update `update`, counted from 0.
    fn at(&self, update: u64) -> f64;

    /// This schedule before update `at`, and `next` from it on, which then starts at its own 0.
    ///
    /// `y(t) = self(t)` for `t < at`, `next(t − at)` for `t ≥ at`. With `at = 0` only `next` is
    /// ever seen. Sequences of more than two nest: `a.then(10, b.then(20, c))` runs `c` from
    /// update 30.
    ///
    /// Agrees with optax `join_schedules` and torch `SequentialLR`.
    fn then<S: Schedule>(self, at: u64, next: S) -> Then<Self, S>
    where
        Self: Sized,
    {
        Then::new(self, at, next)
    }

    /// The product of two schedules.
    fn times<S: Schedule>(self, other: S) -> Times<Self, S>
    where
        Self: Sized,
    {
        Times::new(self, other)
    }

    /// The sum of two schedules.
    fn plus<S: Schedule>(self, other: S) -> Plus<Self, S>
    where
        Self: Sized,
    {
        Plus::new(self, other)
    }

    /// The smaller of two schedules, at every update.
    fn min<S: Schedule>(self, other: S) -> Min<Self, S>
    where
        Self: Sized,
    {
        Min::new(self, other)
    }

    /// The larger of two schedules, at every update.
    fn max<S: Schedule>(self, other: S) -> Max<Self, S>
    where
        Self: Sized,
    {
        Max::new(self, other)
    }

    /// This schedule, kept between `low` and `high`.
    ///
    /// # Errors
    /// If a bound is not finite, or `low` is above `high`.
    fn clamp(self, low: f64, high: f64) -> Result<Clamp<Self>, Error>
    where
        Self: Sized,
    {
        Clamp::new(self, low, high)
    }

    /// This schedule multiplied by `factor`.
    ///
    /// # Errors
    /// If `factor` is not finite.
    fn scale(self, factor: f64) -> Result<Scale<Self>, Error>
    where
        Self: Sized,
    {
        Scale::new(self, factor)
    }

    /// This schedule, begun `by` updates late; before, it stands at its `at(0)`.
    fn shift(self, by: u64) -> Shift<Self>
    where
        Self: Sized,
    {
        Shift::new(self, by)
    }

    /// A counter over this schedule, at update 0.
    fn start(self) -> Scheduler<Self>
    where
        Self: Sized,
    {
        Scheduler::new(self)
    }

    /// This schedule behind a pointer, so that different ones have one type.
    fn boxed(self) -> Arc<dyn Schedule + Send + Sync>
    where
        Self: Sized + Send + Sync + 'static,
    {
        Arc::new(self)
    }
}

impl<F: Fn(u64) -> f64> Schedule for F {
    fn at(&self, update: u64) -> f64 {
        self(update)
    }
}

impl<S: Schedule + ?Sized> Schedule for Arc<S> {
    fn at(&self, update: u64) -> f64 {
        (**self).at(update)
    }
}

/// `a + (b − a)·w`: exactly `a` where `a = b`, and finite wherever `a` and `b` are.
fn lerp(a: f64, b: f64, w: f64) -> f64 {
    let span = b - a;
    match span.is_finite() {
        true => a + span * w,
        false => a * (1.0 - w) + b * w,
    }
}

/// Keeps a product or a power representable: infinity, of either sign, becomes the largest finite
/// number. Growth without an end would otherwise reach infinity at some update.
fn saturate(x: f64) -> f64 {
    x.clamp(f64::MIN, f64::MAX)
}
