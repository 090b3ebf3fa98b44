//! The problems, and a single training run.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::Error;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::mlp::{Method, Mlp};

/// Rows of features and of targets, stored one after another.
struct Table {
    x: Vec<f32>,
    y: Vec<f32>,
    rows: usize,
}

pub struct Problem {
    pub name: &'static str,
    /// The training loss from which a run counts as trained.
    pub target: f64,
    /// The loss of the best constant prediction.
    pub trivial: f64,
    inputs: usize,
    outputs: usize,
    train: Table,
    held_out: Table,
}

type Row = (Vec<f32>, Vec<f32>);

impl Problem {
    /// Ten classes, from 8×8 pixels.
    pub fn digits() -> Result<Self, std::num::ParseFloatError> {
        let row = |cells: Vec<f32>| {
            let (pixels, class) = cells.split_at(64);
            let one_hot = (0..10).map(|k| f32::from(k == class[0] as usize)).collect();
            (pixels.iter().map(|ink| ink / 16.0).collect(), one_hot)
        };
        let rows = numbers(include_str!("../data/digits.csv"), 0)?.into_iter().map(row).collect();
        Ok(Self::of("digits", 0.35, 10f64.ln(), rows))
    }

    /// Eleven raw measurements with scales from 0.001 to 100, and a quality score.
    pub fn wine() -> Result<Self, std::num::ParseFloatError> {
        let row = |mut cells: Vec<f32>| {
            let mark = cells.pop().unwrap_or_default();
            (cells, vec![mark])
        };
        let text = include_str!("../data/wine_quality_red.csv");
        let rows: Vec<Row> = numbers(text, 1)?.into_iter().map(row).collect();
        let n = rows.len() as f64;
        let mean = rows.iter().map(|(_, y)| f64::from(y[0])).sum::<f64>() / n;
        let variance = rows.iter().map(|(_, y)| (f64::from(y[0]) - mean).powi(2)).sum::<f64>() / n;
        Ok(Self::of("wine", 0.9 * variance, variance, rows))
    }

    fn of(name: &'static str, target: f64, trivial: f64, mut rows: Vec<Row>) -> Self {
        rows.shuffle(&mut StdRng::seed_from_u64(1));
        let (inputs, outputs) = (rows[0].0.len(), rows[0].1.len());
        let (train, held_out) = rows.split_at(rows.len() * 4 / 5);
        let table = |rows: &[Row]| Table {
            x: rows.iter().flat_map(|(x, _)| x.iter().copied()).collect(),
            y: rows.iter().flat_map(|(_, y)| y.iter().copied()).collect(),
            rows: rows.len(),
        };
        let (train, held_out) = (table(train), table(held_out));
        Self { name, target, trivial, inputs, outputs, train, held_out }
    }

    /// Cross entropy for classes, squared error for a score.
    fn loss(&self, out: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
        match self.outputs {
            1 => (out - y).powi_scalar(2).mean(),
            _ => -(log_softmax(out, 1) * y).sum_dim(1).mean(),
        }
    }
}

fn numbers(text: &str, header: usize) -> Result<Vec<Vec<f32>>, std::num::ParseFloatError> {
    let row = |line: &str| line.split(',').map(str::parse).collect();
    text.lines().skip(header).map(row).collect()
}

const HIDDEN: usize = 64;
const BATCH: usize = 64;

/// He initialization, from a uniform distribution.
fn even(draws: &mut StdRng, inputs: f32) -> f32 {
    (6.0 / inputs).sqrt() * (2.0 * draws.random::<f32>() - 1.0)
}

#[derive(Clone, Copy)]
pub struct Setting<'a> {
    pub problem: &'a Problem,
    pub method: Method,
    pub rate: f64,
    pub recommended: bool,
    pub seed: u64,
    pub steps: u64,
}

/// The final losses, over the training rows and over the held-out rows; infinite after a halt.
pub fn train(setting: &Setting<'_>) -> Result<[f64; 2], Error> {
    let Setting { problem, method, rate, recommended, seed, steps } = *setting;
    let device = Device::flex().autodiff();
    let mut model = Mlp::new([problem.inputs, HIDDEN, problem.outputs], seed, even, &device);
    let warmup = steps / 20;
    let cosine = Cosine::new(rate, 0.0, steps - warmup)?;
    let mut schedule = Ramp::new(0.0, rate, warmup)?.then(warmup, cosine).start();
    let keel = method.keel()?;
    let keel = if recommended { keel.recommended() } else { keel };
    let mut keel = keel.build(&model)?;
    let mut draws = StdRng::seed_from_u64(seed ^ 0xba7c);
    for _ in 0..steps {
        let rows = (0..BATCH).map(|_| draws.random_range(0..problem.train.rows)).collect();
        let (x, y) = batch(problem, &problem.train, rows, &device);
        let loss = problem.loss(model.forward(x), y);
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        match keel.step(schedule.step(), model, grads, &loss) {
            Ok(stepped) => model = stepped.model,
            Err(_) => return Ok([f64::INFINITY; 2]),
        }
    }
    let model = model.valid();
    let plain = device.inner();
    Ok([&problem.train, &problem.held_out].map(|table| {
        let (x, y) = batch(problem, table, (0..table.rows).collect(), &plain);
        let loss = problem.loss(model.forward(x), y).into_scalar::<f32>().into();
        if f64::is_finite(loss) { loss } else { f64::INFINITY }
    }))
}

fn batch(
    problem: &Problem,
    table: &Table,
    rows: Vec<usize>,
    device: &Device,
) -> (Tensor<2>, Tensor<2>) {
    let of = |values: &[f32], n: usize| {
        let values: Vec<f32> =
            rows.iter().flat_map(|row| values[row * n..(row + 1) * n].iter().copied()).collect();
        Tensor::from_data(TensorData::new(values, [rows.len(), n]), device)
    };
    (of(&table.x, problem.inputs), of(&table.y, problem.outputs))
}
