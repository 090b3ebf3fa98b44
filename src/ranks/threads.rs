//! Ranks as threads of one process.
//!
//! Invariant: a round is either complete for all ranks, or broken for all of them permanently. Which of the two is
//! decided once, under the lock.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burn::tensor::Tensor;

use super::{RankError, Ranks};
use crate::Error;
use crate::error::check::Param;

/// One of several ranks in threads of one process. Each thread has its own, and gives up its place by dropping it.
///
/// Tensors are added in rank order, on the device of each rank, so all ranks get the same sum.
///
/// ```
/// use evenkeel::ranks::{Ranks, Threads};
///
/// let start = |mut ranks: Threads| {
///     std::thread::spawn(move || {
///         let mine = vec![ranks.rank() as f64];
///         ranks.gather(mine)
///     })
/// };
/// let running: Vec<_> = Threads::of(2)?.into_iter().map(start).collect();
/// for rank in running {
///     assert_eq!(rank.join().unwrap(), Ok(vec![vec![0.0], vec![1.0]]));
/// }
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Cost
/// Each rank adds up the tensors of all ranks. Each operation takes two hand-overs between threads.
pub struct Threads {
    rank: usize,
    patience: Duration,
    table: Arc<Table>,
}

/// How long to wait for a rank by default.
const PATIENCE: Duration = Duration::from_secs(60);

struct Table {
    round: Mutex<Round>,
    over: Condvar,
}

/// The state of the current round.
struct Round {
    number: u64,
    given: Vec<Option<Gift>>,
    /// What all ranks gave in the last complete round.
    last: Arc<[Gift]>,
    broken: Option<RankError>,
}

#[derive(Clone)]
enum Gift {
    Numbers(Vec<f64>),
    Tensor(Box<Tensor<1>>),
}

impl Gift {
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Numbers(_), Self::Numbers(_)) => true,
            (Self::Tensor(a), Self::Tensor(b)) => a.dims() == b.dims(),
            _ => false,
        }
    }
}

impl Threads {
    /// Creates `count` ranks, in order. Each waits a minute for the others.
    ///
    /// # Errors
    /// If `count` is 0.
    pub fn of(count: usize) -> Result<Vec<Self>, Error> {
        let count = Param("Threads", "count").must(count > 0, "at least 1", count)?;
        let given = vec![None; count];
        let round = Round { number: 0, given, last: Arc::new([]), broken: None };
        let table = Arc::new(Table { round: Mutex::new(round), over: Condvar::new() });
        let rank = |rank| Self { rank, patience: PATIENCE, table: table.clone() };
        Ok((0..count).map(rank).collect())
    }

    /// Sets the longest time to wait for the others. It should be longer than any of them may need for a batch.
    ///
    /// # Errors
    /// If it is zero.
    pub fn patience(mut self, at_most: Duration) -> Result<Self, Error> {
        if at_most.is_zero() {
            return Err(Error::parameter("Threads", "patience", "above 0", "0"));
        }
        self.patience = at_most;
        Ok(self)
    }

    fn exchange(&mut self, gift: Gift) -> Result<Arc<[Gift]>, RankError> {
        let mut round = self.table.lock();
        if let Some(why) = &round.broken {
            return Err(why.clone());
        }
        let number = round.number;
        round.given[self.rank] = Some(gift);
        if round.given.iter().all(Option::is_some) {
            let all: Arc<[Gift]> = round.given.iter_mut().filter_map(Option::take).collect();
            self.table.over.notify_all();
            if let Some(rank) = all.iter().position(|gift| !gift.is_like(&all[0])) {
                return Err(round.broken.insert(RankError::OutOfStep { rank }).clone());
            }
            (round.last, round.number) = (all, number + 1);
            return Ok(round.last.clone());
        }
        let waits = |round: &mut Round| round.number == number && round.broken.is_none();
        let (mut round, _) = self
            .table
            .over
            .wait_timeout_while(round, self.patience, waits)
            .unwrap_or_else(PoisonError::into_inner);
        if round.number != number {
            // The next round cannot have ended without this rank, so `last` is the round that this rank took part in.
            return Ok(round.last.clone());
        }
        let rank = round.given.iter().position(Option::is_none).unwrap_or_default();
        let late = RankError::Late { rank, limit: self.patience };
        let why = round.broken.get_or_insert(late).clone();
        self.table.over.notify_all();
        Err(why)
    }
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A rank never leaves in the middle of a round: it is missing in the current one.
impl Drop for Threads {
    fn drop(&mut self) {
        let mut round = self.table.lock();
        round.broken.get_or_insert(RankError::Left { rank: self.rank });
        self.table.over.notify_all();
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Threads");
        shown.field("rank", &self.rank).field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Ranks for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.table.lock().given.len()
    }

    fn gather(&mut self, mine: Vec<f64>) -> Result<Vec<Vec<f64>>, RankError> {
        let all = self.exchange(Gift::Numbers(mine))?;
        let numbers = |gift: &Gift| match gift {
            Gift::Numbers(numbers) => Some(numbers.clone()),
            Gift::Tensor(_) => None,
        };
        Ok(all.iter().filter_map(numbers).collect())
    }

    fn sum(&mut self, mine: Tensor<1>) -> Result<Tensor<1>, RankError> {
        let device = mine.device();
        let all = self.exchange(Gift::Tensor(Box::new(mine)))?;
        let tensors = all.iter().filter_map(|gift| match gift {
            Gift::Numbers(_) => None,
            Gift::Tensor(tensor) => Some((**tensor).clone().to_device(&device)),
        });
        // All tensors are there, or the round would not be complete.
        tensors.reduce(|sum, tensor| sum + tensor).ok_or(RankError::OutOfStep { rank: self.rank })
    }
}
