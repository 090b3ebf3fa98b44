//! One schedule after another.

use super::parts;
use crate::Error;
use crate::checkpoint::State;
use crate::schedule::{Schedule, Setback};

/// One schedule, then another; see [`Schedule::then`].
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
