//! One matrix of the model: its size, how it is stepped, and whether its scale has an effect.

use super::Direction;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matrix {
    pub(super) direction: Direction,
    /// The square root of the number of elements.
    pub(super) root: f64,
    /// The minimum that the rms counts as.
    pub(super) floor: f64,
    pub(super) rms: f64,
    /// The initial rms, which limits what a grown rms counts as.
    pub(super) first: f64,
    pub(super) active: bool,
    /// In how many updates the gradient has been at a right angle to it; −1 once it has not been.
    pub(super) orthogonal: f64,
    /// The largest that an average of the gradients can be, and its slowly decaying maximum.
    pub(super) average: f64,
    pub(super) highest: f64,
}

/// The share of the remembered step size that is kept per step.
pub(super) const FORGET: f64 = 0.95;

/// A matrix that has grown counts as at most this many times its initial size.
const GROWN: f64 = 1.5;

/// The largest cosine of the angle between a matrix and its gradient that counts as a right angle, times the root of
/// the number of elements. For unrelated directions it is about 1.
const RIGHT: f64 = 0.02;

/// The number of right angles after which the scale of a matrix is taken to have no effect.
const OFTEN: f64 = 5.0;

/// A step that doesn't fade counts this many times. Adam's average over about ten gradients leaves √(0.1/1.9) = 0.23 of
/// unrelated ones, and all of equal ones; its steps are somewhere in between.
const FULL: f64 = 3.0;

impl Matrix {
    /// Returns the share of the matrix that a step at a rate of 1 replaces; more where momentum turns one step
    /// into many.
    pub(super) fn share(&self) -> f64 {
        let step = match self.direction {
            Direction::Normalized { size, fades: true } => size,
            Direction::Normalized { size, fades: false } => FULL * size,
            Direction::Gradient { size, momentum } => size * self.highest / (1.0 - momentum).sqrt(),
        };
        step / self.rms.min(GROWN * self.first.max(self.floor)).max(self.floor)
    }

    /// Records the cosine of the angle between the matrix and its gradient.
    pub(super) fn turn(&mut self, cosine: f64) {
        let right = cosine * self.root <= RIGHT && self.orthogonal >= 0.0;
        self.orthogonal = if right { self.orthogonal + 1.0 } else { -1.0 };
    }

    /// Returns whether its scale has no effect, as far as is known.
    pub(super) fn has_no_scale(&self) -> bool {
        self.orthogonal >= OFTEN
    }
}

/// Returns whether the step size of any matrix depends on the gradient.
pub(super) fn by_gradient(matrices: &[Matrix]) -> bool {
    matrices.iter().any(|matrix| matches!(matrix.direction, Direction::Gradient { .. }))
}

/// Returns the number of inputs per output. Burn's linear layers are `[in, out]`, its convolutions
/// `[out, in, …]`.
pub(super) fn fan_in(shape: &[usize]) -> f64 {
    let inputs = match shape {
        [inputs, _] => *inputs,
        [_, inner @ ..] => inner.iter().product(),
        [] => 1,
    };
    inputs.max(1) as f64
}
