//! A constant value.

use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;

/// The same value at every update.
///
/// `y(t) = value`
///
/// ```
/// use evenkeel::schedule::{Constant, Schedule};
///
/// let rate = Constant::new(0.1)?;
/// assert_eq!((rate.at(0), rate.at(u64::MAX)), (0.1, 0.1));
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constant(pub(in crate::schedule) f64);

impl Constant {
    /// Creates a schedule that is `value` at every update.
    ///
    /// # Errors
    /// If `value` is not finite.
    pub fn new(value: f64) -> Result<Self, Error> {
        Ok(Self(Param("Constant", "value").finite(value)?))
    }
}

impl Schedule for Constant {
    fn at(&self, _update: u64) -> f64 {
        self.0
    }
}
