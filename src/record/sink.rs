//! Where entries go.

use super::Entry;
use crate::Error;

/// Takes the steps of a run, one after the other: a file, a display, a service.
///
/// Give it to a [`Logbook`](super::Logbook), which calls it on a thread of its own; or call it yourself.
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
    /// Called before the first step, which is the one of this attempt or a later one. What is there of
    /// steps from this attempt on is of a run that was stopped after its last checkpoint, and is
    /// superseded.
    ///
    /// # Errors
    /// If nothing can be written there.
    fn open(&mut self, attempt: u64) -> Result<(), Error> {
        let _ = attempt;
        Ok(())
    }

    /// Takes a step. It may be held back until the next [`flush`](Self::flush).
    ///
    /// # Errors
    /// If it cannot be written.
    fn write(&mut self, entry: &Entry) -> Result<(), Error>;

    /// Lets everything that was taken out.
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
