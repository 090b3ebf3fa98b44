//! Where a log goes, and how it is opened.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::queue::Queue;
use super::writer::{Clerk, Writer};
use super::{History, Logbook, Sink};
use crate::Error;
use crate::error::check::Param;

/// The settings of a [`Logbook`].
#[must_use = "nothing is recorded before it is opened"]
pub struct LogbookBuilder {
    sinks: Vec<Box<dyn Sink>>,
    history: Option<History>,
    queue: usize,
    patience: Duration,
    layers_every: u64,
}

impl Default for LogbookBuilder {
    fn default() -> Self {
        let patience = Duration::from_secs(5);
        Self { sinks: Vec::new(), history: None, queue: 1024, patience, layers_every: 1 }
    }
}

impl LogbookBuilder {
    /// Writes there too.
    pub fn to(mut self, sink: impl Sink + 'static) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// Keeps the run in memory too, after the steps that are in `history` already.
    pub fn keep(self, history: History) -> Self {
        Self { history: Some(history), ..self }
    }

    /// How many steps may wait to be written: 1024, unless said otherwise here.
    ///
    /// # Errors
    /// If it is 0.
    pub fn queue(self, steps: usize) -> Result<Self, Error> {
        Param("Logbook", "queue").at_least(1, steps as u64)?;
        Ok(Self { queue: steps, ..self })
    }

    /// How long a step may wait for a place in a full queue before it is left out: 5 seconds, unless said
    /// otherwise here.
    pub fn patience(self, at_most: Duration) -> Self {
        Self { patience: at_most, ..self }
    }

    /// Tells the gradient norm of every parameter, `grad_norm/<path>`, only of each `n`-th attempt, and of
    /// steps that were not applied: of each, unless said otherwise here. With many parameters they are most
    /// of a log. It is about reports; entries are written as they are.
    ///
    /// # Errors
    /// If `n` is 0.
    pub fn layers_every(self, n: u64) -> Result<Self, Error> {
        Param("Logbook", "layers_every").at_least(1, n)?;
        Ok(Self { layers_every: n, ..self })
    }

    /// Opens the log at the position of the step that comes next: `keel.attempts()`, which is 0 in a
    /// fresh run and was restored in one that is resumed. What is in the files of steps from there on is
    /// superseded, and how is told by each [`Sink`].
    ///
    /// # Errors
    /// If a sink cannot be opened. Those before it may have let go of what is superseded by then.
    pub fn open(self, attempt: u64) -> Result<Logbook, Error> {
        let Self { mut sinks, history, queue, patience, layers_every } = self;
        sinks.iter_mut().try_for_each(|sink| sink.open(attempt))?;
        let queue = Arc::new(Queue::new(queue));
        let history = history.map(|history| Arc::new(Mutex::new(history)));
        let writer = Writer {
            queue: queue.clone(),
            sinks,
            history: history.clone(),
            clerk: Clerk::new(layers_every),
        };
        let writer = std::thread::Builder::new()
            .name("evenkeel-logbook".into())
            .spawn(move || writer.run())
            .map_err(|cause| Error::io("starting the thread that writes the log", cause))?;
        Ok(Logbook {
            queue,
            writer: Some(writer),
            history,
            patience,
            behind: false,
            last: attempt,
            seen: Default::default(),
        })
    }
}

impl fmt::Debug for LogbookBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogbookBuilder")
            .field("sinks", &self.sinks.len())
            .field("queue", &self.queue)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
