//! One damping, on its way through a schedule.

use super::damped::Damped;

/// Training was set back, and its rate is to be damped: what
/// [`Schedule::damp`](crate::schedule::Schedule::damp) carries.
///
/// It remembers who has taken it, so that a [`Damping`](super::Damping) takes it once, even where
/// clones of it are in several places of a schedule, or in several parameter groups.
#[derive(Debug, Clone, PartialEq)]
pub struct Setback {
    factor: f64,
    /// `None` leaves a climb that is under way as it is.
    warm_up: Option<u64>,
    taken_by: Vec<usize>,
}

impl Setback {
    pub(in crate::schedule) fn new(factor: f64) -> Self {
        Self { factor, warm_up: None, taken_by: Vec::new() }
    }

    /// After it, the rate climbs to its level over `over` updates.
    pub(in crate::schedule) fn with_warm_up(mut self, over: u64) -> Self {
        self.warm_up = Some(over);
        self
    }

    /// What it does at `update`.
    pub(in crate::schedule) fn apply(&self, damped: &mut Damped, update: u64) {
        damped.dampen(update, self.factor);
        if let Some(over) = self.warm_up {
            damped.warm_up(update, over);
        }
    }

    /// What the rate is to be multiplied by: above 0, and at most 1.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Over how many updates the rate is to climb back to its damped level: 0 for at once.
    pub fn warm_up(&self) -> u64 {
        self.warm_up.unwrap_or(0)
    }

    /// Whether the memory at this address takes it for the first time.
    pub(super) fn is_new_to(&mut self, address: usize) -> bool {
        let new = !self.taken_by.contains(&address);
        if new {
            self.taken_by.push(address);
        }
        new
    }
}
