//! Judges of a training step, from plain numbers.
//!
//! A [`Guard`] looks at a [`Reading`] and says what should become of the step; then it is told, once,
//! what did become of it. Guards combine by the most severe verdict, so their order cannot matter,
//! and a reading that was rejected cannot leak into a baseline, because baselines learn only from
//! applied steps. When training goes back to a snapshot, so does what the guards remember.
//!
//! [`NonFinite`] is part of every [`Keel`](crate::Keel), whatever else is configured. Closures are
//! guards:
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
mod update_wall;

pub use answering::Answering;
pub use divergence::Divergence;
pub use escalating::Escalating;
pub use layer_limit::LayerLimit;
pub use loss_spike::LossSpike;
pub use non_finite::NonFinite;
pub use norm_spike::NormSpike;
pub use stall::Stall;
pub use update_wall::UpdateWall;

use crate::checkpoint::State;
use crate::{Error, Reading, Verdict};

/// Judges one step from plain numbers.
pub trait Guard: Send {
    /// What should become of this step. Asking changes nothing, and may be done twice.
    fn judge(&self, now: &Reading) -> Verdict;

    /// Told what became of the step, exactly once. A baseline learns here, and only when `ruling`
    /// is [`Verdict::Apply`].
    fn record(&mut self, now: &Reading, ruling: Verdict) {
        let _ = (now, ruling);
    }

    /// Whether it reads [`updates`](Reading::updates) and [`sizes`](Reading::sizes). Those are
    /// measured only if some guard does; it is then asked twice, before the update without them and
    /// after it with them.
    fn looks_at_updates(&self) -> bool {
        false
    }

    /// The path of the part of the model that it is for; none, if it is for all of it.
    /// [`Builder::build`](crate::Builder::build) refuses a part that the model has not.
    fn part(&self) -> Option<&str> {
        None
    }

    /// The name that reports carry.
    fn name(&self) -> &str {
        "guard"
    }

    /// What later verdicts depend on; nothing, unless the guard has a memory.
    fn state(&self) -> State {
        State::new()
    }

    /// Takes that state back.
    ///
    /// # Errors
    /// If the state is not one of this guard's; the guard is then unchanged.
    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&[])
    }

    /// Told that training went back to an earlier state, after [`record`](Self::record) of the step that led
    /// to it. `then` is the [`state`](Self::state) that this guard had there.
    ///
    /// Takes that state back, unless said otherwise: what was learnt since is of a future that was abandoned,
    /// and would make every batch at the older weights look wrong. A guard that counts how often it was not
    /// heard keeps that count.
    ///
    /// # Errors
    /// If the state is not one of this guard's. [`Keel`](crate::Keel) then halts.
    fn rewound(&mut self, then: &State) -> Result<(), Error> {
        self.restore(then)
    }

    /// What a user should know of how this guard fares, if there is anything: that it has stood down, for
    /// example. [`Keel`](crate::Keel) hands on each text once; two are the same if they agree up to their first
    /// colon.
    fn notice(&self) -> Option<String> {
        None
    }

    /// The same guard, answering `verdict` wherever it would not let a step through.
    ///
    /// # Errors
    /// If `verdict` is [`Verdict::Apply`]: that would be a guard that does nothing.
    fn answering(self, verdict: Verdict) -> Result<Answering<Self>, Error>
    where
        Self: Sized,
    {
        Answering::new(self, verdict)
    }

    /// The same guard, more severe when it is not heard: after more than `skips` skips in a row it
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

/// A rejection must reject.
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
