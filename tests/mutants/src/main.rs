//! Mutation testing: which changes of the code do the tests not detect?
//!
//!     cargo run --manifest-path tests/mutants/Cargo.toml -- src/gate.rs src/clip
//!
//! All mutants of the files and folders that are named are compiled into one set of tests, in a copy of the repository
//! under the target directory; a switch chooses one of them when the tests run. Each test first runs alone without a
//! mutant, which shows the switches that it reaches. A mutant then gets only the tests that reach it, one after the
//! other until one fails, those first that have caught a mutant of the same file before, and then the fastest.
//!
//! The tests are the unit tests, the integration tests and 100 cases of the campaign. What survives is printed, and a
//! failure, unless `tests/mutants/justified` lists it. Variables:
//!
//! - `EVENKEEL_LIST=1` lists the mutants and builds nothing.
//! - `EVENKEEL_EVERY=5` tries every fifth mutant.
//! - `EVENKEEL_AGAIN=1` tries those that survived the run before, and are still named by the arguments.
//! - `EVENKEEL_TESTS_OF=clip::,campaign` takes only tests whose name contains one of these.
//! - `EVENKEEL_SECONDS=30` gives up on a mutant after this time: it counts as survived.
//! - `EVENKEEL_CASES=400` is the number of cases of the campaign.

mod build;
mod mutate;
mod tests;
mod workers;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::exit;

use build::Built;
use mutate::Mutant;
use tests::Tests;
use workers::share_out;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.is_empty() {
        return Err("name the files or folders to change, as in src/clip".into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    // Cargo takes the copy's crate for the repository's, so in one target directory `cargo test` would run mutants.
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let target = target.join("mutants");
    let tree = target.join("tree");
    build::copy(&root, &tree)?;
    let originals = build::originals(&root, &wanted)?;
    if std::env::var_os("EVENKEEL_LIST").is_some() {
        for (at, Mutant { file, line, change, text }) in
            build::change(&originals, &tree, &BTreeSet::new())?.0
        {
            println!("{at}: {file}:{line}: {change}: {text}");
        }
        return Ok(());
    }
    let Built { programs, mutants, refused } = build::build(&originals, &tree, &target)?;
    println!("{} mutants, {refused} more are refused by the compiler", mutants.len());

    let last = target.join("survived");
    let mutants = chosen(mutants, &last)?;
    let tests = Tests::of(&programs, &tree, &target)?;
    let known = fs::read_to_string(root.join("tests/mutants/justified"))?;
    let known: BTreeSet<&str> =
        known.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();

    let survived = share_out(&mutants, |_, (at, mutant)| {
        if tests.catch(*at, &mutant.file)? {
            return Ok(None);
        }
        let new = !known.contains(mutant.name().as_str());
        if new {
            let Mutant { file, line, change, text } = mutant;
            let reach = tests.reach(*at);
            println!("survived {at}, reached by {reach}: {file}:{line}: {change}: {text}");
        }
        Ok(Some((mutant.name(), new)))
    })?;
    let unknown: Vec<&str> =
        survived.iter().filter(|(_, new)| *new).map(|(name, _)| name.as_str()).collect();
    fs::write(last, unknown.join("\n"))?;
    let caught = mutants.len() - survived.len();
    let justified = survived.len() - unknown.len();
    println!(
        "{} tried, {caught} caught, {justified} justified, {} survived",
        mutants.len(),
        unknown.len()
    );
    exit(i32::from(!unknown.is_empty()));
}

/// Those that the variables select.
fn chosen(all: Vec<(usize, Mutant)>, last: &Path) -> Result<Vec<(usize, Mutant)>> {
    let every: usize = std::env::var("EVENKEEL_EVERY").ok().map_or(Ok(1), |n| n.parse())?;
    let again = std::env::var_os("EVENKEEL_AGAIN").map(|_| fs::read_to_string(last)).transpose()?;
    let again: Option<BTreeSet<&str>> = again.as_deref().map(|names| names.lines().collect());
    let picked =
        |mutant: &Mutant| again.as_ref().is_none_or(|names| names.contains(mutant.name().as_str()));
    Ok(all.into_iter().filter(|(_, mutant)| picked(mutant)).step_by(every).collect())
}
