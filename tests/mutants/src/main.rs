//! Mutation testing: which changes of the code do the tests not notice?
//!
//!     cargo run --manifest-path tests/mutants/Cargo.toml -- src/gate src/clip/mod.rs
//!
//! All mutants of the files and folders that are named are compiled into one set of tests, in a copy of the repository
//! under the target directory; a switch chooses one of them when the tests run. So each mutant takes as long as it
//! takes the tests to fail. The tests are, in this order, the unit tests, those integration tests that
//! `EVENKEEL_TESTS_OF` names (filters of their names, separated by commas; `none`; all of them, if it is not set), and
//! with `EVENKEEL_CAMPAIGN` so many cases of the campaign.
//!
//! `EVENKEEL_LIST=1` lists the mutants and builds nothing. What survives is printed, and a failure, unless
//! `tests/mutants/justified` has it. `EVENKEEL_EVERY=5` tries every fifth mutant.

mod mutate;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};
use std::time::{Duration, Instant};

use mutate::{Mutant, mutate};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const FEATURES: &str = "faults,serde,record,tensorboard,progress,tracing";
const SWITCH: &str = r#"
/// Which mutant runs.
pub(crate) mod mutated {
    static CHOSEN: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| {
        std::env::var("EVENKEEL_MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(u32::MAX)
    });
    pub(crate) fn is(mutant: u32) -> bool {
        *CHOSEN == mutant
    }
}
"#;
/// Longer than any test takes: a mutant that loops for ever is caught too.
const LONGEST: Duration = Duration::from_secs(300);

/// The mutants with their numbers, and the texts that hold them.
type Changed = (Vec<(usize, Mutant)>, Vec<Text>);

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.is_empty() {
        return Err("name the files or folders to change, as in src/gate".into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    // Cargo takes the copy's crate for the repository's, so in one target directory `cargo test` would run mutants.
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let target = target.join("mutants");
    let tree = target.join("tree");
    copy(&root, &tree)?;
    if std::env::var_os("EVENKEEL_LIST").is_some() {
        for (at, Mutant { file, line, change, text }) in
            change(&root, &tree, &wanted, &BTreeSet::new())?.0
        {
            println!("{at}: {file}:{line}: {change}: {text}");
        }
        return Ok(());
    }
    let programs;
    let mutants;
    let mut left_out = BTreeSet::new();
    loop {
        let (all, texts) = change(&root, &tree, &wanted, &left_out)?;
        match build(&tree, &target, &texts)? {
            Ok(built) => {
                (programs, mutants) = (built, all);
                break;
            }
            Err(broken) if broken.is_empty() => return Err("the tests do not build".into()),
            Err(broken) => left_out.extend(broken),
        }
    }
    println!("{} mutants, {} more are refused by the compiler", mutants.len(), left_out.len());
    let every: usize = std::env::var("EVENKEEL_EVERY").ok().map_or(Ok(1), |n| n.parse())?;
    if !passes(&programs, &tree, None)? {
        return Err("the tests fail without a mutant".into());
    }
    let justified = fs::read_to_string(root.join("tests/mutants/justified"))?;
    let justified: BTreeSet<&str> =
        justified.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let (mut tried, mut known, mut survived) = (0, 0, Vec::new());
    for (at, mutant) in mutants.iter().step_by(every) {
        tried += 1;
        if !passes(&programs, &tree, Some(*at))? {
            continue;
        }
        let Mutant { file, line, change, text } = mutant;
        let name = format!("{file}: {change}: {text}");
        if justified.contains(name.as_str()) {
            known += 1;
            continue;
        }
        println!("survived {at}: {file}:{line}: {change}: {text}");
        survived.push(name);
    }
    let caught = tried - known - survived.len();
    println!("{tried} tried, {caught} caught, {known} justified, {} survived", survived.len());
    exit(i32::from(!survived.is_empty()));
}

/// Copies what git knows of.
fn copy(root: &Path, tree: &Path) -> Result<()> {
    let listed = Command::new("git")
        .args(["ls-files", "-co", "--exclude-standard"])
        .current_dir(root)
        .output()?;
    for name in String::from_utf8(listed.stdout)?.lines() {
        let (from, to) = (root.join(name), tree.join(name));
        if !from.is_file() {
            continue;
        }
        fs::create_dir_all(to.parent().unwrap_or(tree))?;
        // Left as it is if nothing has changed, so that it is not built again.
        let bytes = fs::read(from)?;
        if fs::read(&to).ok().as_ref() != Some(&bytes) {
            fs::write(to, bytes)?;
        }
    }
    Ok(())
}

/// A changed file: its name, and its text.
type Text = (String, String);

/// Writes the mutants into the copy, but for those left out.
fn change(
    root: &Path,
    tree: &Path,
    wanted: &[String],
    left_out: &BTreeSet<usize>,
) -> Result<Changed> {
    let (mut mutants, mut texts, mut next) = (Vec::new(), Vec::new(), 0);
    let mut files = Vec::new();
    for name in wanted {
        sources(root, &root.join(name), &mut files)?;
    }
    for file in files {
        let code = fs::read_to_string(root.join(&file))?;
        let (mut text, found) = mutate(&file, &code, next)?;
        for at in left_out.range(next..next + found.len()) {
            text = text.replace(&format!("crate :: mutated :: is ({at}u32)"), "false");
        }
        let kept = found.into_iter().enumerate().map(|(at, mutant)| (next + at, mutant));
        let kept: Vec<_> = kept.collect();
        next += kept.len();
        mutants.extend(kept.into_iter().filter(|(at, _)| !left_out.contains(at)));
        fs::write(tree.join(&file), &text)?;
        texts.push((file, text));
    }
    let lib = fs::read_to_string(root.join("src/lib.rs"))?;
    fs::write(tree.join("src/lib.rs"), lib + SWITCH)?;
    Ok((mutants, texts))
}

fn sources(root: &Path, at: &Path, found: &mut Vec<String>) -> Result<()> {
    if at.is_dir() {
        let mut inside: Vec<_> = fs::read_dir(at)?.collect::<std::io::Result<_>>()?;
        inside.sort_by_key(|entry| entry.path());
        return inside.iter().try_for_each(|entry| sources(root, &entry.path(), found));
    }
    let name = at.strip_prefix(root)?.to_string_lossy().into_owned();
    // Kernels of other devices are not run by these tests, and tests are no code to be tested.
    let skipped = name.contains("/cube") || name.ends_with("/tests.rs");
    if name.ends_with(".rs") && !skipped {
        found.push(name);
    }
    Ok(())
}

/// The programs of the tests, or the mutants that do not compile.
fn build(
    tree: &Path,
    target: &Path,
    texts: &[Text],
) -> Result<std::result::Result<Vec<PathBuf>, BTreeSet<usize>>> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--no-run", "--message-format=json", "--lib", "--features", FEATURES]);
    if !only_units() {
        cargo.args(["--test=integration", "--test=campaign"]);
    }
    let built =
        cargo.current_dir(tree).env("CARGO_TARGET_DIR", target).stderr(Stdio::null()).output()?;
    let lines = String::from_utf8(built.stdout)?;
    if built.status.success() {
        let programs = lines.lines().filter_map(|line| text_of(line, "\"executable\":\""));
        return Ok(Ok(programs.map(PathBuf::from).collect()));
    }
    let mut broken = BTreeSet::new();
    for line in lines.lines().filter(|line| line.contains("\"level\":\"error\"")) {
        // Every span in it: the switch before it in the text is that of the mutant.
        for span in line.split("\"byte_start\":").skip(1) {
            let start: usize =
                span.chars().take_while(char::is_ascii_digit).collect::<String>().parse()?;
            let Some(name) = text_of(span, "\"file_name\":\"") else { continue };
            let Some((_, text)) = texts.iter().find(|(file, _)| *file == name) else { continue };
            const SWITCH: &str = "crate :: mutated :: is (";
            let before = text.get(..start).unwrap_or_default();
            if let Some((_, after)) = before.rsplit_once(SWITCH) {
                broken.insert(
                    after.chars().take_while(char::is_ascii_digit).collect::<String>().parse()?,
                );
            }
        }
    }
    if broken.is_empty() {
        lines.lines().filter(|line| line.contains("\"level\":\"error\"")).take(3).for_each(
            |line| {
                eprintln!(
                    "{}",
                    text_of(line, "\"rendered\":\"").unwrap_or_default().replace("\\n", "\n")
                );
            },
        );
    }
    Ok(Err(broken))
}

/// The text in JSON after this, up to a quote; nothing in it is escaped but line breaks.
fn text_of<'a>(line: &'a str, after: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(after)?;
    rest.split_once('"').map(|(text, _)| text)
}

/// Whether no test is asked but the unit tests.
fn only_units() -> bool {
    std::env::var("EVENKEEL_TESTS_OF").is_ok_and(|tests| tests == "none")
}

/// Whether all tests pass.
fn passes(programs: &[PathBuf], tree: &Path, mutant: Option<usize>) -> Result<bool> {
    let filters = std::env::var("EVENKEEL_TESTS_OF").unwrap_or_default();
    let cases = std::env::var("EVENKEEL_CAMPAIGN").unwrap_or_default();
    let is = |program: &Path, name: &str| {
        program.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name))
    };
    for name in ["evenkeel-", "integration-", "campaign-"] {
        let Some(program) = programs.iter().find(|program| is(program, name)) else { continue };
        if name == "campaign-" && cases.is_empty() {
            continue;
        }
        let mut command = Command::new(program);
        command.current_dir(tree).env("CARGO_MANIFEST_DIR", tree).env("EVENKEEL_CASES", &cases);
        if let Some(mutant) = mutant {
            command.env("EVENKEEL_MUTANT", mutant.to_string());
        }
        if name == "integration-" {
            command.args(filters.split(',').filter(|filter| !filter.is_empty()));
            // They read the sources, of which this is a changed copy.
            command.args(["--skip", "layering", "--skip", "coming_from", "--skip", "pasted"]);
        }
        if !passed(command)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the program says that no test has failed. It is ended at the first that has.
fn passed(mut command: Command) -> Result<bool> {
    let began = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let (send, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(std::io::Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    loop {
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok(line) if line.ends_with("FAILED") => break,
            Ok(_) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                return Ok(child.wait()?.success());
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                if began.elapsed() > LONGEST {
                    break;
                }
            }
        }
    }
    child.kill()?;
    child.wait()?;
    Ok(false)
}
