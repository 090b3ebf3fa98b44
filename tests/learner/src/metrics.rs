//! What is shown among Burn's metrics, and the loss scale.

use burn::module::{Module, ParamGroup};
use burn::train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};
use burn::train::{ExecutionStrategy, MultiDeviceOptim, TrainingStrategy};
use evenkeel::optim::AdamW;
use evenkeel::precision::LossScale;
use evenkeel::schedule::{Constant, Cosine, GroupScheduler, Schedule};
use evenkeel::train::{KeelTrainer, LossFactor};
use evenkeel::{Builder, Keel, Report, Verdict};

use crate::common::*;
use crate::digits::{Batch, Net};

/// The classifier, with a loss that is scaled.
#[derive(Module, Debug)]
struct Scaled {
    net: Net,
    factor: LossFactor,
}

impl TrainStep for Scaled {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let item = self.net.classify(batch);
        TrainOutput::new(self, self.factor.scaled(item.loss.clone()).backward(), item)
    }
}

impl InferenceStep for Scaled {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.net.classify(batch)
    }
}

/// So high a scale that squares of gradients overflow `f32` at first: 2⁷⁰.
const START: f64 = (1u128 << 70) as f64;

fn scaled<M: Module + 'static>() -> Builder<M> {
    let scale = LossScale::dynamic().start(START).unwrap().ceiling(START).unwrap();
    Keel::wrap(AdamW::new()).loss_scale(scale.growth(2.0, 5).unwrap()).skips_at_most(3)
}

#[test]
fn a_loss_scale_reaches_the_step_of_the_model() {
    let _alone = alone();
    for window in [1, 3] {
        let folder = folder(&format!("scaled-{window}"));
        let own = Own { window, ..Own::new(&[5], 2) }.run(scaled());
        let factor = LossFactor::new();
        let model = Scaled { net: fresh(DROPOUT), factor: factor.clone() };
        let trainer = KeelTrainer::new(schedule(), scaled()).loss_factor(&factor);
        let trainer = trainer.accumulate(window as u64).unwrap();
        let training = training(&folder, &[5], 2);
        let (result, trainer, reports) = trained_model(trainer, training, model);
        assert!(result.interrupted.is_none(), "{:?}", result.interrupted);
        // The same but for the path, which is a level deeper.
        let plain = |reports: &[Report]| format!("{reports:?}").replace("\"net.", "\"");
        assert_eq!(plain(&reports), plain(&own.reports));
        assert!(bits(result.model.inner()) == bits(&own.net));
        assert_eq!(factor.value(), own.keel.loss_scale());
        let overflow =
            |incident: &evenkeel::Incident| incident.to_string().contains("overflow at loss scale");
        assert!(trainer.incidents().iter().any(overflow), "{}", trainer.incidents());

        // The scale that each step's gradients had.
        let scales = logged(&folder, "train", 1, "Loss_scale");
        if window == 1 {
            let (steps, mean) = scales.split_at(scales.len() - 1);
            assert_eq!((steps.len(), steps[0]), (BATCHES, START));
            assert!(steps.windows(2).any(|two| two[1] == two[0] / 2.0), "{steps:?}");
            assert!((mean[0] / (steps.iter().sum::<f64>() / BATCHES as f64) - 1.0).abs() < 1e-3);
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// The model has one factor and the trainer another: the loss isn't scaled, and every step would be far too short.
#[test]
fn a_loss_that_is_not_scaled_ends_the_training() {
    let _alone = alone();
    let folder = folder("unscaled");
    let model = Scaled { net: fresh(DROPOUT), factor: LossFactor::new() };
    let trainer = KeelTrainer::new(schedule(), scaled()).loss_factor(&LossFactor::new());
    let (result, trainer, reports) = trained_model(trainer, training(&folder, &[], 1), model);
    let why = result.interrupted.unwrap().reason.unwrap();
    assert!(why.contains("the model's step has not asked its `LossFactor`"), "{why}");
    assert_eq!((trainer.updates(), reports.len()), (0, 0));
    std::fs::remove_dir_all(folder).unwrap();
}

/// `‖Δp‖/‖p‖`, over all parameters: by hand from the weights that two devices or several batches have led to.
#[test]
fn the_update_ratio_is_that_of_the_update() {
    let _alone = alone();
    let norm = |of: &[f32]| of.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let trainable = |model: &Net| -> Vec<f32> {
        struct Values(Vec<f32>);
        impl burn::module::ModuleVisitor for Values {
            fn visit_float<const D: usize>(
                &mut self,
                param: &burn::module::Param<burn::tensor::Tensor<D>>,
            ) {
                if param.is_require_grad() {
                    self.0.extend(param.base().into_data().iter::<f32>());
                }
            }
        }
        let mut values = Values(Vec::new());
        model.visit(&mut values);
        values.0
    };
    let start = trainable(&fresh(0.0));
    for (window, devices) in [(1, 1), (BATCHES / 2, 1), (1, 2), (BATCHES / 2, 2)] {
        let folder = folder(&format!("ratio-{window}-{devices}"));
        // So many updates an epoch, of which the first shows.
        let updates = BATCHES / window / devices;
        let rate = || Constant::new(0.02).unwrap();
        let trainer = KeelTrainer::new(rate().start(), Keel::wrap(AdamW::new()));
        let trainer = trainer.accumulate(window as u64).unwrap();
        let trainer = trainer.update_ratio_every(updates as u64).unwrap();
        let training = training(&folder, &[], 1);
        let training = match devices {
            1 => training,
            _ => {
                let two =
                    ExecutionStrategy::multi(vec![device(); 2], MultiDeviceOptim::OptimMainDevice);
                training.with_training_strategy(TrainingStrategy::Default(two))
            }
        };
        // The weights after the first update are the average of all so far.
        let (_, _, reports) = trained_model(trainer, training, fresh(0.0));
        assert_eq!(reports.iter().filter(|r| r.verdict == Verdict::Apply).count(), updates);

        let net = fresh(0.0);
        let mut keel = Keel::wrap(AdamW::new()).build(&net).unwrap();
        let all = loader(&[], crate::digits::Batches).to_device(&device());
        // Two devices take the halves of the data.
        let takes = |at: usize| at % (BATCHES / devices) < window;
        for (_, batch) in all.iter().enumerate().filter(|(at, _)| takes(*at)) {
            let item = net.classify(batch.unwrap());
            let grads = burn::optim::GradientsParams::from_grads(item.loss.backward(), &net);
            let _ = keel.accumulate(&net, grads, &item.loss).unwrap();
        }
        let after = trainable(&keel.step_accumulated(0.02, net).unwrap().model);
        let moved: Vec<f32> = start.iter().zip(&after).map(|(a, b)| b - a).collect();
        let expected = norm(&moved) / norm(&start);
        let shown = last_line(&folder, "train", 1, "Update_ratio");
        assert!((shown / expected - 1.0).abs() < 1e-3, "{window} {devices}: {shown} {expected}");
        std::fs::remove_dir_all(folder).unwrap();
    }
    assert!(KeelTrainer::<Net>::new(schedule(), keel()).update_ratio_every(0).is_err());
}

/// Each group's own curve, as far as the bound allows, and nothing for the step that is skipped.
#[test]
fn rates_are_shown_for_each_group() {
    let _alone = alone();
    let folder = folder("groups");
    let falling = || Cosine::new(4.0, 0.0, 50).unwrap();
    let groups = GroupScheduler::new(Constant::new(2.0).unwrap())
        .with_group(ParamGroup::from_predicate("last"), falling())
        .with_group(ParamGroup::from_predicate("norm"), Constant::new(1e-3).unwrap());
    let trainer = KeelTrainer::new(groups, keel());
    let (result, _, reports) = trained_model(trainer, training(&folder, &[5], 1), fresh(DROPOUT));
    assert!(result.interrupted.is_none(), "{:?}", result.interrupted);
    let applied: Vec<&Report> = reports.iter().filter(|report| report.is_applied()).collect();
    assert_eq!((reports.len(), applied.len()), (BATCHES, BATCHES - 1));
    assert!(applied.iter().any(|report| report.share < 0.5), "the bound does nothing");

    let shown = |metric: &str, expected: &dyn Fn(&Report) -> f64| {
        let all = logged(&folder, "train", 1, metric);
        // A skipped step repeats the number before it.
        let of_applied: Vec<f64> = reports
            .iter()
            .zip(&all)
            .filter_map(|(report, shown)| report.is_applied().then_some(*shown))
            .collect();
        assert_eq!(of_applied.len(), applied.len(), "{metric}");
        for (report, shown) in applied.iter().zip(of_applied) {
            let expected = expected(report);
            let error = (shown - expected).abs();
            assert!(error <= 1e-4 * expected.abs() + 1e-7, "{metric}: {shown} for {expected}");
        }
        let mean =
            applied.iter().map(|report| expected(report)).sum::<f64>() / applied.len() as f64;
        assert!((all.last().unwrap() / mean - 1.0).abs() < 1e-3, "{metric}: {all:?}, {mean}");
    };
    shown("Effective_learning_rate", &|report| report.rate());
    shown("Effective_learning_rate_of_group_1", &|report| {
        falling().at(report.reading.update) * report.share
    });
    shown("Effective_learning_rate_of_group_2", &|report| 1e-3 * report.share);
    shown("Share_of_the_requested_rate", &|report| report.share);
    std::fs::remove_dir_all(folder).unwrap();
}
