//! The destination of entries.

use super::Entry;
use crate::Error;

/// A destination for the steps of a run, in order: a file, a display, a service.
///
/// Pass it to a [`Logbook`](super::Logbook), which calls it on a separate thread, or call it directly.
///
/// ```
/// use evenkeel::Error;
/// use evenkeel::record::{Entry, Logbook, Sink};
///
/// /// The lowest loss so far.
/// #[derive(Default)]
/// struct Best(Option<f64>);
///
/// impl Sink for Best {
///     fn write(&mut self, entry: &Entry) -> Result<(), Error> {
///         if let Some(loss) = entry.get("loss").filter(|loss| loss.is_finite()) {
///             self.0 = Some(self.0.map_or(loss, |best| best.min(loss)));
///         }
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<(), Error> {
/// let mut log = Logbook::to(Best::default()).open(0)?;
/// log.push(Entry::new(0, 0).value("loss", 1.5))?;
/// log.close()
/// # }
/// ```
pub trait Sink: Send {
    /// Called before the first step, whose attempt is `attempt` or later. Steps from this attempt on that are
    /// already there belong to a run that was stopped after its last checkpoint, and are superseded.
    ///
    /// # Errors
    /// If the destination cannot be written to.
    fn open(&mut self, attempt: u64) -> Result<(), Error> {
        let _ = attempt;
        Ok(())
    }

    /// Writes a step. It may be buffered until the next [`flush`](Self::flush).
    ///
    /// # Errors
    /// If it cannot be written.
    fn write(&mut self, entry: &Entry) -> Result<(), Error>;

    /// Writes everything that is buffered.
    ///
    /// # Errors
    /// If it cannot be written.
    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn open(&mut self, attempt: u64) -> Result<(), Error> {
        (**self).open(attempt)
    }

    fn write(&mut self, entry: &Entry) -> Result<(), Error> {
        (**self).write(entry)
    }

    fn flush(&mut self) -> Result<(), Error> {
        (**self).flush()
    }
}
