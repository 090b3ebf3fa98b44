//! The writer thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::queue::{Message, Queue};
use crate::record::names::Names;
use crate::record::{Entry, History, Sink};
use crate::{Error, Verdict};

/// How long steps gather before they are written and flushed together.
const GATHER: Duration = Duration::from_millis(200);

/// The state of the writer thread.
pub(super) struct Writer {
    pub(super) queue: Arc<Queue>,
    /// The sinks that have not failed.
    pub(super) sinks: Vec<Box<dyn Sink>>,
    pub(super) history: Option<Arc<Mutex<History>>>,
    pub(super) clerk: Clerk,
}

/// Converts reports to entries.
pub(super) struct Clerk {
    /// The interval at which the layers of applied steps are recorded.
    layers_every: u64,
    /// The names of the last entry of each kind: with and without an observation, clipped and not, with and
    /// without layers. The next entry of a kind most likely has the same names.
    expected: [Arc<Names>; 8],
}

/// Reports that the writer is gone, even if a sink has panicked.
struct Gone(Arc<Queue>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Writer {
    pub(super) fn run(mut self) {
        let queue = self.queue.clone();
        let _gone = Gone(queue.clone());
        loop {
            let mut work = queue.work(GATHER);
            let mut errors = Vec::new();
            for message in work.messages.drain(..) {
                let entry = self.clerk.entry(message);
                self.each(&mut errors, |sink| sink.write(&entry));
                if let Some(history) = &self.history {
                    history.lock().unwrap_or_else(PoisonError::into_inner).push(&entry);
                }
            }
            self.each(&mut errors, |sink| sink.flush());
            queue.done(&work, errors);
            if work.last {
                return;
            }
        }
    }

    /// Calls `what` with each sink. A sink that fails is dropped.
    fn each(
        &mut self,
        errors: &mut Vec<Error>,
        mut what: impl FnMut(&mut dyn Sink) -> Result<(), Error>,
    ) {
        self.sinks.retain_mut(|sink| match what(sink.as_mut()) {
            Ok(()) => true,
            Err(error) => {
                errors.push(error);
                false
            }
        });
    }
}

impl Clerk {
    pub(super) fn new(layers_every: u64) -> Self {
        Self { layers_every, expected: Default::default() }
    }

    fn entry(&mut self, message: Message) -> Entry {
        let (report, seen) = match message {
            Message::Entry(entry) => return entry,
            Message::Report(report, seen) => (report, seen),
        };
        let due = report.reading.attempt.is_multiple_of(self.layers_every);
        let layers = due || report.verdict != Verdict::Apply;
        let kind = [seen.is_some(), report.is_clipped(), layers];
        let kind = kind.into_iter().fold(0, |kind, bit| 2 * kind + usize::from(bit));
        let entry = Entry::like(self.expected[kind].clone(), &report, seen.as_ref(), layers);
        self.expected[kind] = entry.names().clone();
        entry
    }
}
