//! A run that is killed again and again, at any moment of training and of saving, ends with the same
//! bits as the run that was not.
//!
//! The killed process is this test binary, run again for the one test that trains.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::{Batch, Net, with_first};
use burn::module::Module;
use burn::optim::AdamConfig;
use burn::tensor::Device;
use evenkeel::checkpoint::{Checkpoint, CheckpointDir, Persist};
use evenkeel::guard::LossSpike;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::{Keel, Rewind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

/// The folder in which the child trains.
const FOLDER: &str = "EVENKEEL_KILL_FOLDER";
/// Batches of one run; it is saved after each second one.
const BATCHES: u64 = 150;
const KILLS: u32 = 200;
const RUNS: u64 = 4;

/// A folder with one checkpoint in it, taken before the first step. All runs begin with it, because
/// every process names its parameters otherwise, and optimizers keep their state by that name.
fn begin(folder: &Path, beginning: Option<&Path>) {
    let name = "00000000.keel";
    match beginning {
        Some(from) => {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::copy(from.join(name), folder.join(name)).unwrap();
        }
        None => {
            let _ = train(folder, 0, &mut |_| ());
            assert!(folder.join(name).exists());
        }
    }
}

/// Trains to the end from whatever `folder` holds, and returns the final state. Before and after each
/// save it says so.
fn train(folder: &Path, batches: u64, said: &mut dyn FnMut(u8)) -> Checkpoint {
    let device = Device::flex().autodiff();
    let folder = CheckpointDir::new(folder).keep(2).unwrap();
    let mut net = Net::new(&device);
    let cosine = Cosine::new(0.05, 0.001, BATCHES).unwrap();
    let mut rates = Ramp::new(0.0, 0.05, 5).unwrap().then(5, cosine).start();
    let mut keel = Keel::wrap(AdamConfig::new().init())
        .guard(LossSpike::above(8.0).unwrap().warmup(5).unwrap())
        .average(evenkeel::average::Ema::new(0.95).unwrap())
        .skips_at_most(1)
        .rewind(Rewind::every(10).unwrap().at_most(100).unwrap())
        .build(&net)
        .unwrap();
    let beside: &mut [(&str, &mut dyn Persist)] = &mut [("rates", &mut rates)];
    if let Some(saved) = keel.load(&folder, &net, beside).unwrap() {
        net = saved;
    } else {
        keel.save(&folder, &net, &[("rates", &rates)]).unwrap();
    }
    while keel.attempts() < batches {
        let k = keel.attempts();
        let mut batch = Batch::number(k, &device);
        match k % 40 {
            // Skipped; and two in a row, which rewinds.
            17 | 33 | 34 => batch.x = with_first(batch.x, f32::NAN),
            _ => {}
        }
        let (loss, grads) = net.backward(batch);
        net = keel.step(rates.step(), net, grads, &loss).unwrap().model;
        if keel.attempts().is_multiple_of(2) {
            said(b'[');
            keel.save(&folder, &net, &[("rates", &rates)]).unwrap();
            said(b']');
        }
    }
    let _ = net.num_params();
    keel.checkpoint(&net).unwrap().with("rates", &rates).unwrap()
}

/// What the parent runs; by itself it does nothing.
#[test]
fn trains_if_it_is_told_where() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    // Not the captured output: the pipe to the parent.
    let mut out = std::io::stderr();
    let mut said = |what: u8| out.write_all(&[what]).and_then(|()| out.flush()).unwrap();
    let end = train(&folder, BATCHES, &mut said);
    end.save(folder.join("end")).unwrap();
}

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("evenkeel-kill-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn child(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::trains_if_it_is_told_where", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until the child has said `events` things, and a little longer, and kills it. `false` if it
/// came to its end before that.
fn killed(child: &mut Child, events: usize, spin: u32) -> bool {
    let mut pipe = child.stderr.take().unwrap();
    let mut said = [0];
    let mut text = Vec::new();
    for _ in 0..events {
        match pipe.read(&mut said).unwrap() {
            0 => {
                let status = child.wait().unwrap();
                assert!(status.success(), "the child failed: {}", String::from_utf8_lossy(&text));
                return false;
            }
            _ => text.push(said[0]),
        }
    }
    for _ in 0..spin {
        std::hint::spin_loop();
    }
    // SIGKILL: nothing of the child runs after it.
    child.kill().unwrap();
    child.wait().unwrap();
    let mut rest = String::new();
    let _ = pipe.read_to_string(&mut rest);
    assert!(!rest.contains("panicked"), "the child failed: {rest}");
    true
}

#[test]
fn a_run_that_is_killed_anywhere_ends_as_the_one_that_was_not() {
    let scratch = Scratch::new();
    let (beginning, whole) = (scratch.0.join("beginning"), scratch.0.join("whole"));
    begin(&beginning, None);
    begin(&whole, Some(&beginning));
    let expected = train(&whole, BATCHES, &mut |_| ());
    let told: Vec<Kills> = (0..RUNS)
        .into_par_iter()
        .map(|run| {
            let folder = scratch.0.join(format!("run{run}"));
            begin(&folder, Some(&beginning));
            let (end, kills) = killed_again_and_again(run, &folder);
            let differences = end.differences(&expected);
            assert!(differences.is_empty(), "run {run}: {differences:?}");
            kills
        })
        .collect();
    let kills: u32 = told.iter().map(|kills| kills.all).sum();
    let saving: u32 = told.iter().map(|kills| kills.saving).sum();
    let half_written: usize = told.iter().map(|kills| kills.half_written).sum();
    println!("{kills} kills, {saving} of them after a save had begun, {half_written} in mid-file");
    assert_eq!(kills, KILLS);
    assert!(saving > KILLS / 4 && kills - saving > KILLS / 4);
}

struct Kills {
    all: u32,
    saving: u32,
    /// In the middle of a file: it is there, and has not its name yet.
    half_written: usize,
}

fn killed_again_and_again(run: u64, folder: &Path) -> (Checkpoint, Kills) {
    let mut rng = StdRng::seed_from_u64(run);
    let (mut all, mut saving, mut half_written) = (0, 0, 0);
    loop {
        // An odd number of events ends at the beginning of a save, an even one in training.
        let events = match u64::from(all) < u64::from(KILLS) / RUNS {
            true => rng.random_range(1..=3),
            false => usize::MAX,
        };
        let mut child = child(folder);
        if !killed(&mut child, events, rng.random_range(0..60_000)) {
            break;
        }
        all += 1;
        saving += u32::from(events % 2 == 1);
        half_written += names(folder).iter().filter(|name| name.ends_with(".tmp")).count();
        // What has its name is whole.
        for name in names(folder).iter().filter(|name| name.ends_with(".keel")) {
            let loaded = Checkpoint::load(folder.join(name));
            assert!(loaded.is_ok(), "{name}: {:?}", loaded.err());
        }
    }
    // The last two checkpoints, and nothing that was left half-written.
    let names = names(folder);
    let kept = names.iter().filter(|name| name.ends_with(".keel")).count();
    assert!(kept == 2 && names.len() == 3, "{names:?}");
    (Checkpoint::load(folder.join("end")).unwrap(), Kills { all, saving, half_written })
}

fn names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}
