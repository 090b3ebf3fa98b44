//! A keel in Burn's real trainer, against a loop of our own over the same batches: bit by bit, with the statistics of
//! a batch norm and the masks of a dropout.

use std::path::Path;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::train::{ExecutionStrategy, MultiDeviceOptim, TrainingStrategy};
use evenkeel::average::Ema;
use evenkeel::checkpoint::Checkpoint;
use evenkeel::optim::AdamW;
use evenkeel::precision::LossScale;
use evenkeel::train::KeelTrainer;
use evenkeel::{Decide, Keel, Rewind, Verdict};

use crate::common::*;
use crate::digits::{Batch, Batches};

#[test]
fn a_poisoned_batch_is_skipped_as_in_a_loop_of_our_own() {
    let _alone = alone();
    let folder = folder("skip");
    let trainer = KeelTrainer::new(schedule(), keel());
    let (result, trainer, reports) = trained(trainer, training(&folder, &[5], 2));
    let End { keel: own, net, reports: expected, position } = Own::new(&[5], 2).run(keel());
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
    let _alone = alone();
    let folder = folder("rewind");
    let builder = || {
        Keel::wrap(AdamW::new())
            .skips_at_most(1)
            .rewind(Rewind::every(4).unwrap().at_most(9).unwrap())
    };
    let poisoned = [6, 7, 8];
    let trainer = KeelTrainer::new(schedule(), builder());
    let (result, trainer, reports) = trained(trainer, training(&folder, &poisoned, 2));
    let End { net, reports: expected, position, .. } = Own::new(&poisoned, 2).run(builder());
    assert!(reports.iter().any(|report| report.verdict == Verdict::Rewind));
    same(&reports, &expected);
    assert_eq!(trainer.position(), position);
    assert!(bits(result.model.inner()) == bits(&net));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_halt_ends_the_training_with_its_reason_and_a_checkpoint() {
    let _alone = alone();
    let folder = folder("halt");
    let builder = || Keel::wrap(AdamW::new()).skips_at_most(2);
    let poisoned: Vec<usize> = (5..BATCHES).collect();
    let trainer = KeelTrainer::new(schedule(), builder()).checkpoints(&folder);
    let (result, trainer, reports) = trained(trainer, training(&folder, &poisoned, 3));
    let End { net, reports: expected, .. } = Own::new(&poisoned, 3).run(builder());
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
    let _alone = alone();
    let builder = || keel().average(Ema::new(0.9).unwrap());
    let (whole, parts) = (folder("whole"), folder("parts"));
    let trainer = |folder: &Path| KeelTrainer::new(schedule(), builder()).checkpoints(folder);
    let (whole_result, ..) = trained(trainer(&whole), seeded(&whole, &[5], 4));
    let _ = trained(trainer(&parts), seeded(&parts, &[5], 2));
    let resumed = seeded(&parts, &[5], 4).checkpoint(2);
    let (result, resumed, reports) = trained(trainer(&parts), resumed);
    assert_eq!(resumed.stopped(), None);
    assert_eq!(reports.len(), 2 * BATCHES);
    assert!(bits(result.model.inner()) == bits(whole_result.model.inner()));

    // The plain model takes Burn's file of it.
    let plain = fresh(DROPOUT).load_file(parts.join("checkpoint/model-2.bpk"));
    let half = Own { seeded: true, ..Own::new(&[5], 2) }.run(builder()).net;
    assert!(bits(&plain) == bits(&half));

    // A keel that was put together in another way says so, and trains nothing.
    let other = Keel::wrap(AdamW::new());
    let trainer = KeelTrainer::new(schedule(), other).checkpoints(&parts);
    let (result, ..) = trained(trainer, seeded(&parts, &[5], 4).checkpoint(2));
    let why = result.interrupted.unwrap().reason.unwrap();
    assert!(why.contains("it was saved with"), "{why}");
    std::fs::remove_dir_all(whole).unwrap();
    std::fs::remove_dir_all(parts).unwrap();
}

#[test]
fn what_is_evaluated_is_the_average() {
    let _alone = alone();
    let folder = folder("average");
    let builder = || keel().average(Ema::new(0.8).unwrap());
    let (result, ..) = trained(KeelTrainer::new(schedule(), builder()), training(&folder, &[], 2));
    let End { keel: own, net, .. } = Own::new(&[], 2).run(builder());
    let averaged = own.averaged(&net).unwrap();
    assert!(bits(&averaged) != bits(&net));
    assert!(bits(result.model.inner()) == bits(&averaged));
    // Burn's validation of the last epoch is one of the average too.
    let batches = loader(&[], Batches);
    let loss = |batch: Batch| averaged.classify(batch).loss.into_scalar::<f32>();
    let losses: Vec<f32> = batches.iter().map(|batch| loss(batch.unwrap())).collect();
    let mean = f64::from(losses.iter().sum::<f32>()) / losses.len() as f64;
    let logged = last_line(&folder, "valid", 2, "Loss");
    assert!((logged - mean).abs() < 1e-4, "{logged} {mean}");
    std::fs::remove_dir_all(folder).unwrap();
}

/// Two devices see every other batch each: one verdict for both, along the mean of their gradients.
#[test]
fn two_devices_have_one_verdict_and_one_norm() {
    let _alone = alone();
    let two = vec![device(), device()];
    let mut ends = Vec::new();
    for optim in [MultiDeviceOptim::OptimMainDevice, MultiDeviceOptim::OptimSharded] {
        let folder = folder(&format!("{optim:?}"));
        let strategy = TrainingStrategy::Default(ExecutionStrategy::multi(two.clone(), optim));
        let training = training(&folder, &[5], 1).with_training_strategy(strategy);
        let (result, trainer, reports) =
            trained_model(KeelTrainer::new(schedule(), keel()), training, fresh(0.0));
        assert_eq!(reports.len(), BATCHES / 2);
        assert_eq!(reports.iter().filter(|report| report.verdict == Verdict::Skip).count(), 1);
        assert_eq!(trainer.updates(), BATCHES as u64 / 2 - 1);
        assert!(bits(result.model.inner()).iter().all(|b| f32::from_bits(*b).is_finite()));
        // The mean of the first batches of the two halves of the data.
        let net = fresh(0.0);
        let mut keel = keel().build(&net).unwrap();
        for (at, batch) in loader(&[], Batches).to_device(&device()).iter().enumerate() {
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
    let _alone = alone();
    let scaled = keel().loss_scale(LossScale::dynamic());
    let late = keel().decide(Decide::OnDevice { every: 4 });
    let folder = folder("refused");
    for (builder, why) in [
        (
            scaled,
            "`loss_scale` of KeelTrainer must be given to the model by `KeelTrainer::loss_factor`, or left out, got a \
             LossScale alone",
        ),
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
