//! Several ranks of one run: replicas of a model that see different batches and take the same steps.
//!
//! With [`Builder::ranks`](crate::Builder::ranks) a keel averages the gradients over all ranks before it judges them,
//! and what it judges by is the same on all: so is the verdict. A loop stays as it is, and runs once for each rank:
//!
//! ```
//! use burn::module::Module;
//! use burn::nn::{Linear, LinearConfig};
//! use burn::optim::{AdamWConfig, GradientsParams};
//! use burn::tensor::{Device, Distribution, Tensor};
//! use evenkeel::Keel;
//! use evenkeel::ranks::{Ranks, Threads, replica};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::default().autodiff();
//! let model = LinearConfig::new(4, 1).init(&device).materialize();
//! let run = |ranks: Threads, mut model: Linear| {
//!     let rank = ranks.rank();
//!     let mut keel = Keel::wrap(AdamWConfig::new().init()).ranks(ranks).build(&model).unwrap();
//!     for batch in 0..5 {
//!         let x = Tensor::<2>::random([8, 4], Distribution::Default, &device);
//!         // One rank has a broken batch: all skip it.
//!         let x = if (rank, batch) == (1, 3) { x / 0.0 } else { x };
//!         let loss = model.forward(x.clone()).sub(x.sum_dim(1)).powi_scalar(2).mean();
//!         let grads = GradientsParams::from_grads(loss.backward(), &model);
//!         let stepped = keel.step(0.1, model, grads, &loss).unwrap();
//!         model = stepped.model;
//!     }
//!     assert_eq!(keel.updates(), 4);
//!     assert!(keel.incidents().to_string().contains("on rank 1"));
//!     model.weight.val().into_data()
//! };
//! let weights: Vec<_> = std::thread::scope(|scope| {
//!     let start = |ranks| {
//!         let (run, model) = (&run, replica(&model));
//!         scope.spawn(move || run(ranks, model))
//!     };
//!     let running: Vec<_> = Threads::of(2).unwrap().into_iter().map(start).collect();
//!     running.into_iter().map(|rank| rank.join().unwrap()).collect()
//! });
//! assert_eq!(weights[0], weights[1]);
//! # Ok(())
//! # }
//! ```
//!
//! # What is the same, and what is not
//! - The update is along `Σ wᵢ·gᵢ / Σ wᵢ` over the ranks, and its loss is the same mean: a mean and not a sum, so
//!   rates and bounds of norms mean what they mean on one device. The weights are those of
//!   [`accumulate_weighted`](crate::Keel::accumulate_weighted), and 1 in a plain [`step`](crate::Keel::step).
//! - A rank that has run out of batches calls [`step_accumulated`](crate::Keel::step_accumulated) with nothing
//!   accumulated: it weighs nothing, and makes the update of the others.
//! - A fault is everyone's, and the report says on which ranks it was seen, with their tensors as culprits. With
//!   [`accumulate`](crate::Keel::accumulate) a bad batch is dropped by its own rank alone, and the others make their
//!   update without it.
//! - Parameters, optimizers, averages, snapshots, guards and clips are the same on all ranks, bit for bit.
//!   Running statistics, as those of a BatchNorm, are each rank's own.
//! - Threads need [replicas](replica) that share nothing; clones do.
//! - In the first step the norms of the parameters are compared: replicas that began differently halt. So do ranks
//!   that ask for different rates, and that have come apart.
//!
//! # Who has left
//! No rank waits for one that is gone, or for longer than it was told to. If one is missing, all that are left halt in
//! the same step, and [`Halted::rank_error`](crate::Halted::rank_error) says who it was. A rank that halts by itself,
//! because its device has failed, say, tells the others.
//!
//! # On GPUs
//! [`Threads`] adds tensors up on each rank's own device, and takes them there as Burn does. Where Burn has a
//! collective operation, which is on CUDA alone, that is faster, and knows no bound on waiting; so let the ranks meet
//! first:
//!
//! ```no_run
//! use burn::tensor::distributed::{ReduceOperation, all_reduce};
//! use burn::tensor::{Device, Tensor};
//! use evenkeel::ranks::{RankError, Ranks, Threads};
//!
//! struct Collective {
//!     meeting: Threads,
//!     devices: Vec<Device>,
//! }
//!
//! impl Ranks for Collective {
//!     fn rank(&self) -> usize {
//!         self.meeting.rank()
//!     }
//!     fn count(&self) -> usize {
//!         self.meeting.count()
//!     }
//!     fn gather(&mut self, mine: Vec<f64>) -> Result<Vec<Vec<f64>>, RankError> {
//!         self.meeting.gather(mine)
//!     }
//!     fn sum(&mut self, mine: Tensor<1>) -> Result<Tensor<1>, RankError> {
//!         self.meeting.gather(Vec::new())?;
//!         Ok(all_reduce(mine, ReduceOperation::Sum, self.devices.clone()).resolve())
//!     }
//! }
//! ```

mod threads;

pub use threads::Threads;

use std::time::Duration;

use burn::module::Module;
use burn::tensor::Tensor;

use crate::tied::apart;

/// A copy of `model` for another thread: the same weights, and nothing that both write to.
///
/// Clones share more than that. Running statistics, as those of a BatchNorm, are one buffer for all of them; and the
/// parameters are the same leaves of Burn's graph, where backward passes in several threads get in each other's way: at
/// times they panic, or wait for each other without end.
///
/// # Cost
/// Copies handles.
pub fn replica<M: Module>(model: &M) -> M {
    apart(model)
}

/// What a rank of a run is to the others: two operations that all ranks call in the same order.
///
/// Each call ends in the same way on all ranks that are still there: with the same result bit for bit, or with an
/// error on all. A call never waits without end.
pub trait Ranks: Send {
    /// Which rank this is, from 0.
    fn rank(&self) -> usize;

    /// How many ranks there are.
    fn count(&self) -> usize;

    /// Shows these numbers to all ranks: what all have shown, in the order of ranks. They may be NaN, and arrive bit
    /// by bit.
    ///
    /// # Errors
    /// If a rank is missing, or does something else.
    fn gather(&mut self, mine: Vec<f64>) -> Result<Vec<Vec<f64>>, RankError>;

    /// The sum over all ranks of tensors of one length, on the device of this rank's.
    ///
    /// # Errors
    /// If a rank is missing, or does something else.
    fn sum(&mut self, mine: Tensor<1>) -> Result<Tensor<1>, RankError>;
}

/// Why ranks cannot go on together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RankError {
    /// A rank has ended, or given up its place.
    #[error("rank {rank} has left")]
    Left {
        /// The first of them.
        rank: usize,
    },
    /// A rank did not come in time.
    #[error("rank {rank} has not come within {limit:?}")]
    Late {
        /// The first of them.
        rank: usize,
        /// How long it was waited for.
        limit: Duration,
    },
    /// Ranks do different things, or with tensors of different sizes.
    #[error("rank {rank} does something else than the ranks before it")]
    OutOfStep {
        /// The first that differs.
        rank: usize,
    },
}
