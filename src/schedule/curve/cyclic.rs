//! Cyclical schedules.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::{lerp, power};

/// Triangular cycles between two values.
///
/// With `i` the number of completed cycles and `c = t − i·(up + down)` the number of updates since the last
/// one ended,
///
/// ```text
/// s = c/up                   for c < up
///   = 1 − (c − up)/down      for c ≥ up
/// y(t) = low + (high − low)·s·a
/// a = 1         by default: Smith's "triangular"
///   = 2^−i      if each cycle halves the height: "triangular2"
///   = γ^t       if the height shrinks with every update: "exp_range"
/// ```
///
/// `up` and `down` are lengths in updates; `down = up` unless [set](Self::down).
///
/// Edges: `at(0) = low`, and where `a = 1` the peaks are `high`, exactly. With `down = 0` the curve is a
/// sawtooth. There is no end.
///
/// Source: Smith 2017 (arXiv 1506.01186). Agrees with torch `CyclicLR`.
///
/// ```
/// use evenkeel::schedule::{Cyclic, Schedule};
///
/// let cycles = Cyclic::new(0.0, 1.0, 2)?.down(4)?;
/// let at = |curve: Cyclic| [0, 1, 2, 4, 6, 8].map(|t| curve.at(t));
/// assert_eq!(at(cycles), [0.0, 0.5, 1.0, 0.5, 0.0, 1.0]);
/// assert_eq!(at(cycles.triangular2()), [0.0, 0.5, 1.0, 0.5, 0.0, 0.5]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "CyclicLR")]
pub struct Cyclic {
    pub(in crate::schedule) low: f64,
    pub(in crate::schedule) high: f64,
    pub(in crate::schedule) up: u64,
    pub(in crate::schedule) down: u64,
    pub(in crate::schedule) amplitude: Amplitude,
}

/// How the height of the triangles changes over time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub(in crate::schedule) enum Amplitude {
    #[default]
    Triangular,
    Triangular2,
    ExpRange(f64),
}

impl Cyclic {
    /// Creates triangular cycles that rise from `low` to `high` in `up` updates and fall in as many.
    ///
    /// # Errors
    /// If `low` or `high` is not finite, or `up` is 0.
    pub fn new(low: f64, high: f64, up: u64) -> Result<Self, Error> {
        Ok(Self {
            low: Param("Cyclic", "low").finite(low)?,
            high: Param("Cyclic", "high").finite(high)?,
            up: Param("Cyclic", "up").at_least(1, up)?,
            down: up,
            amplitude: Amplitude::Triangular,
        })
    }

    /// Sets the length of the fall to `down` updates; with 0 the value drops at once and never reaches the peak itself.
    ///
    /// # Errors
    /// If one cycle would be longer than `u64::MAX`.
    pub fn down(mut self, down: u64) -> Result<Self, Error> {
        let fits = self.up.checked_add(down).is_some();
        self.down = Param("Cyclic", "down").must(fits, "countable together with `up`", down)?;
        Ok(self)
    }

    /// Halves the height of the triangles with every cycle.
    #[must_use]
    pub fn triangular2(mut self) -> Self {
        self.amplitude = Amplitude::Triangular2;
        self
    }

    /// Multiplies the height of the triangles by `gamma` with every update.
    ///
    /// # Errors
    /// If `gamma` is negative or not finite.
    pub fn exp_range(mut self, gamma: f64) -> Result<Self, Error> {
        let gamma = Param("Cyclic", "exp_range").non_negative(gamma)?;
        self.amplitude = Amplitude::ExpRange(gamma);
        Ok(self)
    }

    /// Returns this curve for the rate, and its mirror image for the momentum: `high` where the rate is low,
    /// `low` where it is high.
    ///
    /// Source: Smith 2018 (arXiv 1803.09820), section 4.3. Agrees with torch `CyclicLR`, whose momenta are 0.9
    /// and 0.8.
    ///
    /// # Errors
    /// If a momentum is not at least 0 and below 1.
    pub fn with_momentum(self, high: f64, low: f64) -> Result<(Self, Self), Error> {
        let param = Param("Cyclic", "with_momentum");
        let (high, low) = (param.below_one(high)?, param.below_one(low)?);
        Ok((self, Self { low: high, high: low, ..self }))
    }
}

impl Schedule for Cyclic {
    fn at(&self, t: u64) -> f64 {
        let Self { low, high, up, down, amplitude } = *self;
        let (cycle, since) = (t / (up + down), t % (up + down));
        let s = match since.checked_sub(up) {
            None => since as f64 / up as f64,
            Some(falling) => 1.0 - falling as f64 / down as f64,
        };
        let a = match amplitude {
            Amplitude::Triangular => 1.0,
            Amplitude::Triangular2 => power(0.5, cycle as f64),
            Amplitude::ExpRange(gamma) => power(gamma, t as f64),
        };
        lerp(low, high, s * a)
    }
}
