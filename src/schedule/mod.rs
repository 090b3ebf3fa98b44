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
//! - Whatever the constructor accepted is finite for every `u64`, unless it was asked to have
//!   [no value past its end](Past::Error).
//!
//! # What there is
//!
//! | | |
//! |---|---|
//! | level, and up | [`Constant`], [`Ramp`], [`Logarithmic`], [`ExponentialWarmup`], [`Geometric`] |
//! | down | [`Cosine`], [`Polynomial`], [`Exponential`], [`InverseTime`], [`InverseSqrt`], [`Rex`], [`TanhDecay`], [`Cooldown`] |
//! | in steps | [`Step`], [`MultiStep`], [`PiecewiseConstant`], [`PiecewiseLinear`], [`PiecewiseCosine`] |
//! | whole runs | [`OneCycle`], [`Wsd`], [`Noam`], [`Cyclic`], [`WarmRestarts`], [`RangeSweep`] |
//! | made of others | [`then`](Schedule::then), [`Sequence`], [`times`](Schedule::times), [`plus`](Schedule::plus), [`mean`](Schedule::mean), [`min`](Schedule::min), [`max`](Schedule::max), [`clamp`](Schedule::clamp), [`scale`](Schedule::scale), [`shift`](Schedule::shift), [`advance`](Schedule::advance), [`until`](Schedule::until), [`repeat`](Schedule::repeat), [`stretch`](Schedule::stretch), [`noise`](Schedule::noise) |
//! | by their usual names | [`recipe`], and those of transformers in [`recipe::Transformers`] |
//! | by parameter group | [`GroupScheduler`] |
//! | for another unit, or another optimizer | [`Run`], [`tuning`] |
//! | to look at | [`Preview`], [`Plot`] |
//! | in a file | with the feature `serde`, `ScheduleConfig` |
//!
//! What they are called elsewhere, and where they differ from it on purpose, is in
//! [`docs::schedules`](crate::docs::schedules).
//!
//! # Feedback
//!
//! [`Plateau`], [`Greedy`] and [`Damping`] are factors that depend on what they were told. They are
//! schedules like any other, to be [multiplied](Schedule::times) with one at any place. A clone shares
//! the memory: it is the handle to tell them by. What they have learnt is saved and restored with the
//! [`Scheduler`] around them.

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
pub(crate) use feedback::Damped;
pub use feedback::{Damping, Greedy, Plateau, Setback};
pub use groups::GroupScheduler;
pub use rate::Rate;
pub use scheduler::Scheduler;
pub use show::{Plot, Preview};
pub use time::{Run, Time};

use std::ops::Range;
use std::sync::Arc;

use crate::Error;
use crate::checkpoint::State;

/// Any schedule behind a pointer: what [`Schedule::boxed`] gives. Cloning copies the pointer.
pub type Boxed = Arc<dyn Schedule + Send + Sync>;

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

    /// The mean of two schedules, at every update. That of three is
    /// `a.plus(b).plus(c).scale(1.0 / 3.0)`.
    fn mean<S: Schedule>(self, other: S) -> Mean<Self, S>
    where
        Self: Sized,
    {
        Mean::new(self, other)
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

    /// This schedule, begun at its update `by`: `y(t) = self(t + by)`.
    ///
    /// A warm-up from 0 makes no difference at its first update; `advance(1)` begins it one notch
    /// higher, and it ends one update earlier.
    fn advance(self, by: u64) -> Advance<Self>
    where
        Self: Sized,
    {
        Advance::new(self, by)
    }

    /// This schedule up to update `at`, and past it what `past` says: hold, cycle or error.
    ///
    /// Without this a curve goes on by itself: one with an end holds it.
    ///
    /// # Errors
    /// If it is to cycle, and `at` is 0.
    fn until(self, at: u64, past: Past) -> Result<Until<Self>, Error>
    where
        Self: Sized,
    {
        Until::new(self, at, past)
    }

    /// The first `every` updates of this schedule, over and over: `y(t) = self(t mod every)`.
    ///
    /// # Errors
    /// If `every` is 0.
    fn repeat(self, every: u64) -> Result<Until<Self>, Error>
    where
        Self: Sized,
    {
        Until::new(self, every, Past::Cycle)
    }

    /// The first `from` updates of this schedule, spread over `to`: a longer or a shorter run on the
    /// same curve. See [`Stretch`], and [`Scheduler::extend_to`] for a run that is under way.
    fn stretch(self, from: u64, to: u64) -> Stretch<Self>
    where
        Self: Sized,
    {
        Stretch::new(self, from, to)
    }

    /// This schedule with reproducible random noise on it.
    fn noise(self, noise: Noise) -> Noisy<Self>
    where
        Self: Sized,
    {
        Noisy::new(self, noise)
    }

    /// A stretch of this schedule, to be read ahead of time or printed as a line of blocks.
    fn preview(&self, updates: Range<u64>) -> Preview<'_, Self>
    where
        Self: Sized,
    {
        Preview::new(self, updates)
    }

    /// A counter over this schedule, at update 0.
    fn start(self) -> Scheduler<Self>
    where
        Self: Sized,
    {
        Scheduler::new(self)
    }

    /// This schedule behind a pointer, so that different ones have one type.
    fn boxed(self) -> Boxed
    where
        Self: Sized + Send + Sync + 'static,
    {
        Arc::new(self)
    }

    /// What later values depend on beside the update: nothing, unless there is
    /// [feedback](self#feedback) in the schedule.
    fn state(&self) -> State {
        State::new()
    }

    /// Takes that state back, all of it or none.
    ///
    /// # Errors
    /// If the state is not one of this schedule's; it is then unchanged.
    fn restore(&self, state: &State) -> Result<(), Error> {
        state.only(&[])
    }

    /// Training went back to an earlier state, where this schedule had the [`state`](Self::state) `then`. Takes
    /// it back, unless overridden: what feedback has learnt since is of weights that were abandoned. A
    /// [`Damping`] keeps what it has, or no rewind could add to the one before.
    ///
    /// # Errors
    /// If the state is not one of this schedule's.
    fn rewound(&self, then: &State) -> Result<(), Error> {
        self.restore(then)
    }

    /// Training was set back, to update `update`, and its rate is to be damped. `true` if a
    /// [`Damping`] in the schedule has taken it; `false` leaves it to the [`Scheduler`]'s own gain.
    fn damp(&self, update: u64, setback: &mut Setback) -> bool {
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

    fn damp(&self, update: u64, setback: &mut Setback) -> bool {
        (**self).damp(update, setback)
    }
}
