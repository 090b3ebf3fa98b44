//! A folder of recent checkpoints, which loads the newest whole one.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Checkpoint;
use crate::Error;
use crate::error::check::Param;

/// A folder that keeps the last few checkpoints of one run.
///
/// Each is written to a temporary file, synced and renamed, and then the folder is synced; only then are older ones
/// removed. Whenever a run is killed, the newest whole checkpoint is there, and the next save removes half-written
/// files. Therefore no two processes may save into one folder at once. If the newest file is damaged all the same,
/// [`load`](Self::load) takes the one before, and reports which it passed over and why.
///
/// Files are named like `00000012.keel`, and numbered on from the highest number in the folder. There may also be a
/// `best.keel`, which you [choose](Self::save_best), and which is not removed with the older ones. Other files are left
/// alone.
///
/// ```
/// # fn main() -> Result<(), evenkeel::Error> {
/// use evenkeel::checkpoint::CheckpointDir;
///
/// let folder = CheckpointDir::new(std::env::temp_dir().join("evenkeel-doc-none")).keep(5)?;
/// assert!(folder.load()?.is_none(), "a fresh start");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[doc(alias = "ModelCheckpoint")]
#[doc(alias = "BackupAndRestore")]
pub struct CheckpointDir {
    path: PathBuf,
    keep: usize,
}

/// The newest whole checkpoint of a [`CheckpointDir`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Found {
    /// The checkpoint itself.
    pub checkpoint: Checkpoint,
    /// The path of its file.
    pub path: PathBuf,
    /// Newer files that could not be used, and why.
    pub passed_over: Vec<(PathBuf, Error)>,
}

const EXTENSION: &str = "keel";

impl CheckpointDir {
    /// Names a folder of checkpoints, which is created when the first one is saved. The last 3 are kept.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), keep: 3 }
    }

    /// Sets how many checkpoints are kept.
    ///
    /// # Errors
    /// If it is 0.
    pub fn keep(mut self, checkpoints: usize) -> Result<Self, Error> {
        Param("CheckpointDir", "keep").at_least(1, checkpoints as u64)?;
        self.keep = checkpoints;
        Ok(self)
    }

    /// Writes a checkpoint, and removes those older than the last few. Returns its path.
    ///
    /// # Errors
    /// If the folder or the file cannot be written; existing checkpoints are then still there. A checkpoint that was
    /// written while older ones could not be removed is not an error.
    pub fn save(&self, checkpoint: Checkpoint) -> Result<PathBuf, Error> {
        let failed = |cause| self.not_saved(cause);
        fs::create_dir_all(&self.path).map_err(failed)?;
        let older = self.numbered().map_err(failed)?;
        let number = older.last().map_or(0, |(number, _)| number + 1);
        let path = self.path.join(format!("{number:08}.{EXTENSION}"));
        // The new name must be on disk before an old one is removed.
        let path = self.write(checkpoint, path)?;
        let kept = older.len().min(self.keep - 1);
        for (_, old) in &older[..older.len() - kept] {
            let _ = fs::remove_file(old);
        }
        for unfinished in self.unfinished().unwrap_or_default() {
            let _ = fs::remove_file(unfinished);
        }
        Ok(path)
    }

    /// Writes a checkpoint in place of the [best](Self::best) so far. Returns its path.
    ///
    /// # Errors
    /// If the folder or the file cannot be written; the best so far is then still there.
    pub fn save_best(&self, checkpoint: Checkpoint) -> Result<PathBuf, Error> {
        fs::create_dir_all(&self.path).map_err(|cause| self.not_saved(cause))?;
        self.write(checkpoint, self.best_path())
    }

    /// Loads the checkpoint that was last [saved as the best](Self::save_best); `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read, or is not whole.
    pub fn best(&self) -> Result<Option<Checkpoint>, Error> {
        let path = self.best_path();
        let failed = |cause| Error::io(format_args!("loading {}", path.display()), cause);
        match is_there(&path).map_err(failed)? {
            true => Checkpoint::load(&path).map(Some),
            false => Ok(None),
        }
    }

    /// Writes the file, and syncs its name in the folder.
    fn write(&self, checkpoint: Checkpoint, path: PathBuf) -> Result<PathBuf, Error> {
        checkpoint.save(&path)?;
        let synced = fs::File::open(&self.path).and_then(|folder| folder.sync_all());
        synced.map_err(|cause| self.not_saved(cause))?;
        Ok(path)
    }

    fn best_path(&self) -> PathBuf {
        self.path.join(format!("best.{EXTENSION}"))
    }

    fn not_saved(&self, cause: std::io::Error) -> Error {
        Error::io(format_args!("saving into {}", self.path.display()), cause)
    }

    /// Loads the newest whole checkpoint; `None` if there is no checkpoint at all.
    ///
    /// # Errors
    /// If the folder cannot be read, or if there are checkpoints and none is whole.
    pub fn load(&self) -> Result<Option<Found>, Error> {
        let failed = |cause| Error::io(format_args!("loading from {}", self.path.display()), cause);
        if !is_there(&self.path).map_err(failed)? {
            return Ok(None);
        }
        let mut passed_over = Vec::new();
        for (_, path) in self.numbered().map_err(failed)?.into_iter().rev() {
            match Checkpoint::load(&path) {
                Ok(checkpoint) => return Ok(Some(Found { checkpoint, path, passed_over })),
                Err(error) => passed_over.push((path, error)),
            }
        }
        match passed_over.first() {
            None => Ok(None),
            Some((path, error)) => Err(Error::record(format_args!(
                "none of the {} checkpoints in {} is whole; the newest, {}: {error}",
                passed_over.len(),
                self.path.display(),
                path.display(),
            ))),
        }
    }

    /// Returns the files that processes killed while writing have left: `00000012.keel.….tmp`, `best.keel.….tmp`.
    fn unfinished(&self) -> std::io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let is_scratch = path.extension().is_some_and(|extension| extension == "tmp");
            // Two extensions: `tmp`, and the process that wrote it.
            let name = path.with_extension("").with_extension("");
            if is_scratch && (number(&name).is_some() || name == self.best_path()) {
                found.push(path);
            }
        }
        Ok(found)
    }

    /// Returns the checkpoints by number, lowest first.
    fn numbered(&self) -> std::io::Result<Vec<(u64, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if let Some(number) = number(&path) {
                found.push((number, path));
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Returns whether a path exists. Unlike `exists`, it doesn't take a path that cannot be examined, or a dangling link,
/// for absent.
fn is_there(path: &Path) -> std::io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(cause),
    }
}

fn number(path: &Path) -> Option<u64> {
    let is_ours = path.extension().is_some_and(|extension| extension == EXTENSION);
    let name = path.file_stem().filter(|_| is_ours)?.to_str()?;
    // In the form that this folder writes, and with room for the next number.
    name.parse().ok().filter(|number| *number < u64::MAX && format!("{number:08}") == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::State;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("evenkeel-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn checkpoint(n: u64) -> Checkpoint {
        Checkpoint::new(State::new().with_count("n", n))
    }

    #[test]
    fn the_last_few_are_kept_and_the_newest_is_found() {
        let scratch = Scratch::new("folder-keep");
        let folder = CheckpointDir::new(scratch.0.join("deep/er")).keep(2).unwrap();
        assert!(folder.load().unwrap().is_none());
        for n in 0..5 {
            let path = folder.save(checkpoint(n)).unwrap();
            assert!(path.ends_with(format!("{n:08}.keel")));
        }
        fs::write(folder.path.join("notes.txt"), "not ours").unwrap();
        assert_eq!(fs::read_dir(&folder.path).unwrap().count(), 3);
        let found = folder.load().unwrap().unwrap();
        assert_eq!(found.checkpoint, checkpoint(4));
        assert!(found.passed_over.is_empty());
    }

    #[test]
    fn a_damaged_newest_falls_back_to_the_one_before_and_says_so() {
        let scratch = Scratch::new("folder-damage");
        let folder = CheckpointDir::new(&scratch.0);
        (0..3).for_each(|n| drop(folder.save(checkpoint(n)).unwrap()));
        let newest = scratch.0.join("00000002.keel");
        let bytes = fs::read(&newest).unwrap();
        fs::write(&newest, &bytes[..bytes.len() - 1]).unwrap();
        let found = folder.load().unwrap().unwrap();
        assert_eq!(found.checkpoint, checkpoint(1));
        let [(path, error)] = found.passed_over.as_slice() else { panic!() };
        assert_eq!(*path, newest);
        assert!(error.to_string().contains("its checksum does not match"), "{error}");

        // Numbering continues, so the damaged file is never the newest again.
        folder.save(checkpoint(9)).unwrap();
        assert_eq!(folder.load().unwrap().unwrap().checkpoint, checkpoint(9));
    }

    #[test]
    fn what_was_left_half_written_is_removed_by_the_next_save() {
        let scratch = Scratch::new("folder-scratch");
        let folder = CheckpointDir::new(&scratch.0);
        folder.save(checkpoint(0)).unwrap();
        let others = ["notes.keel.99-0.tmp", "00000001.99-0.tmp"];
        let ours = ["00000000.keel.99-0.tmp", "00000001.keel.4194304-17.tmp", "best.keel.99-1.tmp"];
        for name in others.iter().chain(&ours) {
            fs::write(scratch.0.join(name), "half").unwrap();
        }
        folder.save(checkpoint(1)).unwrap();
        let left: Vec<bool> = ours.iter().map(|name| scratch.0.join(name).exists()).collect();
        assert_eq!(left, [false; 3]);
        assert!(others.iter().all(|name| scratch.0.join(name).exists()));
    }

    #[test]
    fn the_best_is_kept_beside_the_newest() {
        let scratch = Scratch::new("folder-best");
        let folder = CheckpointDir::new(scratch.0.join("new")).keep(1).unwrap();
        assert!(folder.best().unwrap().is_none());
        assert!(folder.save_best(checkpoint(7)).unwrap().ends_with("best.keel"));
        assert!(folder.load().unwrap().is_none(), "the best is not the newest");
        (0..3).for_each(|n| drop(folder.save(checkpoint(n)).unwrap()));
        assert_eq!(folder.best().unwrap().unwrap(), checkpoint(7));
        assert_eq!(folder.load().unwrap().unwrap().checkpoint, checkpoint(2));
        folder.save_best(checkpoint(9)).unwrap();
        assert_eq!(folder.best().unwrap().unwrap(), checkpoint(9));
        fs::write(folder.best_path(), b"EVENKEEL").unwrap();
        assert!(folder.best().unwrap_err().is_record());
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_looked_at_is_no_fresh_start() {
        let scratch = Scratch::new("folder-unseen");
        fs::create_dir_all(&scratch.0).unwrap();
        let (dangling, round) = (scratch.0.join("dangling"), scratch.0.join("round"));
        std::os::unix::fs::symlink(scratch.0.join("nowhere"), &dangling).unwrap();
        std::os::unix::fs::symlink(&round, &round).unwrap();
        for path in [dangling, round, scratch.0.join("round").join("deeper")] {
            let folder = CheckpointDir::new(&path);
            assert!(folder.load().unwrap_err().is_io(), "{}", path.display());
        }
        let best = scratch.0.join("best.keel");
        std::os::unix::fs::symlink(scratch.0.join("nowhere"), &best).unwrap();
        assert!(CheckpointDir::new(&scratch.0).best().is_err());
    }

    #[test]
    fn a_folder_without_a_whole_one_is_an_error_not_a_fresh_start() {
        let scratch = Scratch::new("folder-none");
        let folder = CheckpointDir::new(&scratch.0);
        let path = folder.save(checkpoint(0)).unwrap();
        fs::write(&path, b"EVENKEEL").unwrap();
        let error = folder.load().unwrap_err();
        assert!(error.is_record());
        assert!(error.to_string().contains("none of the 1 checkpoints"), "{error}");
        let said = CheckpointDir::new("x").keep(0).unwrap_err().to_string();
        assert_eq!(said, "`keep` of CheckpointDir must be at least 1, got 0");
    }
}
