//! An update from several batches.

use evenkeel::Report;
use evenkeel::checkpoint::Checkpoint;
use evenkeel::train::KeelTrainer;

use crate::common::*;
use crate::digits::Net;

/// A loop of our own with three batches for an update.
fn three(poisoned: &[usize], epochs: usize) -> Own {
    Own { window: 3, ..Own::new(poisoned, epochs) }
}

#[test]
fn accumulation_averages_and_drops_a_bad_batch_alone() {
    let _alone = alone();
    let folder = folder("accumulate");
    let trainer = KeelTrainer::new(schedule(), keel()).accumulate(3).unwrap();
    let (result, trainer, reports) = trained(trainer, training(&folder, &[5], 2));
    let End { keel: own, net, reports: expected, position } = three(&[5], 2).run(keel());
    same(&reports, &expected);
    assert!(reports.iter().all(Report::is_applied));
    assert_eq!((trainer.updates(), trainer.position()), (own.updates(), position));
    assert!(bits(result.model.inner()) == bits(&net));

    // Burn's own accumulation sums; an update here is along the mean.
    let trainer = KeelTrainer::new(schedule(), keel());
    let (_, _, reports) = trained(trainer, training(&folder, &[], 1).grads_accumulation(3));
    let expected = three(&[], 1).run(keel()).reports;
    assert_eq!(reports.len(), BATCHES / 3);
    let [ours, own] = [&reports[0].reading, &expected[0].reading];
    assert!((ours.grad_norm / own.grad_norm - 1.0).abs() < 1e-5);
    assert!((ours.loss / own.loss - 1.0).abs() < 1e-5);
    std::fs::remove_dir_all(folder).unwrap();
}

/// Twelve batches an epoch and five for an update: the second epoch ends after four of an update.
#[test]
fn a_training_resumes_in_the_middle_of_an_update() {
    let _alone = alone();
    let own = Own { window: 5, seeded: true, ..Own::new(&[5], 4) }.run(keel());
    let folder = folder("middle");
    let trainer = || KeelTrainer::new(schedule(), keel()).checkpoints(&folder).accumulate(5);
    let (_, _, first) = trained(trainer().unwrap(), seeded(&folder, &[5], 2));
    let resumed = seeded(&folder, &[5], 4).checkpoint(2);
    let (result, trainer, second) = trained(trainer().unwrap(), resumed);
    assert_eq!(trainer.stopped(), None);
    assert_eq!(first.len(), 2 * BATCHES / 5);
    same(&[first, second].concat(), &own.reports);
    assert!(bits(result.model.inner()) == bits(&own.net));

    // With other windows those four are the start of nothing.
    for (window, why) in [
        (3, "it was saved after 4 of the 5 batches of an update, and here an update has 3"),
        (1, "it was saved after 4 of the 5 batches of an update, and here an update has 1"),
    ] {
        let trainer = KeelTrainer::new(schedule(), keel()).checkpoints(&folder);
        let trainer = trainer.accumulate(window).unwrap();
        let resumed = seeded(&folder, &[5], 4).checkpoint(2);
        let (result, _, reports) = trained(trainer, resumed);
        let said = result.interrupted.unwrap().reason.unwrap();
        assert!(said.contains(why) && reports.is_empty(), "{said}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// A keel that was saved elsewhere may have batches that nobody has counted.
#[test]
fn batches_that_nobody_has_counted_are_refused() {
    let _alone = alone();
    let schedule = schedule();
    let half = |batches| {
        let net = fresh(DROPOUT);
        let mut keel = keel().build(&net).unwrap();
        for batch in loader(&[], crate::digits::Batches).to_device(&device()).iter().take(batches) {
            let item = net.classify(batch.unwrap());
            let grads = burn::optim::GradientsParams::from_grads(item.loss.backward(), &net);
            let _ = keel.accumulate(&net, grads, &item.loss).unwrap();
        }
        keel.checkpoint(&net).unwrap().with("schedule", &schedule).unwrap()
    };
    let go_on = |saved: Checkpoint| {
        let folder = folder("uncounted");
        let trainer = KeelTrainer::new(schedule.clone(), keel()).accumulate(3).unwrap();
        let (result, ..) = trained(trainer.go_on_from(saved), training::<Net>(&folder, &[], 1));
        std::fs::remove_dir_all(folder).unwrap();
        result.interrupted.map(|stop| stop.reason.unwrap())
    };
    assert_eq!(go_on(half(0)), None);
    assert!(go_on(half(2)).unwrap().contains("it has 2 batches of an update that was not made"));
}
