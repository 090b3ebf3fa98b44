//! The copy of the repository with all mutants in it, and its tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;
use crate::mutate::{Mutant, mutate};

const FEATURES: &str = "faults,serde,record,tensorboard,progress,tracing";
const SWITCH: &str = r#"
/// Which mutant runs, and which could have.
pub(crate) mod mutated {
    use std::io::Write;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    static CHOSEN: LazyLock<u32> = LazyLock::new(|| {
        std::env::var("EVENKEEL_MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(u32::MAX)
    });
    static SEEN: [AtomicBool; 16384] = [const { AtomicBool::new(false) }; 16384];
    static REACHED: LazyLock<Option<std::fs::File>> =
        LazyLock::new(|| std::env::var_os("EVENKEEL_REACHED").and_then(|path| std::fs::File::create(path).ok()));

    pub(crate) fn is(mutant: u32) -> bool {
        if !SEEN[mutant as usize].load(Ordering::Relaxed)
            && !SEEN[mutant as usize].swap(true, Ordering::Relaxed)
            && let Some(mut file) = REACHED.as_ref()
        {
            let _ = file.write_all(format!("{mutant}\n").as_bytes());
        }
        *CHOSEN == mutant
    }
}
"#;

/// The mutants with their numbers, and the texts that hold them.
pub type Changed = (Vec<(usize, Mutant)>, Vec<Text>);

/// A changed file: its name, and its text.
pub type Text = (String, String);

/// Copies what git knows of, and removes what it no longer knows of.
pub fn copy(root: &Path, tree: &Path) -> Result<()> {
    let listed = Command::new("git")
        .args(["ls-files", "-co", "--exclude-standard"])
        .current_dir(root)
        .output()?;
    let listed = String::from_utf8(listed.stdout)?;
    let mut old = Vec::new();
    for folder in ["src", "tests", "examples", "benches"] {
        if tree.join(folder).is_dir() {
            sources(tree, &tree.join(folder), &mut old)?;
        }
    }
    let names: BTreeSet<&str> = listed.lines().filter(|name| root.join(name).is_file()).collect();
    for name in old.iter().filter(|name| !names.contains(name.as_str())) {
        fs::remove_file(tree.join(name))?;
    }
    for name in names {
        let (from, to) = (root.join(name), tree.join(name));
        fs::create_dir_all(to.parent().unwrap_or(tree))?;
        // Left as it is if nothing has changed, so that it is not built again.
        let bytes = fs::read(from)?;
        if fs::read(&to).ok().as_ref() != Some(&bytes) {
            fs::write(to, bytes)?;
        }
    }
    Ok(())
}

/// Reads the files to change, which may be edited while the mutants are built, and the root of the crate.
pub fn originals(root: &Path, wanted: &[String]) -> Result<(Vec<Text>, String)> {
    let mut files = Vec::new();
    for name in wanted {
        sources(root, &root.join(name), &mut files)?;
    }
    // Kernels of other devices are not run by these tests, and tests are no code to be tested.
    files.retain(|name| {
        !name.contains("/cube") && !name.contains("/tests/") && !name.ends_with("/tests.rs")
    });
    let read = |file: String| -> Result<Text> {
        let text = fs::read_to_string(root.join(&file))?;
        Ok((file, text))
    };
    let texts = files.into_iter().map(read).collect::<Result<_>>()?;
    Ok((texts, fs::read_to_string(root.join("src/lib.rs"))?))
}

/// Writes the mutants into the copy, but for those left out.
pub fn change(
    (originals, lib): &(Vec<Text>, String),
    tree: &Path,
    left_out: &BTreeSet<usize>,
) -> Result<Changed> {
    let (mut mutants, mut texts, mut next) = (Vec::new(), Vec::new(), 0);
    for (file, code) in originals {
        let (text, found) = mutate(file, code, next, left_out)?;
        let kept = found.into_iter().enumerate().map(|(at, mutant)| (next + at, mutant));
        let kept: Vec<_> = kept.collect();
        next += kept.len();
        mutants.extend(kept.into_iter().filter(|(at, _)| !left_out.contains(at)));
        fs::write(tree.join(file), &text)?;
        texts.push((file.clone(), text));
    }
    fs::write(tree.join("src/lib.rs"), format!("{lib}{SWITCH}"))?;
    Ok((mutants, texts))
}

fn sources(root: &Path, at: &Path, found: &mut Vec<String>) -> Result<()> {
    if at.is_dir() {
        let mut inside: Vec<_> = fs::read_dir(at)?.collect::<std::io::Result<_>>()?;
        inside.sort_by_key(|entry| entry.path());
        return inside.iter().try_for_each(|entry| sources(root, &entry.path(), found));
    }
    let name = at.strip_prefix(root)?.to_string_lossy().into_owned();
    if name.ends_with(".rs") {
        found.push(name);
    }
    Ok(())
}

/// Tests with mutants in them.
pub struct Built {
    pub programs: Vec<PathBuf>,
    pub mutants: Vec<(usize, Mutant)>,
    /// How many more mutants there are that do not compile.
    pub refused: usize,
}

/// Builds the tests with all mutants that compile.
pub fn build(originals: &(Vec<Text>, String), tree: &Path, target: &Path) -> Result<Built> {
    let mut left_out = BTreeSet::new();
    loop {
        let (mutants, texts) = change(originals, tree, &left_out)?;
        match programs(tree, target, &texts)? {
            Ok(programs) => return Ok(Built { programs, mutants, refused: left_out.len() }),
            Err(broken) if broken.is_subset(&left_out) => {
                return Err("the tests do not build".into());
            }
            Err(broken) => {
                println!("the compiler refuses {}", broken.len());
                left_out.extend(broken);
            }
        }
    }
}

/// The programs of the tests, or the mutants that do not compile.
fn programs(
    tree: &Path,
    target: &Path,
    texts: &[Text],
) -> Result<std::result::Result<Vec<PathBuf>, BTreeSet<usize>>> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--no-run", "--message-format=json", "--features", FEATURES]);
    cargo.args(["--lib", "--test=integration", "--test=campaign"]);
    let built =
        cargo.current_dir(tree).env("CARGO_TARGET_DIR", target).stderr(Stdio::null()).output()?;
    let lines = String::from_utf8(built.stdout)?;
    if built.status.success() {
        let programs = lines.lines().filter_map(|line| text_of(line, "\"executable\":\""));
        return Ok(Ok(programs.map(PathBuf::from).collect()));
    }
    let mut broken = BTreeSet::new();
    let errors = || lines.lines().filter(|line| line.contains("\"level\":\"error\""));
    for line in errors() {
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
        for line in errors().take(3) {
            eprintln!(
                "{}",
                text_of(line, "\"rendered\":\"").unwrap_or_default().replace("\\n", "\n")
            );
        }
    }
    Ok(Err(broken))
}

/// The text in JSON after this, up to a quote; nothing in it is escaped but line breaks.
fn text_of<'a>(line: &'a str, after: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(after)?;
    rest.split_once('"').map(|(text, _)| text)
}
