//! The memory of a cap that is measured periodically, on the current batch.
//!
//! Invariant: a measurement is kept if the step of its batch is applied, and dropped otherwise.

use crate::checkpoint::State;
use crate::shared::Shared;
use crate::stat::Ema;
use crate::{Error, Reading, Verdict};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Memory {
    pub(crate) known: Known,
    /// `known`, updated with a measurement whose step has no known outcome yet.
    pub(crate) unsure: Option<Known>,
    /// The rate last requested, of the steps that were applied.
    pub(crate) asked: Option<f64>,
    /// The mean of roughly the last ten accepted losses.
    losses: Ema<f64>,
    /// Whether the last of these losses was far above that mean.
    alarmed: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Known {
    pub(crate) cap: Option<f64>,
    pub(crate) measured: u64,
    /// The update of the last measurement.
    pub(crate) at: Option<u64>,
}

/// When to measure: at each of the first updates, and then at regular intervals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cadence {
    pub(crate) dense: u64,
    pub(crate) every: u64,
}

/// A rate below the bound by at least this factor is far from it, and measuring is not urgent.
const FAR: f64 = 8.0;

impl Default for Memory {
    fn default() -> Self {
        let losses = Ema::new(0.9);
        Self { known: Known::default(), unsure: None, asked: None, losses, alarmed: false }
    }
}

impl Memory {
    pub(crate) fn now(&self) -> Known {
        self.unsure.unwrap_or(self.known)
    }

    /// Returns whether to measure before this update, where the rate may be at most `most`. Measures at each of
    /// the first updates, unless the last requested rate is far below `most`; after those, or in that case, at
    /// regular intervals and after a loss far above the others.
    pub(crate) fn is_due(&self, update: u64, most: Option<f64>, when: Cadence) -> bool {
        if self.alarmed {
            return true;
        }
        let far = self.asked.zip(most).is_some_and(|(asked, most)| asked * FAR < most);
        // After a rewind the last measurement may lie in the future; an overdue one is made up for.
        let late = |at: u64| update < at || update >= at.saturating_add(when.every);
        (update < when.dense && !far) || self.now().at.is_none_or(late)
    }

    /// Records a measurement before `update`.
    pub(crate) fn measured(&mut self, update: u64, next: impl FnOnce(Option<f64>) -> Option<f64>) {
        self.known = self.now();
        let Known { cap, measured, .. } = self.known;
        self.unsure = Some(Known { cap: next(cap), measured: measured + 1, at: Some(update) });
    }

    pub(crate) fn record(&mut self, now: &Reading, ruling: Verdict) {
        if ruling == Verdict::Apply {
            self.known = self.now();
            self.asked = Some(now.lr).filter(|rate| rate.is_finite());
            let level = self.losses.mean();
            self.alarmed = level.is_some_and(|level| now.loss > level + level.abs());
            self.losses.push(now.loss);
        }
        self.unsure = None;
    }

    /// Restores the memory of an earlier state. The cap is the lower of the current and the earlier one: back at
    /// the earlier weights, a higher cap would lead the run to where it has just come from. It grows as
    /// measurements allow.
    pub(crate) fn went_back(&mut self, then: Self) {
        let caps = [then.known.cap, self.now().cap].into_iter().flatten();
        let cap = caps.reduce(f64::min);
        *self = then;
        self.known.cap = cap;
    }

    pub(crate) fn state(&self) -> State {
        let Known { cap, measured, at } = self.now();
        let (count, level) = self.losses.parts();
        State::new()
            .with_list("cap", cap.into_iter().collect())
            .with_list("asked", self.asked.into_iter().collect())
            .with_count("measured", measured)
            .with_count("next", at.map_or(0, |at| at.saturating_add(1)))
            .with_count("losses", count)
            .with_list("level", level.to_vec())
            .with_count("alarmed", self.alarmed.into())
    }

    pub(crate) fn restored(state: &State) -> Result<Self, Error> {
        state.only(&["cap", "asked", "measured", "next", "losses", "level", "alarmed"])?;
        let cap = state.list("cap")?.first().copied();
        let asked = state.list("asked")?.first().copied();
        if cap.is_some_and(|cap| !(cap.is_finite() && cap > 0.0)) {
            return Err(Error::record("a cap on the rate must be finite and above 0"));
        }
        if asked.is_some_and(|asked| !asked.is_finite()) {
            return Err(Error::record("the rate that was asked for must be finite"));
        }
        let (measured, at) = (state.count("measured")?, state.count("next")?.checked_sub(1));
        let losses = Ema::new(0.9).refilled(state.counter("losses")?, state.list("level")?)?;
        let alarmed = state.count("alarmed")? != 0;
        Ok(Self { known: Known { cap, measured, at }, unsure: None, asked, losses, alarmed })
    }
}

/// What a bound does with the memory that its clones share.
impl Shared<Memory> {
    pub(crate) fn record(&self, now: &Reading, ruling: Verdict) {
        self.with(|memory| memory.record(now, ruling));
    }

    pub(crate) fn rewound(&self, then: &State) -> Result<(), Error> {
        let then = Memory::restored(then)?;
        self.with(|memory| memory.went_back(then));
        Ok(())
    }

    pub(crate) fn state(&self) -> State {
        self.with(|memory| memory.state())
    }

    pub(crate) fn restore(&self, state: &State) -> Result<(), Error> {
        let restored = Memory::restored(state)?;
        self.with(|memory| *memory = restored);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_is_due_at_its_interval_and_at_first_near_the_bound() {
        let when = Cadence { dense: 10, every: 5 };
        let at = |update| Known { cap: Some(1.0), measured: 1, at: Some(update) };
        let memory = Memory { known: at(20), asked: Some(1.0), ..Memory::default() };
        let due: Vec<u64> = (15..30).filter(|&t| memory.is_due(t, Some(2.0), when)).collect();
        assert_eq!(due, [15, 16, 17, 18, 19, 25, 26, 27, 28, 29]);
        let early = Memory { known: at(2), asked: Some(1.0), ..Memory::default() };
        assert!(early.is_due(3, Some(FAR), when));
        assert!(!early.is_due(3, Some(FAR.next_up()), when));
        assert!(!early.is_due(10 - 4, Some(FAR.next_up()), Cadence { dense: 6, ..when }));
    }

    #[test]
    fn a_cap_that_bounds_nothing_or_everything_is_refused() {
        let good =
            Memory { known: Known { cap: Some(0.5), ..Known::default() }, ..Memory::default() };
        assert_eq!(Memory::restored(&good.state()), Ok(good.clone()));
        for bad in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            assert!(Memory::restored(&good.state().with_list("cap", vec![bad])).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_loss_above_twice_the_usual_one_has_it_measured() {
        let when = Cadence { dense: 0, every: 100 };
        let now = |loss: f64| Reading::new(0).with_loss(loss);
        let known = Known { at: Some(0), ..Known::default() };
        let mut memory = Memory { known, ..Memory::default() };
        (0..5).for_each(|_| memory.record(&now(1.0), Verdict::Apply));
        let after = |loss: f64| {
            let mut memory = memory.clone();
            memory.record(&now(loss), Verdict::Apply);
            memory.is_due(5, None, when)
        };
        assert_eq!([1.0, 2.0, 2.001].map(after), [false, false, true]);
    }
}
