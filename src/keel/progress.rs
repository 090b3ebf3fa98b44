//! The counters of a run.

use crate::Error;
use crate::checkpoint::State;
use crate::schedule::Damped;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Progress {
    /// Steps asked for.
    pub(super) attempts: u64,
    /// Updates that the weights have seen.
    pub(super) updates: u64,
    /// Rejections in a row.
    pub(super) rejected: u64,
    /// Rewinds since a snapshot was taken beyond `frontier`.
    pub(super) rewinds: u64,
    /// The furthest update that a rewind was ruled at.
    pub(super) frontier: u64,
    /// What is left of plain rates, which have no schedule to dampen.
    pub(super) damping: Damped,
}

impl Progress {
    pub(super) fn state(&self) -> State {
        State::new()
            .with_count("attempts", self.attempts)
            .with_count("updates", self.updates)
            .with_count("rejected", self.rejected)
            .with_count("rewinds", self.rewinds)
            .with_count("frontier", self.frontier)
            .with_part("damping", self.damping.state())
    }

    pub(super) fn restored(state: &State) -> Result<Self, Error> {
        Ok(Self {
            attempts: state.counter("attempts")?,
            updates: state.counter("updates")?,
            rejected: state.counter("rejected")?,
            rewinds: state.counter("rewinds")?,
            frontier: state.counter("frontier")?,
            damping: Damped::default().restored(&state.part("damping"))?,
        })
    }
}
