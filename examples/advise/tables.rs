//! More problems, each with a particular fault: rows of numbers, and networks with layers of equal width.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig, Lstm, LstmConfig, Relu};
use burn::optim::GradientsParams;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use evenkeel::Error;
use evenkeel::advise::{Advisor, Predictor};
use evenkeel::doctor::{Diagnosis, Doctor};
use evenkeel::init::Lsuv;
use evenkeel::monitor::Probe;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::rows::{self, Row, numbers, one_hot};
use crate::split;

pub type Batch = (Tensor<2>, Tensor<2>);
type Rows = Vec<Row>;

/// The number of rows in a held-out batch, and in one of sequences, where few rows take nearly as long as many.
const HELD: usize = 16;
const HELD_SEQUENCES: usize = 64;

/// The loss of an output.
#[derive(Clone, Copy, PartialEq)]
enum Cost {
    Squares,
    Classes,
}

/// The width and the number of the layers.
#[derive(Clone, Copy)]
struct Shape {
    inputs: usize,
    width: usize,
    depth: usize,
    outputs: usize,
    /// For an LSTM, the number of parts that the inputs are a sequence of.
    sequence: Option<usize>,
}

pub struct Table {
    rows: Rows,
    cost: Cost,
    shape: Shape,
    batch: usize,
}

fn table(rows: Rows, cost: Cost, width: usize, depth: usize, batch: usize) -> Table {
    let (inputs, outputs) = (rows[0].0.len(), rows[0].1.len());
    let shape = Shape { inputs, width, depth, outputs, sequence: None };
    Table { rows, cost, shape, batch }
}

fn digits() -> Vec<Vec<f32>> {
    numbers(include_str!("../data/digits.csv"))
}

/// Raw measurements of tumour cells: columns with scales from 0.001 to 1000.
pub fn cancer() -> Table {
    let row = |mut cells: Vec<f32>| {
        let class = cells.pop().unwrap_or_default();
        (cells, one_hot(class as usize, 2))
    };
    let rows = numbers(include_str!("../data/breast_cancer.csv")).into_iter().map(row).collect();
    table(rows, Cost::Classes, 32, 2, 32)
}

/// Classifying digits with twenty layers without a norm.
pub fn deep() -> Table {
    let row = |cells: Vec<f32>| {
        let x = cells[..64].iter().map(|ink| ink / 8.0 - 1.0).collect();
        (x, one_hot(cells[64] as usize, 10))
    };
    table(digits().into_iter().map(row).collect(), Cost::Classes, 32, 20, 32)
}

/// Reconstructing raw pixels from eight numbers.
pub fn pixels() -> Table {
    let row = |cells: Vec<f32>| (cells[..64].to_vec(), cells[..64].to_vec());
    table(digits().into_iter().map(row).collect(), Cost::Squares, 8, 2, 32)
}

/// A smooth function of eight numbers; one target in a hundred is ten thousand times too large.
pub fn outliers() -> Table {
    let mut draws = StdRng::seed_from_u64(5);
    let row = |_: usize| {
        let x: Vec<f32> = (0..8).map(|_| draws.random_range(-1.7..1.7)).collect();
        let y = x[0] * x[1] + x[2].sin() - 0.5 * x[3] + 0.1 * draws.random_range(-1.7f32..1.7);
        (x, vec![if draws.random_bool(0.01) { 1e4 * y } else { y }])
    };
    table((0..2000).map(row).collect(), Cost::Squares, 32, 2, 32)
}

/// Predicting the next letter from the eight before it, with an LSTM.
pub fn letters() -> Table {
    let rows = rows::letters(8, 5);
    let mut table = table(rows, Cost::Classes, 32, 1, 32);
    table.shape.sequence = Some(8);
    table
}

#[derive(Module, Debug)]
pub struct Net {
    reads: Option<Lstm>,
    layers: Vec<Linear>,
    norms: Vec<LayerNorm>,
}

impl Net {
    fn new(shape: Shape, normalized: bool, seed: u64, device: &Device) -> Self {
        device.seed(seed);
        let Shape { inputs, width, depth, outputs, sequence } = shape;
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        let reads = sequence.map(|n| LstmConfig::new(inputs / n, width, true).init(device));
        let first = if reads.is_some() { width } else { inputs };
        let mut layers = vec![linear(first, width)];
        layers.extend((1..depth).map(|_| linear(width, width)));
        layers.push(linear(width, outputs));
        let norms = if normalized { depth } else { 0 };
        let norms = (0..norms).map(|_| LayerNormConfig::new(width).init(device)).collect();
        Self { reads, layers, norms }
    }

    fn forward(&self, x: Tensor<2>, sequence: Option<usize>) -> Tensor<2> {
        self.watched(x, sequence, &Probe::off())
    }

    fn watched(&self, x: Tensor<2>, sequence: Option<usize>, probe: &Probe) -> Tensor<2> {
        let mut x = match (&self.reads, sequence) {
            (Some(lstm), Some(n)) => {
                let [rows, all] = x.dims();
                let (_, state) = lstm.forward(x.reshape([rows, n, all / n]), None);
                state.hidden
            }
            _ => x,
        };
        let last = self.layers.len() - 1;
        for (at, layer) in self.layers[..last].iter().enumerate() {
            x = probe.watch(&format!("layers.{at}"), layer.forward(x));
            if let Some(norm) = self.norms.get(at) {
                x = norm.forward(x);
            }
            x = Relu::new().forward(x);
        }
        probe.watch(&format!("layers.{last}"), self.layers[last].forward(x))
    }

    /// The same with layers whose outputs have a variance of 1 on these rows.
    fn lsuv(self, x: &Tensor<2>) -> Result<Self, Error> {
        let layers = (0..self.layers.len()).map(|at| format!("layers.{at}"));
        let look = |net: &Self, probe: &Probe| drop(net.watched(x.clone(), None, probe));
        Ok(Lsuv::new(layers)?.fit(&self, look)?.model)
    }
}

impl Cost {
    fn of(self, said: Tensor<2>, is: Tensor<2>) -> Tensor<1> {
        match self {
            Self::Squares => (said - is).powi_scalar(2).mean(),
            Self::Classes => -(log_softmax(said, 1) * is).sum_dim(1).mean(),
        }
    }
}

fn batch(k: u64, rows: &Rows, size: usize, device: &Device) -> Batch {
    let at = |i: usize| &rows[(k as usize * size + i) % rows.len()];
    let x: Vec<f32> = (0..size).flat_map(|i| at(i).0.clone()).collect();
    let y: Vec<f32> = (0..size).flat_map(|i| at(i).1.clone()).collect();
    let (inputs, outputs) = (x.len() / size, y.len() / size);
    let tensor =
        |values, columns| Tensor::from_data(TensorData::new(values, [size, columns]), device);
    (tensor(x, inputs), tensor(y, outputs))
}

pub fn examine(table: Table, device: &Device) -> Result<Diagnosis, Error> {
    let Table { rows, cost, shape, batch: size } = table;
    let (rows, _) = split(rows);
    let (x, y) = batch(0, &rows, rows.len(), device);
    let net = Net::new(shape, false, 0, device);
    let loss = cost.of(net.forward(x.clone(), shape.sequence), y.clone());
    let grads = GradientsParams::from_grads(loss.backward(), &net);
    let doctor = Doctor::new().features(&x)?.batch(size)?;
    let doctor = match cost {
        Cost::Squares => doctor.targets(&y)?,
        Cost::Classes => {
            let labels: Tensor<2, Int> = y.argmax(1);
            doctor.labels(&labels, shape.outputs)?
        }
    };
    Ok(doctor.loss(&loss)?.model(&net)?.gradients(&net, &grads)?.finish())
}

pub fn advisor(table: Table, device: &Device) -> Result<Advisor<'_, Batch>, Error> {
    let Table { rows, cost, shape, batch: size } = table;
    let (rows, held) = split(rows);
    // Small batches, so that an outlier row affects few of them.
    let part = if shape.sequence.is_some() { HELD_SEQUENCES } else { HELD };
    let n = (held.len() / part).min(384 / part);
    let net = move |normalized| {
        Predictor::new(
            move |seed| Net::new(shape, normalized, seed, device),
            move |net: &Net, (x, _): &Batch| net.forward(x.clone(), shape.sequence),
            |(_, y): &Batch| y.clone(),
        )
    };
    let loss = move |net: &Net, (x, y): Batch| cost.of(net.forward(x, shape.sequence), y);
    let (first, _) = batch(0, &rows, 4 * size, device);
    let training = move |k| batch(k, &rows, size, device);
    let advisor = match cost {
        Cost::Squares => {
            Advisor::predicting(net(false), training).variant_predicting("LayerNorm", net(true))
        }
        Cost::Classes => {
            let build = move |normalized| move |seed| Net::new(shape, normalized, seed, device);
            let advisor = Advisor::new(build(false), loss, training);
            let advisor = advisor.variant("LayerNorm", build(true), loss);
            let plain = build(false);
            // Few layers don't need it.
            match shape.depth > 10 {
                true => advisor.variant(
                    "LSUV",
                    move |seed| plain(seed).lsuv(&first).expect("every layer is watched"),
                    loss,
                ),
                false => advisor,
            }
        }
    };
    let advisor = advisor.held_out(n as u64, move |k| batch(k, &held, part, device))?;
    Ok(match shape.sequence {
        // Letters have no scale.
        Some(_) => advisor,
        None => advisor.standardizing(|(x, _): &Batch| x.clone(), |(_, y), x| (x, y)),
    })
}
