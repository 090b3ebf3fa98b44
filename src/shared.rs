//! Memory shared by all clones of a value.

use std::sync::{Arc, Mutex, PoisonError};

/// A value behind a lock that is only ever held for a few instructions.
#[derive(Debug, Default)]
pub(crate) struct Shared<M>(Arc<Mutex<M>>);

// Written by hand, because a clone needs no clone of the memory.
impl<M> Clone for Shared<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Clone + PartialEq> PartialEq for Shared<M> {
    fn eq(&self, other: &Self) -> bool {
        // A copy of one, so that the two locks are never held together.
        let own = self.with(|memory| memory.clone());
        other.with(|memory| own == *memory)
    }
}

impl<M> Shared<M> {
    pub(crate) fn new(memory: M) -> Self {
        Self(Arc::new(Mutex::new(memory)))
    }

    /// Returns an address that is the same for all clones, and different for everything else.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    pub(crate) fn with<T>(&self, what: impl FnOnce(&mut M) -> T) -> T {
        // Nothing done under the lock can panic and leave a change half made.
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
