//! The queue from training to the writer, in bounded memory.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::monitor::Observation;
use crate::record::Entry;
use crate::{Error, Report};

/// A step waiting to be written.
pub(super) enum Message {
    Entry(Entry),
    /// Converted to an entry by the writer, off the training thread.
    Report(Box<Report>, Option<Observation>),
}

/// A queue with training on one side and the writer on the other.
pub(super) struct Queue {
    state: Mutex<State>,
    to_writer: Condvar,
    to_training: Condvar,
    at_most: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Message>,
    /// The number of flushes that were requested, and the number that are done.
    asked: u64,
    done: u64,
    closing: bool,
    /// Whether the writer is gone.
    stopped: bool,
    /// Errors not yet returned.
    errors: VecDeque<Error>,
    /// The first error of all.
    first: Option<Error>,
}

/// The next work of the writer.
pub(super) struct Work {
    pub(super) messages: VecDeque<Message>,
    /// The flushes that are done with this work.
    asked: u64,
    pub(super) last: bool,
}

/// Why a message was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Full,
    Stopped,
}

impl Queue {
    pub(super) fn new(at_most: usize) -> Self {
        Self {
            state: Mutex::default(),
            to_writer: Condvar::new(),
            to_training: Condvar::new(),
            at_most,
        }
    }

    /// Adds a message, waiting for space for at most `patience`.
    pub(super) fn push(&self, message: Message, patience: Duration) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.waiting.len() >= self.at_most {
            self.to_writer.notify_one();
            let full = |state: &mut State| state.waiting.len() >= self.at_most && !state.stopped;
            let waited = self.to_training.wait_timeout_while(state, patience, full);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.stopped {
            return Err(Refused::Stopped);
        }
        if state.waiting.len() >= self.at_most {
            return Err(Refused::Full);
        }
        state.waiting.push_back(message);
        // The first message wakes the writer, which then lets more gather.
        if state.waiting.len() == 1 || self.is_half_full(&state) {
            self.to_writer.notify_one();
        }
        Ok(())
    }

    /// Waits until everything pushed so far is written and flushed.
    pub(super) fn flush(&self) {
        let mut state = self.lock();
        state.asked += 1;
        let asked = state.asked;
        self.to_writer.notify_one();
        let busy = |state: &mut State| state.done < asked && !state.stopped;
        drop(self.to_training.wait_while(state, busy));
    }

    /// Tells the writer that no more messages follow.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.to_writer.notify_one();
    }

    /// Takes an error that has not been returned yet.
    pub(super) fn error(&self) -> Option<Error> {
        self.lock().errors.pop_front()
    }

    pub(super) fn first_error(&self) -> Option<Error> {
        self.lock().first.clone()
    }

    /// For the writer: waits for something to do, and then a little longer for more.
    pub(super) fn work(&self, gather: Duration) -> Work {
        let urgent =
            |state: &State| state.closing || state.asked > state.done || self.is_half_full(state);
        let idle = |state: &mut State| state.waiting.is_empty() && !urgent(state);
        let state = self.to_writer.wait_while(self.lock(), idle);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let calm = |state: &mut State| !urgent(state);
        let waited = self.to_writer.wait_timeout_while(state, gather, calm);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let messages = std::mem::take(&mut state.waiting);
        self.to_training.notify_all();
        Work { messages, asked: state.asked, last: state.closing }
    }

    /// For the writer: reports this work as done.
    pub(super) fn done(&self, work: &Work, errors: Vec<Error>) {
        let mut state = self.lock();
        state.done = work.asked;
        if state.first.is_none() {
            state.first = errors.first().cloned();
        }
        state.errors.extend(errors);
        self.to_training.notify_all();
    }

    /// For the writer: reports that it is gone, for whatever reason.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.to_training.notify_all();
    }

    fn is_half_full(&self, state: &State) -> bool {
        2 * state.waiting.len() >= self.at_most
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under the lock can panic and leave a change half made.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
