//! Handwritten digits for Burn's trainer: a small classifier, its steps and its batches.

use std::num::ParseFloatError;

use burn::data::dataloader::batcher::Batcher;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};

#[derive(Module, Debug)]
pub struct Net {
    first: Linear,
    norm: BatchNorm,
    dropout: Dropout,
    last: Linear,
}

impl Net {
    pub fn new(hidden: usize, dropout: f64, device: &Device) -> Self {
        Self {
            first: LinearConfig::new(64, hidden).init(device),
            norm: BatchNormConfig::new(hidden).init(device),
            dropout: DropoutConfig::new(dropout).init(),
            last: LinearConfig::new(hidden, 10).init(device),
        }
    }

    pub fn classify(&self, batch: Batch) -> ClassificationOutput {
        let seen = relu(self.norm.forward(self.first.forward(batch.pixels)));
        let output = self.last.forward(self.dropout.forward(seen));
        let entropy = CrossEntropyLossConfig::new().init(&output.device());
        let loss = entropy.forward(output.clone(), batch.digits.clone());
        ClassificationOutput::new(loss, output, batch.digits)
    }
}

impl TrainStep for Net {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let item = self.classify(batch);
        TrainOutput::new(self, item.loss.backward(), item)
    }
}

impl InferenceStep for Net {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.classify(batch)
    }
}

#[derive(Clone, Debug)]
pub struct Batch {
    pub pixels: Tensor<2>,
    pub digits: Tensor<1, Int>,
}

/// 64 pixels from 0 to 1, and the digit.
pub type Row = Vec<f32>;

/// All rows, in the order of the file.
pub fn rows() -> Result<Vec<Row>, ParseFloatError> {
    let row = |line: &str| {
        let mut row = line.split(',').map(str::parse).collect::<Result<Row, _>>()?;
        row[..64].iter_mut().for_each(|ink| *ink /= 16.0);
        Ok(row)
    };
    include_str!("../data/digits.csv").lines().map(row).collect()
}

#[derive(Clone)]
pub struct Batches;

impl Batcher<Row, Batch> for Batches {
    fn batch(&self, rows: Vec<Row>, device: &Device) -> Batch {
        let n = rows.len();
        let digits: Vec<i32> = rows.iter().map(|row| row[64] as i32).collect();
        let pixels: Vec<f32> = rows.into_iter().flat_map(|row| row.into_iter().take(64)).collect();
        Batch {
            pixels: Tensor::from_data(TensorData::new(pixels, [n, 64]), device),
            digits: Tensor::from_data(TensorData::new(digits, [n]), device),
        }
    }
}
