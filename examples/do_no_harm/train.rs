//! A single training run, with or without the guard, on clean or poisoned batches.

use burn::optim::GradientsParams;
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::{Error, Verdict};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::mlp::{Method, Mlp};
use crate::poison::Poison;
use crate::problems::{Cost, Problem, Table, normal};

/// He initialization.
fn he(draws: &mut StdRng, inputs: f32) -> f32 {
    (2.0 / inputs).sqrt() * normal(draws)
}

fn losses(model: &Mlp, cost: Cost, x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    let out = model.forward(x);
    match cost {
        Cost::CrossEntropy => -(log_softmax(out, 1) * y).sum_dim(1),
        Cost::Squared => (out - y).powi_scalar(2).mean_dim(1),
        Cost::Hinge => relu(-(out * y) + 1.0),
    }
}

/// The result of a run.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// The mean loss over the training rows and over the held-out rows, and the loss of the worst training row.
    pub losses: [f64; 3],
    pub steps: u64,
    pub rejected: u64,
    pub halted: bool,
    /// The amount of poison applied, and how much of it the guard caught.
    pub poisoned: u64,
    pub caught: u64,
}

pub struct Setting<'a> {
    pub problem: &'a Problem,
    pub method: Method,
    pub seed: u64,
    pub steps: u64,
    pub guarded: bool,
    pub poison: Option<Poison>,
}

pub fn train(setting: &Setting<'_>) -> Result<Run, Error> {
    let Setting { problem, method, seed, steps, guarded, poison } = *setting;
    let device = Device::flex().autodiff();
    let mut model = Mlp::new([problem.inputs, problem.hidden, problem.outputs], seed, he, &device);
    let keel = method.keel()?;
    let keel = match guarded {
        true => keel.recommended(),
        false => keel,
    };
    let mut keel = keel.build(&model)?;
    let rate = problem.rates[method as usize];
    let mut draws = StdRng::seed_from_u64(seed ^ 0xba7c);
    let mut faults = StdRng::seed_from_u64(seed ^ 0xfa17);
    let mut run = Run { steps, ..Run::default() };
    let mut flipped = false;
    for step in 0..steps {
        let rows: Vec<usize> =
            (0..problem.batch).map(|_| draws.random_range(0..problem.train.rows)).collect();
        let (mut x, mut y) = gather(problem, &rows);
        let due =
            poison.is_some_and(|kind| faults.random_bool(kind.share()) && step >= 10) && !flipped;
        if let Some(kind) = poison.filter(|_| due) {
            run.poisoned += 1;
            kind.spoil(&mut x, &mut y, problem, &mut faults);
            if kind == Poison::BitFlip {
                model = flip(model, &mut faults);
                flipped = true;
            }
        }
        let [x, y] = [(x, problem.inputs), (y, problem.outputs)].map(|(values, columns)| {
            Tensor::from_data(TensorData::new(values, [problem.batch, columns]), &device)
        });
        let loss = losses(&model, problem.cost, x, y).mean();
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        match keel.step(rate, model, grads, &loss) {
            Ok(stepped) => {
                let verdict = stepped.report.verdict;
                run.rejected += u64::from(verdict != Verdict::Apply);
                let by_flip = flipped && verdict == Verdict::Rewind;
                let by_batch = due && poison != Some(Poison::BitFlip) && verdict != Verdict::Apply;
                run.caught += u64::from(by_flip || by_batch);
                flipped &= !by_flip;
                model = stepped.model;
            }
            Err(halted) => {
                run.halted = true;
                model = halted.into_model();
                break;
            }
        }
    }
    let (train, worst) = evaluate(&model, problem, &problem.train, &device);
    let (held_out, _) = evaluate(&model, problem, &problem.held_out, &device);
    run.losses = [train, held_out, worst];
    Ok(run)
}

fn gather(problem: &Problem, rows: &[usize]) -> (Vec<f32>, Vec<f32>) {
    let of = |values: &[f32], n: usize| -> Vec<f32> {
        rows.iter().flat_map(|row| values[row * n..(row + 1) * n].iter().copied()).collect()
    };
    (of(&problem.train.x, problem.inputs), of(&problem.train.y, problem.outputs))
}

/// The mean and the worst loss over a table.
fn evaluate(model: &Mlp, problem: &Problem, table: &Table, device: &Device) -> (f64, f64) {
    let tensor = |values: &[f32], columns| {
        Tensor::from_data(TensorData::new(values.to_vec(), [table.rows, columns]), device)
    };
    let (x, y) = (tensor(&table.x, problem.inputs), tensor(&table.y, problem.outputs));
    let losses = losses(model, problem.cost, x, y).into_data();
    let losses: Vec<f64> = losses.iter::<f64>().collect();
    let worst = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (losses.iter().sum::<f64>() / losses.len() as f64, worst)
}

/// Flips one bit of one weight: the highest of the exponent, which makes a weight below 2 larger by a factor of 2¹²⁸.
fn flip(mut model: Mlp, draws: &mut StdRng) -> Mlp {
    let weight = model.second.weight.clone();
    model.second.weight = weight.map(|tensor| {
        let mut values: Vec<f32> = tensor.to_data().iter::<f32>().collect();
        let at = draws.random_range(0..values.len());
        values[at] = f32::from_bits(values[at].to_bits() ^ (1 << 30));
        Tensor::from_data(TensorData::new(values, tensor.shape()), &tensor.device()).require_grad()
    });
    model
}
