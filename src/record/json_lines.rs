//! JSON Lines: one object for each step.

use std::path::{Path, PathBuf};

use super::file::{Lines, each_line};
use super::{Entry, History, Sink};
use crate::Error;

/// A JSON Lines file: one flat object for each step, with its fields always in the same order.
///
/// ```text
/// {"attempt":0,"update":0,"verdict":"Apply","loss":0.53,"lr":0.001,"factor":1.0, …}
/// {"attempt":1,"update":1,"verdict":"Skip","why":"batch 1: update 1 skipped (…), …","loss":"NaN", …}
/// ```
///
/// The first fields are `attempt`, `update`, `verdict` (`Apply`, `Skip`, `Rewind` or `Halt`) and, for a step that
/// was not applied, `why`; then come the numbers in the order of the [`Entry`]. Numbers are written with enough
/// digits to read the same bits back. Numbers that JSON cannot represent are written as the strings `"NaN"`,
/// `"inf"` and `"-inf"`.
///
/// *Reopened* at attempt 0, the existing file is renamed with `.old` appended, replacing any earlier one, and a
/// new file is started. Reopened at a later attempt, lines from that attempt on are cut off, as is a partial line
/// at the end, and the file is continued. A file with any other line that is not a step is an error and is left
/// unchanged.
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
    /// Creates a sink for this file. The file and its folder are created when the sink is opened.
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
    /// Reads a run from a file of [`JsonLines`], in as much memory as [`History::default`] uses.
    ///
    /// A partial last line, left by a killed process, is ignored.
    ///
    /// # Errors
    /// If the file cannot be read, or another of its lines is not a step; the error names the line.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::read_until(path, u64::MAX)
    }

    /// Reads the steps of attempts below `attempt`. For a run that is resumed, pass `keel.attempts()`.
    ///
    /// # Errors
    /// See [`read`](Self::read).
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

/// Calls `each` with each whole step and its end offset in the file; `false` stops reading.
fn read(path: &Path, mut each: impl FnMut(Entry, u64) -> bool) -> Result<(), Error> {
    each_line(path, |line, end| {
        let entry = serde_json::from_slice(line).map_err(|cause| cause.to_string())?;
        Ok(each(entry, end))
    })
}
