//! The batches of one update.

use crate::Error;
use crate::checkpoint::{Persist, State};

/// How many batches an update is made from, and how many of them have been seen, whether or not they were used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    pub(super) batches: u64,
    pub(super) taken: u64,
}

impl Window {
    /// Each batch is an update.
    pub(super) const ONE: Self = Self { batches: 1, taken: 0 };

    /// Counts a batch, and returns whether it was the last of its update.
    pub(super) fn take(&mut self) -> bool {
        self.taken += 1;
        let full = self.taken >= self.batches;
        if full {
            self.taken = 0;
        }
        full
    }
}

impl Persist for Window {
    fn state(&self) -> State {
        State::new().with_count("batches", self.batches).with_count("taken", self.taken)
    }

    /// Between two updates, any number of batches may come next.
    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&["batches", "taken"])?;
        let (batches, taken) = (state.counter("batches")?, state.counter("taken")?);
        if taken >= batches {
            return Err(Error::record(format_args!("{taken} of {batches} batches of an update")));
        }
        if taken > 0 && batches != self.batches {
            return Err(Error::record(format_args!(
                "it was saved after {taken} of the {batches} batches of an update, and here an update has {}: \
                 `accumulate` as it did",
                self.batches
            )));
        }
        self.taken = taken;
        Ok(())
    }
}
