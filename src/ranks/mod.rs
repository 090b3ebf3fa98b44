//! Data-parallel training: several ranks of one run, each with a replica of the model, see different batches and take
//! the same steps.
//!
//! With [`Builder::ranks`](crate::Builder::ranks), a keel averages the gradients over all ranks before it judges them.
//! All ranks judge by the same numbers, so all reach the same verdict. The training loop doesn't change, and runs once
//! per rank:
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
//! - The update is along `Σ wᵢ·gᵢ / Σ wᵢ` over the ranks, and its loss is the same mean. Because it is a mean and not a
//!   sum, rates and bounds of norms mean the same as on one device. The weights are those of
//!   [`accumulate_weighted`](crate::Keel::accumulate_weighted), and 1 in a plain [`step`](crate::Keel::step).
//! - A rank that has run out of batches calls [`step_accumulated`](crate::Keel::step_accumulated) with nothing
//!   accumulated. Its weight is 0, and it makes the same update as the others.
//! - A fault on one rank is a fault on all. The report says on which ranks it was seen, with their tensors as culprits.
//!   With [`accumulate`](crate::Keel::accumulate), a bad batch is dropped only by its own rank, and the others make
//!   their update without it.
//! - Parameters, optimizers, averages, snapshots, guards and clips are the same on all ranks, bit for bit. Running
//!   statistics, such as those of a BatchNorm, are separate on each rank.
//! - Threads need [replicas](replica), which share nothing that is written to. Clones do share such state.
//! - The first step compares the norms of the parameters: replicas that started out differently halt. So do ranks that
//!   ask for different rates, and ranks that have diverged.
//!
//! # When a rank leaves
//! No rank waits for one that has left, or for longer than its limit. If a rank is missing, all remaining ranks halt in
//! the same step, and [`Halted::rank_error`](crate::Halted::rank_error) says which one is missing. A rank that halts on
//! its own, for example because its device failed, notifies the others.
//!
//! # On GPUs
//! [`Threads`] adds tensors up on each rank's own device, and copies them there the way Burn does. Burn's collective
//! operation, which exists only on CUDA, is faster, but has no limit on waiting; so let the ranks meet first:
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

/// Returns a copy of `model` for another thread: the same weights, and nothing that both write to.
///
/// Clones share more than that. Running statistics, such as those of a BatchNorm, are one buffer for all clones. The
/// parameters are the same leaves of Burn's graph, where backward passes in several threads interfere with each other:
/// at times they panic, or wait for each other forever.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use evenkeel::ranks::replica;
///
/// let model = LinearConfig::new(4, 1).init(&Device::default().autodiff()).materialize();
/// let other = replica(&model);
/// let thread = std::thread::spawn(move || other.weight.val().into_data());
/// assert_eq!(thread.join().unwrap(), model.weight.val().into_data());
/// ```
///
/// # Cost
/// Copies handles.
pub fn replica<M: Module>(model: &M) -> M {
    apart(model)
}

/// A rank's connection to the others: two operations that all ranks call in the same order.
///
/// Each call ends in the same way on all remaining ranks: with the same result, bit for bit, or with an error on all of
/// them. A call never waits forever.
///
/// ```
/// use evenkeel::ranks::{RankError, Ranks, Threads};
///
/// /// The mean of a number over all ranks.
/// fn mean(ranks: &mut impl Ranks, mine: f64) -> Result<f64, RankError> {
///     let all = ranks.gather(vec![mine])?;
///     Ok(all.iter().flatten().sum::<f64>() / ranks.count() as f64)
/// }
///
/// let mut alone = Threads::of(1)?.remove(0);
/// assert_eq!(mean(&mut alone, 0.5), Ok(0.5));
/// # Ok::<(), evenkeel::Error>(())
/// ```
pub trait Ranks: Send {
    /// Returns the number of this rank, counted from 0.
    fn rank(&self) -> usize;

    /// Returns the number of ranks.
    fn count(&self) -> usize;

    /// Shows these numbers to all ranks, and returns what all ranks have shown, in rank order. The numbers may be NaN,
    /// and are passed on bit by bit.
    ///
    /// # Errors
    /// If a rank is missing, or calls a different operation.
    fn gather(&mut self, mine: Vec<f64>) -> Result<Vec<Vec<f64>>, RankError>;

    /// Returns the sum over all ranks of tensors of the same length, on the device of this rank's tensor.
    ///
    /// # Errors
    /// If a rank is missing, or calls a different operation.
    fn sum(&mut self, mine: Tensor<1>) -> Result<Tensor<1>, RankError>;
}

/// Why the ranks cannot continue together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RankError {
    /// A rank has ended, or given up its place.
    #[error("rank {rank} has left")]
    Left {
        /// The first rank that left.
        rank: usize,
    },
    /// A rank did not arrive in time.
    #[error("rank {rank} has not come within {limit:?}")]
    Late {
        /// The first rank that is missing.
        rank: usize,
        /// How long the others waited for it.
        limit: Duration,
    },
    /// Ranks call different operations, or pass tensors of different sizes.
    #[error("rank {rank} does something else than the ranks before it")]
    OutOfStep {
        /// The first rank that differs.
        rank: usize,
    },
}
