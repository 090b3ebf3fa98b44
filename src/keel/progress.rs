//! The counters of a run.

use crate::Error;
use crate::checkpoint::State;
use crate::schedule::BackoffLevel;
use crate::stat::Ema;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Progress {
    /// Number of steps requested.
    pub(super) attempts: u64,
    /// Number of updates that the weights have seen.
    pub(super) updates: u64,
    /// Number of rejections in a row.
    pub(super) rejected: u64,
    /// Number of rewinds since a snapshot was taken beyond `frontier`.
    pub(super) rewinds: u64,
    /// Number of rewinds because of weights broken from outside, since any snapshot was taken beyond `frontier`.
    pub(super) broken: u64,
    /// The furthest update at which a rewind was decided.
    pub(super) frontier: u64,
    /// Backoff of plain rates, which have no schedule to lower them.
    pub(super) backoff: BackoffLevel,
    /// The highest rate that was requested, of updates that were made; 0 before the first.
    pub(super) highest: f64,
    /// How far the schedule is ahead of the updates, modulo 2⁶⁴; 0 before the first step.
    pub(super) lead: u64,
    /// Mean of the last ten or so accepted losses.
    losses: Ema<f64>,
    /// Losses measured since the last update: the number of finite ones, their sum, and the number of all.
    here: Here,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Here {
    finite: u64,
    sum: f64,
    all: u64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            attempts: 0,
            updates: 0,
            rejected: 0,
            rewinds: 0,
            broken: 0,
            frontier: 0,
            backoff: BackoffLevel::default(),
            highest: 0.0,
            lead: 0,
            losses: Ema::new(0.9),
            here: Here::default(),
        }
    }
}

impl Progress {
    /// Records the schedule's position, if there is a schedule, relative to the updates.
    pub(super) fn beside(&mut self, position: Option<u64>) {
        if let Some(at) = position {
            self.lead = at.wrapping_sub(self.updates);
        }
    }

    /// Returns the recent level of accepted losses; `None` before the first.
    pub(super) fn level(&self) -> Option<f64> {
        self.losses.mean()
    }

    /// Records that a step was judged at the present weights, and whether it became an update.
    pub(super) fn note_loss(&mut self, loss: f64, applied: bool) {
        if applied {
            self.losses.push(loss);
            self.here = Here::default();
            return;
        }
        self.here.all += 1;
        if loss.is_finite() {
            self.here.finite += 1;
            self.here.sum += loss;
        }
    }

    /// Returns whether the weights are sound, compared with weights that gave losses of about `level`: the finite
    /// losses measured since the last update are no more than twice as high. One or two non-finite losses point to the
    /// batches; if there are only non-finite ones, they point to the weights.
    pub(super) fn is_sound_beside(&self, level: f64) -> bool {
        let Here { finite, sum, all } = self.here;
        match finite {
            0 => all < 3,
            _ => sum / finite as f64 <= level + level.abs(),
        }
    }

    /// Replaces the recent losses by those of the earlier weights.
    pub(super) fn went_back(&mut self, level: Option<f64>) {
        self.losses = Ema::new(0.9);
        self.here = Here::default();
        if let Some(level) = level {
            self.losses.push(level);
        }
    }

    pub(super) fn state(&self) -> State {
        State::new()
            .with_count("attempts", self.attempts)
            .with_count("updates", self.updates)
            .with_count("rejected", self.rejected)
            .with_count("rewinds", self.rewinds)
            .with_count("broken", self.broken)
            .with_count("frontier", self.frontier)
            .with_count("lead", self.lead)
            .with_number("highest", self.highest)
            .with_part("backoff", self.backoff.state())
            .with_count("losses", self.losses.parts().0)
            .with_list("level", self.losses.parts().1.to_vec())
            .with_list("here", vec![self.here.finite as f64, self.here.sum, self.here.all as f64])
    }

    pub(super) fn restored(state: &State) -> Result<Self, Error> {
        let here = match *state.list("here")? {
            [finite, sum, all] => Here { finite: finite as u64, sum, all: all as u64 },
            _ => return Err(Error::record("the losses since the last update are damaged")),
        };
        let losses = Ema::new(0.9).refilled(state.counter("losses")?, state.list("level")?)?;
        Ok(Self {
            losses,
            here,
            attempts: state.counter("attempts")?,
            updates: state.counter("updates")?,
            rejected: state.counter("rejected")?,
            rewinds: state.counter("rewinds")?,
            broken: state.counter("broken")?,
            frontier: state.counter("frontier")?,
            highest: state.number("highest")?,
            lead: state.count("lead")?,
            backoff: BackoffLevel::default().restored(&state.part("backoff"))?,
        })
    }
}
