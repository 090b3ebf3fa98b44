//! Snapshots to rewind to, and the settings of a rewind.

use std::collections::VecDeque;

use crate::Error;
use crate::error::check::Param;

/// Snapshot and rewind settings: when snapshots are taken, and what [`Verdict::Rewind`](crate::Verdict::Rewind) does to
/// the rate.
///
/// A snapshot holds the model with its running statistics, the optimizer, and the position of the schedule, as they
/// were after an applied update. The first one is the initial state, so that an early rewind goes back to the initial
/// weights: by the time a loss shows an early explosion, the latest weights are seldom worth keeping.
///
/// A rewind goes to the newest snapshot and multiplies the rate by [`backoff`](Self::backoff). A second rewind before
/// another snapshot has been taken goes one snapshot further back, and lowers the rate again. The memory of guards,
/// clips and bounds goes back with the weights. The data is not rewound; training goes on with the next batch.
///
/// Going back to just before the loss spiked is often not far enough, because the cause lies some updates earlier.
/// [`age`](Self::age) asks for a snapshot of at least that age. The batches between the snapshot and the failure have
/// been used up and are not seen again; reports say how many there were. A loader that computes its batches from a
/// position should compute them from [`Keel::attempts`](crate::Keel::attempts), which never goes back.
///
/// Weights broken by an outside fault, such as a flipped bit in memory, are a different case: no rate caused it, and
/// everything before it is sound up to the last update. [`recent`](Self::recent) keeps one more snapshot for that case.
///
/// Defaults: keep 2, backoff 0.5, at most 3 attempts, any age, no new warmup, no recent snapshot.
///
/// Source: PaLM (arXiv 2204.02311, section 5.1) went back about 100 steps before each spike and skipped
/// the 200 to 500 batches around it, by hand.
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::AdamConfig;
/// # use burn::tensor::Device;
/// use evenkeel::{Keel, Rewind};
///
/// # fn main() -> Result<(), evenkeel::Error> {
/// # let model = LinearConfig::new(4, 1).init(&Device::default().autodiff());
/// // At least 200 updates back, and from there at 0.3 times the rate, reached over 50 updates.
/// let rewind = Rewind::every(100)?.keep(3)?.age(200).backoff(0.3)?.warmup(50);
/// let keel = Keel::wrap(AdamConfig::new().init()).rewind(rewind).build(&model)?;
/// # let _ = keel;
///
/// // A rewind never raises the rate.
/// assert!(rewind.backoff(2.0).unwrap_err().is_parameter());
/// # Ok(())
/// # }
/// ```
///
/// # Cost
/// Taking a snapshot copies handles, not buffers. From the next update on, each snapshot kept holds one more set of
/// parameters and optimizer state in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "rollback")]
pub struct Rewind {
    pub(crate) every: u64,
    pub(crate) keep: u64,
    pub(crate) backoff: f64,
    pub(crate) at_most: u64,
    pub(crate) age: u64,
    pub(crate) warmup: u64,
    pub(crate) recent: u64,
}

impl Rewind {
    /// Takes a snapshot after every `every` applied updates.
    ///
    /// # Errors
    /// If `every` is 0.
    pub fn every(every: u64) -> Result<Self, Error> {
        let every = Param("Rewind", "every").at_least(1, every)?;
        Ok(Self { every, keep: 2, backoff: 0.5, at_most: 3, age: 0, warmup: 0, recent: 0 })
    }

    /// Settings of [`Builder::recommended`](crate::Builder::recommended): a snapshot every 100 updates, and a recent
    /// one every 10.
    pub(crate) const fn recommended() -> Self {
        Self { every: 100, keep: 2, backoff: 0.5, at_most: 3, age: 0, warmup: 0, recent: 10 }
    }

    /// Sets how many snapshots are kept.
    ///
    /// # Errors
    /// If `snapshots` is 0.
    pub fn keep(mut self, snapshots: u64) -> Result<Self, Error> {
        self.keep = Param("Rewind", "keep").at_least(1, snapshots)?;
        Ok(self)
    }

    /// Sets the factor that a rewind multiplies the rate by; 1 leaves the rate unchanged.
    ///
    /// # Errors
    /// If `factor` is not above 0 and at most 1.
    pub fn backoff(mut self, factor: f64) -> Result<Self, Error> {
        self.backoff = Param("Rewind", "backoff").fraction(factor)?;
        Ok(self)
    }

    /// Sets the minimum number of updates that a rewind goes back. If no snapshot is that old, it goes to the oldest.
    /// Keep enough of them: at least `1 + age/every`.
    #[must_use]
    pub fn age(mut self, updates: u64) -> Self {
        self.age = updates;
        self
    }

    /// Sets over how many updates the rate rises to its lowered level after a rewind.
    #[must_use]
    pub fn warmup(mut self, over: u64) -> Self {
        self.warmup = over;
        self
    }

    /// Keeps one more snapshot, at every `updates`-th update since the last regular one, for weights that were broken
    /// from outside: a parameter is not finite, or so large that its square is not, although the steps were
    /// [bounded](crate::bound). Such a step rewinds at once, because no other batch would do better. The rewind goes to
    /// that snapshot, doesn't lower the rate, and is counted separately, up to the [same number](Self::at_most).
    /// Without a bound in the keel the rate may be the cause, and the rewind is a regular one.
    ///
    /// # Errors
    /// If `updates` is 0.
    ///
    /// # Cost
    /// One more set of parameters and optimizer state in memory. At each snapshot, one pass over the parameters to
    /// check that they are sound; the update after it writes into new memory instead of in place.
    pub fn recent(mut self, updates: u64) -> Result<Self, Error> {
        self.recent = Param("Rewind", "recent").at_least(1, updates)?;
        Ok(self)
    }

    /// Returns whether a recent snapshot falls due after update `from` and up to update `to`.
    pub(crate) fn recent_is_due(&self, from: u64, to: u64) -> bool {
        let of = |update: u64| (update % self.every).checked_div(self.recent).unwrap_or(0);
        of(to) > of(from)
    }

    /// Returns whether the weights before update `update` have to be checked, because a recent snapshot, or with recent
    /// snapshots enabled a regular one, will be taken after it: a snapshot of broken weights is useless.
    pub(crate) fn looks_before(&self, update: u64) -> bool {
        let next = update.saturating_add(1);
        self.recent > 0 && (next.is_multiple_of(self.every) || self.recent_is_due(update, next))
    }

    /// Sets how many rewinds may follow one another before training halts. The count starts again when a snapshot is
    /// taken beyond the update that last failed.
    ///
    /// # Errors
    /// If `attempts` is 0: leave the rewind out instead.
    pub fn at_most(mut self, attempts: u64) -> Result<Self, Error> {
        self.at_most = Param("Rewind", "at_most").at_least(1, attempts)?;
        Ok(self)
    }
}

/// The last few states, each with the index of the update that follows it, oldest first, and possibly one recent state
/// newer than all of them.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    keep: usize,
    states: VecDeque<(u64, T)>,
    recent: Option<(u64, T)>,
    /// Whether the newest of the states has already been rewound to.
    tried: bool,
}

impl<T> Ring<T> {
    pub(crate) fn new(keep: u64) -> Self {
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        Self { keep, states: VecDeque::new(), recent: None, tried: false }
    }

    pub(crate) fn push(&mut self, update: u64, state: T) {
        self.states.push_back((update, state));
        let over = self.states.len().saturating_sub(self.keep);
        self.states.drain(..over);
        self.recent = None;
        self.tried = false;
    }

    pub(crate) fn push_recent(&mut self, update: u64, state: T) {
        self.recent = Some((update, state));
    }

    /// Returns the state to go back to from update `now`: the newest that is at least `age` updates old, and at least
    /// one; or the one before it, if the newest has been tried already. The oldest is never dropped. States newer than
    /// the returned one belong to an abandoned future, and are dropped.
    pub(crate) fn back(&mut self, now: u64, age: u64) -> Option<(u64, &mut T)> {
        self.recent = None;
        let to = self.choice(now, age)?;
        self.states.truncate(to + 1);
        self.tried = true;
        self.states.back_mut().map(|(update, state)| (*update, state))
    }

    /// Returns the recent state, which becomes the newest of the regular ones. If there is none, returns the state that
    /// [`back`](Self::back) gives.
    pub(crate) fn back_to_recent(&mut self, now: u64, age: u64) -> Option<(u64, &mut T)> {
        let Some((update, state)) = self.recent.take() else { return self.back(now, age) };
        self.push(update, state);
        self.tried = true;
        self.states.back_mut().map(|(update, state)| (*update, state))
    }

    /// Returns the state that [`back`](Self::back) would give.
    pub(crate) fn peek(&self, now: u64, age: u64) -> Option<(u64, &T)> {
        let (update, state) = self.states.get(self.choice(now, age)?)?;
        Some((*update, state))
    }

    /// Returns the index of that state.
    fn choice(&self, now: u64, age: u64) -> Option<usize> {
        let mut to = self.states.len().checked_sub(1)?;
        if self.tried {
            to = to.saturating_sub(1);
        }
        let young = |at: usize| now.saturating_sub(self.states[at].0) < age.max(1);
        while to > 0 && young(to) {
            to -= 1;
        }
        Some(to)
    }

    pub(crate) fn oldest_mut(&mut self) -> Option<&mut T> {
        self.states.front_mut().map(|(_, state)| state)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (u64, &T)> {
        self.states.iter().map(|(update, state)| (*update, state))
    }

    /// Iterates over all states, including the recent one.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.states.iter_mut().chain(self.recent.as_mut()).map(|(_, state)| state)
    }

    pub(crate) fn recent(&self) -> Option<(u64, &T)> {
        self.recent.as_ref().map(|(update, state)| (*update, state))
    }

    pub(crate) fn is_tried(&self) -> bool {
        self.tried
    }

    /// Returns a ring of the same size with these states; if there are too many, the newest.
    pub(crate) fn refilled(
        &self,
        mut states: Vec<(u64, T)>,
        recent: Option<(u64, T)>,
        tried: bool,
    ) -> Self {
        states.drain(..states.len().saturating_sub(self.keep));
        Self { keep: self.keep, states: states.into(), recent, tried }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_back_further_when_the_newest_did_not_help() {
        let mut ring = Ring::new(3);
        for update in [0, 10, 20, 30] {
            ring.push(update, update * 2);
        }
        let back = |ring: &mut Ring<u64>| ring.back(35, 0).map(|(update, state)| (update, *state));
        assert_eq!(back(&mut ring), Some((30, 60)));
        assert_eq!(back(&mut ring), Some((20, 40)));
        assert_eq!(back(&mut ring), Some((10, 20)));
        assert_eq!(back(&mut ring), Some((10, 20)));
        ring.push(15, 1);
        assert_eq!(back(&mut ring), Some((15, 1)));
    }

    #[test]
    fn it_goes_back_as_far_as_asked_or_to_the_oldest() {
        let ring = || {
            let mut ring = Ring::new(4);
            [0, 10, 20, 30].into_iter().for_each(|update| ring.push(update, ()));
            ring
        };
        let back = |age| ring().back(35, age).map(|(update, ())| update);
        let ages = [(0, 30), (5, 30), (6, 20), (15, 20), (16, 10), (35, 0), (99, 0)];
        for (age, update) in ages {
            assert_eq!(back(age), Some(update), "age {age}");
            assert_eq!(ring().peek(35, age), Some((update, &())), "age {age}");
        }
        // A state with the current weights is not one to go back to, unless there is no other.
        assert_eq!(ring().back(30, 0), Some((20, &mut ())));
        assert_eq!(ring().back(0, 0), Some((0, &mut ())));
    }

    #[test]
    fn the_recent_state_is_gone_back_to_once() {
        let ring = || {
            let mut ring = Ring::new(2);
            [0, 100].into_iter().for_each(|update| ring.push(update, ()));
            ring.push_recent(110, ());
            ring.push_recent(120, ());
            ring
        };
        let mut broken = ring();
        assert_eq!(broken.recent(), Some((120, &())));
        assert_eq!(broken.back_to_recent(125, 50).map(|(update, ())| update), Some(120));
        // It is now one of the two that are kept.
        assert_eq!(broken.iter().map(|(update, ())| update).collect::<Vec<_>>(), [100, 120]);
        assert_eq!(broken.back_to_recent(121, 0).map(|(update, ())| update), Some(100));
        // It is not a target for other rewinds, and is dropped with the future it belongs to.
        let mut other = ring();
        assert_eq!(other.peek(125, 0), Some((100, &())));
        assert_eq!(other.back(125, 0).map(|(update, ())| update), Some(100));
        assert_eq!(other.recent(), None);
        // Pushing a state replaces the recent one.
        let mut newer = ring();
        newer.push(200, ());
        assert_eq!(newer.back_to_recent(205, 0).map(|(update, ())| update), Some(200));
        assert_eq!(ring().iter_mut().count(), 3);
    }

    #[test]
    fn an_empty_ring_has_nothing_to_go_back_to() {
        assert!(Ring::<u8>::new(1).back(0, 0).is_none());
    }

    #[test]
    fn wrong_settings_are_named() {
        let said = |e: Result<Rewind, Error>| e.unwrap_err().to_string();
        let ok = Rewind::every(10).unwrap();
        assert_eq!(said(Rewind::every(0)), "`every` of Rewind must be at least 1, got 0");
        assert_eq!(said(ok.recent(0)), "`recent` of Rewind must be at least 1, got 0");
        assert_eq!(said(ok.keep(0)), "`keep` of Rewind must be at least 1, got 0");
        assert_eq!(said(ok.at_most(0)), "`at_most` of Rewind must be at least 1, got 0");
        for bad in [0.0, -0.5, 1.5, f64::NAN] {
            assert!(
                said(ok.backoff(bad))
                    .starts_with("`backoff` of Rewind must be above 0 and at most 1")
            );
        }
    }

    /// Parameters are checked before a snapshot only if recent ones are on.
    #[test]
    fn only_recent_snapshots_have_the_weights_checked() {
        let plain = Rewind::every(10).unwrap();
        assert!((0..40).all(|update| !plain.looks_before(update)));
        let recent = plain.recent(5).unwrap();
        let looks: Vec<u64> = (0..30).filter(|&update| recent.looks_before(update)).collect();
        assert_eq!(looks, [4, 9, 14, 19, 24, 29]);
    }
}
