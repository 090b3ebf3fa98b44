//! A learner for each rank, in threads: what takes the place of Burn's distributed training where there is no CUDA.

use std::thread;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::train::SupervisedTraining;
use evenkeel::Verdict;
use evenkeel::ranks::{Ranks, Threads, replica};
use evenkeel::train::KeelTrainer;

use crate::common::*;
use crate::digits::{Batches, Net};
use crate::quiet::Quiet;

/// The running statistics of a batch norm are each rank's own.
fn parameters(net: &Net) -> Vec<u32> {
    struct Bits(Vec<u32>);
    impl ModuleVisitor for Bits {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                self.0.extend(param.base().into_data().iter::<f32>().map(f32::to_bits));
            }
        }
    }
    let mut bits = Bits(Vec::new());
    net.visit(&mut bits);
    bits.0
}

#[test]
fn learners_in_threads_are_ranks_of_one_run() {
    let _alone = alone();
    let start = fresh(0.0);
    let learner = |ranks: Threads, net: Net| {
        let (rank, half) = (ranks.rank(), BATCH * BATCHES / 2);
        let folder = folder(&format!("rank-{rank}"));
        let mine = loader(&[2, 9], Batches).slice(rank * half, (rank + 1) * half);
        let training =
            SupervisedTraining::new(&folder, mine.to_device(&device()), loader(&[], Batches))
                .renderer(Box::new(Quiet))
                .with_application_logger(None)
                .num_epochs(2);
        // Both halves have a broken batch, the third and the fourth of an epoch.
        let keel = keel().ranks(ranks).skips_at_most(3);
        let trainer = KeelTrainer::new(schedule(), keel);
        let (result, trainer, reports) = trained_model(trainer, training, net);
        std::fs::remove_dir_all(folder).unwrap();
        assert!(result.interrupted.is_none(), "{:?}", result.interrupted);
        (parameters(&result.model.into_inner().train()), trainer.updates(), reports)
    };
    let ranks: Vec<_> = Threads::of(2).unwrap();
    let ends: Vec<_> = thread::scope(|scope| {
        let start = |ranks| {
            let (learner, net) = (&learner, replica(&start));
            scope.spawn(move || learner(ranks, net))
        };
        let running: Vec<_> = ranks.into_iter().map(start).collect();
        running.into_iter().map(|rank| rank.join().unwrap()).collect()
    });
    let [(a, updates, reports), (b, _, others)] = ends.as_slice() else { panic!("two ranks") };
    assert!(a == b);
    same(reports, others);
    assert_eq!((*updates, reports.len()), (8, 12));
    let said: Vec<_> = reports
        .iter()
        .filter(|r| r.verdict == Verdict::Skip)
        .filter_map(|r| r.by.as_deref())
        .collect();
    assert_eq!(said, ["non-finite loss, on rank 0", "non-finite loss, on rank 1"].repeat(2));
}
