//! A guard with a replaced verdict.

use super::{Guard, rejection};
use crate::checkpoint::State;
use crate::{Error, Reading, Verdict};

/// A guard that answers one verdict wherever the inner guard would reject a step; see [`Guard::answering`].
///
/// ```
/// use evenkeel::{Reading, Verdict};
/// use evenkeel::guard::{Guard, NonFinite};
///
/// let strict = NonFinite::default().answering(Verdict::Halt)?;
/// assert_eq!(strict.judge(&Reading::new(0).with_loss(f64::NAN)), Verdict::Halt);
/// assert_eq!(strict.judge(&Reading::new(0).with_loss(1.0)), Verdict::Apply);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Answering<G> {
    guard: G,
    verdict: Verdict,
}

impl<G> Answering<G> {
    pub(super) fn new(guard: G, verdict: Verdict) -> Result<Self, Error> {
        Ok(Self { guard, verdict: rejection("answering", "verdict", verdict)? })
    }
}

impl<G: Guard> Guard for Answering<G> {
    fn judge(&self, now: &Reading) -> Verdict {
        match self.guard.judge(now) {
            Verdict::Apply => Verdict::Apply,
            _ => self.verdict,
        }
    }

    fn record(&mut self, now: &Reading, ruling: Verdict) {
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

    fn rewound(&mut self, then: &State) -> Result<(), Error> {
        self.guard.rewound(then)
    }

    fn notice(&self) -> Option<String> {
        self.guard.notice()
    }

    fn state(&self) -> State {
        self.guard.state()
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        self.guard.restore(state)
    }
}
