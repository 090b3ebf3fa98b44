//! Where a step has broken.

use std::fmt;

/// Where a non-finite value was found.
///
/// ```
/// use evenkeel::{Fault, Reading};
///
/// let now = Reading::new(0).with_loss(f64::NAN);
/// assert_eq!(now.fault, Some(Fault::Loss));
/// assert_eq!(Fault::Loss.to_string(), "non-finite loss");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Fault {
    /// The learning rate was NaN or infinite.
    Rate,
    /// A parameter was non-finite before the update.
    Parameter,
    /// The loss was NaN or infinite.
    Loss,
    /// A gradient held NaN or infinity, or its sum of squares overflowed `f32`.
    Gradient,
    /// A statistic that the forward pass keeps, such as BatchNorm's running mean, was non-finite.
    Statistic,
    /// Everything was finite, but the update made a parameter non-finite.
    Update,
    /// The optimizer's state was non-finite.
    Optimizer,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rate => "non-finite learning rate",
            Self::Parameter => "non-finite parameter",
            Self::Loss => "non-finite loss",
            Self::Gradient => "non-finite gradient",
            Self::Statistic => "non-finite running statistic",
            Self::Update => "non-finite update",
            Self::Optimizer => "non-finite optimizer state",
        })
    }
}
