//! Schedules for learning rates and other values, as pure functions of the update index.
//!
//! A [`Schedule`] is a pure function of a `u64`. It doesn't depend on an optimizer, a loss or a clock, so it
//! can be read at any update, in any order, and resuming needs only the position. Any closure from `u64` to `f64`
//! is a schedule. Combinators build larger schedules from smaller ones, and [`Scheduler`] counts updates for a
//! training loop.
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
//! # Guarantees
//!
//! - `at(0)` is the value for the first applied update.
//! - The unit is *applied updates*, not epochs, batches or rejected steps.
//! - A schedule with an end holds its last value past that end.
//! - Every schedule that its constructor accepts is finite for every `u64`, unless it was asked to have
//!   [no value past its end](Past::Error).
//!
//! # Overview
//!
//! | | |
//! |---|---|
//! | constant or rising | [`Constant`], [`Ramp`], [`Logarithmic`], [`ExponentialWarmup`], [`Geometric`] |
//! | decaying | [`Cosine`], [`Polynomial`], [`Exponential`], [`InverseTime`], [`InverseSqrt`], [`Rex`], [`TanhDecay`], [`Cooldown`] |
//! | stepwise or piecewise | [`Step`], [`MultiStep`], [`PiecewiseConstant`], [`PiecewiseLinear`], [`PiecewiseCosine`] |
//! | whole runs | [`OneCycle`], [`Wsd`], [`Noam`], [`Cyclic`], [`WarmRestarts`], [`RangeSweep`] |
//! | combinators | [`then`](Schedule::then), [`Sequence`], [`times`](Schedule::times), [`plus`](Schedule::plus), [`mean`](Schedule::mean), [`min`](Schedule::min), [`max`](Schedule::max), [`clamp`](Schedule::clamp), [`scale`](Schedule::scale), [`shift`](Schedule::shift), [`advance`](Schedule::advance), [`until`](Schedule::until), [`repeat`](Schedule::repeat), [`stretch`](Schedule::stretch), [`noise`](Schedule::noise) |
//! | recipes under familiar names | [`recipe`], with those of transformers in [`recipe::Transformers`] |
//! | per parameter group | [`GroupScheduler`] |
//! | for another unit or another optimizer | [`Run`], [`tuning`] |
//! | previews and plots | [`Preview`], [`Plot`] |
//! | in a file | `ScheduleConfig`, with the feature `serde` |
//!
//! For their names in other libraries, and for deliberate differences, see
//! [`docs::schedules`](crate::docs::schedules).
//!
//! # Feedback
//!
//! [`Plateau`], [`Greedy`] and [`Backoff`] are factors that depend on feedback from the run. They are
//! schedules like any other and can be [multiplied](Schedule::times) with another schedule anywhere. Clones
//! share their memory, so a clone is the handle through which feedback is given. What these factors have learned
//! is saved and restored with the [`Scheduler`] around them.

mod compose;
#[cfg(feature = "serde")]
mod config;
mod curve;
mod feedback;
mod groups;
mod math;
mod rate;
pub mod recipe;
mod saved;
mod scheduler;
mod show;
mod time;
pub mod tuning;

pub use compose::{
    Advance, Clamp, Max, Mean, Min, Noise, Noisy, Past, Plus, Scale, Sequence, Shift, Stretch,
    Then, Times, Until,
};
#[cfg(feature = "serde")]
pub use config::ScheduleConfig;
pub use curve::{
    Anneal, Constant, Cooldown, Cosine, Cyclic, Exponential, ExponentialWarmup, Geometric,
    InverseSqrt, InverseTime, Logarithmic, MultiStep, Noam, OneCycle, PiecewiseConstant,
    PiecewiseCosine, PiecewiseLinear, Polynomial, Ramp, RangeSweep, Rex, Step, TanhDecay,
    WarmRestarts, Wsd,
};
pub(crate) use feedback::BackoffLevel;
pub use feedback::{Backoff, Greedy, Plateau, Setback};
pub use groups::GroupScheduler;
pub use rate::Rate;
pub use scheduler::Scheduler;
pub use show::{Plot, Preview};
pub use time::{Run, Time};

use std::ops::Range;
use std::sync::Arc;

use crate::Error;
use crate::checkpoint::State;

/// Any schedule behind a pointer, as returned by [`Schedule::boxed`]. Cloning copies the pointer.
pub type Boxed = Arc<dyn Schedule + Send + Sync>;

/// A value as a pure function of the update index.
///
/// Only [`at`](Self::at) is required; every other method is provided. Closures are schedules:
///
/// ```
/// use evenkeel::schedule::Schedule;
///
/// let sawtooth = |update: u64| 1e-3 * (1.0 - (update % 10) as f64 / 10.0);
/// assert_eq!(sawtooth.at(10), 1e-3);
/// ```
#[doc(alias = "LambdaLR")]
pub trait Schedule {
    /// Returns the value for update `update`, counted from 0.
    fn at(&self, update: u64) -> f64;

    /// Switches from this schedule to `next` at update `at`; `next` then starts at its own update 0.
    ///
    /// `y(t) = self(t)` for `t < at`, `next(t − at)` for `t ≥ at`. With `at = 0` only `next` is
    /// used. Sequences of more than two nest: `a.then(10, b.then(20, c))` runs `c` from
    /// update 30.
    ///
    /// Agrees with optax `join_schedules` and torch `SequentialLR`.
    fn then<S: Schedule>(self, at: u64, next: S) -> Then<Self, S>
    where
        Self: Sized,
    {
        Then::new(self, at, next)
    }

    /// Returns the product of two schedules.
    #[doc(alias = "ChainedScheduler")]
    fn times<S: Schedule>(self, other: S) -> Times<Self, S>
    where
        Self: Sized,
    {
        Times::new(self, other)
    }

    /// Returns the sum of two schedules.
    fn plus<S: Schedule>(self, other: S) -> Plus<Self, S>
    where
        Self: Sized,
    {
        Plus::new(self, other)
    }

    /// Returns the mean of two schedules at every update. The mean of three is
    /// `a.plus(b).plus(c).scale(1.0 / 3.0)`.
    fn mean<S: Schedule>(self, other: S) -> Mean<Self, S>
    where
        Self: Sized,
    {
        Mean::new(self, other)
    }

    /// Returns the smaller of two schedules at every update.
    fn min<S: Schedule>(self, other: S) -> Min<Self, S>
    where
        Self: Sized,
    {
        Min::new(self, other)
    }

    /// Returns the larger of two schedules at every update.
    fn max<S: Schedule>(self, other: S) -> Max<Self, S>
    where
        Self: Sized,
    {
        Max::new(self, other)
    }

    /// Clamps this schedule to values between `low` and `high`.
    ///
    /// # Errors
    /// If a bound is not finite, or `low` is above `high`.
    fn clamp(self, low: f64, high: f64) -> Result<Clamp<Self>, Error>
    where
        Self: Sized,
    {
        Clamp::new(self, low, high)
    }

    /// Multiplies this schedule by `factor`.
    ///
    /// # Errors
    /// If `factor` is not finite.
    fn scale(self, factor: f64) -> Result<Scale<Self>, Error>
    where
        Self: Sized,
    {
        Scale::new(self, factor)
    }

    /// Delays this schedule by `by` updates; until then it stays at its `at(0)`.
    fn shift(self, by: u64) -> Shift<Self>
    where
        Self: Sized,
    {
        Shift::new(self, by)
    }

    /// Starts this schedule at its update `by`: `y(t) = self(t + by)`.
    ///
    /// The first update of a warmup from 0 changes nothing; `advance(1)` starts the warmup one step
    /// higher, and ends it one update earlier.
    fn advance(self, by: u64) -> Advance<Self>
    where
        Self: Sized,
    {
        Advance::new(self, by)
    }

    /// Ends this schedule at update `at`; `past` determines what follows: hold, cycle or error.
    ///
    /// Without `until` a curve simply continues; one with an end holds its last value.
    ///
    /// # Errors
    /// If `past` is `Past::Cycle` and `at` is 0.
    fn until(self, at: u64, past: Past) -> Result<Until<Self>, Error>
    where
        Self: Sized,
    {
        Until::new(self, at, past)
    }

    /// Repeats the first `every` updates of this schedule endlessly: `y(t) = self(t mod every)`.
    ///
    /// # Errors
    /// If `every` is 0.
    fn repeat(self, every: u64) -> Result<Until<Self>, Error>
    where
        Self: Sized,
    {
        Until::new(self, every, Past::Cycle)
    }

    /// Spreads the first `from` updates of this schedule over `to` updates, for a longer or shorter run on the
    /// same curve. See [`Stretch`], and [`Scheduler::extend_to`] for a run that is under way.
    fn stretch(self, from: u64, to: u64) -> Stretch<Self>
    where
        Self: Sized,
    {
        Stretch::new(self, from, to)
    }

    /// Applies reproducible random noise to this schedule.
    fn noise(self, noise: Noise) -> Noisy<Self>
    where
        Self: Sized,
    {
        Noisy::new(self, noise)
    }

    /// Returns a view of this schedule over `updates`, to be read ahead of time or printed as a line of blocks.
    fn preview(&self, updates: Range<u64>) -> Preview<'_, Self>
    where
        Self: Sized,
    {
        Preview::new(self, updates)
    }

    /// Returns a counter over this schedule, at update 0.
    fn start(self) -> Scheduler<Self>
    where
        Self: Sized,
    {
        Scheduler::new(self)
    }

    /// Puts this schedule behind a pointer, so that different schedules have the same type.
    fn boxed(self) -> Boxed
    where
        Self: Sized + Send + Sync + 'static,
    {
        Arc::new(self)
    }

    /// Returns the state that later values depend on, apart from the update index. It is empty unless there is
    /// [feedback](self#feedback) in the schedule.
    fn state(&self) -> State {
        State::new()
    }

    /// Restores a saved [`state`](Self::state), entirely or not at all.
    ///
    /// # Errors
    /// If the state does not belong to this schedule, which is then unchanged.
    fn restore(&self, state: &State) -> Result<(), Error> {
        state.only(&[])
    }

    /// Called when training has been rewound to a point where this schedule had the [`state`](Self::state) `then`.
    ///
    /// By default this restores `then`, since what feedback has learned in the meantime concerns weights that were
    /// abandoned. A [`Backoff`] keeps its current state instead, so that the backoff of repeated rewinds accumulates.
    ///
    /// # Errors
    /// If the state does not belong to this schedule.
    fn rewound(&self, then: &State) -> Result<(), Error> {
        self.restore(then)
    }

    /// Called when training has been set back to update `update` and its rate is to be lowered. Returns `true` if a
    /// [`Backoff`] in the schedule has taken the setback, or `false` to leave it to the [`Scheduler`]'s own gain.
    fn set_back(&self, update: u64, setback: &mut Setback) -> bool {
        let _ = (update, setback);
        false
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

    fn state(&self) -> State {
        (**self).state()
    }

    fn restore(&self, state: &State) -> Result<(), Error> {
        (**self).restore(state)
    }

    fn rewound(&self, then: &State) -> Result<(), Error> {
        (**self).rewound(then)
    }

    fn set_back(&self, update: u64, setback: &mut Setback) -> bool {
        (**self).set_back(update, setback)
    }
}
