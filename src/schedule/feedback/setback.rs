//! One damping, passed through a schedule.

use super::damped::Damped;

/// A request to damp the rate because training was set back, as passed to
/// [`Schedule::damp`](crate::schedule::Schedule::damp).
///
/// It remembers where it was taken, so that a [`Damping`](super::Damping) takes it only once, even
/// if clones of it are in several places of a schedule, or in several parameter groups.
#[derive(Debug, Clone, PartialEq)]
pub struct Setback {
    factor: f64,
    /// `None` leaves a climb in progress unchanged.
    warm_up: Option<u64>,
    taken_by: Vec<usize>,
}

impl Setback {
    pub(in crate::schedule) fn new(factor: f64) -> Self {
        Self { factor, warm_up: None, taken_by: Vec::new() }
    }

    /// Makes the rate climb to its level over `over` updates afterwards.
    pub(in crate::schedule) fn with_warm_up(mut self, over: u64) -> Self {
        self.warm_up = Some(over);
        self
    }

    /// Applies the setback at `update`.
    pub(in crate::schedule) fn apply(&self, damped: &mut Damped, update: u64) {
        damped.dampen(update, self.factor);
        if let Some(over) = self.warm_up {
            damped.warm_up(update, over);
        }
    }

    /// Returns the factor for the rate: above 0, and at most 1.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Returns over how many updates the rate is to climb back to its damped level; 0 for
    /// immediately.
    pub fn warm_up(&self) -> u64 {
        self.warm_up.unwrap_or(0)
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
