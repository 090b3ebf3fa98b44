//! Step bounds: limits on how far a step may go, whatever rate is requested.
//!
//! A [`StepBound`] returns the highest rate allowed now. The rate that is passed in is then only a request: with
//! a bound in the keel, a rate of 1 trains as well as one of 0.001, and a schedule can be a pure shape. Where the
//! bound limits the rate, the shape of the schedule is preserved:
//!
//! ```text
//! used = min(peak, cap) · asked/peak         peak = the highest rate of the schedule
//! ```
//!
//! so warmup and decay follow the schedule instead of being cut off at the cap. For plain rates, which belong to
//! no schedule, the peak is the highest rate so far. Several bounds combine by the smallest cap, and with
//! parameter groups all rates are lowered in proportion.
//!
//! - [`DeepRelativeTrust`] bounds how much of the weights a step replaces, with any optimizer, at almost no cost.
//! - [`TrustRegion`](crate::trust::TrustRegion) bounds how much a step changes the model's outputs, with any
//!   optimizer, at the cost of an occasional forward pass or two.
//! - [`Governor`](crate::curvature::Governor) bounds descent and momentum by the curvature of the loss, at the
//!   cost of an occasional gradient.
//!
//! A bound differs from a [`clip`](crate::clip): a clip shrinks the gradient, which has no effect on an optimizer
//! that divides by the gradient's size; a bound shortens the step.

mod deep_relative_trust;
mod measured;

pub use deep_relative_trust::DeepRelativeTrust;
#[cfg(test)]
pub(crate) use measured::Known;
pub(crate) use measured::{Cadence, Memory};

use crate::checkpoint::State;
pub use crate::parameter::Direction;
use crate::{Error, Parameter, Reading, Verdict};

/// A step bound: chooses the highest rate that a step may have, from plain numbers.
///
/// ```
/// use evenkeel::Reading;
/// use evenkeel::bound::StepBound;
///
/// /// Limits the length of a step of plain gradient descent.
/// struct StepLength(f64);
///
/// impl StepBound for StepLength {
///     fn looks_at_gradients(&self) -> bool {
///         true
///     }
///     fn rate_at_most(&self, now: &Reading, left: f64) -> Option<f64> {
///         Some(self.0 / (left * now.grad_norm))
///     }
/// }
///
/// let now = Reading::new(0).with_grad_norm(4.0);
/// assert_eq!(StepLength(0.5).rate_at_most(&now, 0.5), Some(0.25));
/// ```
pub trait StepBound: Send {
    /// Receives the parameters when a keel is built, before any other call; if the bound
    /// [asks for it](Self::looks_at_direction), also how the optimizer steps each of them, where that could be
    /// determined.
    ///
    /// # Errors
    /// If this bound does not support such steps.
    fn start(&mut self, parameters: &[Parameter]) -> Result<(), Error> {
        let _ = parameters;
        Ok(())
    }

    /// Returns whether the bound needs to know how the optimizer steps: [`Parameter::direction`].
    ///
    /// # Cost
    /// Up to four updates of copies, with a readback each, when a keel is built.
    fn looks_at_direction(&self) -> bool {
        false
    }

    /// Returns whether the bound depends on the step's own gradient. It then cannot be used with
    /// [`Decide::OnDevice`](crate::Decide::OnDevice), where the host does not see the gradient in time.
    fn looks_at_gradients(&self) -> bool {
        false
    }

    /// Returns whether the bound needs [`Reading::sizes`], the norms of the parameters, in the step at this
    /// update. A reading of another step has them too if somebody else needs them there; a bound that remembers them
    /// should ignore those, or it depends on what else is in the keel.
    ///
    /// # Cost
    /// One pass over the parameters in such a step, and no additional readback.
    fn looks_at_sizes(&self, update: u64) -> bool {
        let _ = update;
        false
    }

    /// Returns whether the bound needs [`Reading::alignments`], the angles between parameters and gradients, in the
    /// step at this update.
    ///
    /// # Cost
    /// One pass over the parameters and gradients in such a step, and no additional readback.
    fn looks_at_alignments(&self, update: u64) -> bool {
        let _ = update;
        false
    }

    /// Returns the highest rate allowed in this step, or `None` for no bound. `left` is the share of the gradient
    /// that the clips keep. A value that is NaN or not above 0 allows no step at all.
    ///
    /// With [`Decide::OnDevice`](crate::Decide::OnDevice), `now` holds only the step's position and rate, and
    /// `left` is 1.
    fn rate_at_most(&self, now: &Reading, left: f64) -> Option<f64>;

    /// Records the outcome of the step; called exactly once per step. `left` is the share of the gradient that
    /// the clips kept. A bound with a memory updates it here, and only if `ruling` is [`Apply`](Verdict::Apply).
    fn record(&mut self, now: &Reading, left: f64, ruling: Verdict) {
        let _ = (now, left, ruling);
    }

    /// Returns the name under which the state is saved.
    fn name(&self) -> &str {
        "bound"
    }

    /// Returns the state that later bounds depend on; empty, unless the bound has a memory.
    fn state(&self) -> State {
        State::new()
    }

    /// Restores a saved state.
    ///
    /// # Errors
    /// If the state does not belong to this kind of bound; the bound is then unchanged.
    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&[])
    }

    /// Called when training has been rewound to an earlier state, after [`record`](Self::record) for the step
    /// that caused it. `then` is the [`state`](Self::state) that this bound had at that point. Restores that
    /// state, unless overridden.
    ///
    /// # Errors
    /// If the state does not belong to this kind of bound. [`Keel`](crate::Keel) then halts.
    fn rewound(&mut self, then: &State) -> Result<(), Error> {
        self.restore(then)
    }

    /// Returns a message for the user about how this bound is doing, if there is one. [`Keel`](crate::Keel)
    /// passes on each message once; two messages are the same if they agree up to their first colon.
    fn notice(&self) -> Option<String> {
        None
    }
}

/// A closure that returns the highest rate allowed, from the reading alone.
impl<F: Fn(&Reading) -> f64 + Send> StepBound for F {
    fn rate_at_most(&self, now: &Reading, _: f64) -> Option<f64> {
        Some(self(now))
    }
}
