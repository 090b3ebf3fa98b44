//! One damping, on its way through a schedule.

/// Training was set back, and its rate is to be damped: what
/// [`Schedule::damp`](crate::schedule::Schedule::damp) carries.
///
/// It remembers who has taken it, so that a [`Damping`](super::Damping) takes it once, even where
/// clones of it are in several places of a schedule, or in several parameter groups.
#[derive(Debug, Clone, PartialEq)]
pub struct Setback {
    factor: f64,
    taken_by: Vec<usize>,
}

impl Setback {
    pub(in crate::schedule) fn new(factor: f64) -> Self {
        Self { factor, taken_by: Vec::new() }
    }

    /// What the rate is to be multiplied by: above 0, and at most 1.
    pub fn factor(&self) -> f64 {
        self.factor
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
