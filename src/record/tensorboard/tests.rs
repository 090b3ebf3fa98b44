//! Compared with the file that TensorBoard's own classes write: `tests/golden/event_files.py`.

use std::path::Path;

use super::*;
use crate::Verdict;

const GOLDEN: &[u8] = include_bytes!("../../../tests/golden/event_files.bin");

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|one| one.unwrap().path()).collect();
    files.sort();
    files
}

fn scratch(name: &str) -> PathBuf {
    let name = format!("evenkeel-tensorboard-{name}-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let _ = fs::remove_dir_all(&folder);
    folder
}

fn at(folder: &Path) -> TensorBoard {
    TensorBoard { now: || 1_700_000_000.25, ..TensorBoard::new(folder) }
}

#[test]
fn files_are_as_tensorboard_writes_them() {
    let folder = scratch("golden");
    at(&folder).open(4).unwrap();
    let mut second = at(&folder);
    second.open(4).unwrap();
    let first = Entry::new(4, 3).value("loss", 0.1).value("grad_norm", 0.0);
    second.write(&first.value("grad_norm/a.weight", 1e-30)).unwrap();
    let broken = Entry::new(1 << 40, 3)
        .not_applied(Verdict::Skip, "batch 5: non-finite loss, über all")
        .value("loss", f64::NAN)
        .value("grad_norm", f64::INFINITY)
        .value("least", f64::NEG_INFINITY);
    second.write(&broken).unwrap();
    second.flush().unwrap();
    let files = files(&folder);
    assert_eq!(files.len(), 2);
    assert_eq!(fs::read(&files[1]).unwrap(), GOLDEN);
    // The first file contains only the version and the start event.
    assert_eq!(fs::read(&files[0]).unwrap(), GOLDEN[..40 + 31]);
    fs::remove_dir_all(folder).unwrap();
}

/// Leaves a folder for `tests/golden/event_files.py check` at EVENKEEL_TENSORBOARD.
#[test]
fn a_run_that_goes_on_takes_later_steps_back_in_a_later_file() {
    let given = std::env::var_os("EVENKEEL_TENSORBOARD").map(PathBuf::from);
    let folder = given.clone().unwrap_or_else(|| scratch("resume"));
    let run = |steps: std::ops::Range<u64>, loss: f64, why: &str| {
        // The clock stands still, but file names still increase.
        let mut sink = at(&folder);
        sink.open(steps.start).unwrap();
        for k in steps {
            let mut entry = Entry::new(k, k).value("loss", loss);
            if k == 1 || k == 5 {
                entry = entry.not_applied(Verdict::Skip, why);
            }
            if k == 5 {
                entry = entry.value("late", f64::NAN);
            }
            sink.write(&entry).unwrap();
        }
        sink.flush().unwrap();
    };
    run(0..6, 0.5, "before");
    // Killed in the middle of an event.
    let first = files(&folder).pop().unwrap();
    let bytes = fs::read(&first).unwrap();
    fs::write(&first, &bytes[..bytes.len() - 3]).unwrap();
    run(4..6, 0.25, "after");
    let names: Vec<_> = files(&folder);
    assert_eq!(names.len(), 2);
    let time = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap()[..30].to_string();
    assert_eq!(time(&names[0]), "events.out.tfevents.1700000000");
    assert_eq!(time(&names[1]), "events.out.tfevents.1700000001");
    assert_eq!(names[0], first, "the later file is read after the earlier one");
    if given.is_none() {
        fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn a_place_that_cannot_be_written_is_an_error_at_once() {
    let file = scratch("file");
    fs::write(&file, "").unwrap();
    assert!(TensorBoard::new(&file).open(0).unwrap_err().is_io());
    assert!(TensorBoard::new(file.join("inside")).open(0).unwrap_err().is_io());
    fs::remove_file(file).unwrap();
}
