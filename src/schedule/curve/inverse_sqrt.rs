//! Inverse square-root decay.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::saturate;

/// Inverse square-root decay, for runs whose length isn't known.
///
/// ```text
/// y(t) = from · √(timescale/(timescale + t))
/// ```
///
/// `timescale` is in updates: after 3 timescales the value has halved.
///
/// Edges: `at(0) = from`, exactly. There is no end; the value approaches 0.
///
/// After a warmup of as many updates as its timescale, it is the schedule of "Attention is all you
/// need", transformers' `inverse_sqrt`, Megatron's `inverse-square-root` and fairseq's
/// `inverse_sqrt`. Noam's form, with its factor for the model size, is [`Noam`](super::Noam).
///
/// Source: Zhai et al. 2022 (arXiv 2106.04560), section 2.5, for a timescale separate from the warmup.
///
/// ```
/// use evenkeel::schedule::{InverseSqrt, Ramp, Schedule};
///
/// let decay = InverseSqrt::new(1.0, 100)?;
/// assert_eq!([0, 300, 1500].map(|t| decay.at(t)), [1.0, 0.5, 0.25]);
/// let with_warmup = Ramp::new(0.0, 1.0, 100)?.then(100, decay);
/// assert_eq!(with_warmup.at(400), 0.5);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InverseSqrt {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) timescale: u64,
}

impl InverseSqrt {
    /// Creates a decay from `from`.
    ///
    /// # Errors
    /// If `from` is not finite, or `timescale` is 0.
    pub fn new(from: f64, timescale: u64) -> Result<Self, Error> {
        Ok(Self {
            from: Param("InverseSqrt", "from").finite(from)?,
            timescale: Param("InverseSqrt", "timescale").at_least(1, timescale)?,
        })
    }
}

impl Schedule for InverseSqrt {
    fn at(&self, t: u64) -> f64 {
        let timescale = self.timescale as f64;
        saturate(self.from * (timescale / (timescale + t as f64)).sqrt())
    }
}
