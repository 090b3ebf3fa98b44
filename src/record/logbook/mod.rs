//! Recording a run off the training thread.

mod builder;
mod queue;
mod writer;

pub use builder::LogbookBuilder;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Entry, History, Sink};
use crate::error::check::Param;
use crate::monitor::Observation;
use crate::{Error, Halted, Report, Stepped};
use queue::{Message, Queue, Refused};

/// Records a run off the training thread, to any number of [`Sink`]s.
///
/// A step is put into a queue and training continues; a writer thread writes and flushes the queued steps five
/// times a second. [`close`](Self::close) writes the rest and returns errors; dropping the log also writes the
/// rest.
///
/// *If the queue is full*, because the disk is slower than training, a step waits for space, for at most
/// [`patience`](LogbookBuilder::patience). After that the step is dropped, which is an error; until there is
/// space again, further steps are dropped without waiting, and are errors too. A slow disk therefore slows
/// training down, but a disk that hangs never stops it.
///
/// *If a sink fails*, the others continue without it. The next call returns the error, once, after it has done
/// its own work; [`close`](Self::close) returns the first error of all again.
///
/// *If the process is killed*, the files hold every step that was flushed, and at most one partial line at the
/// end, which the next [`open`](LogbookBuilder::open) cuts off. `open` takes the attempt at which the run
/// resumes, and steps in the files from there on are superseded. A rewind needs no such handling, because
/// attempts never go back.
///
/// # Cost
/// Each step clones its report on the training thread, without a readback. At most
/// [`queue`](LogbookBuilder::queue) reports are held.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::{GradientsParams, SgdConfig};
/// use burn::tensor::{Device, Distribution, Tensor};
/// use evenkeel::Keel;
/// use evenkeel::record::{History, Logbook};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::default().autodiff();
/// let mut model = LinearConfig::new(4, 1).init(&device);
/// let mut keel = Keel::wrap(SgdConfig::new().init()).build(&model)?;
/// let mut log = Logbook::keep(History::default()).open(keel.attempts())?;
/// for _ in 0..5 {
///     let x = Tensor::<2>::random([8, 4], Distribution::Default, &device);
///     let loss = model.forward(x).powi_scalar(2).mean();
///     let grads = GradientsParams::from_grads(loss.backward(), &model);
///     let stepped = keel.step(0.1, model, grads, &loss)?;
///     log.step(&stepped, None)?;
///     model = stepped.model;
/// }
/// assert_eq!(log.history().series("loss").len(), 5);
/// log.close()?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "CSVLogger")]
#[doc(alias = "LearningRateMonitor")]
pub struct Logbook {
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
    history: Option<Arc<Mutex<History>>>,
    patience: Duration,
    /// Whether the last step found the queue full.
    behind: bool,
    /// The attempt of the last step; later ones may not be below it.
    last: u64,
    /// The observations of steps whose report is still pending.
    seen: VecDeque<(u64, Observation)>,
}

/// The names of the fields that every line has.
pub(in crate::record) const RESERVED: [&str; 4] = ["attempt", "update", "verdict", "why"];

impl Logbook {
    /// Starts building a log that is written to this sink, and to any that are added.
    pub fn to(sink: impl Sink + 'static) -> LogbookBuilder {
        LogbookBuilder::default().to(sink)
    }

    /// Starts building a log that is kept in memory, and written to any sinks that are added.
    pub fn keep(history: History) -> LogbookBuilder {
        LogbookBuilder::default().keep(history)
    }

    /// Records a step of a keel, with the observation of a [`Watch`](crate::monitor::Watch), if any.
    ///
    /// With [`Decide::OnDevice`](crate::Decide::OnDevice), a step is recorded when its report arrives, and `seen`
    /// is kept until then.
    ///
    /// # Errors
    /// If the step could not be recorded, or if a sink has failed: see [`Logbook`].
    pub fn step<M>(
        &mut self,
        stepped: &Stepped<M>,
        seen: impl Into<Option<Observation>>,
    ) -> Result<(), Error> {
        let attempt = stepped.report.reading.attempt;
        self.seen.extend(seen.into().map(|seen| (attempt, seen)));
        match stepped.late.is_empty() {
            true => self.report(&stepped.report),
            false => self.reports(&stepped.late),
        }
    }

    /// Records the step at which training was halted.
    ///
    /// # Errors
    /// See [`step`](Self::step).
    pub fn halted<M>(&mut self, halted: &Halted<M>) -> Result<(), Error> {
        // The halt is recorded even if an earlier report could not be.
        let before = self.reports(halted.late());
        before.and(self.report(halted.report()))
    }

    /// Records a report, unless it is [pending](Report::pending). Of the reports from
    /// [`Keel::accumulate`](crate::Keel::accumulate), record those of batches that were left out.
    ///
    /// # Errors
    /// See [`step`](Self::step).
    pub fn report(&mut self, report: &Report) -> Result<(), Error> {
        if report.pending {
            return self.tell();
        }
        let attempt = report.reading.attempt;
        let mut seen = None;
        while self.seen.front().is_some_and(|(of, _)| *of <= attempt) {
            seen = self.seen.pop_front().filter(|(of, _)| *of == attempt).map(|(_, seen)| seen);
        }
        if let Some(seen) = &seen {
            seen.iter().try_for_each(|(name, _)| allowed(name))?;
        }
        self.send(attempt, Message::Report(Box::new(report.clone()), seen))
    }

    fn reports(&mut self, reports: &[Report]) -> Result<(), Error> {
        // Each report is recorded, even if an earlier one could not be.
        let each = reports.iter().map(|report| self.report(report)).collect::<Vec<_>>();
        each.into_iter().collect()
    }

    /// Records a step of a custom loop.
    ///
    /// # Errors
    /// See [`step`](Self::step). Also if the entry's attempt is below that of the previous step, or if a number
    /// has a reserved name: `attempt`, `update`, `verdict` or `why`.
    pub fn push(&mut self, entry: Entry) -> Result<(), Error> {
        entry.iter().try_for_each(|(name, _)| allowed(name))?;
        self.send(entry.attempt, Message::Entry(entry))
    }

    /// Waits until every step so far is written and flushed.
    ///
    /// # Errors
    /// If a sink has failed.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.queue.flush();
        self.tell()
    }

    /// Returns the history that is [kept](LogbookBuilder::keep) in memory, including every step so far; empty if
    /// none is kept.
    pub fn history(&self) -> History {
        self.queue.flush();
        match &self.history {
            Some(kept) => kept.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            None => History::default(),
        }
    }

    /// Writes the remaining steps and closes the log.
    ///
    /// # Errors
    /// The first error of any sink, even if an earlier call has already returned it.
    pub fn close(mut self) -> Result<(), Error> {
        let ended = self.end();
        self.queue.first_error().map_or(ended, Err)
    }

    fn send(&mut self, attempt: u64, message: Message) -> Result<(), Error> {
        Param("Entry", "attempt").at_least(self.last, attempt)?;
        let patience = if self.behind { Duration::ZERO } else { self.patience };
        let sent = self.queue.push(message, patience);
        self.behind = sent == Err(Refused::Full);
        if let Err(refused) = sent {
            let cause = match refused {
                Refused::Full => "the queue is full, because what it is written to is too slow",
                Refused::Stopped => PANICKED,
            };
            return Err(Error::io(format_args!("recording step {attempt}"), cause));
        }
        self.last = attempt;
        self.tell()
    }

    /// Returns an error of a sink that has not been returned yet.
    fn tell(&self) -> Result<(), Error> {
        self.queue.error().map_or(Ok(()), Err)
    }

    fn end(&mut self) -> Result<(), Error> {
        self.queue.close();
        match self.writer.take().map(JoinHandle::join) {
            Some(Err(_)) => Err(Error::io("writing the log", PANICKED)),
            _ => Ok(()),
        }
    }
}

const PANICKED: &str = "a sink has panicked";

/// Checks that a number may have this name.
pub(in crate::record) fn allowed(name: &str) -> Result<(), Error> {
    let must = "other than attempt, update, verdict and why";
    Param("Entry", "name").must(!RESERVED.contains(&name), must, name).map(|_| ())
}

impl Drop for Logbook {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

impl fmt::Debug for Logbook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logbook")
            .field("patience", &self.patience)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}
