//! How far τ may grow beyond what the weights suggest, judged by the loss.

use crate::Error;
use crate::checkpoint::State;
use crate::stat::Ema;

/// The slack above τ that the loss can bear.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slack {
    /// The τ that is allowed now.
    pub(super) tau: f64,
    loss: Ema<f64>,
    slope: Ema<f64>,
    /// The mean of the first losses.
    first: f64,
    seen: u64,
}

/// The maximum factor by which τ grows per update.
pub(super) const GROWTH: f64 = 1.1;

/// How many losses count as the first ones.
const FIRST: u64 = 10;

impl Slack {
    pub(super) fn new(tau: f64) -> Self {
        Self { tau, loss: Ema::new(0.9), slope: Ema::new(0.9), first: 0.0, seen: 0 }
    }

    /// Records an applied step with this loss, which a step changes by at most `slope` times the rate; `unit` is
    /// the cap for τ = 1.
    pub(super) fn push(
        &mut self,
        loss: f64,
        slope: f64,
        unit: Option<f64>,
        [least, most]: [f64; 2],
    ) {
        if self.seen < FIRST {
            self.seen += 1;
            self.first += (loss - self.first) / self.seen as f64;
        }
        if !slope.is_finite() {
            self.tau = least;
            return;
        }
        self.loss.push(loss);
        self.slope.push(slope);
        let (Some(loss), Some(slope), Some(unit)) = (self.loss.mean(), self.slope.mean(), unit)
        else {
            return;
        };
        // A loss may have an arbitrary constant added to it, so what counts is how far it has fallen.
        let down = self.first - loss;
        let at_stake = if loss >= 0.0 { loss.min(down) } else { down };
        let borne = at_stake / (slope * unit);
        // A slope of 0 says nothing about what the loss can bear.
        let borne = if borne.is_finite() { borne } else { least };
        self.tau = borne.min(self.tau * GROWTH).min(most).max(least);
    }

    pub(super) fn state(&self) -> State {
        let ((losses, loss), (slopes, slope)) = (self.loss.parts(), self.slope.parts());
        State::new()
            .with_number("tau", self.tau)
            .with_count("losses", losses)
            .with_list("loss", loss.to_vec())
            .with_count("slopes", slopes)
            .with_list("slope", slope.to_vec())
            .with_number("first", self.first)
            .with_count("seen", self.seen)
    }

    pub(super) fn restored(state: &State, [least, most]: [f64; 2]) -> Result<Self, Error> {
        let fresh = Self::new(least);
        let (tau, first) = (state.number("tau")?, state.number("first")?);
        if !(tau.is_finite() && first.is_finite()) {
            return Err(Error::record("the slack of a bound is not finite"));
        }
        Ok(Self {
            // The bound that resumes may be configured differently.
            tau: tau.min(most).max(least),
            loss: fresh.loss.refilled(state.counter("losses")?, state.list("loss")?)?,
            slope: fresh.slope.refilled(state.counter("slopes")?, state.list("slope")?)?,
            first,
            seen: state.counter("seen")?,
        })
    }
}
