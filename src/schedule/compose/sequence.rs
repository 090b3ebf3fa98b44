//! Any number of phases in a row.

use super::{Past, parts};
use crate::Error;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::schedule::{Boxed, Schedule, Setback};

/// Schedules in sequence, each for a given number of updates.
///
/// For phases of `n₀, n₁, …` updates that begin at `b₀ = 0, b₁ = n₀, b₂ = n₀ + n₁, …`,
///
/// ```text
/// y(t) = phaseᵢ(t − bᵢ)   for bᵢ ≤ t < bᵢ₊₁
/// ```
///
/// so every phase starts at its own 0. A phase of length 0 is allowed, and is never seen.
///
/// Edges: past the last phase, the value is the one at its end, `phase(n)`, unless
/// [`past`](Self::past) changes that.
///
/// If all phases have the same type, `S` can be that type; otherwise [box](Schedule::boxed) them.
/// For two phases, [`Schedule::then`] is shorter.
///
/// Agrees with optax `join_schedules` and torch `SequentialLR`, which take positions instead of
/// lengths and have no end. They refuse nested sequences and metric-driven schedules; here any
/// schedule can be a phase.
///
/// ```
/// use evenkeel::schedule::{Constant, Cosine, Ramp, Schedule, Sequence};
///
/// let curve = Sequence::of([
///     (10, Ramp::new(0.0, 1.0, 10)?.boxed()),
///     (20, Constant::new(1.0)?.boxed()),
///     (10, Cosine::new(1.0, 0.0, 10)?.boxed()),
/// ])?;
/// assert_eq!([0, 10, 29, 30, 35, 40, 99].map(|t| curve.at(t)), [0.0, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[doc(alias = "SequentialLR")]
#[doc(alias = "join_schedules")]
pub struct Sequence<S = Boxed> {
    /// Each phase, with the update before which it ends.
    pub(in crate::schedule) phases: Vec<(u64, S)>,
    pub(in crate::schedule) past: Past,
}

impl<S> Sequence<S> {
    /// Creates a sequence of phases, each with its length in updates.
    ///
    /// # Errors
    /// If there are no phases, or their total length is above `u64::MAX`.
    pub fn of(phases: impl IntoIterator<Item = (u64, S)>) -> Result<Self, Error> {
        let mut end = 0u64;
        let mut all = Vec::new();
        for (over, phase) in phases {
            let sum = end.checked_add(over);
            let must = "short enough for their sum to be counted";
            end = sum.ok_or_else(|| Error::parameter("Sequence", "phases", must, over))?;
            all.push((end, phase));
        }
        Param("Sequence", "phases").at_least(1, all.len() as u64)?;
        Ok(Self { phases: all, past: Past::Hold })
    }

    /// Sets what comes after the last phase.
    ///
    /// # Errors
    /// If it is to cycle, and the total length of the phases is 0.
    pub fn past(mut self, past: Past) -> Result<Self, Error> {
        if past == Past::Cycle {
            Param("Sequence", "phases").at_least(1, self.end())?;
        }
        self.past = past;
        Ok(self)
    }

    /// Returns the total length of all phases, in updates.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.phases.last().map_or(0, |(end, _)| *end)
    }

    /// Returns the phase in force, and the update at which it is read; `None` if there is none.
    fn phase(&self, t: u64) -> Option<(&S, u64)> {
        let end = self.end();
        let t = match self.past {
            Past::Cycle if t >= end => t.checked_rem(end)?,
            Past::Error if t >= end => return None,
            _ => t,
        };
        let index = self.phases.partition_point(|(end, _)| *end <= t);
        let begun = |index: usize| index.checked_sub(1).map_or(0, |before| self.phases[before].0);
        match self.phases.get(index) {
            Some((_, phase)) => Some((phase, t - begun(index))),
            None => {
                let last = self.phases.len().checked_sub(1)?;
                Some((&self.phases[last].1, end - begun(last)))
            }
        }
    }
}

impl<S: Schedule> Sequence<S> {
    fn parts(&self) -> impl Iterator<Item = (String, &dyn Schedule)> {
        let phases = self.phases.iter().enumerate();
        phases.map(|(at, (_, phase))| (format!("phase{at}"), phase as &dyn Schedule))
    }
}

impl<S: Schedule> Schedule for Sequence<S> {
    fn at(&self, t: u64) -> f64 {
        self.phase(t).map_or(f64::NAN, |(phase, t)| phase.at(t))
    }

    fn state(&self) -> State {
        parts::state(self.parts())
    }

    fn restore(&self, state: &State) -> Result<(), Error> {
        parts::restore(self.parts(), state)
    }

    fn rewound(&self, then: &State) -> Result<(), Error> {
        parts::rewound(self.parts(), then)
    }

    /// The phase in force takes the setback.
    fn set_back(&self, t: u64, setback: &mut Setback) -> bool {
        self.phase(t).is_some_and(|(phase, t)| phase.set_back(t, setback))
    }
}
