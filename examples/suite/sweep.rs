//! One set-up on one problem at all rates.

use burn::module::Module;
use burn::tensor::Device;
use evenkeel::Error;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

use crate::losses::median;
use crate::setup::Setup;
use crate::tasks::{Task, final_losses};

/// The number of last batches whose mean loss counts as the loss of an update.
const WINDOW: usize = 20;

/// How the runs are made.
#[derive(Debug, Clone)]
pub struct Plan {
    pub rates: Vec<f64>,
    pub seeds: u64,
    pub updates: u64,
    pub batch: usize,
}

/// What came out of one run.
struct End {
    /// Over training rows and over held-out rows; infinite if it is not a number.
    losses: [f64; 2],
    /// The first update from which the mean loss of the last batches is the target or less.
    reached: Option<u64>,
}

/// What came out of one set-up.
pub struct Row {
    pub problem: String,
    pub setup: String,
    /// The median loss that counts as trained.
    pub target: f64,
    /// The highest rate that trains.
    pub highest: Option<f64>,
    /// The number of rates that train.
    pub trains: usize,
    pub of: usize,
    /// `min(loss, trivial)` at each rate, of the median training loss.
    pub losses: Vec<f64>,
    /// The lowest median of the training loss, and the rate.
    pub best: (f64, f64),
    /// The lowest median of the held-out loss.
    pub held_out: f64,
    /// Updates to the target at the best rate, the median of the seeds that reach it.
    pub updates: Option<u64>,
    /// Runs that ended in a value that is not finite, or in a halt.
    pub broken: usize,
}

/// Runs a set-up at all rates.
pub fn sweep<T: Task>(task: &T, setup: Setup, name: &str, plan: &Plan) -> Result<Row, Error> {
    let jobs: Vec<(f64, u64)> =
        plan.rates.iter().flat_map(|&rate| (0..plan.seeds).map(move |seed| (rate, seed))).collect();
    let ends: Vec<End> =
        jobs.par_iter().map(|&job| run(task, setup, job, plan)).collect::<Result<_, _>>()?;
    let broken = ends.iter().filter(|end| !end.losses[0].is_finite()).count();
    let by_rate: Vec<&[End]> = ends.chunks(plan.seeds as usize).collect();
    let medians: Vec<[f64; 2]> = by_rate
        .iter()
        .map(|ends| {
            let losses: Vec<[f64; 2]> = ends.iter().map(|end| end.losses).collect();
            [0, 1].map(|of| median(&losses, of))
        })
        .collect();
    let least = |of: usize| {
        let each = medians.iter().enumerate().map(|(at, losses)| (losses[of], at));
        each.fold((f64::INFINITY, 0), |least, next| if next.0 < least.0 { next } else { least })
    };
    let (best, at) = least(0);
    let target = task.target();
    let trains = |losses: &&[f64; 2]| losses[0] <= target;
    let mut reached: Vec<u64> = by_rate[at].iter().filter_map(|end| end.reached).collect();
    reached.sort_unstable();
    Ok(Row {
        problem: task.name(),
        setup: name.to_string(),
        target,
        highest: medians.iter().rposition(|losses| trains(&losses)).map(|at| plan.rates[at]),
        trains: medians.iter().filter(trains).count(),
        of: plan.rates.len(),
        losses: medians.iter().map(|losses| losses[0].min(task.trivial())).collect(),
        best: (best, plan.rates[at]),
        held_out: least(1).0,
        updates: reached.get(reached.len() / 2).copied(),
        broken,
    })
}

/// Draws the rows of the next batch.
pub fn draw<T: Task>(task: &T, batch: usize, draws: &mut StdRng) -> Vec<usize> {
    (0..batch).map(|_| draws.random_range(task.train())).collect()
}

fn run<T: Task>(task: &T, setup: Setup, job: (f64, u64), plan: &Plan) -> Result<End, Error> {
    let (rate, seed) = job;
    let device = Device::flex().autodiff();
    let mut net = task.net(seed, &device)?;
    let mut stepper = setup.stepper(&net, task.trust()?)?;
    let mut schedule = setup.schedule(rate, plan.updates)?;
    let mut draws = StdRng::seed_from_u64(seed ^ 0xba7c);
    let (mut last, mut reached) = (Vec::new(), None);
    for update in 0..plan.updates {
        let rows = draw(task, plan.batch, &mut draws);
        let loss = task.loss(&net, &rows, &device);
        last.push(f64::from(loss.clone().into_scalar::<f32>()));
        let window = &last[last.len().saturating_sub(WINDOW)..];
        let mean = window.iter().sum::<f64>() / window.len() as f64;
        if window.len() == WINDOW && mean <= task.target() {
            reached = reached.or(Some(update + 1));
        }
        match stepper.step(task, (*schedule.step(), &rows), net, loss)? {
            Some(stepped) => net = stepped,
            None => return Ok(End { losses: [f64::INFINITY; 2], reached }),
        }
    }
    let losses = final_losses(task, &net.valid(), &device.inner());
    Ok(End { losses, reached })
}
