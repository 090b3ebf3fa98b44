//! Hyperbolic-tangent decay.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::{lerp, progress};

/// Hyperbolic-tangent decay: stays near its start value for a long time, then falls steeply near its end.
///
/// ```text
/// y(t) = to + (from − to)·(1 − tanh(l·(1 − p) + u·p))/2   for t < over, with p = t/over
///      = to                                              for t ≥ over
/// ```
///
/// `over` is a length in updates. `l = −7` and `u = 3` unless other [bounds](Self::bounds) are set.
///
/// Edges: the hyperbolic tangent doesn't reach 1, so `at(0)` equals `from` only to within a millionth of the
/// distance, and the last update before the end is still 0.25 % of the distance above `to`. With `over = 0` the
/// value is `to` from the start.
///
/// Source: Hsueh et al. 2019 (arXiv 1806.01593). Agrees with timm's `tanh`.
///
/// ```
/// use evenkeel::schedule::{Schedule, TanhDecay};
///
/// let decay = TanhDecay::new(1.0, 0.0, 10)?;
/// assert!(decay.at(0) > 0.999_999 && decay.at(0) < 1.0);
/// assert!((decay.at(7) - 0.5).abs() < 1e-15);
/// assert_eq!(decay.at(10), 0.0);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TanhDecay {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) to: f64,
    pub(in crate::schedule) over: u64,
    pub(in crate::schedule) bounds: (f64, f64),
}

impl TanhDecay {
    /// Creates a decay from `from` to `to`, `over` updates long.
    ///
    /// # Errors
    /// If `from` or `to` is not finite.
    pub fn new(from: f64, to: f64, over: u64) -> Result<Self, Error> {
        Ok(Self {
            from: Param("TanhDecay", "from").finite(from)?,
            to: Param("TanhDecay", "to").finite(to)?,
            over,
            bounds: (-7.0, 3.0),
        })
    }

    /// Sets the part of the hyperbolic tangent that is used, from `l` to `u`.
    ///
    /// # Errors
    /// If a bound is not finite, or `u` is not above `l`.
    pub fn bounds(mut self, (l, u): (f64, f64)) -> Result<Self, Error> {
        let param = Param("TanhDecay", "bounds");
        let l = param.finite(l)?;
        let u = param.must(u.is_finite() && u > l, format_args!("finite, and above {l}"), u)?;
        self.bounds = (l, u);
        Ok(self)
    }
}

impl Schedule for TanhDecay {
    fn at(&self, t: u64) -> f64 {
        let Self { from, to, over, bounds: (l, u) } = *self;
        if t >= over {
            return to;
        }
        let p = progress(t, over);
        lerp(to, from, (1.0 - (l * (1.0 - p) + u * p).tanh()) / 2.0)
    }
}
