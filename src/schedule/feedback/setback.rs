//! One backoff, passed through a schedule.

use super::level::BackoffLevel;

/// A request to lower the rate because training was set back, as passed to
/// [`Schedule::set_back`](crate::schedule::Schedule::set_back).
///
/// It remembers where it was taken, so that a [`Backoff`](super::Backoff) takes it only once, even
/// if clones of it are in several places of a schedule, or in several parameter groups.
///
/// ```
/// use evenkeel::schedule::{Schedule, Setback};
///
/// struct Watched;
/// impl Schedule for Watched {
///     fn at(&self, _: u64) -> f64 {
///         1.0
///     }
///
///     fn set_back(&self, _: u64, setback: &mut Setback) -> bool {
///         assert_eq!((setback.factor(), setback.warmup()), (0.5, 0));
///         false // Leaves it to the scheduler's gain.
///     }
/// }
///
/// let mut schedule = Watched.start();
/// schedule.back_off(0.5)?;
/// assert_eq!((schedule.gain(), schedule.peek()), (0.5, 0.5));
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Setback {
    factor: f64,
    /// `None` leaves a climb in progress unchanged.
    warmup: Option<u64>,
    taken_by: Vec<usize>,
}

impl Setback {
    pub(in crate::schedule) fn new(factor: f64) -> Self {
        Self { factor, warmup: None, taken_by: Vec::new() }
    }

    /// Makes the rate climb to its level over `over` updates afterwards.
    pub(in crate::schedule) fn with_warmup(mut self, over: u64) -> Self {
        self.warmup = Some(over);
        self
    }

    /// Applies the setback at `update`.
    pub(in crate::schedule) fn apply(&self, level: &mut BackoffLevel, update: u64) {
        level.back_off(update, self.factor);
        if let Some(over) = self.warmup {
            level.warmup(update, over);
        }
    }

    /// Returns the factor for the rate: above 0, and at most 1.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Returns over how many updates the rate is to climb back to its lowered level; 0 for
    /// immediately.
    #[must_use]
    pub fn warmup(&self) -> u64 {
        self.warmup.unwrap_or(0)
    }

    /// Returns whether the memory at this address takes it for the first time.
    pub(super) fn is_new_to(&mut self, address: usize) -> bool {
        let new = !self.taken_by.contains(&address);
        if new {
            self.taken_by.push(address);
        }
        new
    }
}
