//! Gradient clipping: policies that scale the gradient, computed from its norms.
//!
//! A [`Clip`] returns the share of the gradient to keep. It reads the numbers measured before any clipping, the
//! same ones that the guards read. Several clips combine by the smallest factor, so their order does not matter.
//! A clip is only consulted about finite readings.
//!
//! Clipping that needs individual elements rather than norms wraps the optimizer instead:
//! [`ValueClip`](crate::optim::ValueClip), [`PNormClip`](crate::optim::PNormClip) for norms of single
//! tensors other than the Euclidean one, and [`AdaptiveClip`](crate::optim::AdaptiveClip) for units.
//!
//! A clip may also return one factor per parameter. These combine with the factor for the whole gradient in the
//! same way: each parameter's gradient keeps the smallest share that any clip leaves it. Every bound then holds,
//! and none is applied on top of another.

mod ada_gc;
mod global_norm;
mod module_norm;
mod p_norm;
mod parameter_norm;
mod percentile;
mod scale;
mod z_score;

pub use ada_gc::AdaGc;
pub use global_norm::GlobalNorm;
pub use module_norm::ModuleNorm;
pub use p_norm::PNorm;
pub use parameter_norm::ParameterNorm;
pub use percentile::Percentile;
pub use scale::scale;
pub(crate) use scale::scale_each;
pub use z_score::ZScore;

use crate::checkpoint::State;
use crate::{Error, Reading};

/// A gradient-clipping policy: chooses the factor that scales the gradient, from plain numbers.
///
/// ```
/// use evenkeel::Reading;
/// use evenkeel::clip::Clip;
///
/// /// Reduces a norm above 1 to its square root.
/// struct Root;
///
/// impl Clip for Root {
///     fn factor(&self, now: &Reading) -> f64 {
///         1.0 / now.grad_norm.max(1.0).sqrt()
///     }
///     fn name(&self) -> &str {
///         "Root"
///     }
/// }
///
/// assert_eq!(Root.factor(&Reading::new(0).with_grad_norm(16.0)), 0.25);
/// assert_eq!(Root.factor(&Reading::new(0).with_grad_norm(0.5)), 1.0);
/// ```
pub trait Clip: Send {
    /// Returns the share of the gradient to keep, where 1 keeps all of it. Values outside `[0, 1]` are clamped to
    /// it, and NaN counts as 0, so no clip can enlarge a gradient or reverse it.
    fn factor(&self, now: &Reading) -> f64;

    /// Returns the share of each parameter's gradient to keep, in the order of [`Reading::layers`], or an empty
    /// list if this clip treats all parameters alike. Each value is clamped as for [`factor`](Self::factor), and
    /// the smaller of the two applies. A list of any other length zeroes every gradient.
    ///
    /// A half-precision gradient is rounded one extra time where such a factor is below the factor for all.
    fn layer_factors(&self, now: &Reading) -> Vec<f64> {
        let _ = now;
        Vec::new()
    }

    /// Returns the bound `c`, if the factor is `min(1, c/‖g‖)` with the norm of the whole gradient; only such a
    /// clip can be used with [`Decide::OnDevice`](crate::Decide::OnDevice). `now` then holds only the step's
    /// position and rate. Returns `None` if the clip is not such a bound; the answer must be consistent, always
    /// or never `None`.
    fn norm_at_most(&self, now: &Reading) -> Option<f64> {
        let _ = now;
        None
    }

    /// Returns the `p` of the p-norm of the whole gradient that this clip bounds, so that [`Reading::p_norm`]
    /// provides it. `p` is at least 1 and always the same. Returns `None` if the clip needs no norm other than
    /// the Euclidean.
    fn power(&self) -> Option<f64> {
        None
    }

    /// Records the outcome of the step; called exactly once per step. A clip with a memory updates it here, and
    /// only if `ruling` is [`Apply`](crate::Verdict::Apply).
    fn record(&mut self, now: &Reading, ruling: crate::Verdict) {
        let _ = (now, ruling);
    }

    /// Returns the path of the part of the model that this clip applies to, or `None` if it applies to the whole
    /// model. [`Builder::build`](crate::Builder::build) refuses a part that the model does not have.
    fn part(&self) -> Option<&str> {
        None
    }

    /// Returns the name under which the state is saved.
    fn name(&self) -> &str {
        "clip"
    }

    /// Returns the state that later factors depend on; empty, unless the clip has a memory.
    fn state(&self) -> State {
        State::new()
    }

    /// Restores a saved state.
    ///
    /// # Errors
    /// If the state does not belong to this kind of clip; the clip is then unchanged.
    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&[])
    }

    /// Called when training has been rewound to an earlier state, after [`record`](Self::record) for the step
    /// that caused it. `then` is the [`state`](Self::state) that this clip had at that point. Restores that
    /// state, unless overridden.
    ///
    /// # Errors
    /// If the state does not belong to this kind of clip. [`Keel`](crate::Keel) then halts.
    fn rewound(&mut self, then: &State) -> Result<(), Error> {
        self.restore(then)
    }

    /// Returns a message for the user about how this clip is doing, if there is one. [`Keel`](crate::Keel) passes
    /// on each message once; two messages are the same if they agree up to their first colon.
    fn notice(&self) -> Option<String> {
        None
    }
}

impl<F: Fn(&Reading) -> f64 + Send> Clip for F {
    fn factor(&self, now: &Reading) -> f64 {
        self(now)
    }
}
