//! One schedule after another.

use crate::schedule::Schedule;

/// One schedule, then another: see [`Schedule::then`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Then<A, B> {
    first: A,
    at: u64,
    next: B,
}

impl<A, B> Then<A, B> {
    pub(in crate::schedule) fn new(first: A, at: u64, next: B) -> Self {
        Self { first, at, next }
    }
}

impl<A: Schedule, B: Schedule> Schedule for Then<A, B> {
    fn at(&self, t: u64) -> f64 {
        match t.checked_sub(self.at) {
            None => self.first.at(t),
            Some(since) => self.next.at(since),
        }
    }
}
