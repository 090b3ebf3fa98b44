//! Event files for TensorBoard.
//!
//! Implemented here because the existing crates are unmaintained: `tensorboard-rs` panics on an I/O error and
//! depends on an image library, `tboard` needs the protobuf compiler to build, and neither can take steps back.

mod frame;
mod proto;

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use prost::Message;

use super::{Entry, Sink};
use crate::Error;
use proto::{Event, START, SessionLog, Summary, Value, What};

/// A folder of event files, for `tensorboard --logdir` of that folder or of its parent.
///
/// Every number is a scalar under its own name, and the part before the first slash is its section: all
/// `grad_norm/<path>` are shown together. The step is the attempt, which a rewind does not lower. Steps that were
/// not applied are also written as text, under `incidents`.
///
/// TensorBoard's scalars are `f32`, so numbers are rounded to `f32` and are infinite beyond 3.4·10³⁸. NaN and
/// infinities are written unchanged; TensorBoard marks them with triangles.
///
/// *Reopened*, the sink starts a new file, which states from which step on the earlier files are void; nothing is
/// removed. Use one folder per run. A file that ends within an event, because the process was killed, is read up
/// to that point.
///
/// ```
/// use evenkeel::record::{Entry, Logbook, TensorBoard};
///
/// # fn main() -> Result<(), evenkeel::Error> {
/// let folder = std::env::temp_dir().join("evenkeel-doc-tensorboard");
/// let mut log = Logbook::to(TensorBoard::new(&folder)).open(0)?;
/// log.push(Entry::new(0, 0).value("loss", 0.5))?;
/// log.close()
/// # }
/// ```
#[derive(Debug)]
#[doc(alias = "SummaryWriter")]
pub struct TensorBoard {
    folder: PathBuf,
    file: Option<(PathBuf, File)>,
    pending: Vec<u8>,
    now: fn() -> f64,
}

/// The size above which buffered data is written, in bytes.
const PENDING: usize = 1 << 16;

impl TensorBoard {
    /// Creates a sink for this folder. The folder is created when the sink is opened.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), file: None, pending: Vec::new(), now: seconds }
    }

    fn push(&mut self, step: u64, what: What) {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let event = Event { wall_time: (self.now)(), step, what: Some(what) };
        frame::push(&mut self.pending, &event.encode_to_vec());
    }

    /// Returns the highest time in the names of existing event files.
    fn latest(&self) -> std::io::Result<Option<u64>> {
        let mut latest = None;
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let time = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('.').next());
            latest = latest.max(time.and_then(|time| time.parse().ok()));
        }
        Ok(latest)
    }
}

/// The prefix by which TensorBoard recognizes event files; the time follows.
const PREFIX: &str = "events.out.tfevents.";

fn seconds() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

impl Sink for TensorBoard {
    fn open(&mut self, attempt: u64) -> Result<(), Error> {
        let failed = |cause| Error::io(format_args!("opening {}", self.folder.display()), cause);
        fs::create_dir_all(&self.folder).map_err(failed)?;
        let latest = self.latest().map_err(failed)?;
        // Files are read in the order of their names, so this name must be the last.
        let now = (self.now)() as u64;
        let time = latest.map_or(now, |latest| now.max(latest.saturating_add(1)));
        let name = format!("{PREFIX}{time:010}.evenkeel.{}", std::process::id());
        let path = self.folder.join(name);
        let file = File::create_new(&path).map_err(failed)?;
        self.file = Some((path, file));
        self.push(0, What::FileVersion("brain.Event:2".to_string()));
        // Written to every file: TensorBoard treats the first of several start events as only a start.
        self.push(attempt, What::SessionLog(SessionLog { status: START }));
        self.flush()
    }

    fn write(&mut self, entry: &Entry) -> Result<(), Error> {
        if self.file.is_none() {
            self.open(0)?;
        }
        let scalars = entry.iter().map(|(name, value)| Value::scalar(name, value));
        let why = entry.why.iter().map(|why| Value::text("incidents", why));
        let value: Vec<_> = scalars.chain(why).collect();
        if !value.is_empty() {
            self.push(entry.attempt, What::Summary(Summary { value }));
        }
        if self.pending.len() >= PENDING { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        file.write_all(&self.pending)
            .map_err(|cause| Error::io(format_args!("writing {}", path.display()), cause))?;
        self.pending.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
