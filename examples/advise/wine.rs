//! Predicting the quality of wines from raw measurements.

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, Relu};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::Error;
use evenkeel::advise::{Advisor, Predictor};
use evenkeel::doctor::{Diagnosis, Doctor};

use crate::split;

pub type Batch = (Tensor<2>, Tensor<2>);

const CSV: &str = include_str!("../data/wine_quality_red.csv");
const SIZE: usize = 64;

/// `size` rows from the `k`th batch on, wrapping around.
fn batch(k: u64, rows: &[Vec<f32>], size: usize, device: &Device) -> Batch {
    let at = |i: usize| &rows[(k as usize * size + i) % rows.len()];
    let x: Vec<f32> = (0..size).flat_map(|i| at(i)[..11].to_vec()).collect();
    let y: Vec<f32> = (0..size).map(|i| at(i)[11]).collect();
    let tensor =
        |values, columns| Tensor::from_data(TensorData::new(values, [size, columns]), device);
    (tensor(x, 11), tensor(y, 1))
}

fn rows() -> Vec<Vec<f32>> {
    let row = |line: &str| line.split(',').map(|x| x.parse().expect("a number")).collect();
    CSV.lines().skip(1).map(row).collect()
}

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    norm: Option<BatchNorm>,
    second: Linear,
    output: Linear,
}

impl Net {
    fn new(normalized: bool, seed: u64, device: &Device) -> Self {
        device.seed(seed);
        let norm = normalized.then(|| BatchNormConfig::new(64).init(device));
        let layer = |from, to| LinearConfig::new(from, to).init(device);
        Self { first: layer(11, 64), norm, second: layer(64, 64), output: layer(64, 1) }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.first.forward(x);
        let x = match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let x = self.second.forward(Relu::new().forward(x));
        self.output.forward(Relu::new().forward(x))
    }

    fn loss(&self, (x, y): Batch) -> Tensor<1> {
        (self.forward(x) - y).powi_scalar(2).mean()
    }

    /// The predictor that the advisor is given.
    fn predictor(normalized: bool, device: &Device) -> Predictor<'_, Self, Batch, 2> {
        Predictor::new(
            move |seed| Self::new(normalized, seed, device),
            |net: &Self, (x, _): &Batch| net.forward(x.clone()),
            |(_, y)| y.clone(),
        )
    }
}

pub fn examine(device: &Device) -> Result<Diagnosis, Error> {
    let (rows, _) = split(rows());
    let (x, y) = batch(0, &rows, rows.len(), device);
    let net = Net::new(false, 0, device);
    let loss = net.loss((x.clone(), y.clone()));
    let grads = GradientsParams::from_grads(loss.backward(), &net);
    let doctor = Doctor::new().features(&x)?.batch(SIZE)?.targets(&y)?.loss(&loss)?;
    Ok(doctor.model(&net)?.gradients(&net, &grads)?.finish())
}

pub fn advisor(device: &Device) -> Result<Advisor<'_, Batch>, Error> {
    let (rows, held) = split(rows());
    Advisor::predicting(Net::predictor(false, device), move |k| batch(k, &rows, SIZE, device))
        .variant_predicting("BatchNorm", Net::predictor(true, device))
        .standardizing(|(x, _): &Batch| x.clone(), |(_, y), x| (x, y))
        .held_out(held.len() as u64 / SIZE as u64, move |k| batch(k, &held, SIZE, device))
}
