//! The tests, which mutants each of them reaches, and whether one of them fails.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::Result;
use crate::workers::share_out;

/// Tests that read the sources, of which these are a changed copy.
const SKIPPED: [&str; 3] = ["layering", "coming_from", "pasted"];

/// A mutant may loop without end. A test that takes so much longer than without a mutant has failed.
const LONGER: (Duration, u32) = (Duration::from_secs(10), 10);

struct Test {
    program: PathBuf,
    name: String,
    /// Without a mutant.
    took: Duration,
    reached: BTreeSet<usize>,
}

/// All tests, fastest first.
pub struct Tests {
    tree: PathBuf,
    all: Vec<Test>,
    /// The time that a mutant is given.
    seconds: Option<u64>,
    /// How many mutants of a file each test has caught.
    caught: Mutex<HashMap<(String, usize), usize>>,
}

impl Tests {
    /// Runs every test once, alone.
    pub fn of(programs: &[PathBuf], tree: &Path, target: &Path) -> Result<Self> {
        let only = std::env::var("EVENKEEL_TESTS_OF").unwrap_or_default();
        let only: Vec<&str> = only.split(',').filter(|part| !part.is_empty()).collect();
        let mut named = Vec::new();
        for program in programs {
            let listed = Command::new(program)
                .args(["--list", "--format=terse"])
                .current_dir(tree)
                .output()?;
            let file = program
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            for name in String::from_utf8(listed.stdout)?
                .lines()
                .filter_map(|line| line.strip_suffix(": test"))
            {
                let whole = format!("{file} {name}");
                let skipped = SKIPPED.iter().any(|part| whole.contains(part));
                if !skipped && (only.is_empty() || only.iter().any(|part| whole.contains(part))) {
                    named.push((program.clone(), name.to_string()));
                }
            }
        }
        let mut all = share_out(&named, |worker, (program, name)| {
            let seen = target.join(format!("reached-{worker}"));
            // Left from the test before, if this one reaches no switch.
            fs::write(&seen, "")?;
            let began = Instant::now();
            let command = one(program, name, tree, ("EVENKEEL_REACHED", &seen.to_string_lossy()));
            if !passes(command, Duration::from_secs(600))? {
                println!("left out, because it fails without a mutant: {name}");
                return Ok(None);
            }
            let took = began.elapsed();
            let reached = fs::read_to_string(&seen)?;
            let reached = reached.lines().map(str::parse).collect::<std::result::Result<_, _>>()?;
            Ok(Some(Test { program: program.clone(), name: name.clone(), took, reached }))
        })?;
        all.sort_by(|a, b| (a.took, &a.name).cmp(&(b.took, &b.name)));
        let took: Duration = all.iter().map(|test| test.took).sum();
        println!("{} tests, {:.0} s of work", all.len(), took.as_secs_f64());
        let seconds = std::env::var("EVENKEEL_SECONDS").ok().map(|n| n.parse()).transpose()?;
        Ok(Self { tree: tree.to_path_buf(), all, seconds, caught: Mutex::default() })
    }

    /// How many tests reach a mutant.
    pub fn reach(&self, mutant: usize) -> usize {
        self.all.iter().filter(|test| test.reached.contains(&mutant)).count()
    }

    /// Whether a test fails with this mutant of the file.
    pub fn catch(&self, mutant: usize, file: &str) -> Result<bool> {
        let mut order: Vec<usize> =
            (0..self.all.len()).filter(|&at| self.all[at].reached.contains(&mutant)).collect();
        {
            let caught = self.caught.lock().map_err(|_| "a worker panicked")?;
            // Stable: the fastest stay first among equals.
            let times = |at: usize| caught.get(&(file.to_string(), at)).copied().unwrap_or(0);
            order.sort_by_key(|&at| std::cmp::Reverse(times(at)));
        }
        let began = Instant::now();
        for at in order {
            if self.seconds.is_some_and(|seconds| began.elapsed().as_secs() >= seconds) {
                return Ok(false);
            }
            let test = &self.all[at];
            let command = one(
                &test.program,
                &test.name,
                &self.tree,
                ("EVENKEEL_MUTANT", &mutant.to_string()),
            );
            if !passes(command, LONGER.0 + test.took * LONGER.1)? {
                *self
                    .caught
                    .lock()
                    .map_err(|_| "a worker panicked")?
                    .entry((file.to_string(), at))
                    .or_default() += 1;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// One test in a process of its own.
fn one(program: &Path, name: &str, tree: &Path, (variable, value): (&str, &str)) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", name, "--test-threads=1"]).current_dir(tree);
    command.env("CARGO_MANIFEST_DIR", tree).env(variable, value);
    if std::env::var_os("EVENKEEL_CASES").is_none() {
        command.env("EVENKEEL_CASES", "100");
    }
    // One core each: as many run at a time.
    command.env("RAYON_NUM_THREADS", "1");
    command
}

/// Whether it ends well in time.
fn passes(mut command: Command, at_most: Duration) -> Result<bool> {
    let began = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if began.elapsed() > at_most {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
