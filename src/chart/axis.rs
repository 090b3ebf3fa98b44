//! The axes of a chart.

use super::scale::Scale;
use crate::Error;
use crate::error::check::Param;

/// An axis of a [`LineChart`](super::LineChart): what it measures, and on which scale.
///
/// Ticks are round numbers: 1, 2, 2.5 and 5 times a power of ten on a linear scale, powers of ten on a
/// logarithmic one.
///
/// ```
/// use evenkeel::chart::Axis;
///
/// let rate = Axis::log("learning rate");
/// let loss = Axis::even("loss").between(0.0, 2.5)?;
/// assert!(Axis::log("loss").between(0.0, 2.5).is_err(), "a logarithm of 0");
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub(super) name: String,
    kind: Kind,
    between: Option<(f64, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Auto,
    Even,
    Log,
    Count,
}

impl Axis {
    /// Creates an axis whose scale is chosen from the values: logarithmic if none is below 0, nearly all are
    /// above 0, and the largest is more than 25 times the smallest positive value; linear otherwise.
    pub fn auto(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: Kind::Auto, between: None }
    }

    /// Creates an axis with a linear scale.
    pub fn even(name: impl Into<String>) -> Self {
        Self { kind: Kind::Even, ..Self::auto(name) }
    }

    /// Creates an axis with a logarithmic scale. Values of 0 and below cannot be drawn on it and leave a gap.
    pub fn log(name: impl Into<String>) -> Self {
        Self { kind: Kind::Log, ..Self::auto(name) }
    }

    /// Creates an axis with a linear scale of whole numbers, such as steps or updates, with no margin at either
    /// end.
    pub fn count(name: impl Into<String>) -> Self {
        Self { kind: Kind::Count, ..Self::auto(name) }
    }

    /// Creates an axis of whole numbers from the first to the last.
    pub(crate) fn whole(name: &str, (first, last): (u64, u64)) -> Self {
        Self { between: Some((first as f64, last as f64)), ..Self::count(name) }
    }

    /// Sets both ends, which otherwise follow from the values. Values beyond them are drawn at the edge.
    ///
    /// # Errors
    /// If an end is not finite, `high` is not above `low`, or `low` is not above 0 on a logarithmic scale.
    pub fn between(mut self, low: f64, high: f64) -> Result<Self, Error> {
        let param = Param("Axis", "between");
        let low = match self.kind {
            Kind::Log => param.positive(low)?,
            Kind::Count => param.non_negative(low)?,
            Kind::Auto | Kind::Even => param.finite(low)?,
        };
        let must = format_args!("finite, and above {low}");
        let high = param.must(high.is_finite() && high > low, must, high)?;
        self.between = Some((low, high));
        Ok(self)
    }

    pub(super) fn scale(&self, values: impl Iterator<Item = f64> + Clone) -> Scale {
        match (self.kind, self.between) {
            (Kind::Auto, None) => Scale::of(values),
            (Kind::Even, None) => Scale::even_of(values),
            (Kind::Log, None) => Scale::log_of(values),
            (Kind::Auto | Kind::Even, Some(ends)) => Scale::even(ends),
            (Kind::Log, Some(ends)) => Scale::log(ends),
            (Kind::Count, Some((low, high))) => Scale::steps((low as u64, high as u64)),
            (Kind::Count, None) => {
                let finite = values.filter(|x| x.is_finite());
                let low = finite.clone().fold(f64::INFINITY, f64::min);
                let high = finite.fold(0.0, f64::max);
                Scale::steps((if low <= high { low as u64 } else { 0 }, high as u64))
            }
        }
    }
}
