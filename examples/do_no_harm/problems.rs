//! Healthy problems, of the kinds that spike detectors are known to misjudge.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::rows::{self, Row, numbers, one_hot};

/// The loss of a row's outputs and targets.
#[derive(Debug, Clone, Copy)]
pub enum Cost {
    CrossEntropy,
    Squared,
    Hinge,
}

/// Rows of features and of targets, stored one after another.
#[derive(Debug, Clone)]
pub struct Table {
    pub x: Vec<f32>,
    pub y: Vec<f32>,
    pub rows: usize,
}

#[derive(Debug, Clone)]
pub struct Problem {
    pub name: &'static str,
    pub cost: Cost,
    pub inputs: usize,
    pub hidden: usize,
    pub outputs: usize,
    pub batch: usize,
    /// Rates that train well, for SGD, momentum 0.9 and Adam.
    pub rates: [f64; 3],
    pub train: Table,
    pub held_out: Table,
}

pub fn all() -> Vec<Problem> {
    let problem = |name, cost, hidden, batch, rates, rows: Vec<Row>| {
        let (inputs, outputs) = (rows[0].0.len(), rows[0].1.len());
        let cut = rows.len() * 4 / 5;
        let (train, held_out) = (table(&rows[..cut]), table(&rows[cut..]));
        Problem { name, cost, inputs, hidden, outputs, batch, rates, train, held_out }
    };
    let (cancer, wine) = (cancer(), wine());
    let signed = |rows: &[Row]| -> Vec<Row> {
        rows.iter().map(|(x, y)| (x.clone(), vec![2.0 * y[1] - 1.0])).collect()
    };
    let tailed = |rows: &[Row]| -> Vec<Row> {
        let mut draws = StdRng::seed_from_u64(5);
        rows.iter().map(|(x, y)| (x.clone(), vec![y[0] + 0.5 * student(&mut draws)])).collect()
    };
    vec![
        problem("digits", Cost::CrossEntropy, 32, 32, [0.1, 0.02, 3e-3], digits()),
        problem("cancer", Cost::CrossEntropy, 16, 32, [0.1, 0.02, 1e-2], cancer.clone()),
        problem("hinge", Cost::Hinge, 16, 32, [0.05, 0.01, 3e-3], signed(&cancer)),
        problem("tails", Cost::Squared, 16, 32, [0.01, 1e-3, 1e-3], tailed(&wine)),
        problem("letters", Cost::CrossEntropy, 64, 64, [0.3, 0.05, 3e-3], letters()),
        problem("rare", Cost::CrossEntropy, 16, 32, [0.1, 0.02, 3e-3], rare()),
        problem("pixels", Cost::Squared, 32, 32, [0.3, 0.05, 3e-3], copied(&digits())),
        problem("wrong", Cost::CrossEntropy, 32, 32, [0.1, 0.02, 3e-3], mislabeled(digits())),
        problem("tiny", Cost::Squared, 16, 2, [0.01, 1e-3, 1e-3], wine),
    ]
}

fn table(rows: &[Row]) -> Table {
    let x = rows.iter().flat_map(|(x, _)| x.iter().copied()).collect();
    let y = rows.iter().flat_map(|(_, y)| y.iter().copied()).collect();
    Table { x, y, rows: rows.len() }
}

/// Shuffles the rows, and standardizes features to zero mean and unit deviation.
fn prepared(mut rows: Vec<Row>) -> Vec<Row> {
    let n = rows.len() as f32;
    for column in 0..rows[0].0.len() {
        let mean = rows.iter().map(|(x, _)| x[column]).sum::<f32>() / n;
        let variance = rows.iter().map(|(x, _)| (x[column] - mean).powi(2)).sum::<f32>() / n;
        let deviation = variance.sqrt().max(1e-6);
        rows.iter_mut().for_each(|(x, _)| x[column] = (x[column] - mean) / deviation);
    }
    rows.shuffle(&mut StdRng::seed_from_u64(1));
    rows
}

fn digits() -> Vec<Row> {
    let row = |cells: Vec<f32>| {
        let (pixels, class) = cells.split_at(64);
        (pixels.iter().map(|ink| ink / 16.0).collect(), one_hot(class[0] as usize, 10))
    };
    let mut rows: Vec<Row> =
        numbers(include_str!("../data/digits.csv")).into_iter().map(row).collect();
    rows.shuffle(&mut StdRng::seed_from_u64(1));
    rows
}

/// The rows of an autoencoder: the targets are the features.
fn copied(rows: &[Row]) -> Vec<Row> {
    rows.iter().map(|(x, _)| (x.clone(), x.clone())).collect()
}

/// Replaces one label in five by the next class.
fn mislabeled(mut rows: Vec<Row>) -> Vec<Row> {
    rows.iter_mut().step_by(5).for_each(|(_, y)| y.rotate_right(1));
    rows
}

fn cancer() -> Vec<Row> {
    let row = |mut cells: Vec<f32>| {
        let class = cells.pop().unwrap_or_default();
        (cells, one_hot(class as usize, 2))
    };
    prepared(numbers(include_str!("../data/breast_cancer.csv")).into_iter().map(row).collect())
}

fn wine() -> Vec<Row> {
    let row = |mut cells: Vec<f32>| {
        let quality = cells.pop().unwrap_or_default();
        (cells, vec![(quality - 5.64) / 0.81])
    };
    prepared(raw_wine().into_iter().map(row).collect())
}

/// Raw measurements with scales from 0.001 to 100: a foreign data set for a model that expects numbers around 1.
pub fn raw_wine() -> Vec<Vec<f32>> {
    numbers(include_str!("../data/wine_quality_red.csv"))
}

/// The next letter, given the four before it.
fn letters() -> Vec<Row> {
    let mut rows = rows::letters(4, 8);
    rows.shuffle(&mut StdRng::seed_from_u64(1));
    rows
}

/// One row in fifty is of the positive class.
fn rare() -> Vec<Row> {
    let mut draws = StdRng::seed_from_u64(3);
    let row = |k: usize| {
        let class = usize::from(k.is_multiple_of(50));
        let x = (0..8).map(|_| normal(&mut draws) + 1.2 * class as f32).collect();
        (x, one_hot(class, 2))
    };
    let mut rows: Vec<Row> = (0..2000).map(row).collect();
    rows.shuffle(&mut StdRng::seed_from_u64(1));
    rows
}

pub fn normal(draws: &mut StdRng) -> f32 {
    let (u, v): (f32, f32) = (draws.random(), draws.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f32::consts::TAU * v).cos()
}

/// Student's t distribution with two degrees of freedom: its variance is infinite.
fn student(draws: &mut StdRng) -> f32 {
    let chi = normal(draws).powi(2) + normal(draws).powi(2);
    normal(draws) / (chi / 2.0).sqrt().max(1e-3)
}
