//! One line of JSON for each step.

use std::path::{Path, PathBuf};

use super::file::{Lines, each_line};
use super::{Entry, History, Sink};
use crate::Error;

/// A file of JSON Lines: one object for each step, flat, its fields always in the same order.
///
/// ```text
/// {"attempt":0,"update":0,"verdict":"Apply","loss":0.53,"lr":0.001,"factor":1.0, …}
/// {"attempt":1,"update":1,"verdict":"Skip","why":"batch 1: update 1 skipped (…), …","loss":"NaN", …}
/// ```
///
/// First are `attempt`, `update`, `verdict` (`Apply`, `Skip`, `Rewind` or `Halt`) and, of a step that was
/// not applied, `why`; then the numbers in the order of the [`Entry`]. A number is written with as many
/// digits as it takes to read the same bits back. Those that JSON has no word for are the texts `"NaN"`,
/// `"inf"` and `"-inf"`.
///
/// *Opened again* at attempt 0, the file is moved to its name and `.old`, in place of what is there, and a
/// new one begun. At a later attempt, lines from there on are cut off, as is half a line at the end, and
/// the rest is gone on with. A file with any other line that is no step is an error and stays as it is.
///
/// [`History::read`] reads the file back.
///
/// ```
/// use evenkeel::record::{Entry, History, JsonLines, Logbook};
///
/// # fn main() -> Result<(), evenkeel::Error> {
/// let path = std::env::temp_dir().join("evenkeel-doc-json-lines.jsonl");
/// let mut log = Logbook::to(JsonLines::new(&path)).open(0)?;
/// log.push(Entry::new(0, 0).value("loss", f64::NAN))?;
/// log.close()?;
/// let line = r#"{"attempt":0,"update":0,"verdict":"Apply","loss":"NaN"}"#;
/// assert_eq!(std::fs::read_to_string(&path).unwrap().trim_end(), line);
/// assert_eq!(History::read(&path)?.steps(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    lines: Option<Lines>,
}

impl JsonLines {
    /// The file, made with its folder when it is opened.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), lines: None }
    }
}

impl Sink for JsonLines {
    fn open(&mut self, attempt: u64) -> Result<(), Error> {
        let mut lines = Lines::open(&self.path)?;
        if lines.len() > 0 && attempt == 0 {
            lines.set_aside()?;
        } else if lines.len() > 0 {
            let mut end = 0;
            read(&self.path, |entry, after| {
                let earlier = entry.attempt < attempt;
                end = if earlier { after } else { end };
                earlier
            })?;
            lines.cut(end)?;
        }
        self.lines = Some(lines);
        Ok(())
    }

    fn write(&mut self, entry: &Entry) -> Result<(), Error> {
        if self.lines.is_none() {
            self.open(0)?;
        }
        let Some(lines) = &mut self.lines else { return Ok(()) };
        serde_json::to_writer(&mut lines.pending, entry).map_err(|cause| {
            Error::io(format_args!("writing {}", lines.path().display()), cause)
        })?;
        lines.pending.push(b'\n');
        lines.flush_if_full()
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.lines.as_mut().map_or(Ok(()), Lines::flush)
    }
}

impl History {
    /// The run in a file of [`JsonLines`], in as much memory as [`History::default`].
    ///
    /// A last line that is not whole, because the process was killed, is left out.
    ///
    /// # Errors
    /// If the file cannot be read, or has another line that is no step; the error names it.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::read_until(path, u64::MAX)
    }

    /// The steps of attempts below this one: for a run that is resumed, with `keel.attempts()`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_until(path: impl AsRef<Path>, attempt: u64) -> Result<Self, Error> {
        let mut history = Self::default();
        read(path.as_ref(), |entry, _| {
            let earlier = entry.attempt < attempt;
            if earlier {
                history.push(&entry);
            }
            earlier
        })?;
        Ok(history)
    }
}

/// Hands each whole step over, and where it ends in the file; `false` ends the reading.
fn read(path: &Path, mut each: impl FnMut(Entry, u64) -> bool) -> Result<(), Error> {
    each_line(path, |line, end| {
        let entry = serde_json::from_slice(line).map_err(|cause| cause.to_string())?;
        Ok(each(entry, end))
    })
}
