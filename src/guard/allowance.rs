//! The share of steps that a guard may reject.

use crate::checkpoint::State;
use crate::error::check::Param;
use crate::{Error, Verdict};

/// An allowance of rejections with a reserve; when it is used up, the guard stands down.
///
/// Each applied step earns `share` of a rejection, up to `reserve`, and each rejection costs one. With nothing left,
/// the guard lets everything through until half of the reserve is earned.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Allowance {
    owner: &'static str,
    share: f64,
    credit: f64,
    down: bool,
    /// How many times the guard has stood down.
    times: u64,
}

/// Number of rejections that a fresh guard may make at once: more than a keel tolerates in a row, so that persistent
/// faults lead to a rewind first.
const RESERVE: f64 = 20.0;

impl Allowance {
    pub(super) fn new(owner: &'static str) -> Self {
        Self { owner, share: 0.05, credit: RESERVE, down: false, times: 0 }
    }

    pub(super) fn share(mut self, share: f64) -> Result<Self, Error> {
        self.share = Param(self.owner, "at_most").fraction(share)?;
        Ok(self)
    }

    /// Returns whether the guard lets everything through.
    pub(super) fn is_down(&self) -> bool {
        self.down
    }

    /// Records that a step was applied, or that the guard rejected it. Returns whether that makes the guard stand down.
    pub(super) fn record(&mut self, ruling: Verdict) -> bool {
        match ruling {
            Verdict::Apply => {
                self.credit = (self.credit + self.share).min(RESERVE);
                self.down &= self.credit < RESERVE / 2.0;
                false
            }
            _ => {
                self.credit = (self.credit - 1.0).max(0.0);
                let stands_down = self.credit < 1.0 && !self.down;
                self.down |= stands_down;
                self.times += u64::from(stands_down);
                stands_down
            }
        }
    }

    /// Returns the message that the user should see about it.
    pub(super) fn notice(&self) -> Option<String> {
        (self.times > 0).then(|| {
            let times = match self.times {
                1 => "once".to_string(),
                times => format!("{times} times"),
            };
            format!(
                "{} has stood down {times}: it rejected more than {} % of the steps. Either the \
                 losses have moved to another level, or their spread is part of this problem: then leave \
                 it out, or give it a higher `above`",
                self.owner,
                100.0 * self.share
            )
        })
    }

    /// After a rewind: keeps the used part of the allowance used.
    pub(super) fn keep_no_more_than(&mut self, before: &Self) {
        self.credit = self.credit.min(before.credit);
        (self.down, self.times) = (before.down, before.times);
    }

    pub(super) fn state(&self) -> State {
        State::new()
            .with_number("credit", self.credit)
            .with_count("down", self.down.into())
            .with_count("times", self.times)
    }

    pub(super) fn restored(&self, state: &State) -> Result<Self, Error> {
        state.only(&["credit", "down", "times"])?;
        let credit = state.number("credit")?;
        if !(0.0..=RESERVE).contains(&credit) {
            return Err(Error::record(format_args!(
                "a guard cannot have {credit} rejections left"
            )));
        }
        let (down, times) = (state.count("down")? != 0, state.counter("times")?);
        Ok(Self { credit, down, times, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_rejects_its_reserve_and_its_share_and_no_more() {
        let mut allowance = Allowance::new("LossSpike");
        let mut rejected = 0;
        for _ in 0..10_000 {
            // A guard that rejects as often as it may.
            let ruling = if allowance.is_down() { Verdict::Apply } else { Verdict::Skip };
            rejected += u64::from(ruling == Verdict::Skip);
            allowance.record(ruling);
        }
        assert!((400..=520).contains(&rejected), "{rejected}");
        assert!(allowance.notice().is_some_and(|text| text.contains("more than 5 %")));
    }

    #[test]
    fn a_rewind_does_not_refill_it() {
        let fresh = Allowance::new("LossSpike");
        let mut used = fresh.clone();
        (0..5).for_each(|_| assert!(!used.record(Verdict::Skip)));
        let mut then = fresh.clone();
        then.keep_no_more_than(&used);
        assert_eq!(then, used);
    }

    #[test]
    fn its_state_resumes_it_and_what_cannot_be_is_refused() {
        let mut used = Allowance::new("LossSpike");
        (0..25).for_each(|_| {
            used.record(Verdict::Skip);
        });
        assert!(used.is_down());
        (0..3).for_each(|_| {
            used.record(Verdict::Apply);
        });
        assert_eq!(Allowance::new("LossSpike").restored(&used.state()).unwrap(), used);
        for credit in [f64::NAN, -1.0, 21.0] {
            let state = used.state().with_number("credit", credit);
            assert!(used.restored(&state).is_err());
        }
    }

    #[test]
    fn it_is_up_again_at_half_of_the_reserve() {
        let mut used = Allowance::new("LossSpike").share(1.0).unwrap();
        assert_eq!(used.notice(), None);
        assert_eq!((0..25).filter(|_| used.record(Verdict::Skip)).count(), 1);
        (0..9).for_each(|_| assert!(!used.record(Verdict::Apply)));
        assert!(used.is_down());
        used.record(Verdict::Apply);
        assert!(!used.is_down());
    }
}
