//! What each module may know, read from its paths.

mod graph;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use graph::{Graph, known_by};

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

fn is_tests(file: &Path) -> bool {
    file.ends_with("tests.rs") || file.iter().any(|part| part == "tests")
}

static GRAPH: LazyLock<Graph> = LazyLock::new(|| {
    let files: Vec<PathBuf> = sources(&src()).into_iter().filter(|f| !is_tests(f)).collect();
    Graph::of(&src(), &files)
});

/// No file of `room`, but for the exceptions, may know one of `others`.
fn must_not_know(room: &str, others: &[&str], except: &[&str]) {
    let graph = &*GRAPH;
    let inside = |file: &str| file == format!("{room}.rs") || file.starts_with(&format!("{room}/"));
    let files: Vec<_> = graph.files.iter().filter(|(file, _)| inside(file)).collect();
    assert!(!files.is_empty(), "there is no {room}");
    for exception in except {
        assert!(files.iter().any(|(file, _)| file == exception), "there is no {exception}");
    }
    for (file, known) in files.iter().filter(|(file, _)| !except.contains(&file.as_str())) {
        for other in others {
            assert!(!known.contains(*other), "{file} must not know `{other}`");
        }
    }
}

/// No file of `room` may know any but `others`.
fn must_only_know(room: &str, others: &[&str]) {
    let rooms = GRAPH.rooms();
    for known in &rooms[room] {
        assert!(others.contains(&known.as_str()), "`{room}` must not know `{known}`");
    }
}

const BURN: &[&str] = &["burn", "burn_pack"];

#[test]
fn no_room_is_in_a_circle() {
    let graph = &*GRAPH;
    assert!(graph.rooms().len() > 30);
    if let Some(circle) = graph.circle() {
        let files = |from: &str, to: &str| -> Vec<String> {
            let inside =
                |file: &str| file == format!("{from}.rs") || file.starts_with(&format!("{from}/"));
            let knows =
                graph.files.iter().filter(|(file, known)| inside(file) && known.contains(to));
            knows.map(|(file, _)| file.clone()).collect()
        };
        let next = circle.iter().cycle().skip(1);
        let ways: Vec<_> =
            circle.iter().zip(next).map(|(a, b)| format!("{a} → {b}: {:?}", files(a, b))).collect();
        panic!("modules know each other in a circle:\n{}", ways.join("\n"));
    }
}

#[test]
fn a_circle_is_found_wherever_it_is() {
    let of = |edges: &[(&str, &str)]| {
        let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in edges {
            files.entry(format!("{from}.rs")).or_default().insert(to.to_string());
        }
        Graph { files }.circle()
    };
    assert_eq!(of(&[("a", "b"), ("b", "c"), ("a", "c"), ("a", "burn"), ("lib", "a")]), None);
    let found = of(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b"), ("c", "e")]).unwrap();
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), ["b", "c", "d"].into());
    assert_eq!(of(&[("a", "b"), ("b", "a")]).unwrap().len(), 2);
}

/// However it is written, at whatever depth.
#[test]
fn every_way_to_know_is_seen() {
    for text in [
        "use crate::keel;",
        "use crate::keel::Keel as Other;",
        "use crate::{guard::Guard, keel::{act::Act, *}};",
        "pub(crate) use crate::keel::*;",
        "use super::super::keel::Keel;",
        "use super::{super::keel, Own};",
        "fn f() { crate::keel::f(); }",
        "fn f(x: &super::super::keel::Keel<u8>) {}",
        "mod inner { use super::super::super::keel::Keel; }",
        "fn f() { use crate::keel::Keel; }",
        "impl crate::keel::Law for Own {}",
        "macro_rules! m { () => { $crate::keel::Keel } }",
        "fn f() { m!(crate::keel::Keel); }",
    ] {
        let known = known_by("clip/own.rs", text);
        let sees = known.iter().any(|path| path.starts_with(&["crate".into(), "keel".into()]));
        assert!(sees, "{text}: {known:?}");
    }
    for text in [
        "#[cfg(test)] mod tests { use crate::keel::Keel; }",
        "#[cfg(all(test, unix))] use crate::keel::Keel;",
        "// use crate::keel::Keel;",
        "fn f() -> &'static str { \"crate::keel::Keel\" }",
        "use super::keel::Keel;",
    ] {
        let known = known_by("clip/own.rs", text);
        let sees = known.iter().any(|path| path.starts_with(&["crate".into(), "keel".into()]));
        assert!(!sees, "{text}: {known:?}");
    }
}

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
    must_not_know("stat", BURN, &[]);
    must_not_know("report", BURN, &[]);
    must_not_know("rewind", BURN, &[]);
    must_not_know("finder", BURN, &["finder/mod.rs", "finder/trial.rs"]);
    let tensors = ["advise/mod.rs", "advise/advisor.rs", "advise/predictor.rs", "advise/trial.rs"];
    must_not_know("advise", BURN, &tensors);
    must_not_know("record", BURN, &[]);
    must_not_know("doctor", BURN, &["doctor/mod.rs", "doctor/look.rs", "doctor/examination.rs"]);
}

#[test]
fn policies_do_not_know_each_other_nor_the_step() {
    must_not_know("schedule", &["guard", "clip", "keel", "optim"], &[]);
    must_not_know("guard", &["schedule", "clip", "keel", "monitor"], &[]);
    // A bound may follow a schedule.
    must_not_know("clip", &["schedule"], &["clip/global_norm.rs"]);
    must_not_know("clip", &["guard", "keel", "monitor"], &[]);
    must_not_know("bound", &["guard", "clip", "keel", "monitor", "schedule"], &[]);
    must_not_know("monitor", &["schedule", "guard", "clip", "keel"], &[]);
    must_not_know("curvature", &["schedule", "guard", "keel", "optim"], &[]);
    // A setting that is a curve is written as a schedule.
    must_not_know("optim", &["schedule"], &["optim/config.rs", "optim/hyper.rs"]);
    must_not_know("optim", &["guard", "keel", "monitor", "gate"], &[]);
    must_not_know("record", &["schedule", "guard", "clip", "keel", "optim"], &[]);
    must_not_know("ranks", &["schedule", "keel", "monitor"], &[]);
    must_only_know("report", &[]);
    must_only_know("error", &["thiserror"]);
    // A picture knows numbers and words, errors, and the four verdicts.
    must_only_know("chart", &["error", "stat", "text", "report"]);
    must_only_know("page", &["chart", "error", "stat", "text", "report"]);
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
