//! Exponential decay or growth.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::{power, saturate};

/// Exponential decay or growth: the value is multiplied by `factor` over the course of every `every`
/// updates.
///
/// ```text
/// y(t) = from · factor^(t/every)     clamped to `floor` and `ceiling`, where they are set
/// ```
///
/// `every` is a length in updates. With [`staircase`](Self::staircase), `t/every` is rounded down.
///
/// Edges: `at(0) = from`, if the bounds allow it. There is no end: without bounds, decay continues to 0
/// and growth to the largest finite number, and the value stays there. For an exponential from one value to
/// another, see [`Geometric`](super::Geometric).
///
/// Agrees with optax `exponential_decay`, whose `end_value` is the floor of a decay and the ceiling
/// of a growth; with torch `ExponentialLR` for `every = 1`; and with Keras `ExponentialDecay`. optax
/// treats a factor of 0 as 1.
///
/// ```
/// use evenkeel::schedule::{Exponential, Schedule};
///
/// let decay = Exponential::new(8.0, 0.25, 2)?;
/// assert_eq!([0, 1, 2, 4].map(|t| decay.at(t)), [8.0, 4.0, 2.0, 0.5]);
/// assert_eq!([0, 1, 2, 4].map(|t| decay.staircase().at(t)), [8.0, 8.0, 2.0, 0.5]);
/// assert_eq!(decay.floor(1.0)?.at(99), 1.0);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "ExponentialLR")]
#[doc(alias = "ExponentialDecay")]
#[doc(alias = "MultiplicativeLR")]
#[doc(alias = "exponential_decay")]
pub struct Exponential {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) factor: f64,
    pub(in crate::schedule) every: u64,
    pub(in crate::schedule) staircase: bool,
    pub(in crate::schedule) floor: Option<f64>,
    pub(in crate::schedule) ceiling: Option<f64>,
}

impl Exponential {
    /// Creates a curve that starts at `from` and is multiplied by `factor` every `every` updates, smoothly.
    ///
    /// # Errors
    /// If `from` is not finite, `factor` is negative or not finite, or `every` is 0.
    pub fn new(from: f64, factor: f64, every: u64) -> Result<Self, Error> {
        Ok(Self {
            from: Param("Exponential", "from").finite(from)?,
            factor: Param("Exponential", "factor").non_negative(factor)?,
            every: Param("Exponential", "every").at_least(1, every)?,
            staircase: false,
            floor: None,
            ceiling: None,
        })
    }

    /// Changes the value in steps of `every` updates, like [`Step`](super::Step).
    #[must_use]
    pub fn staircase(mut self) -> Self {
        self.staircase = true;
        self
    }

    /// Keeps the value from falling below `floor`.
    ///
    /// # Errors
    /// If `floor` is not finite, or above the ceiling.
    pub fn floor(mut self, floor: f64) -> Result<Self, Error> {
        let param = Param("Exponential", "floor");
        let floor = param.finite(floor)?;
        let ceiling = self.ceiling.unwrap_or(f64::MAX);
        param.must(floor <= ceiling, format_args!("at most the ceiling, {ceiling}"), floor)?;
        self.floor = Some(floor);
        Ok(self)
    }

    /// Keeps the value from rising above `ceiling`.
    ///
    /// # Errors
    /// If `ceiling` is not finite, or below the floor.
    pub fn ceiling(mut self, ceiling: f64) -> Result<Self, Error> {
        let param = Param("Exponential", "ceiling");
        let ceiling = param.finite(ceiling)?;
        let floor = self.floor.unwrap_or(f64::MIN);
        param.must(ceiling >= floor, format_args!("at least the floor, {floor}"), ceiling)?;
        self.ceiling = Some(ceiling);
        Ok(self)
    }
}

impl Schedule for Exponential {
    fn at(&self, t: u64) -> f64 {
        let exponent = match self.staircase {
            true => (t / self.every) as f64,
            false => t as f64 / self.every as f64,
        };
        let y = saturate(self.from * power(self.factor, exponent));
        y.clamp(self.floor.unwrap_or(f64::MIN), self.ceiling.unwrap_or(f64::MAX))
    }
}
