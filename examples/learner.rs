//! A keel in Burn's own trainer: classifying handwritten digits, with a missing pixel in one batch, stopped after two
//! epochs and resumed.
//!
//!     cargo run --features train --example learner
//!
//! The model, its steps, the loaders and the metrics are those of any program that trains with `burn-train`. Without
//! the keel, every weight is NaN after the broken batch, and Burn reports nothing.

#[path = "common/digits.rs"]
mod digits;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::tensor::Device;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::renderer::CliMetricsRenderer;
use burn::train::{LearningResult, SupervisedTraining};
use evenkeel::Keel;
use evenkeel::optim::AdamW;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::train::{Guarded, KeelTrainer};

use digits::{Batch, Batches, Net};

type Loader = Arc<dyn DataLoader<Batch>>;

/// Loaders for training and for validation.
fn loaders() -> Result<(Loader, Loader), Box<dyn Error>> {
    let mut rows = digits::rows()?;
    let held_out = rows.split_off(rows.len() * 4 / 5);
    // One broken pixel, in the tenth batch of each epoch.
    rows[9 * 64 + 5][20] = f32::NAN;
    let load = |rows| -> Loader {
        DataLoaderBuilder::new(Batches).batch_size(64).build(InMemDataset::new(rows))
    };
    Ok((load(rows), load(held_out)))
}

type Trained = (LearningResult<Guarded<Net>>, KeelTrainer<Net>);

/// Trains up to this number of epochs, from the start or from the end of an epoch.
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

    // The part that evenkeel adds: any rate will do.
    let schedule = Ramp::new(0.0, 1.0, 10)?.then(10, Cosine::new(1.0, 0.0, 82)?).start();
    let keel = Keel::wrap(AdamW::new()).recommended();
    let trainer = KeelTrainer::new(schedule, keel).checkpoints(folder);
    let result = trainer.launch(training, Net::new(64, 0.1, &Device::flex().autodiff()));
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
