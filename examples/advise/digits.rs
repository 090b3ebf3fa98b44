//! Classifying handwritten digits with a small convolutional network.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, Relu};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use evenkeel::Error;
use evenkeel::advise::Advisor;
use evenkeel::doctor::{Diagnosis, Doctor};

use crate::split;

pub type Batch = (Tensor<4>, Tensor<1, Int>);

const CSV: &str = include_str!("../data/digits.csv");
const SIZE: usize = 32;

fn batch(k: u64, rows: &[Vec<f32>], size: usize, device: &Device) -> Batch {
    let at = |i: usize| &rows[(k as usize * size + i) % rows.len()];
    let x: Vec<f32> = (0..size).flat_map(|i| at(i)[..64].to_vec()).collect();
    let y: Vec<i64> = (0..size).map(|i| at(i)[64] as i64).collect();
    (
        Tensor::from_data(TensorData::new(x, [size, 1, 8, 8]), device),
        Tensor::from_data(TensorData::new(y, [size]), device),
    )
}

fn rows() -> Vec<Vec<f32>> {
    let row = |line: &str| line.split(',').map(|x| x.parse().expect("a number")).collect();
    CSV.lines().map(row).collect()
}

#[derive(Module, Debug)]
struct Net {
    first: Conv2d,
    norm: Option<BatchNorm>,
    second: Conv2d,
    output: Linear,
}

impl Net {
    fn new(normalized: bool, seed: u64, device: &Device) -> Self {
        device.seed(seed);
        let conv = |from| Conv2dConfig::new([from, 8], [3, 3]).with_stride([2, 2]).init(device);
        Self {
            first: Conv2dConfig::new([1, 8], [3, 3]).init(device),
            norm: normalized.then(|| BatchNormConfig::new(8).init(device)),
            second: conv(8),
            output: LinearConfig::new(8 * 2 * 2, 10).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.first.forward(x);
        let x = match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let x = self.second.forward(Relu::new().forward(x));
        self.output.forward(Relu::new().forward(x).flatten(1, 3))
    }

    fn loss(&self, (x, y): Batch) -> Tensor<1> {
        let logits = self.forward(x);
        CrossEntropyLossConfig::new().init(&logits.device()).forward(logits, y)
    }
}

pub fn examine(device: &Device) -> Result<Diagnosis, Error> {
    let (rows, _) = split(rows());
    let (x, y) = batch(0, &rows, rows.len(), device);
    let net = Net::new(false, 0, device);
    let loss = net.loss((x.clone(), y.clone()));
    let grads = GradientsParams::from_grads(loss.backward(), &net);
    let doctor = Doctor::new().features(&x)?.batch(SIZE)?.labels(&y, 10)?.loss(&loss)?;
    Ok(doctor.model(&net)?.gradients(&net, &grads)?.finish())
}

pub fn advisor(device: &Device) -> Result<Advisor<'_, Batch>, Error> {
    let (rows, held) = split(rows());
    let batch = move |k: u64, rows: &[Vec<f32>]| batch(k, rows, SIZE, device);
    Advisor::new(|seed| Net::new(false, seed, device), Net::loss, move |k| batch(k, &rows))
        .variant("BatchNorm", |seed| Net::new(true, seed, device), Net::loss)
        .held_out(held.len() as u64 / SIZE as u64, move |k| batch(k, &held))
}
