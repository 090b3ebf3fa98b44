//! A keel in Burn's real trainer, against a loop of our own over the same batches: bit by bit.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::metric::LossMetric;
use burn::train::{
    ClassificationOutput, ExecutionStrategy, InferenceStep, LearningResult, MultiDeviceOptim,
    SupervisedTraining, TrainOutput, TrainStep, TrainingStrategy,
};
use evenkeel::average::Ema;
use evenkeel::checkpoint::Checkpoint;
use evenkeel::optim::AdamW;
use evenkeel::precision::LossScale;
use evenkeel::schedule::{Cosine, Ramp, Schedule, Scheduler, Then};
use evenkeel::train::{Guarded, KeelTrainer};
use evenkeel::{Builder, Decide, Keel, Report, Rewind, Verdict};

use crate::quiet::Quiet;

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    norm: BatchNorm,
    last: Linear,
}

/// Numbers of our own, where Burn draws them: no generator is shared with other tests.
struct Fill(u64);

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() || D < 2 {
            return param;
        }
        param.map(|tensor| {
            let shape = tensor.shape();
            let scale = 2.0 / (shape[0] as f32).sqrt();
            let next = || {
                self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                scale * ((self.0 >> 40) as f32 / (1u64 << 24) as f32 - 0.5)
            };
            let values: Vec<f32> =
                std::iter::repeat_with(next).take(shape.num_elements()).collect();
            Tensor::from_data(TensorData::new(values, shape), &tensor.device()).require_grad()
        })
    }
}

impl Net {
    fn new(device: &Device) -> Self {
        let net = Self {
            first: LinearConfig::new(64, 24).with_bias(false).init(device),
            norm: BatchNormConfig::new(24).init(device),
            last: LinearConfig::new(24, 10).with_bias(false).init(device),
        };
        net.map(&mut Fill(1))
    }

    fn classify(&self, batch: Batch) -> ClassificationOutput {
        let seen = relu(self.norm.forward(self.first.forward(batch.pixels)));
        let output = self.last.forward(seen);
        let loss = CrossEntropyLossConfig::new()
            .init(&output.device())
            .forward(output.clone(), batch.digits.clone());
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

#[derive(Clone)]
struct Rows;

impl Batcher<Vec<f32>, Batch> for Rows {
    fn batch(&self, rows: Vec<Vec<f32>>, device: &Device) -> Batch {
        let n = rows.len();
        let digits: Vec<i32> = rows.iter().map(|row| row[64] as i32).collect();
        let pixels: Vec<f32> = rows.into_iter().flat_map(|row| row.into_iter().take(64)).collect();
        Batch {
            pixels: Tensor::from_data(TensorData::new(pixels, [n, 64]), device),
            digits: Tensor::from_data(TensorData::new(digits, [n]), device),
        }
    }
}

const BATCH: usize = 32;
/// Of 384 rows.
const BATCHES: usize = 12;

type Loader = Arc<dyn DataLoader<Batch>>;

/// Digits, in the order of the file, with a missing pixel in each of these batches.
fn loader(poisoned: &[usize], device: &Device) -> Loader {
    let text = include_str!("../../../examples/data/digits.csv");
    let rows = text.lines().take(BATCH * BATCHES).enumerate().map(|(at, line)| {
        let mut row: Vec<f32> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        row[..64].iter_mut().for_each(|ink| *ink /= 16.0);
        if at % BATCH == 3 && poisoned.contains(&(at / BATCH)) {
            row[20] = f32::NAN;
        }
        row
    });
    let data = InMemDataset::new(rows.collect());
    let loader: Loader = DataLoaderBuilder::new(Rows).batch_size(BATCH).build(data);
    loader.to_device(device)
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn schedule() -> Scheduler<Then<Ramp, Cosine>> {
    Ramp::new(0.0, 0.02, 4).unwrap().then(4, Cosine::new(0.02, 0.0, 60).unwrap()).start()
}

fn folder(name: &str) -> PathBuf {
    let folder =
        std::env::temp_dir().join(format!("evenkeel-trainer-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn training(folder: &Path, poisoned: &[usize], epochs: usize) -> SupervisedTraining<Guarded<Net>> {
    let device = device();
    SupervisedTraining::new(folder, loader(poisoned, &device), loader(&[], &device))
        .metrics((LossMetric::new(),))
        .renderer(Box::new(Quiet))
        .with_application_logger(None)
        .num_epochs(epochs)
}

/// What a loop of our own comes to: the model, the reports, and where the schedule is.
fn own_loop(
    builder: Builder<Net>,
    poisoned: &[usize],
    epochs: usize,
    window: usize,
) -> (Keel<Net>, Net, Vec<Report>, u64) {
    let device = device();
    let loader = loader(poisoned, &device);
    let (mut net, mut schedule) = (Net::new(&device), schedule());
    let mut keel = builder.build(&net).unwrap();
    let (mut reports, mut taken) = (Vec::new(), 0);
    for _ in 0..epochs {
        for batch in loader.iter() {
            let item = net.classify(batch.unwrap());
            let grads = GradientsParams::from_grads(item.loss.backward(), &net);
            let stepped = if window == 1 {
                keel.step(schedule.step(), net, grads, &item.loss)
            } else {
                let _ = keel.accumulate(&net, grads, &item.loss).unwrap();
                taken += 1;
                if taken % window != 0 {
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
                    return (keel, halted.into_model(), reports, schedule.position());
                }
            }
        }
    }
    (keel, net, reports, schedule.position())
}

fn bits(net: &Net) -> Vec<u32> {
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
fn same(reports: &[Report], expected: &[Report]) {
    assert_eq!(reports.len(), expected.len());
    for (at, (a, b)) in reports.iter().zip(expected).enumerate() {
        assert_eq!(format!("{a:?}"), format!("{b:?}"), "report {at}");
    }
}

fn keel() -> Builder<Net> {
    Keel::wrap(AdamW::new()).recommended()
}

/// Trains by Burn's trainer, with the reports of all steps.
fn trained(
    trainer: KeelTrainer<Net>,
    training: SupervisedTraining<Guarded<Net>>,
) -> (LearningResult<Guarded<Net>>, KeelTrainer<Net>, Vec<Report>) {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let heard = reports.clone();
    let trainer = trainer.on_step(move |report| heard.lock().unwrap().push(report.clone()));
    let result = trainer.launch(training, Net::new(&device()));
    let reports = reports.lock().unwrap().clone();
    (result, trainer, reports)
}

/// The last line of a metric's log of one epoch.
fn last_line(folder: &Path, split: &str, epoch: usize, metric: &str) -> f64 {
    let path = folder.join(split).join(format!("epoch-{epoch}")).join(format!("{metric}.log"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let last = text.lines().last().unwrap();
    last.split(',').next().unwrap().parse().unwrap()
}

#[test]
fn a_poisoned_batch_is_skipped_as_in_a_loop_of_our_own() {
    let folder = folder("skip");
    let trainer = KeelTrainer::new(schedule(), keel());
    let (result, trainer, reports) = trained(trainer, training(&folder, &[5], 2));
    let (own, net, expected, position) = own_loop(keel(), &[5], 2, 1);
    same(&reports, &expected);
    assert_eq!(reports.iter().filter(|report| report.verdict == Verdict::Skip).count(), 2);
    assert_eq!((trainer.updates(), trainer.position()), (own.updates(), position));
    assert!(bits(result.model.inner()) == bits(&net));
    assert!(result.interrupted.is_none() && result.error.is_none());
    assert_eq!(trainer.incidents().count(Verdict::Skip), 2);

    // Burn's own loss of the epoch has the NaN in it; ours is the mean over the applied steps.
    assert!(last_line(&folder, "train", 2, "Loss").is_nan());
    let applied: Vec<f64> = expected[BATCHES..]
        .iter()
        .filter(|report| report.is_applied())
        .map(|report| report.reading.loss)
        .collect();
    let mean = applied.iter().sum::<f64>() / applied.len() as f64;
    let logged = last_line(&folder, "train", 2, "Loss_of_applied_steps");
    assert!((logged - mean).abs() < 1e-4, "{logged} {mean}");
    let rejected = last_line(&folder, "train", 2, "Rejected_steps");
    assert!((rejected - 1.0 / BATCHES as f64).abs() < 1e-3, "{rejected}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_rewind_takes_model_and_schedule_back() {
    let folder = folder("rewind");
    let builder = || {
        Keel::wrap(AdamW::new())
            .skips_at_most(1)
            .rewind(Rewind::every(4).unwrap().at_most(9).unwrap())
    };
    let poisoned = [6, 7, 8];
    let trainer = KeelTrainer::new(schedule(), builder());
    let (result, trainer, reports) = trained(trainer, training(&folder, &poisoned, 2));
    let (_, net, expected, position) = own_loop(builder(), &poisoned, 2, 1);
    assert!(reports.iter().any(|report| report.verdict == Verdict::Rewind));
    same(&reports, &expected);
    assert_eq!(trainer.position(), position);
    assert!(bits(result.model.inner()) == bits(&net));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_halt_ends_the_training_with_its_reason_and_a_checkpoint() {
    let folder = folder("halt");
    let builder = || Keel::wrap(AdamW::new()).skips_at_most(2);
    let poisoned: Vec<usize> = (5..BATCHES).collect();
    let trainer = KeelTrainer::new(schedule(), builder()).checkpoints(&folder);
    let (result, trainer, reports) = trained(trainer, training(&folder, &poisoned, 3));
    let (_, net, expected, _) = own_loop(builder(), &poisoned, 3, 1);
    same(&reports, &expected);
    assert!(bits(result.model.inner()) == bits(&net));
    let why = result.interrupted.unwrap().reason.unwrap();
    assert!(
        why.starts_with("training halted at update 5: non-finite loss, 3 steps in a row"),
        "{why}"
    );
    assert_eq!(trainer.stopped().unwrap(), why);
    // Soundness of the result: all of it is finite.
    assert!(bits(&net).iter().all(|bits| f32::from_bits(*bits).is_finite()));

    // From there it goes on, on other data.
    let saved = Checkpoint::load(folder.join("checkpoint/halted.keel")).unwrap();
    let trainer = KeelTrainer::new(schedule(), builder()).go_on_from(saved);
    let (_, trainer, reports) = trained(trainer, training(&folder, &[], 1));
    assert_eq!((reports[0].reading.update, trainer.updates()), (5, 5 + BATCHES as u64));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_resumed_training_is_the_one_that_was_not_interrupted() {
    let builder = || keel().average(Ema::new(0.9).unwrap());
    let (whole, parts) = (folder("whole"), folder("parts"));
    let trainer = |folder: &Path| KeelTrainer::new(schedule(), builder()).checkpoints(folder);
    let (whole_result, ..) = trained(trainer(&whole), training(&whole, &[5], 4));
    let _ = trained(trainer(&parts), training(&parts, &[5], 2));
    let resumed = training(&parts, &[5], 4).checkpoint(2);
    let (result, resumed, reports) = trained(trainer(&parts), resumed);
    assert_eq!(resumed.stopped(), None);
    assert_eq!(reports.len(), 2 * BATCHES);
    assert!(bits(result.model.inner()) == bits(whole_result.model.inner()));

    // The plain model takes Burn's file of it.
    let plain = Net::new(&device()).load_file(parts.join("checkpoint/model-2.bpk"));
    let (_, half, ..) = own_loop(builder(), &[5], 2, 1);
    assert!(bits(&plain) == bits(&half));

    // A keel that was put together in another way says so, and trains nothing.
    let other = Keel::wrap(AdamW::new());
    let trainer = KeelTrainer::new(schedule(), other).checkpoints(&parts);
    let (result, ..) = trained(trainer, training(&parts, &[5], 4).checkpoint(2));
    let why = result.interrupted.unwrap().reason.unwrap();
    assert!(why.contains("it was saved with"), "{why}");
    std::fs::remove_dir_all(whole).unwrap();
    std::fs::remove_dir_all(parts).unwrap();
}

#[test]
fn what_is_evaluated_is_the_average() {
    let folder = folder("average");
    let builder = || keel().average(Ema::new(0.8).unwrap());
    let (result, ..) = trained(KeelTrainer::new(schedule(), builder()), training(&folder, &[], 2));
    let (own, net, ..) = own_loop(builder(), &[], 2, 1);
    let averaged = own.averaged(&net).unwrap();
    assert!(bits(&averaged) != bits(&net));
    assert!(bits(result.model.inner()) == bits(&averaged));
    // Burn's validation of the last epoch is one of the average too.
    let device = Device::flex();
    let batches = loader(&[], &device);
    let loss = |batch: Batch| averaged.classify(batch).loss.into_scalar::<f32>();
    let losses: Vec<f32> = batches.iter().map(|batch| loss(batch.unwrap())).collect();
    let mean = f64::from(losses.iter().sum::<f32>()) / losses.len() as f64;
    let logged = last_line(&folder, "valid", 2, "Loss");
    assert!((logged - mean).abs() < 1e-4, "{logged} {mean}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn accumulation_averages_and_drops_a_bad_batch_alone() {
    let folder = folder("accumulate");
    let trainer = KeelTrainer::new(schedule(), keel()).accumulate(3).unwrap();
    let (result, trainer, reports) = trained(trainer, training(&folder, &[5], 2));
    let (own, net, expected, position) = own_loop(keel(), &[5], 2, 3);
    same(&reports, &expected);
    assert!(reports.iter().all(Report::is_applied));
    assert_eq!((trainer.updates(), trainer.position()), (own.updates(), position));
    assert!(bits(result.model.inner()) == bits(&net));

    // Burn's own accumulation sums; an update here is along the mean.
    let trainer = KeelTrainer::new(schedule(), keel());
    let (_, _, reports) = trained(trainer, training(&folder, &[], 1).grads_accumulation(3));
    let (_, _, expected, _) = own_loop(keel(), &[], 1, 3);
    assert_eq!(reports.len(), BATCHES / 3);
    let [ours, own] = [&reports[0].reading, &expected[0].reading];
    assert!((ours.grad_norm / own.grad_norm - 1.0).abs() < 1e-5);
    assert!((ours.loss / own.loss - 1.0).abs() < 1e-5);
    std::fs::remove_dir_all(folder).unwrap();
}

/// Two devices see every other batch each: one verdict for both, along the mean of their gradients.
#[test]
fn two_devices_have_one_verdict_and_one_norm() {
    let two = vec![device(), device()];
    let mut ends = Vec::new();
    for optim in [MultiDeviceOptim::OptimMainDevice, MultiDeviceOptim::OptimSharded] {
        let folder = folder(&format!("{optim:?}"));
        let strategy = TrainingStrategy::Default(ExecutionStrategy::multi(two.clone(), optim));
        let training = training(&folder, &[5], 1).with_training_strategy(strategy);
        let (result, trainer, reports) = trained(KeelTrainer::new(schedule(), keel()), training);
        assert_eq!(reports.len(), BATCHES / 2);
        assert_eq!(reports.iter().filter(|report| report.verdict == Verdict::Skip).count(), 1);
        assert_eq!(trainer.updates(), BATCHES as u64 / 2 - 1);
        assert!(bits(result.model.inner()).iter().all(|b| f32::from_bits(*b).is_finite()));
        // The mean of the first batches of the two halves of the data.
        let net = Net::new(&device());
        let mut keel = keel().build(&net).unwrap();
        for (at, batch) in loader(&[], &device()).iter().enumerate() {
            if at % (BATCHES / 2) == 0 {
                let item = net.classify(batch.unwrap());
                let grads = GradientsParams::from_grads(item.loss.backward(), &net);
                let _ = keel.accumulate(&net, grads, &item.loss).unwrap();
            }
        }
        let expected = keel.step_accumulated(0.0, net).unwrap().report.reading;
        let first = &reports[0].reading;
        assert!(
            (first.grad_norm / expected.grad_norm - 1.0).abs() < 1e-5,
            "{first:?} {expected:?}"
        );
        assert!((first.loss / expected.loss - 1.0).abs() < 1e-5);
        ends.push(reports.iter().map(|report| report.reading.loss).collect::<Vec<_>>());
        std::fs::remove_dir_all(folder).unwrap();
    }
    // The order in which two devices add up is not fixed.
    for (main, sharded) in ends[0].iter().zip(&ends[1]).filter(|(main, _)| main.is_finite()) {
        assert!((main / sharded - 1.0).abs() < 1e-3, "{ends:?}");
    }
}

#[test]
fn what_a_trainer_cannot_do_ends_it_before_the_first_step() {
    let scaled = keel().loss_scale(LossScale::dynamic());
    let late = keel().decide(Decide::OnDevice { every: 4 });
    let folder = folder("refused");
    for (builder, why) in [
        (scaled, "`loss_scale` of KeelTrainer must be left out, got a LossScale"),
        (late, "`decide` of KeelTrainer must be Decide::Now, got Decide::OnDevice"),
    ] {
        let trainer = KeelTrainer::new(schedule(), builder);
        let (result, _, reports) = trained(trainer, training(&folder, &[], 1));
        assert_eq!(result.interrupted.unwrap().reason.unwrap(), why);
        assert!(reports.is_empty());
    }
    assert!(KeelTrainer::new(schedule(), keel()).accumulate(0).is_err());
    std::fs::remove_dir_all(folder).unwrap();
}
