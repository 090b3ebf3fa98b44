//! Piecewise schedules through given points.

use super::Anneal;
use super::knots::Knots;
use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::{lerp, progress};

/// Piecewise-constant schedule: one value after another.
///
/// ```text
/// y(t) = first     for t < at₀
///      = valueᵢ    for atᵢ ≤ t < atᵢ₊₁
/// ```
///
/// Edges: the value changes *at* update `atᵢ`. The last value is held.
///
/// Agrees with optax `piecewise_constant_schedule`, which takes factors instead of values. Keras
/// `PiecewiseConstantDecay` changes one update later.
///
/// ```
/// use evenkeel::schedule::{PiecewiseConstant, Schedule};
///
/// let rate = PiecewiseConstant::new(0.1, [(10, 0.01), (20, 0.002)])?;
/// assert_eq!([0, 9, 10, 19, 20, 99].map(|t| rate.at(t)), [0.1, 0.1, 0.01, 0.01, 0.002, 0.002]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[doc(alias = "PiecewiseConstantDecay")]
#[doc(alias = "piecewise_constant_schedule")]
#[doc(alias = "ConstantLR")]
pub struct PiecewiseConstant {
    pub(in crate::schedule) first: f64,
    pub(in crate::schedule) knots: Knots,
}

impl PiecewiseConstant {
    /// Creates a schedule that starts at `first` and takes each value from its update on. `knots` may be empty.
    ///
    /// # Errors
    /// If a value is not finite, or the updates are not in increasing order.
    pub fn new(first: f64, knots: impl IntoIterator<Item = (u64, f64)>) -> Result<Self, Error> {
        let first = Param("PiecewiseConstant", "first").finite(first)?;
        Ok(Self { first, knots: Knots::new("PiecewiseConstant", knots)? })
    }
}

impl Schedule for PiecewiseConstant {
    fn at(&self, t: u64) -> f64 {
        self.knots.around(t).0.map_or(self.first, |(_, value)| value)
    }
}

/// Defines a curve that passes through knots in a given shape.
macro_rules! through {
    ($(#[$doc:meta])* $name:ident, $shape:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            pub(in crate::schedule) knots: Knots,
        }

        impl $name {
            /// Creates a curve through the given points, each an update and its value.
            ///
            /// # Errors
            /// If there is no point, a value is not finite, or the updates are not in increasing
            /// order.
            pub fn new(knots: impl IntoIterator<Item = (u64, f64)>) -> Result<Self, Error> {
                let knots = Knots::new(stringify!($name), knots)?;
                let count = knots.pairs().len() as u64;
                Param(stringify!($name), "knots").at_least(1, count)?;
                Ok(Self { knots })
            }
        }

        impl Schedule for $name {
            fn at(&self, t: u64) -> f64 {
                match self.knots.around(t) {
                    (Some((a, from)), Some((b, to))) => {
                        lerp(from, to, $shape.rise(progress(t - a, b - a)))
                    }
                    (Some((_, value)), None) | (None, Some((_, value))) => value,
                    // Unreachable: the constructor requires at least one knot.
                    (None, None) => f64::NAN,
                }
            }
        }
    };
}

through!(
    /// Piecewise-linear interpolation: straight lines from point to point.
    ///
    /// ```text
    /// y(t) = vᵢ + (vᵢ₊₁ − vᵢ)·(t − atᵢ)/(atᵢ₊₁ − atᵢ)   for atᵢ ≤ t < atᵢ₊₁
    /// ```
    ///
    /// Edges: the first point's value is held before it, and the last point's value after it. At the points
    /// the values are exact.
    ///
    /// Agrees with optax `piecewise_interpolate_schedule('linear')`, which takes factors instead of
    /// values.
    ///
    /// ```
    /// use evenkeel::schedule::{PiecewiseLinear, Schedule};
    ///
    /// let rate = PiecewiseLinear::new([(10, 0.0), (20, 1.0), (40, 0.5)])?;
    /// assert_eq!([0, 10, 15, 20, 30, 40, 99].map(|t| rate.at(t)), [0.0, 0.0, 0.5, 1.0, 0.75, 0.5, 0.5]);
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    PiecewiseLinear, Anneal::Linear
);
through!(
    /// Piecewise-cosine interpolation: half cosines from point to point, flat at every point.
    ///
    /// ```text
    /// y(t) = vᵢ + (vᵢ₊₁ − vᵢ)·(1 − cos(π·p))/2   for atᵢ ≤ t < atᵢ₊₁, with p = (t − atᵢ)/(atᵢ₊₁ − atᵢ)
    /// ```
    ///
    /// Edges: the first point's value is held before it, and the last point's value after it. At the points
    /// the values are exact.
    ///
    /// Agrees with optax `piecewise_interpolate_schedule('cosine')`, which takes factors instead of
    /// values.
    ///
    /// ```
    /// use evenkeel::schedule::{PiecewiseCosine, Schedule};
    ///
    /// let rate = PiecewiseCosine::new([(0, 0.0), (10, 1.0), (20, 0.5)])?;
    /// assert_eq!([0, 10, 15, 20, 99].map(|t| rate.at(t)), [0.0, 1.0, 0.75, 0.5, 0.5]);
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    PiecewiseCosine, Anneal::Cosine
);
