//! Rejection of NaN and infinity.

use super::Guard;
use crate::{Reading, Verdict};

/// Rejects a step in which anything is non-finite: the rate, a parameter, the loss, a gradient, a running statistic, or
/// the update itself.
///
/// Verdict: [`Skip`](Verdict::Skip) if the reading has a [`Fault`](crate::Fault), and
/// [`Apply`](Verdict::Apply) otherwise.
///
/// Every [`Keel`](crate::Keel) includes one. torch's `GradScaler` looks at gradients only; `TerminateOnNaN` of Keras
/// and fastai looks at the loss only, after the update; optax's `apply_if_finite` accepts the NaN once its bound on
/// consecutive errors is reached. This guard looks at everything, before the update, and its bound ends in
/// [`Halt`](Verdict::Halt).
///
/// ```
/// use evenkeel::guard::{Guard, NonFinite};
/// use evenkeel::{Reading, Verdict};
///
/// assert_eq!(NonFinite.judge(&Reading::new(0).with_loss(0.5)), Verdict::Apply);
/// assert_eq!(NonFinite.judge(&Reading::new(0).with_loss(f64::NAN)), Verdict::Skip);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[doc(alias = "TerminateOnNaN")]
pub struct NonFinite;

impl Guard for NonFinite {
    fn judge(&self, now: &Reading) -> Verdict {
        match now.fault {
            Some(_) => Verdict::Skip,
            None => Verdict::Apply,
        }
    }

    fn name(&self) -> &str {
        "NonFinite"
    }
}
