//! The record of a whole run in bounded memory.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::Entry;
use super::names::Names;
use super::thin::{Numbered, Thinned};
use crate::error::check::Param;
use crate::{Error, Verdict};

/// The record of a run in bounded memory: recent steps in full, earlier ones thinned, extremes and incidents
/// kept.
///
/// With a `capacity` of `n` entries:
///
/// - `n/4` hold the latest steps, whatever their verdict;
/// - up to `n/4` hold earlier steps that were not applied. When there are more, one of the least severe is
///   dropped, where they are closest together;
/// - up to `n/2` represent the earlier steps that were applied. These are divided into stretches of equal length,
///   which doubles when there are too many. Of each stretch, the steps with the lowest and the highest `loss` and
///   `grad_norm` are kept, and the first of the steps with the most numbers, so that samples taken only now and
///   then are not lost. The first step of the run is always kept.
///
/// The extremes of loss and norm over the whole run are therefore among the entries however long the run is, and
/// a spike is visible in a plot of them. Counts are over all steps.
///
/// ```
/// use evenkeel::record::{Entry, History};
///
/// # fn main() -> Result<(), evenkeel::Error> {
/// let mut history = History::new(1000)?;
/// for k in 0..100_000 {
///     let loss = if k == 31_415 { 9.0 } else { 1.0 / (1.0 + k as f64) };
///     history.push(&Entry::new(k, k).value("loss", loss));
/// }
/// assert_eq!(history.steps(), 100_000);
/// assert!(history.len() <= 1000);
/// assert!(history.series("loss").contains(&(31_415, 9.0)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct History {
    capacity: usize,
    /// The number of steps pushed.
    steps: u64,
    counts: [u64; 4],
    clipped: u64,
    latest: VecDeque<Numbered>,
    earlier: Thinned,
    /// Name lists of recent entries, to be shared.
    shapes: VecDeque<Arc<Names>>,
}

/// The number of name lists remembered. Steps that are sampled or not, and clipped or not, make four.
const SHAPES: usize = 16;

impl History {
    /// Creates an empty history that holds up to this many entries.
    ///
    /// # Errors
    /// If `capacity` is below 32.
    pub fn new(capacity: usize) -> Result<Self, Error> {
        Param("History", "capacity").at_least(32, capacity as u64)?;
        Ok(Self::holding(capacity))
    }

    fn holding(capacity: usize) -> Self {
        Self {
            capacity,
            steps: 0,
            counts: [0; 4],
            clipped: 0,
            latest: VecDeque::new(),
            earlier: Thinned::new(capacity / 2, capacity / 4),
            shapes: VecDeque::new(),
        }
    }

    /// Adds a step, which must come after all earlier ones.
    pub fn push(&mut self, entry: &Entry) {
        let entry = self.shared(entry.clone());
        self.counts[entry.verdict as usize] += 1;
        let applied = entry.verdict == Verdict::Apply;
        self.clipped += u64::from(applied && entry.get("factor").is_some_and(|f| f < 1.0));
        self.latest.push_back(Numbered { number: self.steps, entry });
        self.steps += 1;
        if self.latest.len() > self.capacity / 4
            && let Some(oldest) = self.latest.pop_front()
        {
            self.earlier.push(oldest);
        }
    }

    /// Iterates over all kept entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        let mut earlier: Vec<&Numbered> = self.earlier.iter().collect();
        earlier.sort_unstable_by_key(|one| one.number);
        earlier.into_iter().chain(&self.latest).map(|one| &one.entry)
    }

    /// Iterates over the kept entries of steps that were not applied, in order.
    pub fn incidents(&self) -> impl Iterator<Item = &Entry> {
        self.entries().filter(|entry| entry.verdict != Verdict::Apply)
    }

    /// Iterates over the names of all numbers in the kept entries, in order of first appearance.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (mut lists, mut names, mut found) = (HashSet::new(), HashSet::new(), Vec::new());
        for entry in self.entries() {
            if lists.insert(Arc::as_ptr(entry.names())) {
                found.extend(entry.names().iter().filter(|name| names.insert(*name)));
            }
        }
        found.into_iter()
    }

    /// Returns the attempt and the value of every kept entry that has a number of this name, in order.
    #[must_use]
    pub fn series(&self, name: &str) -> Vec<(u64, f64)> {
        self.entries().filter_map(|entry| Some((entry.attempt, entry.get(name)?))).collect()
    }

    /// Returns how many of all pushed steps had this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> u64 {
        self.counts[verdict as usize]
    }

    /// Returns how many of all pushed steps were applied with a `factor` below 1.
    #[must_use]
    pub fn clipped(&self) -> u64 {
        self.clipped
    }

    /// Returns the number of steps pushed.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the number of kept entries, at most the capacity.
    #[must_use]
    pub fn len(&self) -> usize {
        self.latest.len() + self.earlier.len()
    }

    /// Returns whether no step has been pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps == 0
    }

    /// Returns the same entry, sharing its list of names with earlier ones.
    fn shared(&mut self, entry: Entry) -> Entry {
        if let Some(known) = self.shapes.iter().find(|known| is_same(known, entry.names())) {
            let known = known.clone();
            return entry.sharing(known);
        }
        if self.shapes.len() == SHAPES {
            self.shapes.pop_front();
        }
        self.shapes.push_back(entry.names().clone());
        entry
    }
}

fn is_same(one: &Arc<Names>, other: &Arc<Names>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

impl Default for History {
    /// Creates an empty history that holds up to 4000 entries.
    fn default() -> Self {
        Self::holding(4000)
    }
}
