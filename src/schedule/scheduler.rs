//! The scheduler: a schedule with a position.

use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};

use super::math::saturate;
use super::rate::Rewindable;
use super::{BackoffLevel, Rate, Schedule, Setback, Stretch, saved};
use crate::Error;
use crate::checkpoint::{Persist, State};
use crate::error::check::Param;

/// The name of the backoff in a saved state.
const BACKOFF: &str = "backoff";

/// A schedule with a position, held by a training loop.
///
/// The `k`-th [`step`](Self::step), counted from 0, returns `gain · curve(k)` and advances by one. `gain` is 1 until
/// the schedule [backs off](Self::back_off); after a rewind, it may climb to its level slowly.
///
/// It implements Burn's [`LrScheduler`], so every schedule can also be passed to `Learner::new` and to
/// `ModuleLrScheduler::with_group`.
///
/// ```
/// use evenkeel::schedule::{Schedule, Step};
///
/// let mut schedule = Step::new(1.0, 0.5, 2)?.start();
/// let rates: Vec<f64> = (0..4).map(|_| schedule.step().value()).collect();
/// assert_eq!(rates, [1.0, 1.0, 0.5, 0.5]);
///
/// assert_eq!(schedule.position(), 4);
/// schedule.seek(1);
/// assert_eq!(schedule.peek(), 1.0);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Saving
///
/// [`state`](Persist::state) and [`restore`](Persist::restore) are strict. The saved state contains samples of the
/// curve, and a curve that differs is refused with the first sampled update at which it does. The samples are every
/// update up to 32, and eight per doubling from there on; a curve that differs only between two samples passes as the
/// same.
///
/// The memory of [feedback](crate::schedule#feedback) in the curve is saved with it.
///
/// To continue with a different curve on purpose, such as a longer one, take only the position and [`seek`](Self::seek)
/// to it.
#[derive(Debug, Clone, PartialEq)]
#[doc(alias = "lr_scheduler")]
pub struct Scheduler<S> {
    curve: S,
    position: u64,
    backoff: BackoffLevel,
}

impl<S> Scheduler<S> {
    /// Creates a scheduler for `curve`, at update 0.
    pub fn new(curve: S) -> Self {
        Self { curve, position: 0, backoff: BackoffLevel::default() }
    }

    /// Returns the index of the update whose rate [`step`](Self::step) returns next.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Moves to `update`; the next [`step`](Self::step) returns its rate. The cost is the same for any distance, in
    /// either direction.
    pub fn seek(&mut self, update: u64) {
        self.position = update;
    }

    /// Returns the factor that dampening has put on the curve: 1 until something dampens it.
    pub fn gain(&self) -> f64 {
        self.backoff.gain()
    }

    /// Returns the curve.
    pub fn curve(&self) -> &S {
        &self.curve
    }
}

impl<S: Schedule> Scheduler<S> {
    /// Returns the rate of the next update, without advancing.
    pub fn peek(&self) -> f64 {
        saturate(self.backoff.at(self.position) * self.curve.at(self.position))
    }

    /// Returns the rate of the next update, and advances by one.
    ///
    /// The rate remembers this schedule, so that [`Keel::step`](crate::Keel::step) can hold it or move it back.
    /// Anywhere else it is just a number. At `u64::MAX` the position no longer advances.
    pub fn step(&mut self) -> Rate<'_> {
        let (value, at) = (self.peek(), self.position);
        self.position = at.saturating_add(1);
        Rate::from_schedule(value, at, self)
    }

    /// Multiplies every rate from now on by `factor`, on top of earlier factors. If there is a
    /// [`Backoff`](super::Backoff) in the curve, it takes the factor; otherwise the [gain](Self::gain) does.
    ///
    /// # Errors
    /// If `factor` is not above 0 and at most 1. The schedule is then unchanged.
    pub fn back_off(&mut self, factor: f64) -> Result<(), Error> {
        self.take(&mut Setback::new(Param("back_off", "factor").fraction(factor)?));
        Ok(())
    }

    /// Adapts the schedule to a run that was to end at update `from`, and now ends at `to`: the rest of the curve is
    /// spread over the remaining updates. The part that has passed is unchanged.
    ///
    /// To resume the changed run later, build the same curve again: it is `curve.stretch(from, to).since(position)`,
    /// where `position` is that of the change.
    ///
    /// ```
    /// use evenkeel::schedule::{Ramp, Schedule};
    ///
    /// let mut schedule = Ramp::new(1.0, 0.0, 10)?.start();
    /// schedule.seek(5);
    /// let mut schedule = schedule.extend_to(10, 15)?;
    /// assert_eq!(schedule.step(), 0.5);
    /// assert_eq!([10, 15].map(|t| schedule.curve().at(t)), [0.25, 0.0]);
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the position is past `from` or `to`.
    pub fn extend_to(self, from: u64, to: u64) -> Result<Scheduler<Stretch<S>>, Error> {
        let Self { curve, position, backoff } = self;
        Ok(Scheduler { curve: curve.stretch(from, to).since(position)?, position, backoff })
    }
}

impl<S: Schedule> Rewindable for Scheduler<S> {
    fn move_to(&mut self, update: u64) {
        self.position = update;
    }

    fn memory(&self) -> State {
        self.curve.state()
    }

    fn rewound(&mut self, then: &State) -> Result<(), Error> {
        self.curve.rewound(then)
    }

    fn peak(&self) -> Option<f64> {
        saved::peak(&self.curve)
    }

    fn back_off_by(&mut self, factor: f64, warmup: u64) {
        self.take(&mut Setback::new(factor).with_warmup(warmup));
    }
}

impl<S: Schedule> Scheduler<S> {
    /// Passes the setback to the curve or, if the curve doesn't take it, to the gain.
    pub(super) fn take(&mut self, setback: &mut Setback) {
        if !self.curve.set_back(self.position, setback) {
            setback.apply(&mut self.backoff, self.position);
        }
    }
}

impl<S: Schedule> Persist for Scheduler<S> {
    fn state(&self) -> State {
        let state = State::new().with_count("position", self.position);
        saved::with_curve(state.with_part(BACKOFF, self.backoff.state()), &self.curve)
    }

    /// # Errors
    /// If the state is not a scheduler's, its numbers are out of range, or it was saved with another curve.
    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let [curve, remembers] = saved::NAMES;
        let own = state.clone().without_part(saved::FEEDBACK).without_part(BACKOFF);
        own.only(&["position", curve, remembers])?;
        let position = state.count("position")?;
        let backoff = self.backoff.restored(&state.part(BACKOFF))?;
        saved::restore(&self.curve, state)?;
        (self.position, self.backoff) = (position, backoff);
        Ok(())
    }
}

/// `step`, `state` and `restore` under Burn's names.
///
/// # Panics
/// Burn's `load_record` cannot return an error, and silently resuming from another place would ruin a run without a
/// trace. So `load_record` panics if the record doesn't fit, with the text of the error that [`Persist::restore`]
/// returns. Use that method where a panic is not acceptable.
impl<S: Schedule + Clone + Send + Sync + 'static> LrScheduler for Scheduler<S> {
    fn step(&mut self) -> f64 {
        Self::step(self).value()
    }

    fn to_record(&self) -> LrSchedulerRecord {
        self.state().to_lr_record()
    }

    fn load_record(&mut self, record: LrSchedulerRecord) {
        let loaded =
            State::from_lr_record(&record, &self.state()).and_then(|state| self.restore(&state));
        if let Err(error) = loaded {
            panic!("{error}");
        }
    }
}
