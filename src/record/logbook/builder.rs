//! The settings of a log, and how it is opened.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::queue::Queue;
use super::writer::{Clerk, Writer};
use super::{History, Logbook, Sink};
use crate::Error;
use crate::error::check::Param;

/// Builder for a [`Logbook`].
///
/// ```
/// use std::time::Duration;
///
/// use evenkeel::record::{Entry, History, Logbook};
///
/// let mut log = Logbook::keep(History::default())
///     .queue(256)?
///     .patience(Duration::from_secs(1))
///     .layers_every(10)?
///     .open(0)?;
/// log.push(Entry::new(0, 0).value("loss", 1.5))?;
/// assert_eq!(log.history().steps(), 1);
/// log.close()?;
/// # Ok::<(), evenkeel::Error>(())
/// ```
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
    /// Adds a sink.
    pub fn to(mut self, sink: impl Sink + 'static) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// Also keeps the run in memory, appended to the steps already in `history`.
    pub fn keep(self, history: History) -> Self {
        Self { history: Some(history), ..self }
    }

    /// Sets how many steps may wait to be written. The default is 1024.
    ///
    /// # Errors
    /// If it is 0.
    pub fn queue(self, steps: usize) -> Result<Self, Error> {
        Param("Logbook", "queue").at_least(1, steps as u64)?;
        Ok(Self { queue: steps, ..self })
    }

    /// Sets how long a step may wait for space in a full queue before it is dropped. The default is 5 seconds.
    pub fn patience(self, at_most: Duration) -> Self {
        Self { patience: at_most, ..self }
    }

    /// Records the gradient norm of every parameter, `grad_norm/<path>`, only in every `n`-th attempt and in
    /// steps that were not applied. By default it is recorded in every step. With many parameters, these norms
    /// are most of a log. The setting applies to reports; entries are written unchanged.
    ///
    /// # Errors
    /// If `n` is 0.
    pub fn layers_every(self, n: u64) -> Result<Self, Error> {
        Param("Logbook", "layers_every").at_least(1, n)?;
        Ok(Self { layers_every: n, ..self })
    }

    /// Opens the log at the position of the next step: `keel.attempts()`, which is 0 in a fresh run and is
    /// restored when a run is resumed. Recorded steps from there on are superseded; how they are discarded is
    /// described at each [`Sink`].
    ///
    /// # Errors
    /// If a sink cannot be opened. The sinks before it may already have discarded superseded steps.
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
