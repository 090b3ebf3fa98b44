//! Bounds on what a step does, whatever rate is asked for.
//!
//! A [`StepBound`] answers how high the rate may be now. The rate that is asked for becomes a wish: with a
//! bound in the keel a rate of 1 trains as well as one of 0.001, and a schedule may be a pure shape. Where the
//! bound holds the rate, the shape of the schedule is kept:
//!
//! ```text
//! used = min(peak, cap) · asked/peak         peak = the highest rate of the schedule
//! ```
//!
//! so that warm-up and decay are those of the schedule, and not cut off at the cap. Of plain rates, which
//! belong to no schedule, the peak is the highest one so far. Several bounds combine by the smallest cap, and
//! with parameter groups all rates are lowered in proportion.
//!
//! - [`DeepRelativeTrust`] bounds how much of the weights a step replaces, with any optimizer, and costs next to
//!   nothing.
//! - [`TrustRegion`](crate::trust::TrustRegion) bounds what a step does to the model's outputs, with any optimizer,
//!   and costs a forward pass or two now and then.
//! - [`Governor`](crate::curvature::Governor) bounds descent and momentum by the curvature of the loss, and costs
//!   a gradient now and then.
//!
//! A bound differs from a [`clip`](crate::clip): a clip shortens the gradient, which an optimizer that divides
//! by the gradient's size does not notice; a bound shortens the step.

mod deep_relative_trust;
mod measured;

pub use deep_relative_trust::DeepRelativeTrust;
#[cfg(test)]
pub(crate) use measured::Known;
pub(crate) use measured::{Cadence, Memory};

use crate::checkpoint::State;
use crate::{Error, Parameter, Reading, Verdict};

/// How an optimizer's step depends on the gradient. [`Builder::build`](crate::Builder::build) finds out by
/// trying a copy of the optimizer.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Direction {
    /// It changes each element by about `size` times the rate, however large the gradient is: Adam and its kin,
    /// Lion, Muon.
    Normalized {
        /// The root mean square of a step at a rate of 1.
        size: f64,
    },
    /// It changes each element in proportion to the gradient: descent, and momentum.
    Gradient {
        /// What a first step at a rate of 1 is, over the gradient.
        size: f64,
        /// The share of one step that goes on in the next.
        momentum: f64,
    },
}

impl Direction {
    /// Its numbers: they were found by trying a model, and another one of the same kind gives others by a rounding.
    fn parts(self) -> Vec<f64> {
        match self {
            Self::Normalized { size } => vec![size],
            Self::Gradient { size, momentum } => vec![size, momentum],
        }
    }

    /// One of this kind, with these numbers.
    fn as_saved(self, parts: &[f64]) -> Result<Self, Error> {
        let sound = parts.iter().all(|x| x.is_finite() && *x >= 0.0);
        match (self, parts) {
            (Self::Normalized { .. }, &[size]) if sound => Ok(Self::Normalized { size }),
            (Self::Gradient { .. }, &[size, momentum]) if sound && momentum < 1.0 => {
                Ok(Self::Gradient { size, momentum })
            }
            _ => Err(Error::record("the optimizer that was bounded steps in another way")),
        }
    }
}

/// Chooses the highest rate that a step may have, from plain numbers.
pub trait StepBound: Send {
    /// Told what the parameters are, when a keel is built, before anything else; and how the optimizer steps, if
    /// it [asks](Self::looks_at_direction) and that could be told.
    ///
    /// # Errors
    /// If it cannot bound such steps.
    fn start(
        &mut self,
        parameters: &[Parameter],
        direction: Option<Direction>,
    ) -> Result<(), Error> {
        let _ = (parameters, direction);
        Ok(())
    }

    /// Whether it needs to know how the optimizer steps.
    ///
    /// # Cost
    /// Up to three updates of copies, with a readback each, when a keel is built.
    fn looks_at_direction(&self) -> bool {
        false
    }

    /// Whether it bounds a step by the step's own gradient. It can then not be used with
    /// [`Decide::OnDevice`](crate::Decide::OnDevice), where the host knows no gradient in time.
    fn looks_at_gradients(&self) -> bool {
        false
    }

    /// Whether it needs [`Reading::sizes`], the norms of the parameters, in the step at this update.
    ///
    /// # Cost
    /// One pass over the parameters in such a step, and no readback more.
    fn looks_at_sizes(&self, update: u64) -> bool {
        let _ = update;
        false
    }

    /// The most that the rate may be in this step, of whose gradient the clips leave the share `left`; `None`
    /// for no bound. What is not above 0, and NaN, lets nothing through.
    ///
    /// With [`Decide::OnDevice`](crate::Decide::OnDevice) `now` has no more than the step's position and rate,
    /// and `left` is 1.
    fn rate_at_most(&self, now: &Reading, left: f64) -> Option<f64>;

    /// Told what became of the step, of whose gradient the clips left the share `left`, exactly once. A bound
    /// learns here, and only when `ruling` is [`Apply`](Verdict::Apply).
    fn record(&mut self, now: &Reading, left: f64, ruling: Verdict) {
        let _ = (now, left, ruling);
    }

    /// The name that saved states carry.
    fn name(&self) -> &str {
        "bound"
    }

    /// What later bounds depend on; nothing, unless the bound has a memory.
    fn state(&self) -> State {
        State::new()
    }

    /// Takes that state back.
    ///
    /// # Errors
    /// If the state is not one of this bound's; the bound is then unchanged.
    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&[])
    }

    /// Told that training went back to an earlier state, after [`record`](Self::record) of the step that led
    /// to it. `then` is the [`state`](Self::state) that this bound had there. Takes that state back, unless
    /// overridden.
    ///
    /// # Errors
    /// If the state is not one of this bound's. [`Keel`](crate::Keel) then halts.
    fn rewound(&mut self, then: &State) -> Result<(), Error> {
        self.restore(then)
    }

    /// What a user should know of how this bound fares, if there is anything. [`Keel`](crate::Keel) hands on
    /// each text once; two are the same if they agree up to their first colon.
    fn notice(&self) -> Option<String> {
        None
    }
}

/// The most that the rate may be, from the reading alone.
impl<F: Fn(&Reading) -> f64 + Send> StepBound for F {
    fn rate_at_most(&self, now: &Reading, _: f64) -> Option<f64> {
        Some(self(now))
    }
}
