//! The only counter a schedule ever sees.

use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};

use super::damping::Damping;
use super::rate::Rewindable;
use super::{Rate, Schedule, saturate};
use crate::Error;
use crate::checkpoint::{Persist, State};
use crate::error::check::Param;

/// A schedule with a position: what a training loop holds.
///
/// The `k`-th [`step`](Self::step), counted from 0, returns `gain · curve(k)` and moves on by one.
/// `gain` is 1 until something [dampens](Self::dampen) the schedule; after a rewind it may climb to its
/// level slowly.
///
/// It implements Burn's [`LrScheduler`], so every schedule also goes into `Learner::new` and into
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
/// [`state`](Persist::state) and [`restore`](Persist::restore) are strict: the saved state carries
/// samples of the curve, and a curve that differs is refused with the first update at which it does.
/// To go on with another curve on purpose, a longer one say, take the position alone and
/// [`seek`](Self::seek) to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduler<S> {
    curve: S,
    position: u64,
    damping: Damping,
}

impl<S> Scheduler<S> {
    /// A counter over `curve`, at update 0.
    pub fn new(curve: S) -> Self {
        Self { curve, position: 0, damping: Damping::default() }
    }

    /// The index of the update whose rate [`step`](Self::step) returns next.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Moves to `update`; the next [`step`](Self::step) returns its rate. Costs the same for any
    /// distance, in either direction.
    pub fn seek(&mut self, update: u64) {
        self.position = update;
    }

    /// What dampening has left of the curve: 1 until something dampens it.
    pub fn gain(&self) -> f64 {
        self.damping.gain()
    }

    /// Multiplies every rate from now on by `factor`, on top of earlier factors.
    ///
    /// # Errors
    /// If `factor` is not above 0 and at most 1. The schedule is then unchanged.
    pub fn dampen(&mut self, factor: f64) -> Result<(), Error> {
        self.damping.dampen(Param("dampen", "factor").fraction(factor)?);
        Ok(())
    }

    /// The curve.
    pub fn curve(&self) -> &S {
        &self.curve
    }
}

impl<S: Schedule> Scheduler<S> {
    /// The rate of the next update, without moving.
    pub fn peek(&self) -> f64 {
        saturate(self.damping.at(self.position) * self.curve.at(self.position))
    }

    /// The rate of the next update, and one step forward.
    ///
    /// The rate remembers this schedule, so that [`Keel::step`](crate::Keel::step) can hold it or
    /// move it back; anywhere else it is a number. At `u64::MAX` the position stays.
    pub fn step(&mut self) -> Rate<'_> {
        let (value, at) = (self.peek(), self.position);
        self.position = at.saturating_add(1);
        Rate::from_schedule(value, at, self)
    }
}

impl<S> Rewindable for Scheduler<S> {
    fn move_to(&mut self, update: u64) {
        self.position = update;
    }

    fn dampen_by(&mut self, factor: f64, warm_up: u64) {
        self.damping.dampen(factor);
        self.damping.warm_up(self.position, warm_up);
    }
}

/// Where the curve is sampled for a saved state: dense at the start, where warm-ups differ, and then
/// by decades.
const SAMPLES: [u64; 14] =
    [0, 1, 2, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// Curves saved and loaded on different machines may differ in the last places of a cosine.
const SAME: f64 = 1e-9;

impl<S: Schedule> Persist for Scheduler<S> {
    fn state(&self) -> State {
        State::new()
            .with_count("position", self.position)
            .with_part("damping", self.damping.state())
            .with_list("curve", SAMPLES.map(|t| self.curve.at(t)).to_vec())
    }

    /// # Errors
    /// If the state is not a scheduler's, its numbers are out of range, or its curve was another one.
    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let position = state.count("position")?;
        let damping = Damping::restored(&state.part("damping"))?;
        let saved = state.list("curve")?;
        if saved.len() != SAMPLES.len() {
            return Err(Error::record("a schedule's samples are missing"));
        }
        for (t, &then) in SAMPLES.into_iter().zip(saved) {
            let now = self.curve.at(t);
            // Comparisons with NaN are false: NaN on one side only is a difference.
            let near = (now - then).abs() <= SAME * now.abs().max(then.abs());
            let same = near || (now.is_nan() && then.is_nan());
            if !same {
                return Err(Error::record(format_args!(
                    "it is another schedule's: at update {t} that one gave {then}, this one gives \
                     {now}. To change the curve of a run, restore only the position, by `seek`"
                )));
            }
        }
        (self.position, self.damping) = (position, damping);
        Ok(())
    }
}

/// `step`, `state` and `restore` in Burn's words.
///
/// # Panics
/// Burn's `load_record` cannot return an error, and resuming silently from another place would
/// ruin a run without a trace. So `load_record` panics, with the text of the error that
/// [`Persist::restore`] gives, if the record does not fit; use that method where a panic is not
/// acceptable.
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
