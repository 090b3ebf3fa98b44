//! Burn's real trainer, and a loop of our own over the same batches.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use burn::train::metric::LossMetric;
use burn::train::{
    ClassificationOutput, InferenceStep, LearningResult, SupervisedTraining, TrainStep,
};
use evenkeel::optim::AdamW;
use evenkeel::schedule::{Cosine, Ramp, Schedule, Scheduler, Then};
use evenkeel::train::{Guarded, KeelTrainer};
use evenkeel::{Builder, Keel, Report};

use crate::digits::{Batch, Batches, Net, Row, rows};
use crate::quiet::Quiet;

pub const BATCH: usize = 32;
/// Of 384 rows.
pub const BATCHES: usize = 12;

/// Burn draws initial weights and the masks of dropout from one generator for all threads: whoever draws is alone.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn device() -> Device {
    Device::flex().autodiff()
}

/// The same weights each time, and from there on the same masks.
pub fn fresh(dropout: f64) -> Net {
    device().seed(1);
    let net = Net::new(24, dropout, &device()).materialize();
    device().seed(2);
    net
}

/// Masks that come from the batch: a generator's place in its sequence is in no checkpoint.
#[derive(Clone)]
struct Seeded;

impl Batcher<Row, Batch> for Seeded {
    fn batch(&self, rows: Vec<Row>, device: &Device) -> Batch {
        let ink: f32 = rows.iter().flatten().sum();
        device.seed(u64::from(ink.to_bits()));
        Batches.batch(rows, device)
    }
}

type Loader = Arc<dyn DataLoader<Batch>>;

/// Digits, in the order of the file, with a missing pixel in each of these batches.
pub fn loader(poisoned: &[usize], batcher: impl Batcher<Row, Batch> + Clone + 'static) -> Loader {
    let mut rows = rows().unwrap();
    rows.truncate(BATCH * BATCHES);
    for at in poisoned {
        rows[at * BATCH + 3][20] = f32::NAN;
    }
    let data = InMemDataset::new(rows);
    DataLoaderBuilder::new(batcher).batch_size(BATCH).build(data)
}

pub fn schedule() -> Scheduler<Then<Ramp, Cosine>> {
    Ramp::new(0.0, 0.02, 4).unwrap().then(4, Cosine::new(0.02, 0.0, 60).unwrap()).start()
}

pub fn folder(name: &str) -> PathBuf {
    let folder =
        std::env::temp_dir().join(format!("evenkeel-trainer-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

pub fn training<M>(
    folder: &Path,
    poisoned: &[usize],
    epochs: usize,
) -> SupervisedTraining<Guarded<M>>
where
    M: TrainStep<Input = Batch, Output = ClassificationOutput>
        + InferenceStep<Input = Batch, Output = ClassificationOutput>
        + Module
        + std::fmt::Display
        + 'static,
{
    training_over(loader(poisoned, Batches), folder, epochs)
}

/// The same with the masks of each batch its own.
pub fn seeded(
    folder: &Path,
    poisoned: &[usize],
    epochs: usize,
) -> SupervisedTraining<Guarded<Net>> {
    training_over(loader(poisoned, Seeded), folder, epochs)
}

fn training_over<M>(train: Loader, folder: &Path, epochs: usize) -> SupervisedTraining<Guarded<M>>
where
    M: TrainStep<Input = Batch, Output = ClassificationOutput>
        + InferenceStep<Input = Batch, Output = ClassificationOutput>
        + Module
        + std::fmt::Display
        + 'static,
{
    let device = device();
    SupervisedTraining::new(
        folder,
        train.to_device(&device),
        loader(&[], Batches).to_device(&device),
    )
    .metrics((LossMetric::new(),))
    .renderer(Box::new(Quiet))
    .with_application_logger(None)
    .num_epochs(epochs)
}

/// A loop of our own.
pub struct Own {
    pub poisoned: Vec<usize>,
    pub epochs: usize,
    /// Batches for an update.
    pub window: usize,
    pub dropout: f64,
    /// Whether each batch has masks of its own.
    pub seeded: bool,
}

/// What it comes to.
pub struct End {
    pub keel: Keel<Net>,
    pub net: Net,
    pub reports: Vec<Report>,
    pub position: u64,
}

impl Own {
    pub fn new(poisoned: &[usize], epochs: usize) -> Self {
        Self { poisoned: poisoned.to_vec(), epochs, window: 1, dropout: DROPOUT, seeded: false }
    }

    pub fn run(self, builder: Builder<Net>) -> End {
        let loader = match self.seeded {
            true => loader(&self.poisoned, Seeded),
            false => loader(&self.poisoned, Batches),
        };
        let loader = loader.to_device(&device());
        let (mut net, mut schedule) = (fresh(self.dropout), schedule());
        let mut keel = builder.build(&net).unwrap();
        let (mut reports, mut taken) = (Vec::new(), 0);
        for _ in 0..self.epochs {
            for batch in loader.iter() {
                let item = net.classify(batch.unwrap());
                let scaled = item.loss.clone() * keel.loss_scale();
                let grads = GradientsParams::from_grads(scaled.backward(), &net);
                let stepped = if self.window == 1 {
                    keel.step(schedule.step(), net, grads, &item.loss)
                } else {
                    let _ = keel.accumulate(&net, grads, &item.loss).unwrap();
                    taken += 1;
                    if taken % self.window != 0 {
                        continue;
                    }
                    keel.step_accumulated(schedule.step(), net)
                };
                match stepped {
                    Ok(stepped) => {
                        reports.push(stepped.report);
                        net = stepped.model;
                    }
                    Err(halted) => {
                        reports.push(halted.report().clone());
                        let (net, position) = (halted.into_model(), schedule.position());
                        return End { keel, net, reports, position };
                    }
                }
            }
        }
        End { keel, net, reports, position: schedule.position() }
    }
}

pub fn bits(net: &impl Module) -> Vec<u32> {
    struct Bits(Vec<u32>);
    impl ModuleVisitor for Bits {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.base().into_data().iter::<f32>().map(f32::to_bits));
        }
    }
    let mut bits = Bits(Vec::new());
    net.valid().visit(&mut bits);
    bits.0
}

/// The same reports, NaN for NaN.
pub fn same(reports: &[Report], expected: &[Report]) {
    assert_eq!(reports.len(), expected.len());
    for (at, (a, b)) in reports.iter().zip(expected).enumerate() {
        assert_eq!(format!("{a:?}"), format!("{b:?}"), "report {at}");
    }
}

pub fn keel() -> Builder<Net> {
    Keel::wrap(AdamW::new()).recommended()
}

/// What is left out of the layer before the last.
pub const DROPOUT: f64 = 0.2;

/// Trains by Burn's trainer, with the reports of all steps.
pub fn trained(
    trainer: KeelTrainer<Net>,
    training: SupervisedTraining<Guarded<Net>>,
) -> (LearningResult<Guarded<Net>>, KeelTrainer<Net>, Vec<Report>) {
    trained_model(trainer, training, fresh(DROPOUT))
}

pub fn trained_model<M>(
    trainer: KeelTrainer<M>,
    training: SupervisedTraining<Guarded<M>>,
    model: M,
) -> (LearningResult<Guarded<M>>, KeelTrainer<M>, Vec<Report>)
where
    M: TrainStep<Input = Batch, Output = ClassificationOutput>
        + InferenceStep<Input = Batch, Output = ClassificationOutput>
        + Module
        + std::fmt::Display
        + 'static,
{
    let reports = Arc::new(Mutex::new(Vec::new()));
    let heard = reports.clone();
    let trainer = trainer.on_step(move |report| heard.lock().unwrap().push(report.clone()));
    let result = trainer.launch(training, model);
    let reports = reports.lock().unwrap().clone();
    (result, trainer, reports)
}

/// The numbers of a metric's log of one epoch; the last is that of the epoch.
pub fn logged(folder: &Path, split: &str, epoch: usize, metric: &str) -> Vec<f64> {
    let path = folder.join(split).join(format!("epoch-{epoch}")).join(format!("{metric}.log"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(|line| line.split(',').next().unwrap().parse().unwrap()).collect()
}

pub fn last_line(folder: &Path, split: &str, epoch: usize, metric: &str) -> f64 {
    *logged(folder, split, epoch, metric).last().unwrap()
}
