//! What each module may know, read from its `use` lines.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(sources(&path)),
            false => found.extend(path.extension().is_some_and(|e| e == "rs").then_some(path)),
        }
    }
    found
}

/// The code of a file: no comments, and nothing from its test module on.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap().to_string();
    let line = |line: &str| line.split("//").next().unwrap_or_default().to_string();
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every file under `module`, but for the exceptions, must contain none of `words`.
fn must_not_know(module: &str, words: &[&str], except: &[&str]) {
    let files = match src().join(module).is_dir() {
        true => sources(&src().join(module)),
        false => vec![src().join(module)],
    };
    assert!(!files.is_empty());
    for file in files {
        let name = file.strip_prefix(src()).unwrap().display().to_string();
        if except.contains(&name.as_str()) {
            continue;
        }
        let code = code(&file);
        for word in words {
            assert!(!code.contains(word), "{name} must not know `{word}`");
        }
    }
}

const BURN: &[&str] = &["burn::", "burn_pack", "Tensor"];

#[test]
fn deciding_knows_no_tensors() {
    must_not_know(
        "schedule",
        BURN,
        &["schedule/scheduler.rs", "schedule/groups.rs", "schedule/rate.rs"],
    );
    must_not_know("guard", BURN, &[]);
    must_not_know("clip", BURN, &["clip/scale.rs"]);
    must_not_know("bound", BURN, &[]);
    must_not_know("stat.rs", BURN, &[]);
    must_not_know("report.rs", BURN, &[]);
    must_not_know("recover.rs", BURN, &[]);
    must_not_know("finder", BURN, &["finder/mod.rs", "finder/trial.rs"]);
    let tensors = ["advise/mod.rs", "advise/advisor.rs", "advise/predictor.rs", "advise/trial.rs"];
    // The code that is to be pasted names Burn.
    must_not_know("advise", BURN, &[tensors.as_slice(), &["advise/paste.rs"]].concat());
    must_not_know("record", &["burn::", "burn_pack", "Tensor<"], &[]);
    must_not_know("doctor", BURN, &["doctor/mod.rs", "doctor/look.rs", "doctor/patient.rs"]);
}

#[test]
fn policies_do_not_know_each_other_nor_the_step() {
    must_not_know("schedule", &["crate::guard", "crate::clip", "crate::keel", "crate::optim"], &[]);
    must_not_know(
        "guard",
        &["crate::schedule", "crate::clip", "crate::keel", "crate::monitor"],
        &[],
    );
    // A bound may follow a schedule.
    must_not_know("clip", &["crate::schedule"], &["clip/global_norm.rs"]);
    must_not_know("clip", &["crate::guard", "crate::keel", "crate::monitor"], &[]);
    let others =
        ["crate::guard", "crate::clip", "crate::keel", "crate::monitor", "crate::schedule"];
    must_not_know("bound", &others, &[]);
    must_not_know(
        "monitor",
        &["crate::schedule", "crate::guard", "crate::clip", "crate::keel"],
        &[],
    );
    must_not_know(
        "curvature",
        &["crate::schedule", "crate::guard", "crate::keel", "crate::optim"],
        &[],
    );
    // A setting that is a curve is written as a schedule.
    must_not_know("optim", &["crate::schedule"], &["optim/config.rs", "optim/hyper.rs"]);
    must_not_know("optim", &["crate::guard", "crate::keel", "crate::monitor"], &[]);
    must_not_know(
        "record",
        &["crate::schedule", "crate::guard", "crate::clip", "crate::keel", "crate::optim"],
        &[],
    );
    must_not_know(
        "ranks",
        &["crate::schedule", "crate::keel", "crate::monitor", "crate::Keel"],
        &[],
    );
    must_not_know("report.rs", &["crate::"], &[]);
    draws_and_knows_no_more("chart");
    draws_and_knows_no_more("page");
    must_not_know("error.rs", &["crate::"], &[]);
}

/// A picture knows numbers and words, errors, and the four verdicts.
fn draws_and_knows_no_more(module: &str) {
    let known = ["chart", "error", "stat", "text"];
    for file in sources(&src().join(module)).into_iter().filter(|f| !f.ends_with("tests.rs")) {
        let code = code(&file);
        for path in code.split("crate::").skip(1) {
            let name: String =
                path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            // Of what stands at the root, two: `use crate::{Error, Verdict}` has no name before the brace.
            let root = path.starts_with("{Error, Verdict}") || name == "Error" || name == "Verdict";
            assert!(root || known.contains(&name.as_str()), "{} knows `{name}`", file.display());
        }
    }
}

/// Only the monitor reads from a device, and what saves a state, and the tests' own kit.
#[test]
fn one_place_reads_from_the_device() {
    let reading = ["into_data", "to_data", "into_scalar", "try_execute"];
    for file in sources(&src()) {
        let name = file.strip_prefix(src()).unwrap().display().to_string();
        let exempt = ["monitor/", "checkpoint/", "faults/"];
        let exempt = exempt.iter().any(|may| name.starts_with(may)) || name.ends_with("/tests.rs");
        if !exempt {
            let code = code(&file);
            assert!(!reading.iter().any(|word| code.contains(word)), "{name} reads back");
        }
    }
}

/// No clock, no printing, no global state in the library. TensorBoard's files tell when they were written.
#[test]
fn the_library_is_quiet_and_reproducible() {
    let loud =
        ["println!", "eprintln!", "dbg!", "Instant", "SystemTime", "thread_local", "static "];
    for file in sources(&src()).into_iter().filter(|file| !file.ends_with("tests.rs")) {
        let code = code(&file).replace("&'static ", "").replace("'static", "");
        let tells_time = file.ends_with("record/tensorboard/mod.rs");
        for word in loud.into_iter().filter(|word| !(tells_time && *word == "SystemTime")) {
            assert!(!code.contains(word), "{} has `{word}`", file.display());
        }
    }
}

/// Short files, one idea each.
#[test]
fn files_are_short() {
    for file in sources(&src()) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 520, "{} has {lines} lines", file.display());
    }
}
