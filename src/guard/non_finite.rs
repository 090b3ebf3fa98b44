//! NaN and infinity.

use super::Guard;
use crate::{Reading, Verdict};

/// Rejects a step in which anything was non-finite: the rate, a parameter, the loss, a gradient, a
/// running statistic, or the update itself.
///
/// Verdict: [`Skip`](Verdict::Skip) if the reading has a [`Fault`](crate::Fault), and
/// [`Apply`](Verdict::Apply) otherwise.
///
/// Every [`Keel`](crate::Keel) has one from birth. `GradScaler` of torch looks at gradients only;
/// `TerminateOnNaN` of Keras and fastai look at the loss only, after the update; optax's
/// `apply_if_finite` accepts the NaN once its bound on consecutive errors is reached. This one looks
/// at everything, before the update, and its bound ends in [`Halt`](Verdict::Halt).
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
