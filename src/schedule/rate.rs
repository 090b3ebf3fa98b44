//! A learning rate that remembers the schedule it came from.

use std::fmt;
use std::ops::Deref;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ParamGroup};

use crate::checkpoint::State;
use crate::{Error, fit};

/// A learning rate on its way from a [`Scheduler`](super::Scheduler) to an optimizer.
///
/// It dereferences to a number, and behaves like that number in arithmetic, printing and comparison. It can also be
/// passed directly to Burn's own [`ModuleOptimizer::step`](burn::optim::ModuleOptimizer::step). In addition, it borrows
/// the schedule it came from, so that [`Keel::step`](crate::Keel::step) can hold the schedule when the update is
/// skipped, and move it back on a rewind. The training loop doesn't have to do this itself, so it can't be forgotten.
///
/// A plain `f64`, or a rate from Burn's own schedulers, converts into a `Rate` that has no schedule to go back to: a
/// skipped step then uses up one update of that schedule, and a rewind doesn't move it.
///
/// ```
/// use evenkeel::schedule::{Ramp, Schedule};
///
/// let mut schedule = Ramp::new(0.0, 1.0, 10)?.start();
/// schedule.step();
/// let rate = schedule.step();
/// println!("{rate:.2e}");
/// let twice = 2.0 * *rate;
/// assert!(rate < 1.0 && twice == 0.2);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[must_use = "a schedule's step has no effect but the rate it returns"]
pub struct Rate<'s> {
    value: f64,
    groups: Option<ModuleLearningRate>,
    origin: Option<Origin<'s>>,
}

/// The schedule to hold or move, and the update at which the rate was read.
struct Origin<'s> {
    schedule: &'s mut dyn Rewindable,
    at: u64,
    /// How many updates before this one turned out not to have been made.
    lag: u64,
}

impl Origin<'_> {
    /// Returns where the schedule belongs, before this update or after it. If a first update that was not made comes to
    /// light only after others, this is before the first.
    fn place(&self, used: bool) -> u64 {
        self.at.saturating_add(used.into()).saturating_sub(self.lag)
    }
}

/// The operations of a rate on the schedule it came from.
pub(crate) trait Rewindable {
    fn move_to(&mut self, update: u64);
    fn back_off_by(&mut self, factor: f64, warmup: u64);

    /// Returns what feedback in the schedule has learned.
    fn memory(&self) -> State;

    /// Restores feedback in the schedule to `then`.
    fn rewound(&mut self, then: &State) -> Result<(), Error>;

    /// Returns the highest value of the schedule, as far as its samples show; `None` if it has none.
    fn peak(&self) -> Option<f64>;

    /// Checks with `fit` the parameter groups that the schedule has rates for, until they have passed once.
    fn check_groups(
        &mut self,
        fit: &dyn Fn(&[&ParamGroup]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let _ = fit;
        Ok(())
    }
}

impl<'s> Rate<'s> {
    pub(super) fn from_schedule(value: f64, at: u64, schedule: &'s mut dyn Rewindable) -> Self {
        Self { value, groups: None, origin: Some(Origin { schedule, at, lag: 0 }) }
    }

    /// Adds separate rates for some parameter groups.
    pub(super) fn with_groups(mut self, groups: ModuleLearningRate) -> Self {
        self.groups = Some(groups);
        self
    }

    /// Returns a rate that is as high as the [bounds](crate::bound) of the keel allow, so you don't have to choose one.
    /// Without a bound, the step [halts](crate::Halted) and says so.
    ///
    /// Where a number is needed, as in reports and logs, it is [`HIGHEST`](Self::HIGHEST).
    pub fn highest() -> Self {
        Self::from(Self::HIGHEST)
    }

    /// The value of [`highest`](Self::highest): higher than any rate that trains.
    pub const HIGHEST: f64 = 1e30;

    /// Returns the rate, or the base rate if parameter groups have their own.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Returns the update at which the schedule was read; `None` if there is no schedule to go back to.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.origin.as_ref().map(|origin| origin.at)
    }

    /// Returns the rates by parameter group, if there are any.
    pub(crate) fn groups(&self) -> Option<&ModuleLearningRate> {
        self.groups.as_ref()
    }

    /// Checks that every group of the schedule has a parameter in `model`. The groups of Burn's own schedulers cannot
    /// be listed.
    pub(crate) fn check_groups<M: Module>(&mut self, model: &M) -> Result<(), Error> {
        let Some(Origin { schedule, .. }) = &mut self.origin else { return Ok(()) };
        schedule.check_groups(&|groups| {
            fit::check_groups("GroupScheduler", groups.iter().copied(), model)
        })
    }

    /// Returns the highest rate that the schedule ever gives, as far as samples show, ignoring backoff; `None` for a
    /// plain rate, and for a schedule that rises without end.
    ///
    /// # Cost
    /// About 260 evaluations of the schedule.
    pub(crate) fn peak(&self) -> Option<f64> {
        self.origin.as_ref()?.schedule.peak()
    }

    /// Returns where the schedule continues, depending on whether the update is made (`used`) or not; `None` if there
    /// is no schedule.
    pub(crate) fn next(&self, used: bool) -> Option<u64> {
        self.origin.as_ref().map(|origin| origin.place(used))
    }

    /// Settles an update that was not applied: the schedule will give this rate again.
    pub(crate) fn hold(self) {
        self.settle(false);
    }

    /// Records that `by` earlier updates turned out not to have been made: the schedule lags by as many. This update
    /// may be among them.
    pub(crate) fn lag(&mut self, by: u64) {
        if let Some(Origin { lag, .. }) = &mut self.origin {
            *lag += by;
        }
    }

    /// Settles an update that was made: the schedule advances to the next.
    pub(crate) fn go_on(self) {
        self.settle(true);
    }

    fn settle(self, used: bool) {
        if let Some(origin) = self.origin {
            let place = origin.place(used);
            origin.schedule.move_to(place);
        }
    }

    /// Returns what feedback in the schedule has learned; `None` for a plain rate.
    pub(crate) fn memory(&self) -> Option<State> {
        self.origin.as_ref().map(|origin| origin.schedule.memory())
    }

    /// Restores feedback in the schedule to `then`.
    pub(crate) fn rewound(&mut self, then: &State) -> Result<(), Error> {
        match &mut self.origin {
            Some(origin) => origin.schedule.rewound(then),
            None => Ok(()),
        }
    }

    /// Moves the schedule back with training, lowered, and climbing to its level over `warmup` updates. Returns `false`
    /// if there is no schedule to move.
    pub(crate) fn rewind(self, to: Option<u64>, backoff: f64, warmup: u64) -> bool {
        let Some(origin) = self.origin else {
            return false;
        };
        let place = to.unwrap_or(origin.place(false));
        let schedule = origin.schedule;
        schedule.move_to(place);
        schedule.back_off_by(backoff, warmup);
        true
    }
}

impl Deref for Rate<'_> {
    type Target = f64;

    fn deref(&self) -> &f64 {
        &self.value
    }
}

impl PartialEq<f64> for Rate<'_> {
    fn eq(&self, other: &f64) -> bool {
        self.value == *other
    }
}

impl PartialOrd<f64> for Rate<'_> {
    fn partial_cmp(&self, other: &f64) -> Option<std::cmp::Ordering> {
        self.value.partial_cmp(other)
    }
}

impl fmt::Display for Rate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.value, f)
    }
}

impl fmt::LowerExp for Rate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerExp::fmt(&self.value, f)
    }
}

impl fmt::Debug for Rate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rate").field("value", &self.value).field("at", &self.position()).finish()
    }
}

impl From<f64> for Rate<'_> {
    fn from(value: f64) -> Self {
        Self { value, groups: None, origin: None }
    }
}

impl From<ModuleLearningRate> for Rate<'_> {
    fn from(groups: ModuleLearningRate) -> Self {
        Self { value: groups.base(), groups: Some(groups), origin: None }
    }
}

impl From<Rate<'_>> for f64 {
    fn from(rate: Rate<'_>) -> f64 {
        rate.value
    }
}

impl From<Rate<'_>> for ModuleLearningRate {
    fn from(rate: Rate<'_>) -> Self {
        rate.groups.unwrap_or_else(|| rate.value.into())
    }
}
