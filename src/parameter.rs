//! Descriptions of parameters, in plain numbers.

/// One parameter of the model, as a [bound](crate::bound) sees it.
///
/// ```
/// use evenkeel::Parameter;
///
/// let weight = Parameter::new("head.weight", [64, 10], 2.5);
/// assert!(weight.trainable);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Parameter {
    /// Path in the model: field names joined by dots.
    pub path: String,
    /// Shape of the tensor.
    pub shape: Vec<usize>,
    /// Euclidean norm of the value.
    pub norm: f64,
    /// Whether the parameter requires a gradient.
    pub trainable: bool,
    /// How the optimizer steps the parameter, if a bound [asks](crate::bound::StepBound::looks_at_direction) for it.
    /// `None` if the parameter is frozen, or if its step depends on the size of the gradient in another way.
    pub direction: Option<Direction>,
}

impl Parameter {
    /// Creates a trainable parameter.
    pub fn new(path: impl Into<String>, shape: impl Into<Vec<usize>>, norm: f64) -> Self {
        Self { path: path.into(), shape: shape.into(), norm, trainable: true, direction: None }
    }

    /// Sets how the optimizer steps the parameter.
    #[must_use]
    pub fn with_direction(mut self, direction: Direction) -> Self {
        self.direction = Some(direction);
        self
    }
}

/// How an optimizer's step of a parameter depends on the gradient. [`Builder::build`](crate::Builder::build) finds out
/// by trying a copy of the optimizer.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Direction {
    /// The step changes each element by about `size` times the rate, however large the gradient is: Adam and its
    /// variants, Lion, Muon.
    Normalized {
        /// Root mean square of a step at a rate of 1.
        size: f64,
        /// Whether the step shrinks as gradients disagree, because an average of them is divided by their size: Adam's
        /// does, and Lion's and Muon's don't.
        fades: bool,
    },
    /// The step changes each element in proportion to the gradient: gradient descent, and momentum.
    Gradient {
        /// Ratio of the first step, at a rate of 1, to the gradient.
        size: f64,
        /// Share of one step that carries over into the next.
        momentum: f64,
    },
}

impl Direction {
    /// Returns the numbers to save.
    pub(crate) fn parts(self) -> [f64; 2] {
        match self {
            Self::Normalized { size, fades: true } => [size, -1.0],
            Self::Normalized { size, fades: false } => [size, -2.0],
            Self::Gradient { size, momentum } => [size, momentum],
        }
    }

    /// Restores what [`parts`](Self::parts) saved; `None` if nothing was known.
    fn of_parts(parts: [f64; 2]) -> Option<Self> {
        match parts {
            [size, kind @ (-1.0 | -2.0)] if size.is_finite() && size >= 0.0 => {
                Some(Self::Normalized { size, fades: kind == -1.0 })
            }
            [size, momentum]
                if size.is_finite() && size >= 0.0 && (0.0..1.0).contains(&momentum) =>
            {
                Some(Self::Gradient { size, momentum })
            }
            _ => None,
        }
    }

    /// Returns the direction of a resumed run, where `found` is what a trial found on resuming: the saved direction,
    /// unless the optimizer is a different one or has a different momentum. The two differ by rounding, and by terms
    /// that depend on the weights, which have changed: weight decay, or the norm in a step that is scaled by it.
    pub(crate) fn went_on(found: Option<Self>, saved: [f64; 2]) -> Option<Self> {
        let saved = Self::of_parts(saved);
        let same = match (found, saved) {
            (
                Some(Self::Gradient { momentum, .. }),
                Some(Self::Gradient { momentum: then, .. }),
            ) => (0.5..2.0).contains(&((1.0 - then) / (1.0 - momentum))),
            (Some(Self::Normalized { .. }), Some(Self::Gradient { .. }))
            | (Some(Self::Gradient { .. }), Some(Self::Normalized { .. })) => false,
            _ => true,
        };
        if same { saved } else { found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_direction_is_restored() {
        let saved = |parts| Direction::went_on(None, parts);
        for of in [
            Direction::Normalized { size: 0.0, fades: true },
            Direction::Normalized { size: 2.0, fades: false },
            Direction::Gradient { size: 0.0, momentum: 0.0 },
            Direction::Gradient { size: 2.0, momentum: 0.5 },
        ] {
            assert_eq!(saved(of.parts()), Some(of));
        }
        for size in [-1.0, f64::NAN, f64::INFINITY] {
            for kind in [-1.0, -2.0, 0.5] {
                assert_eq!(saved([size, kind]), None, "{size} {kind}");
            }
        }
        for kind in [-3.0, 1.0, f64::NAN] {
            assert_eq!(saved([1.0, kind]), None, "{kind}");
        }
    }
}
