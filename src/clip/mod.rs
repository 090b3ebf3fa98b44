//! Choosers of one factor for the gradient, from plain numbers.
//!
//! A [`Clip`] answers how much of the gradient to keep. It reads the numbers from before any
//! clipping, the same that the guards read; several clips combine by the smallest factor, so their
//! order cannot matter. It is asked only about finite readings.
//!
//! What needs single elements, and not only norms, goes around the optimizer instead:
//! [`ValueClip`](crate::optim::ValueClip), [`PowerNormClip`](crate::optim::PowerNormClip) for other norms
//! of single tensors than the Euclidean, and [`AdaptiveClip`](crate::optim::AdaptiveClip) for units.
//!
//! A clip may also have a factor for each parameter. They combine with the one for the whole in the same
//! way: a parameter's gradient keeps the smallest share that any clip leaves it. Every bound then holds,
//! and none is applied on top of another.

mod ada_gc;
mod global_norm;
mod module_norm;
mod parameter_norm;
mod percentile;
mod power_norm;
mod scale;
mod z_score;

pub use ada_gc::AdaGc;
pub use global_norm::GlobalNorm;
pub use module_norm::ModuleNorm;
pub use parameter_norm::ParameterNorm;
pub use percentile::Percentile;
pub use power_norm::PowerNorm;
pub use scale::scale;
pub(crate) use scale::scale_each;
pub use z_score::ZScore;

use crate::checkpoint::State;
use crate::{Error, Reading};

/// Chooses one factor for every gradient, from plain numbers.
pub trait Clip: Send {
    /// How much of the gradient to keep: 1 is all of it. What is not in `[0, 1]` is taken as the
    /// nearer end, and NaN as 0, so that no clip can make a gradient larger or turn it round.
    fn factor(&self, now: &Reading) -> f64;

    /// How much of each parameter's gradient to keep, in the order of [`Reading::layers`]; or nothing at
    /// all, where this clip treats all alike. Each is taken as [`factor`](Self::factor) is, and counts
    /// where it is the smaller of the two. A list of another length leaves nothing of any gradient.
    ///
    /// A gradient in half precision is rounded once more where such a factor is below the one for all.
    fn layer_factors(&self, now: &Reading) -> Vec<f64> {
        let _ = now;
        Vec::new()
    }

    /// The bound `c`, if the factor is `min(1, c/‖g‖)` with the norm of the whole gradient: what
    /// [`Decide::OnDevice`](crate::Decide::OnDevice) can clip by. `now` has no more than the step's
    /// position and rate. `None`, unless the clip is such a bound; always or never.
    fn norm_at_most(&self, now: &Reading) -> Option<f64> {
        let _ = now;
        None
    }

    /// The `p` of the p-norm of the whole gradient that it bounds, for [`Reading::power_norm`] to have it.
    /// At least 1; `None`, unless it is another than the Euclidean; always the same.
    fn power(&self) -> Option<f64> {
        None
    }

    /// Told what became of the step, exactly once. A threshold learns here, and only when `ruling`
    /// is [`Apply`](crate::Verdict::Apply).
    fn record(&mut self, now: &Reading, ruling: crate::Verdict) {
        let _ = (now, ruling);
    }

    /// The path of the part of the model that it is for; none, if it is for all of it.
    /// [`Builder::build`](crate::Builder::build) refuses a part that the model has not.
    fn part(&self) -> Option<&str> {
        None
    }

    /// The name that saved states carry.
    fn name(&self) -> &str {
        "clip"
    }

    /// What later factors depend on; nothing, unless the clip has a memory.
    fn state(&self) -> State {
        State::new()
    }

    /// Takes that state back.
    ///
    /// # Errors
    /// If the state is not one of this clip's; the clip is then unchanged.
    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&[])
    }

    /// Told that training went back to an earlier state, after [`record`](Self::record) of the step that led
    /// to it. `then` is the [`state`](Self::state) that this clip had there. Takes that state back, unless
    /// said otherwise.
    ///
    /// # Errors
    /// If the state is not one of this clip's. [`Keel`](crate::Keel) then halts.
    fn rewound(&mut self, then: &State) -> Result<(), Error> {
        self.restore(then)
    }

    /// What a user should know of how this clip fares, if there is anything. [`Keel`](crate::Keel) hands on
    /// each text once; two are the same if they agree up to their first colon.
    fn notice(&self) -> Option<String> {
        None
    }
}

impl<F: Fn(&Reading) -> f64 + Send> Clip for F {
    fn factor(&self, now: &Reading) -> f64 {
        self(now)
    }
}
