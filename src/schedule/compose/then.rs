//! One schedule after another.

use super::parts;
use crate::Error;
use crate::checkpoint::State;
use crate::schedule::{Schedule, Setback};

/// One schedule, then another; see [`Schedule::then`].
///
/// ```
/// use evenkeel::schedule::{Constant, Ramp, Schedule};
///
/// let (up, down) = (Ramp::new(0.0, 1.0, 4)?, Ramp::new(1.0, 0.0, 4)?);
/// let rate = up.then(4, Constant::new(1.0)?.then(8, down));
/// assert_eq!([2, 4, 12, 14, 16].map(|t| rate.at(t)), [0.5, 1.0, 1.0, 0.5, 0.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Then<A, B> {
    pub(in crate::schedule) first: A,
    pub(in crate::schedule) at: u64,
    pub(in crate::schedule) next: B,
}

impl<A, B> Then<A, B> {
    pub(in crate::schedule) fn new(first: A, at: u64, next: B) -> Self {
        Self { first, at, next }
    }
}

impl<A: Schedule, B: Schedule> Then<A, B> {
    fn parts(&self) -> [(String, &dyn Schedule); 2] {
        [("first".into(), &self.first), ("next".into(), &self.next)]
    }
}

impl<A: Schedule, B: Schedule> Schedule for Then<A, B> {
    fn at(&self, t: u64) -> f64 {
        match t.checked_sub(self.at) {
            None => self.first.at(t),
            Some(since) => self.next.at(since),
        }
    }

    fn state(&self) -> State {
        parts::state(self.parts())
    }

    fn restore(&self, state: &State) -> Result<(), Error> {
        parts::restore(self.parts(), state)
    }

    fn rewound(&self, then: &State) -> Result<(), Error> {
        parts::rewound(self.parts(), then)
    }

    /// The schedule in force takes the setback.
    fn set_back(&self, t: u64, setback: &mut Setback) -> bool {
        match t.checked_sub(self.at) {
            None => self.first.set_back(t, setback),
            Some(since) => self.next.set_back(since, setback),
        }
    }
}
