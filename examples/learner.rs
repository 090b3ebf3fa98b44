//! A keel in Burn's own trainer: handwritten digits, with a missing pixel in one batch, stopped after two epochs and
//! resumed.
//!
//!     cargo run --features train --example learner
//!
//! The model, its steps, the loaders and the metrics are those of any program that trains by `burn-train`. Without the
//! keel every weight is NaN after the broken batch, and Burn says nothing.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::renderer::CliMetricsRenderer;
use burn::train::{
    ClassificationOutput, InferenceStep, LearningResult, SupervisedTraining, TrainOutput, TrainStep,
};
use evenkeel::Keel;
use evenkeel::optim::AdamW;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::train::{Guarded, KeelTrainer};

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    norm: BatchNorm,
    dropout: Dropout,
    last: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        Self {
            first: LinearConfig::new(64, 64).init(device),
            norm: BatchNormConfig::new(64).init(device),
            dropout: DropoutConfig::new(0.1).init(),
            last: LinearConfig::new(64, 10).init(device),
        }
    }

    fn classify(&self, batch: Batch) -> ClassificationOutput {
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
struct Batch {
    pixels: Tensor<2>,
    digits: Tensor<1, Int>,
}

/// 64 pixels and the digit.
type Row = Vec<f32>;

#[derive(Clone)]
struct Batches;

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

type Loader = Arc<dyn DataLoader<Batch>>;

/// Loaders for training and for validation.
fn loaders() -> Result<(Loader, Loader), Box<dyn Error>> {
    let mut rows = Vec::new();
    for line in include_str!("data/digits.csv").lines() {
        let mut row = line.split(',').map(str::parse).collect::<Result<Row, _>>()?;
        row[..64].iter_mut().for_each(|ink| *ink /= 16.0);
        rows.push(row);
    }
    let held_out = rows.split_off(rows.len() * 4 / 5);
    // One broken pixel, in the tenth batch of each epoch.
    rows[9 * 64 + 5][20] = f32::NAN;
    let load = |rows| -> Loader {
        DataLoaderBuilder::new(Batches).batch_size(64).build(InMemDataset::new(rows))
    };
    Ok((load(rows), load(held_out)))
}

type Trained = (LearningResult<Guarded<Net>>, KeelTrainer<Net>);

/// Trains up to so many epochs, from the start or from the end of one.
fn train(folder: &Path, from: Option<usize>, epochs: usize) -> Result<Trained, Box<dyn Error>> {
    let (train, valid) = loaders()?;
    let training = SupervisedTraining::new(folder, train, valid)
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .renderer(Box::new(CliMetricsRenderer::new()))
        .with_application_logger(None)
        .num_epochs(epochs);
    let training = match from {
        Some(epoch) => training.checkpoint(epoch),
        None => training,
    };

    // What evenkeel adds: any rate will do.
    let schedule = Ramp::new(0.0, 1.0, 10)?.then(10, Cosine::new(1.0, 0.0, 82)?).start();
    let keel = Keel::wrap(AdamW::new()).recommended();
    let trainer = KeelTrainer::new(schedule, keel).checkpoints(folder);
    let result = trainer.launch(training, Net::new(&Device::flex().autodiff()));
    Ok((result, trainer))
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("evenkeel-learner-{}", std::process::id()));
    let (_, trainer) = train(&folder, None, 2)?;
    println!(
        "\nAfter two epochs {} updates. What was left out:\n{}",
        trainer.updates(),
        trainer.incidents()
    );

    let (result, trainer) = train(&folder, Some(2), 4)?;
    let net = result.model.into_inner();
    let (_, valid) = loaders()?;
    let (mut right, mut all) = (0, 0);
    for batch in valid.iter() {
        let batch = batch?;
        let said = net.classify(batch.clone()).output.argmax(1).flatten::<1>(0, 1);
        let hits = said.equal(batch.digits).int().sum().into_scalar::<i64>();
        (right, all) = (right + hits, all + 64.min(valid.num_items() as i64 - all));
    }
    println!("\nAfter four epochs {} updates, {right} of {all} digits right.", trainer.updates());
    println!("bench learner updates={} right={right}/{all}", trainer.updates());
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
