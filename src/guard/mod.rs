//! Guards: decide whether a step is applied, skipped, rewound or halted.
//!
//! A [`Guard`] looks at a [`Reading`] and returns a verdict on the step; then it is told once what was done with the
//! step. The most severe verdict of all guards wins, so their order doesn't matter. A rejected reading can't leak into
//! a baseline, because baselines learn only from applied steps. When training goes back to a snapshot, the memory of
//! the guards goes back with it.
//!
//! [`NonFinite`] is part of every [`Keel`](crate::Keel), whatever else is configured. Closures are guards:
//!
//! ```
//! use evenkeel::{Reading, Verdict};
//! use evenkeel::guard::Guard;
//!
//! let sane = |now: &Reading| if now.loss > 1e6 { Verdict::Skip } else { Verdict::Apply };
//! assert_eq!(sane.judge(&Reading::new(0).with_loss(2e6)), Verdict::Skip);
//! ```

mod allowance;
mod answering;
mod baseline;
mod divergence;
mod escalating;
mod layer_limit;
mod loss_spike;
mod non_finite;
mod norm_spike;
mod spike;
mod stall;
mod update_ratio;

pub use answering::Answering;
pub use divergence::Divergence;
pub use escalating::Escalating;
pub use layer_limit::LayerLimit;
pub use loss_spike::LossSpike;
pub use non_finite::NonFinite;
pub use norm_spike::NormSpike;
pub use stall::Stall;
pub use update_ratio::UpdateRatio;

use crate::checkpoint::State;
use crate::{Error, Reading, Verdict};

/// A guard: judges a training step from plain numbers.
///
/// ```
/// use evenkeel::guard::Guard;
/// use evenkeel::{Reading, Verdict};
///
/// /// Skips a step whose loss is above a limit. Unlike a closure, it has a name for reports.
/// struct LossLimit(f64);
///
/// impl Guard for LossLimit {
///     fn judge(&self, now: &Reading) -> Verdict {
///         if now.loss > self.0 { Verdict::Skip } else { Verdict::Apply }
///     }
///     fn name(&self) -> &str {
///         "LossLimit"
///     }
/// }
///
/// assert_eq!(LossLimit(10.0).judge(&Reading::new(0).with_loss(20.0)), Verdict::Skip);
/// ```
pub trait Guard: Send {
    /// Returns the verdict on this step. Has no side effects, and may be called twice.
    fn judge(&self, now: &Reading) -> Verdict;

    /// Records what was done with the step; called exactly once per step. A baseline learns here, and only if `ruling`
    /// is [`Verdict::Apply`].
    fn record(&mut self, now: &Reading, ruling: Verdict) {
        let _ = (now, ruling);
    }

    /// Returns whether the guard reads [`updates`](Reading::updates) and [`sizes`](Reading::sizes). They are measured
    /// only if some guard does; that guard is then asked twice, before the update without them and after it with them.
    fn looks_at_updates(&self) -> bool {
        false
    }

    /// Returns the path of the part of the model that the guard watches, or `None` for the whole model.
    /// [`Builder::build`](crate::Builder::build) rejects a path that the model doesn't have.
    fn part(&self) -> Option<&str> {
        None
    }

    /// Returns the name that reports carry.
    fn name(&self) -> &str {
        "guard"
    }

    /// Returns the state that later verdicts depend on; empty unless the guard has a memory.
    fn state(&self) -> State {
        State::new()
    }

    /// Restores a state that [`state`](Self::state) returned.
    ///
    /// # Errors
    /// If the state doesn't belong to this guard, which is then unchanged.
    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&[])
    }

    /// Notes that training went back to an earlier state; called after [`record`](Self::record) of the step that led to
    /// it. `then` is the [`state`](Self::state) that this guard had there.
    ///
    /// The default restores that state: what has been learned since belongs to an abandoned future, and would make every
    /// batch at the older weights look wrong. A guard that counts the rejections that did not help keeps that count.
    /// # Errors
    /// If the state doesn't belong to this guard. [`Keel`](crate::Keel) then halts.
    fn rewound(&mut self, then: &State) -> Result<(), Error> {
        self.restore(then)
    }

    /// Returns a message that the user should see about the state of this guard, if there is one: that it has stood
    /// down, for example. [`Keel`](crate::Keel) reports each text once; two texts count as the same if they agree up to
    /// their first colon.
    fn notice(&self) -> Option<String> {
        None
    }

    /// Returns a guard that answers `verdict` wherever this one would reject a step.
    ///
    /// # Errors
    /// If `verdict` is [`Verdict::Apply`], because such a guard would do nothing.
    fn answering(self, verdict: Verdict) -> Result<Answering<Self>, Error>
    where
        Self: Sized,
    {
        Answering::new(self, verdict)
    }

    /// Returns a guard that becomes more severe when rejections don't help: after more than `skips` skips in a row it
    /// answers with a rewind, and after more than `rewinds` of those with a halt.
    fn escalating(self, skips: u64, rewinds: u64) -> Escalating<Self>
    where
        Self: Sized,
    {
        Escalating::new(self, skips, rewinds)
    }
}

impl<F: Fn(&Reading) -> Verdict + Send> Guard for F {
    fn judge(&self, now: &Reading) -> Verdict {
        self(now)
    }
}

/// Checks that the verdict of a rejection is not [`Verdict::Apply`].
pub(crate) fn rejection(
    owner: &'static str,
    name: &'static str,
    verdict: Verdict,
) -> Result<Verdict, Error> {
    match verdict {
        Verdict::Apply => Err(Error::parameter(owner, name, "Skip, Rewind or Halt", "Apply")),
        rejection => Ok(rejection),
    }
}
