//! What each module may know, read from its paths.

mod graph;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::common::sources;
use graph::{Graph, known_by};

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

static GRAPH: LazyLock<Graph> = LazyLock::new(|| Graph::of(&src(), &sources(&src())));

/// No file of `room`, but for the exceptions, may know one of `others`.
fn must_not_know(room: &str, others: &[&str], except: &[&str]) {
    assert!(GRAPH.inside(room).next().is_some(), "there is no {room}");
    for exception in except {
        assert!(GRAPH.files.contains_key(*exception), "there is no {exception}");
    }
    for (file, known) in GRAPH.inside(room).filter(|(file, _)| !except.contains(&file.as_str())) {
        for (other, path) in known {
            assert!(!others.contains(&other.as_str()), "{file} must not know {}", path.join("::"));
        }
    }
}

/// No file of `room` may know any but `others`.
fn must_only_know(room: &str, others: &[&str]) {
    for (file, known) in GRAPH.inside(room) {
        for (other, path) in known {
            assert!(others.contains(&other.as_str()), "{file} must not know {}", path.join("::"));
        }
    }
}

/// Every file of `module`, but for the exceptions, must contain none of `words`.
fn must_not_name(module: &str, words: &[&str], except: &[&str]) {
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
fn no_room_is_in_a_circle() {
    assert!(GRAPH.rooms().len() > 30);
    if let Some(circle) = GRAPH.circle() {
        let files = |from: &str, to: &str| -> Vec<&String> {
            let knows =
                GRAPH.inside(from).filter(|(_, known)| known.iter().any(|(room, _)| room == to));
            knows.map(|(file, _)| file).collect()
        };
        let next = circle.iter().cycle().skip(1);
        let ways: Vec<_> =
            circle.iter().zip(next).map(|(a, b)| format!("{a} → {b}: {:?}", files(a, b))).collect();
        panic!("modules know each other in a circle:\n{}", ways.join("\n"));
    }
}

/// The rooms, each on a line below all that it knows: on the first line those that know no other.
fn levels() -> Vec<Vec<String>> {
    let mut left = GRAPH.rooms();
    left.remove("lib");
    let mut levels = Vec::new();
    while !left.is_empty() {
        let names: BTreeSet<String> = left.keys().cloned().collect();
        let (now, later): (BTreeMap<_, _>, BTreeMap<_, _>) =
            left.into_iter().partition(|(_, known)| known.is_disjoint(&names));
        assert!(!now.is_empty(), "a circle among {names:?}");
        levels.push(now.into_keys().collect());
        left = later;
    }
    levels
}

/// With `EVENKEEL_WRITE` set, writes it.
#[test]
fn the_design_page_has_the_modules_as_they_are() {
    let (begin, end) =
        ("<!-- Generated from the code by the test `layering`. -->\n", "<!-- end -->\n");
    let lines = levels().into_iter().enumerate().map(|(at, rooms)| {
        let rooms: Vec<String> = rooms.iter().map(|room| room.replace(".rs", "")).collect();
        format!("{at}  {}\n", rooms.join(", "))
    });
    let generated = format!("\n```text\n{}```\n\n", lines.collect::<String>());
    let page = src().join("docs/design.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(begin).unwrap();
    let (there, after) = rest.split_once(end).unwrap();
    if std::env::var_os("EVENKEEL_WRITE").is_some() {
        fs::write(&page, format!("{before}{begin}{generated}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(
        there, generated,
        "set EVENKEEL_WRITE and run this test to bring the page up to date"
    );
}

#[test]
fn a_circle_is_found_wherever_it_is() {
    let of = |edges: &[(&str, &str)]| {
        let mut files: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
        for (from, to) in edges {
            files.entry(format!("{from}.rs")).or_default().insert((to.to_string(), Vec::new()));
        }
        Graph { files }.circle()
    };
    assert_eq!(of(&[("a", "b"), ("b", "c"), ("a", "c"), ("lib", "a")]), None);
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
    must_not_name(
        "schedule",
        BURN,
        &["schedule/scheduler.rs", "schedule/groups.rs", "schedule/rate.rs"],
    );
    must_not_name("guard", BURN, &[]);
    must_not_name("clip", BURN, &["clip/scale.rs"]);
    must_not_name("bound", BURN, &[]);
    must_not_name("stat.rs", BURN, &[]);
    must_not_name("report", BURN, &[]);
    must_not_name("rewind.rs", BURN, &[]);
    must_not_name("finder", BURN, &["finder/mod.rs", "finder/trial.rs"]);
    let tensors = ["advise/mod.rs", "advise/advisor.rs", "advise/predictor.rs", "advise/trial.rs"];
    // The code that is to be pasted names Burn.
    must_not_name("advise", BURN, &[tensors.as_slice(), &["advise/paste.rs"]].concat());
    must_not_name("record", &["burn::", "burn_pack", "Tensor<"], &[]);
    must_not_name("doctor", BURN, &["doctor/mod.rs", "doctor/look.rs", "doctor/examination.rs"]);
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
    must_only_know("error", &[]);
    for room in ["chart", "page"] {
        // A picture knows numbers and words, errors, and the four verdicts.
        must_only_know(room, &["chart", "error", "stat", "text", "report"]);
        for (file, known) in GRAPH.inside(room) {
            let report = known.iter().filter(|(other, _)| other == "report");
            let knows: Vec<String> = report.map(|(_, path)| path.join("::")).collect();
            assert!(knows.iter().all(|path| path == "crate::Verdict"), "{file} knows {knows:?}");
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
