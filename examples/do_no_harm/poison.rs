//! Faults of batches, and of memory.

use rand::Rng;
use rand::rngs::StdRng;

use crate::problems::{Cost, Problem, raw_wine};
use crate::rows::one_hot;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Poison {
    /// Inputs thirty times too large, with wrong targets.
    Large,
    /// Inputs a thousand times too large, with wrong targets: with the right ones, a confident classifier has a loss
    /// and a gradient of 0 there, and there is nothing to catch.
    Huge,
    /// A missing value.
    Nan,
    /// Unstandardized rows of another data set, with their targets.
    Foreign,
    /// A flipped bit in a weight.
    BitFlip,
}

impl Poison {
    pub const ALL: [Self; 5] = [Self::Large, Self::Huge, Self::Nan, Self::Foreign, Self::BitFlip];

    pub fn name(self) -> &'static str {
        match self {
            Self::Large => "x30",
            Self::Huge => "x1000",
            Self::Nan => "nan",
            Self::Foreign => "foreign",
            Self::BitFlip => "bitflip",
        }
    }

    /// The share of steps that it is applied to.
    pub fn share(self) -> f64 {
        if self == Self::BitFlip { 0.01 } else { 0.03 }
    }

    pub fn spoil(self, x: &mut [f32], y: &mut [f32], problem: &Problem, draws: &mut StdRng) {
        let n = problem.outputs;
        match self {
            Self::Large | Self::Huge => {
                let factor = if self == Self::Large { 30.0 } else { 1000.0 };
                x.iter_mut().for_each(|x| *x *= factor);
                match problem.cost {
                    Cost::CrossEntropy => y.chunks_mut(n).for_each(|row| row.rotate_right(1)),
                    Cost::Squared | Cost::Hinge => y.iter_mut().for_each(|y| *y = -*y),
                }
            }
            Self::Nan => x[draws.random_range(0..x.len())] = f32::NAN,
            Self::Foreign => {
                let rows = raw_wine();
                for row in x.chunks_mut(problem.inputs) {
                    let other = &rows[draws.random_range(0..rows.len())];
                    row.iter_mut().zip(other.iter().cycle()).for_each(|(x, other)| *x = *other);
                }
                for row in y.chunks_mut(n) {
                    let class = draws.random_range(0..n.max(2));
                    match problem.cost {
                        Cost::CrossEntropy => row.copy_from_slice(&one_hot(class, n)),
                        Cost::Hinge => row.fill(2.0 * class as f32 - 1.0),
                        // Scores by tasters, which aren't standardized either.
                        Cost::Squared => row.fill(draws.random_range(3..9) as f32),
                    }
                }
            }
            Self::BitFlip => {}
        }
    }
}
