//! Runs written to files, read back, gone on with, and refused.

use std::fs;
use std::path::{Path, PathBuf};

use evenkeel::Verdict;
use evenkeel::record::{Csv, Entry, History, JsonLines, Logbook, Sink};
use proptest::prelude::*;

/// A folder of this test's own, which goes when it does.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("evenkeel-record-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn step(attempt: u64) -> Entry {
    let entry = Entry::new(attempt, attempt).value("loss", 1.0 / (attempt as f64 + 3.0));
    match attempt % 5 {
        3 => entry.not_applied(Verdict::Skip, "not, \"today\"\nnor ever").value("loss", f64::NAN),
        _ => entry.value("grad_norm", 1e300 * attempt as f64),
    }
}

fn record(path: &Path, sink: impl Sink + 'static, attempts: std::ops::Range<u64>) -> String {
    let mut log = Logbook::to(sink).open(attempts.start).unwrap();
    attempts.for_each(|attempt| log.push(step(attempt)).unwrap());
    log.close().unwrap();
    fs::read_to_string(path).unwrap()
}

/// The cells of a file, by a reader that is not ours.
fn cells(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv_core::Reader::new();
    let (mut rest, mut rows, mut row) = (text.as_bytes(), Vec::new(), Vec::new());
    let mut out = vec![0; text.len()];
    loop {
        let (result, read, written) = reader.read_field(rest, &mut out);
        rest = &rest[read..];
        match result {
            csv_core::ReadFieldResult::Field { record_end } => {
                row.push(String::from_utf8(out[..written].to_vec()).unwrap());
                if record_end {
                    rows.push(std::mem::take(&mut row));
                }
            }
            csv_core::ReadFieldResult::End => return rows,
            csv_core::ReadFieldResult::InputEmpty => {}
            csv_core::ReadFieldResult::OutputFull => panic!("a cell longer than the file"),
        }
    }
}

#[test]
fn a_line_is_flat_and_in_a_stable_order() {
    let scratch = Scratch::new("line");
    let path = scratch.file("deep/down/run.jsonl");
    let text = record(&path, JsonLines::new(&path), 2..4);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            r#"{"attempt":2,"update":2,"verdict":"Apply","loss":0.2,"grad_norm":2e+300}"#,
            r#"{"attempt":3,"update":3,"verdict":"Skip","why":"not, \"today\"\nnor ever","loss":"NaN"}"#,
        ]
    );
}

#[test]
fn a_row_has_a_cell_for_each_name() {
    let scratch = Scratch::new("row");
    let path = scratch.file("run.csv");
    let text = record(&path, Csv::new(&path), 2..4);
    let rows = [
        ["attempt", "update", "verdict", "why", "loss", "grad_norm"],
        ["2", "2", "Apply", "", "0.2", "2e300"],
        ["3", "3", "Skip", "not, \"today\" nor ever", "NaN", ""],
    ];
    assert_eq!(cells(&text), rows);
}

#[test]
fn a_new_name_is_a_column_at_the_end_of_every_row() {
    let scratch = Scratch::new("widen");
    let path = scratch.file("run.csv");
    let mut csv = Csv::new(&path);
    for attempt in 0..4 {
        let entry = Entry::new(attempt, attempt).value("loss", attempt as f64);
        csv.write(&if attempt < 2 { entry } else { entry.value("a,b", 0.5).value("c", -0.0) })
            .unwrap();
        // The file is there with each flush, and so is what must be written anew.
        csv.flush().unwrap();
    }
    let rows = [
        ["attempt", "update", "verdict", "why", "loss", "a,b", "c"],
        ["0", "0", "Apply", "", "0.0", "", ""],
        ["1", "1", "Apply", "", "1.0", "", ""],
        ["2", "2", "Apply", "", "2.0", "0.5", "-0.0"],
        ["3", "3", "Apply", "", "3.0", "0.5", "-0.0"],
    ];
    assert_eq!(cells(&fs::read_to_string(&path).unwrap()), rows);
    let left: Vec<_> = fs::read_dir(&scratch.0).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

/// Two names that differ by a line break are two columns, and the file is one that can be gone on with.
#[test]
fn names_with_line_breaks_stay_two() {
    let scratch = Scratch::new("breaks");
    let path = scratch.file("log.csv");
    let entry =
        |at: u64| Entry::new(at, at).value("a b", 1.0).value("a\nb", 2.0).value("a\rb", 3.0);
    for from in [0, 2] {
        let mut log = Logbook::to(Csv::new(&path)).open(from).unwrap();
        (from..from + 2).for_each(|at| log.push(entry(at)).unwrap());
        log.close().unwrap();
    }
    let text = fs::read_to_string(&path).unwrap();
    let rows = cells(&text);
    assert_eq!(rows[0][4..], ["a b", "a\\nb", "a\\rb"]);
    assert_eq!(rows.len(), 5);
    assert!(rows[1..].iter().all(|row| row[4..] == ["1.0", "2.0", "3.0"]), "{rows:?}");
}

#[test]
fn chosen_columns_are_all_there_are() {
    let scratch = Scratch::new("columns");
    let path = scratch.file("run.csv");
    let chosen = || Csv::new(&path).columns(["rate", "loss"]).unwrap();
    record(&path, chosen(), 2..4);
    let text = record(&path, chosen(), 4..5);
    let rows = [
        ["attempt", "update", "verdict", "why", "rate", "loss"],
        ["2", "2", "Apply", "", "", "0.2"],
        ["3", "3", "Skip", "not, \"today\" nor ever", "", "NaN"],
        ["4", "4", "Apply", "", "", &format!("{:?}", 1.0 / 7.0)],
    ];
    assert_eq!(cells(&text), rows);
    let error = Logbook::to(Csv::new(&path).columns(["loss"]).unwrap()).open(4).unwrap_err();
    assert!(error.is_record() && error.to_string().contains("other columns"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "it stays as it is");
}

fn sinks(scratch: &Scratch) -> [(PathBuf, Box<dyn Sink>); 2] {
    let (lines, rows) = (scratch.file("run.jsonl"), scratch.file("run.csv"));
    [(lines.clone(), Box::new(JsonLines::new(lines))), (rows.clone(), Box::new(Csv::new(rows)))]
}

#[test]
fn a_run_that_goes_on_is_the_run_that_was_not_stopped() {
    let scratch = Scratch::new("resume");
    let whole: Vec<String> =
        sinks(&scratch).into_iter().map(|(path, sink)| record(&path, sink, 0..100)).collect();
    for (at, cut) in [(60, 0), (1, 0), (99, 0), (100, 0), (60, 1), (60, 7), (100, 1), (100, 30)] {
        for (path, _) in sinks(&scratch) {
            fs::remove_file(path).unwrap();
        }
        for ((path, first), (_, second)) in sinks(&scratch).into_iter().zip(sinks(&scratch)) {
            let stopped = record(&path, first, 0..100);
            // Killed in the middle of a line.
            fs::write(&path, &stopped[..stopped.len() - cut]).unwrap();
            record(&path, second, at..at);
            let kept = fs::read_to_string(&path).unwrap();
            assert!(kept.is_empty() || kept.ends_with('\n'));
            assert!(stopped.starts_with(&kept));
        }
        for ((path, sink), whole) in sinks(&scratch).into_iter().zip(&whole) {
            // What was cut from the last line has to be trained again.
            let from = if cut > 0 { at.min(99) } else { at };
            let text = record(&path, sink, from..100);
            assert_eq!(&text, whole, "at {at}, {cut} bytes short");
        }
    }
}

#[test]
fn a_fresh_run_moves_the_last_one_out_of_the_way() {
    let scratch = Scratch::new("fresh");
    let first: Vec<String> =
        sinks(&scratch).into_iter().map(|(path, sink)| record(&path, sink, 0..9)).collect();
    for ((path, sink), first) in sinks(&scratch).into_iter().zip(first) {
        let second = record(&path, sink, 0..3);
        assert!(first.starts_with(&second) && second.len() < first.len());
        let old = PathBuf::from(format!("{}.old", path.display()));
        assert_eq!(fs::read_to_string(old).unwrap(), first);
    }
}

#[test]
fn two_logs_do_not_write_one_file() {
    let scratch = Scratch::new("twice");
    for ((path, first), (_, second)) in sinks(&scratch).into_iter().zip(sinks(&scratch)) {
        let first = Logbook::to(first).open(0).unwrap();
        let error = Logbook::to(second).open(0).unwrap_err();
        assert!(error.is_io() && error.to_string().contains("another log"), "{error}");
        drop(first);
        record(&path, JsonLines::new(&path), 0..1);
    }
}

#[test]
fn files_that_are_no_logs_stay_as_they_are() {
    let scratch = Scratch::new("foreign");
    fs::create_dir_all(&scratch.0).unwrap();
    let good = r#"{"attempt":0,"update":0,"verdict":"Apply"}"#;
    for (lines, rows, line) in [
        ("hello\n", "hello\n", 1),
        (&format!("{good}\n{{}}\n"), "attempt,update,verdict,why\n0,0,Apply\n", 2),
        (
            &format!("{good}\n{}\n", good.replace('0', "-1")),
            "attempt,update,verdict,why\n-1,0,Apply,\n",
            2,
        ),
        (
            &format!("{good}\n{}\n", good.replace("Apply", "Maybe")),
            "attempt,update,verdict,why\n,,,\n",
            2,
        ),
    ] {
        for ((path, sink), text) in sinks(&scratch).into_iter().zip([lines, rows]) {
            fs::write(&path, text).unwrap();
            let error = Logbook::to(sink).open(5).unwrap_err();
            assert!(error.is_record(), "{error}");
            assert!(error.to_string().contains(&format!("line {line} of")), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
    let error = History::read(scratch.file("run.jsonl")).unwrap_err();
    assert!(error.is_record() && error.to_string().contains("line 2 of"), "{error}");
}

#[test]
fn a_place_that_cannot_be_written_is_an_error_at_once() {
    let scratch = Scratch::new("unwritable");
    fs::create_dir_all(&scratch.0).unwrap();
    fs::write(scratch.file("file"), "").unwrap();
    for sink in [
        Box::new(JsonLines::new(scratch.file("file/run.jsonl"))) as Box<dyn Sink>,
        Box::new(Csv::new(scratch.file("file/run.csv"))),
        Box::new(JsonLines::new(&scratch.0)),
    ] {
        assert!(Logbook::to(sink).open(0).unwrap_err().is_io());
    }
    assert!(History::read(scratch.file("none.jsonl")).unwrap_err().is_io());
}

/// A device that is always full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_of_and_does_not_stop_training() {
    let mut log =
        Logbook::to(JsonLines::new("/dev/full")).keep(History::default()).open(1).unwrap();
    let error = log.push(step(1)).and(log.flush()).unwrap_err();
    assert!(error.is_io() && error.to_string().contains("/dev/full"), "{error}");
    log.push(step(2)).expect("told once");
    assert_eq!(log.history().steps(), 2, "the rest goes on");
    assert_eq!(log.close().unwrap_err(), error, "and at the end");
}

#[test]
fn names_that_every_line_has_are_refused() {
    let scratch = Scratch::new("reserved");
    let path = scratch.file("run.jsonl");
    let mut log = Logbook::to(JsonLines::new(&path)).open(0).unwrap();
    for name in ["attempt", "update", "verdict", "why"] {
        let error = log.push(Entry::new(0, 0).value(name, 1.0)).unwrap_err();
        assert!(error.is_parameter() && error.to_string().contains(name), "{error}");
        assert!(Csv::new(&path).columns([name]).unwrap_err().is_parameter());
    }
    assert!(Csv::new(&path).columns(["loss", "loss"]).unwrap_err().is_parameter());
    log.close().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
}

#[test]
fn a_history_is_read_up_to_half_a_line() {
    let scratch = Scratch::new("read");
    let path = scratch.file("run.jsonl");
    let text = record(&path, JsonLines::new(&path), 0..50);
    fs::write(&path, &text[..text.len() - 5]).unwrap();
    let history = History::read(&path).unwrap();
    let expected: Vec<Entry> = (0..49).map(step).collect();
    assert!(history.entries().eq(&expected));
    assert_eq!(history.count(Verdict::Skip), 10);
    let history = History::read_until(&path, 7).unwrap();
    assert!(history.entries().eq(&expected[..7]));
}

fn text(size: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let letter = prop_oneof![Just('"'), Just(','), Just('/'), Just('a'), any::<char>()];
    prop::collection::vec(letter, size).prop_map(|letters| {
        // Ends of lines are blanks in a header.
        letters.into_iter().filter(|letter| !matches!(letter, '\n' | '\r')).collect()
    })
}

prop_compose! {
    fn entries()(
        steps in prop::collection::vec(
            (
                1..u64::MAX / 64,
                any::<u64>(),
                0..4,
                text(0..20),
                prop::collection::vec((text(0..3), any::<u64>()), 0..6),
            ),
            1..40,
        ),
    ) -> Vec<Entry> {
        let mut attempt = 0;
        steps.into_iter().map(|(on, update, verdict, why, values)| {
            attempt += on;
            let entry = Entry::new(attempt, update);
            let entry = match verdict {
                0 => entry.not_applied(Verdict::Skip, why),
                1 => entry.not_applied(Verdict::Rewind, why),
                2 => entry.not_applied(Verdict::Halt, why),
                _ => entry,
            };
            values.into_iter().fold(entry, |entry, (name, bits)| entry.value(&name, f64::from_bits(bits)))
        }).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_read_back_is_what_was_written_bit_by_bit(entries in entries()) {
        let scratch = Scratch::new("bits");
        let (lines, rows) = (scratch.file("run.jsonl"), scratch.file("run.csv"));
        let log = Logbook::to(JsonLines::new(&lines)).to(Csv::new(&rows));
        let mut log = log.queue(3).unwrap().open(0).unwrap();
        for entry in &entries {
            log.push(entry.clone()).unwrap();
        }
        log.close().unwrap();
        let history = History::read(&lines).unwrap();
        prop_assert!(history.entries().eq(&entries));

        let rows = cells(&fs::read_to_string(&rows).unwrap());
        prop_assert_eq!(rows.len(), entries.len() + 1);
        for (row, entry) in rows[1..].iter().zip(&entries) {
            prop_assert_eq!(&row[0], &entry.attempt.to_string());
            prop_assert_eq!(&row[1], &entry.update.to_string());
            for (name, cell) in rows[0].iter().zip(row).skip(4) {
                let read = (!cell.is_empty()).then(|| cell.parse::<f64>().unwrap().to_bits());
                prop_assert_eq!(read, entry.get(name).map(f64::to_bits), "{}", name);
            }
        }
    }
}
