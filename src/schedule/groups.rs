//! Several schedules that advance together.

use std::fmt;

use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::module::ParamGroup;

use super::rate::Rewindable;
use super::{Boxed, Rate, Schedule, Scheduler, Setback};
use crate::Error;
use crate::checkpoint::{Persist, State};
use crate::error::check::Param;

/// A schedule for all parameters, with separate ones for parameter groups, under one counter.
///
/// [`step`](Self::step) returns a [`Rate`] that remembers the schedules it came from. [`Keel::step`](crate::Keel::step)
/// holds all of them when it skips a step, and moves all of them back and lowers their rates when it rewinds. Burn's
/// own `ModuleLrScheduler` accepts our schedules as well, but can't be held or moved back.
///
/// If a parameter is in several groups, the last one counts, as in Burn. If the rate of any group is not finite, the
/// value of the whole [`Rate`] is NaN, so that [`Keel`](crate::Keel) makes no update with it.
///
/// ```
/// use burn::module::{ParamGroup, ParamId};
/// use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
/// use evenkeel::schedule::{Constant, Cosine, GroupScheduler, Schedule};
///
/// let mut schedule = GroupScheduler::new(Cosine::new(1e-3, 0.0, 100)?)
///     .with_group(ParamGroup::from_predicate("backbone"), Cosine::new(1e-4, 0.0, 100)?)
///     .with_group(ParamGroup::from_predicate("norm"), Constant::new(1e-5)?);
///
/// let rates: ModuleLearningRate = schedule.step().into();
/// let rate = |path| rates.lr_from_param(ParamId::new(), Some(path));
/// assert_eq!(rate("head.weight"), 1e-3);
/// assert_eq!(rate("backbone.weight"), 1e-4);
/// assert_eq!(rate("backbone.norm.gamma"), 1e-5);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Cost
/// [`step`](Self::step) copies the groups, as Burn's own scheduler does.
#[derive(Clone)]
#[doc(alias = "param_groups")]
pub struct GroupScheduler {
    base: Scheduler<Boxed>,
    groups: Vec<(ParamGroup, Scheduler<Boxed>)>,
    /// Whether a model was found to have parameters in all groups; not part of the state.
    fitted: bool,
}

impl fmt::Debug for GroupScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<&ParamGroup> = self.groups.iter().map(|(group, _)| group).collect();
        f.debug_struct("GroupScheduler")
            .field("groups", &groups)
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}

impl GroupScheduler {
    /// Creates a scheduler at update 0, with `base` for all parameters.
    pub fn new(base: impl Schedule + Send + Sync + 'static) -> Self {
        Self { base: base.boxed().start(), groups: Vec::new(), fitted: false }
    }

    /// Adds a separate schedule for the parameters of `group`, at the same update. [`Keel::step`](crate::Keel::step)
    /// halts if the model has no such parameters.
    #[must_use]
    pub fn with_group(
        mut self,
        group: ParamGroup,
        curve: impl Schedule + Send + Sync + 'static,
    ) -> Self {
        let mut curve = curve.boxed().start();
        curve.seek(self.position());
        self.groups.push((group, curve));
        self.fitted = false;
        self
    }

    /// Returns the index of the update whose rates [`step`](Self::step) returns next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.base.position()
    }

    /// Moves all schedules to `update`.
    pub fn seek(&mut self, update: u64) {
        self.all().for_each(|schedule| schedule.seek(update));
    }

    /// Lowers all rates; see [`Scheduler::back_off`].
    ///
    /// # Errors
    /// If `factor` is not above 0 and at most 1. The schedules are then unchanged.
    pub fn back_off(&mut self, factor: f64) -> Result<(), Error> {
        self.take(&mut Setback::new(Param("back_off", "factor").fraction(factor)?));
        Ok(())
    }

    /// Returns the rates of the next update, without advancing.
    #[must_use]
    pub fn peek(&self) -> ModuleLearningRate {
        // Burn has no other way to build rates by group.
        let base = ModuleLrScheduler::new(self.base.peek());
        let add = |all: ModuleLrScheduler, (group, curve): &(ParamGroup, Scheduler<Boxed>)| {
            all.with_group(group.clone(), curve.peek())
        };
        self.groups.iter().fold(base, add).step()
    }

    /// Returns the rates of the next update of the separate schedules, in the order in which they were added.
    #[must_use]
    pub fn peek_groups(&self) -> Vec<f64> {
        self.groups.iter().map(|(_, curve)| curve.peek()).collect()
    }

    /// Returns the rates of the next update, and advances by one. At `u64::MAX` the position no longer advances.
    pub fn step(&mut self) -> Rate<'_> {
        let (rates, at) = (self.peek(), self.position());
        let finite = self.all().all(|schedule| schedule.peek().is_finite());
        self.seek(at.saturating_add(1));
        // Burn's rates cannot be listed, and a non-finite one must not hide behind the base.
        let value = if finite { rates.base() } else { f64::NAN };
        Rate::from_schedule(value, at, self).with_groups(rates)
    }

    /// Converts the schedules into one of Burn's, for `Learner::new`.
    #[must_use]
    pub fn into_burn(self) -> ModuleLrScheduler {
        let base = ModuleLrScheduler::new(self.base);
        self.groups.into_iter().fold(base, |all, (group, curve)| all.with_group(group, curve))
    }

    /// Passes one setback to all of them, so that a `Backoff` that they share takes it once.
    fn take(&mut self, setback: &mut Setback) {
        self.all().for_each(|schedule| schedule.take(setback));
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Scheduler<Boxed>> {
        std::iter::once(&mut self.base).chain(self.groups.iter_mut().map(|(_, curve)| curve))
    }
}

impl Rewindable for GroupScheduler {
    fn move_to(&mut self, update: u64) {
        self.seek(update);
    }

    fn back_off_by(&mut self, factor: f64, warmup: u64) {
        self.take(&mut Setback::new(factor).with_warmup(warmup));
    }

    fn memory(&self) -> State {
        let base = State::new().with_part("base", self.base.curve().state());
        self.groups.iter().enumerate().fold(base, |state, (at, (_, group))| {
            state.with_part(&format!("group{at}"), group.curve().state())
        })
    }

    fn rewound(&mut self, then: &State) -> Result<(), Error> {
        self.base.curve().rewound(&then.part("base"))?;
        let mut groups = self.groups.iter().enumerate();
        groups.try_for_each(|(at, (_, group))| {
            group.curve().rewound(&then.part(&format!("group{at}")))
        })
    }

    fn peak(&self) -> Option<f64> {
        let curves = self.groups.iter().map(|(_, curve)| curve).chain([&self.base]);
        curves.map(Rewindable::peak).try_fold(0.0, |most, peak| Some(f64::max(most, peak?)))
    }

    fn check_groups(
        &mut self,
        fit: &dyn Fn(&[&ParamGroup]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if !self.fitted {
            fit(&self.groups.iter().map(|(group, _)| group).collect::<Vec<_>>())?;
            self.fitted = true;
        }
        Ok(())
    }
}

impl Persist for GroupScheduler {
    fn state(&self) -> State {
        let base = State::new().with_part("base", self.base.state());
        self.groups.iter().enumerate().fold(base, |state, (at, (_, curve))| {
            state.with_part(&format!("group{at}"), curve.state())
        })
    }

    /// # Errors
    /// If the state has a different number of groups, its numbers are out of range, or it was saved with another curve.
    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let before = self.state();
        let restored = self.try_restore(state);
        if restored.is_err() {
            // The schedules accept the state that they have just returned.
            let _ = self.try_restore(&before);
        }
        restored
    }
}

impl GroupScheduler {
    fn try_restore(&mut self, state: &State) -> Result<(), Error> {
        self.base.restore(&state.part("base"))?;
        let mut rest = state.clone().without_part("base");
        for (at, (_, curve)) in self.groups.iter_mut().enumerate() {
            let name = format!("group{at}");
            curve.restore(&state.part(&name))?;
            rest = rest.without_part(&name);
        }
        rest.only(&[])
    }
}
