//! A file of lines that is appended to.

use std::fs::{self, File, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::Error;

/// A file of whole lines, and the lines to be appended.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    file: File,
    /// The length of the part that is known to be whole.
    whole: u64,
    /// Whole lines that are not in the file yet.
    pub(super) pending: Vec<u8>,
}

/// The size above which buffered lines are written, in bytes.
const PENDING: usize = 1 << 16;

impl Lines {
    /// Opens the file, creating it and its folder if they do not exist. It is an error if another log writes the
    /// file.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |cause| Error::io(format_args!("opening {}", path.display()), cause);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = open(path).map_err(failed)?;
        lock(&file, path)?;
        let whole = file.metadata().map_err(failed)?.len();
        Ok(Self { path: path.to_path_buf(), file, whole, pending: Vec::new() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn len(&self) -> u64 {
        self.whole
    }

    /// Renames the existing file, appending `.old` to its name.
    pub(super) fn set_aside(&mut self) -> Result<(), Error> {
        let failed = |cause| Error::io(format_args!("moving {}", self.path.display()), cause);
        fs::rename(&self.path, beside(&self.path, ".old")).map_err(failed)?;
        *self = Self::open(&self.path)?;
        Ok(())
    }

    /// Truncates the file here, after a whole line.
    pub(super) fn cut(&mut self, at: u64) -> Result<(), Error> {
        let cut = self.file.set_len(at).and_then(|()| self.file.seek(SeekFrom::Start(at)));
        cut.map_err(|cause| Error::io(format_args!("shortening {}", self.path.display()), cause))?;
        self.whole = at;
        Ok(())
    }

    /// Writes the pending lines if there is enough to write.
    pub(super) fn flush_if_full(&mut self) -> Result<(), Error> {
        if self.pending.len() >= PENDING { self.flush() } else { Ok(()) }
    }

    /// Writes the pending lines. If that fails, the file ends where it did before.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        match self.file.write_all(&self.pending) {
            Ok(()) => {
                self.whole += self.pending.len() as u64;
                self.pending.clear();
                Ok(())
            }
            Err(cause) => {
                let _ = self.cut(self.whole);
                Err(Error::io(format_args!("writing {}", self.path.display()), cause))
            }
        }
    }

    /// Rewrites the file from its contents. Whatever happens, the result is either the old file or the new one.
    pub(super) fn rewrite(
        &mut self,
        how: impl FnOnce(&mut dyn Read, &mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        self.flush()?;
        let failed = |cause| Error::io(format_args!("rewriting {}", self.path.display()), cause);
        let new = beside(&self.path, ".tmp");
        let mut file = open(&new).map_err(failed)?;
        lock(&file, &new)?;
        let done = file.set_len(0).and_then(|()| {
            self.file.seek(SeekFrom::Start(0))?;
            how(&mut self.file, &mut file)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        });
        if let Err(cause) = done {
            let _ = fs::remove_file(&new);
            let _ = self.file.seek(SeekFrom::End(0));
            return Err(failed(cause));
        }
        self.whole = file.metadata().map_err(failed)?.len();
        self.file = file;
        Ok(())
    }
}

/// Calls `each` with each whole line and its end offset in the file; `false` stops reading. A last line without a
/// line ending is partial, because its writer was killed, and is left out.
pub(super) fn each_line(
    path: &Path,
    mut each: impl FnMut(&[u8], u64) -> Result<bool, String>,
) -> Result<(), Error> {
    let failed = |cause| Error::io(format_args!("reading {}", path.display()), cause);
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let (mut line, mut end) = (Vec::new(), 0);
    for number in 1u64.. {
        line.clear();
        end += file.read_until(b'\n', &mut line).map_err(failed)? as u64;
        if line.last() != Some(&b'\n') {
            break;
        }
        match each(&line, end) {
            Ok(true) => {}
            Ok(false) => break,
            Err(cause) => {
                let path = path.display();
                return Err(Error::record(format_args!("line {number} of {path}: {cause}")));
            }
        }
    }
    Ok(())
}

/// Returns the path with this appended to its name.
fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(extension);
    name.into()
}

fn open(path: &Path) -> std::io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(path)
}

fn lock(file: &File, path: &Path) -> Result<(), Error> {
    match file.try_lock() {
        // Some file systems do not support locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let doing = format_args!("opening {}", path.display());
            Err(Error::io(doing, "another log is writing it"))
        }
    }
}
