//! A log whose process is killed at any moment, again and again, ends as the one that was not.
//!
//! The killed process is this test binary, run again for the one test that records.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use evenkeel::Verdict;
use evenkeel::record::{Csv, Entry, History, JsonLines, Logbook};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The folder in which the child records.
const FOLDER: &str = "EVENKEEL_RECORD_FOLDER";
/// The attempt it goes on from.
const FROM: &str = "EVENKEEL_RECORD_FROM";
const STEPS: u64 = 6000;
const KILLS: usize = 40;
/// A run of the real thing saves a checkpoint every so often.
const SAVED: u64 = 100;

fn step(attempt: u64) -> Entry {
    let entry = Entry::new(attempt, attempt).value("loss", 1.0 / (attempt as f64 + 3.0));
    match attempt % 1000 {
        999 => entry.not_applied(Verdict::Skip, format!("batch {attempt}, \"broken\"")),
        // A new name now and then, for which the CSV is written anew.
        at if at < 3 => entry.value(&format!("late/{}", attempt / 1000), at as f64),
        _ => entry.value("grad_norm", attempt as f64 * 0.1),
    }
}

fn files(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("run.jsonl"), folder.join("run.csv"))
}

/// Records from `from` to the end, and says how far it has come.
fn record(folder: &Path, from: u64, mut said: impl FnMut(u64)) {
    let (lines, rows) = files(folder);
    let log = Logbook::to(JsonLines::new(lines)).to(Csv::new(rows));
    let mut log = log.queue(64).unwrap().open(from).unwrap();
    for attempt in from..STEPS {
        log.push(step(attempt)).unwrap();
        if attempt.is_multiple_of(SAVED) {
            // A checkpoint is worth no more than the log up to it.
            log.flush().unwrap();
            said(attempt + 1);
        }
    }
    log.close().unwrap();
}

/// What the parent runs; by itself it does nothing.
#[test]
fn records_if_it_is_told_where() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let from = std::env::var(FROM).unwrap().parse().unwrap();
    let mut out = std::io::stderr();
    record(&folder, from, |saved| writeln!(out, "{saved}").unwrap());
}

fn child(folder: &Path, from: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "record_kill::records_if_it_is_told_where",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FOLDER, folder)
        .env(FROM, from.to_string())
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_log_that_is_killed_anywhere_ends_as_the_one_that_was_not() {
    let scratch = std::env::temp_dir().join(format!("evenkeel-record-kill-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&scratch);
    let (whole, killed) = (scratch.join("whole"), scratch.join("killed"));
    record(&whole, 0, |_| ());

    let mut rng = StdRng::seed_from_u64(6);
    let (mut saved, mut kills, mut torn) = (1, 0, 0);
    record_first(&killed);
    while kills < KILLS {
        let mut child = child(&killed, saved);
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        for _ in 0..rng.random_range(0..3) {
            let Some(line) = said.next() else { break };
            let line = line.unwrap();
            saved = line.parse().unwrap_or_else(|_| panic!("the child failed: {line}"));
        }
        for _ in 0..rng.random_range(0..2_000_000) {
            std::hint::spin_loop();
        }
        // SIGKILL: nothing of the child runs after it.
        child.kill().unwrap();
        child.wait().unwrap();
        for line in said {
            let line = line.unwrap();
            saved = line.parse().unwrap_or_else(|_| panic!("the child failed: {line}"));
        }
        kills += 1;
        torn += usize::from(check(&killed, saved));
        if saved > STEPS - 2 * SAVED {
            // Near the end: go on from some earlier checkpoint, as a run does that rolls back.
            saved = 1 + SAVED * rng.random_range(0..10);
        }
    }
    record(&killed, saved, |_| ());
    println!("{kills} kills, {torn} of them in mid-line");
    let text = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    assert!(text(files(&killed).0) == text(files(&whole).0), "the lines differ");
    // Columns stand in the order in which names came, which is that of the first time.
    assert!(text(files(&killed).1) == text(files(&whole).1), "the rows differ");
    std::fs::remove_dir_all(&scratch).unwrap();
}

/// The first steps, so that every resumed run finds a file.
fn record_first(folder: &Path) {
    let (lines, rows) = files(folder);
    let mut log = Logbook::to(JsonLines::new(lines)).to(Csv::new(rows)).open(0).unwrap();
    log.push(step(0)).unwrap();
    log.close().unwrap();
}

/// After a kill: every line that was flushed is there, and all but the last are whole. Whether the last is
/// not.
fn check(folder: &Path, saved: u64) -> bool {
    let (lines, rows) = files(folder);
    let history = History::read(&lines).unwrap();
    assert!(history.steps() >= saved, "{} of {saved}", history.steps());
    let last = history.entries().last().unwrap();
    assert_eq!(last.attempt + 1, history.steps(), "without a gap");
    assert_eq!(*last, step(last.attempt));
    let text = std::fs::read_to_string(&rows).unwrap();
    let whole = text.matches('\n').count() as u64;
    assert!(whole > saved, "{whole} rows, {saved} saved");
    !text.ends_with('\n') || !std::fs::read_to_string(&lines).unwrap().ends_with('\n')
}
