//! A guard that becomes more severe when its rejections don't help.

use super::Guard;
use crate::checkpoint::State;
use crate::{Error, Reading, Verdict};

/// A guard whose skips become rewinds, and whose rewinds become a halt; see [`Guard::escalating`].
///
/// ```text
/// skips in a row    verdict
/// at most `skips`   the guard's own verdict
/// more              Rewind, at least, and the count restarts
/// ```
///
/// After more than `rewinds` such rewinds without `calm` applied updates in a row in between, the verdict is
/// [`Halt`](Verdict::Halt). [`Keel`](crate::Keel) has its own bounds on all rejections together; this one is for a
/// single guard whose rejections should escalate earlier, or later.
///
/// ```
/// use evenkeel::{Reading, Verdict};
/// use evenkeel::guard::{Guard, NonFinite};
///
/// let mut guard = NonFinite.escalating(1, 1);
/// let mut step = || {
///     let now = Reading::new(0).with_loss(f64::NAN);
///     let verdict = guard.judge(&now);
///     guard.record(&now, verdict);
///     verdict
/// };
/// use Verdict::*;
/// assert_eq!([step(), step(), step(), step()], [Skip, Rewind, Skip, Halt]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Escalating<G> {
    guard: G,
    skips: u64,
    rewinds: u64,
    skipped: u64,
    rewound: u64,
    calm: u64,
}

/// Number of applied updates in a row after which earlier rewinds are forgotten.
const CALM: u64 = 100;

impl<G> Escalating<G> {
    pub(super) fn new(guard: G, skips: u64, rewinds: u64) -> Self {
        Self { guard, skips, rewinds, skipped: 0, rewound: 0, calm: 0 }
    }
}

impl<G: Guard> Guard for Escalating<G> {
    fn judge(&self, now: &Reading) -> Verdict {
        match self.guard.judge(now) {
            Verdict::Apply => Verdict::Apply,
            Verdict::Skip if self.skipped < self.skips => Verdict::Skip,
            Verdict::Skip | Verdict::Rewind if self.rewound < self.rewinds => Verdict::Rewind,
            _ => Verdict::Halt,
        }
    }

    fn record(&mut self, now: &Reading, ruling: Verdict) {
        match (self.judge(now), ruling) {
            (_, Verdict::Apply) => {
                self.skipped = 0;
                self.calm += 1;
                if self.calm >= CALM {
                    self.rewound = 0;
                }
            }
            // Another guard rejected it.
            (Verdict::Apply, _) => {}
            (_, Verdict::Skip) => {
                self.skipped += 1;
                self.calm = 0;
            }
            (_, Verdict::Rewind) => {
                (self.skipped, self.calm) = (0, 0);
                self.rewound += 1;
            }
            (_, Verdict::Halt) => (self.skipped, self.rewound, self.calm) = (0, 0, 0),
        }
        self.guard.record(now, ruling);
    }

    fn looks_at_updates(&self) -> bool {
        self.guard.looks_at_updates()
    }

    fn part(&self) -> Option<&str> {
        self.guard.part()
    }

    fn name(&self) -> &str {
        self.guard.name()
    }

    /// Keeps the counts: they record rejections that did not help, and a rewind is one of them.
    fn rewound(&mut self, then: &State) -> Result<(), Error> {
        self.guard.rewound(&then.part("guard"))
    }

    fn notice(&self) -> Option<String> {
        self.guard.notice()
    }

    fn state(&self) -> State {
        State::new()
            .with_count("skipped", self.skipped)
            .with_count("rewound", self.rewound)
            .with_count("calm", self.calm)
            .with_part("guard", self.guard.state())
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let counts = [state.counter("skipped")?, state.counter("rewound")?, state.counter("calm")?];
        self.guard.restore(&state.part("guard"))?;
        [self.skipped, self.rewound, self.calm] = counts;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::NonFinite;

    fn bad() -> Reading {
        Reading::new(0).with_loss(f64::NAN)
    }

    fn step(guard: &mut impl Guard, now: &Reading) -> Verdict {
        let verdict = guard.judge(now);
        guard.record(now, verdict);
        verdict
    }

    #[test]
    fn an_applied_step_ends_a_row_of_skips_and_calm_forgets_rewinds() {
        let good = Reading::new(0).with_loss(1.0);
        let mut guard = NonFinite.escalating(2, 1);
        for _ in 0..5 {
            assert_eq!(step(&mut guard, &bad()), Verdict::Skip);
            assert_eq!(step(&mut guard, &bad()), Verdict::Skip);
            assert_eq!(step(&mut guard, &good), Verdict::Apply);
        }
        let row = |guard: &mut _| [(); 3].map(|()| step(guard, &bad()))[2];
        assert_eq!(row(&mut guard), Verdict::Rewind);
        let mut soon = guard.clone();
        assert_eq!(row(&mut soon), Verdict::Halt);
        (0..CALM).for_each(|_| {
            step(&mut guard, &good);
        });
        assert_eq!(row(&mut guard), Verdict::Rewind);
    }

    #[test]
    fn rejections_by_others_are_not_its_own() {
        let mut guard = NonFinite.escalating(0, 1);
        let good = Reading::new(0).with_loss(1.0);
        let twin = guard.clone();
        guard.record(&good, Verdict::Skip);
        guard.record(&good, Verdict::Rewind);
        assert_eq!(guard, twin);
    }

    #[test]
    fn its_state_resumes_it() {
        let mut guard = NonFinite.escalating(3, 2);
        (0..6).for_each(|_| {
            step(&mut guard, &bad());
        });
        let mut fresh = NonFinite.escalating(3, 2);
        fresh.restore(&guard.state()).unwrap();
        assert_eq!(fresh, guard);
    }

    #[test]
    fn a_single_applied_step_is_no_calm() {
        let good = Reading::new(0).with_loss(1.0);
        let mut guard = NonFinite.escalating(0, 1);
        assert_eq!(step(&mut guard, &bad()), Verdict::Rewind);
        (1..CALM).for_each(|_| assert_eq!(step(&mut guard, &good), Verdict::Apply));
        assert_eq!(guard.judge(&bad()), Verdict::Halt);
        step(&mut guard, &good);
        assert_eq!(guard.judge(&bad()), Verdict::Rewind);
    }
}
