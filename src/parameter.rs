//! What is told of a parameter, in plain numbers.

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
    /// Its path: field names joined by dots.
    pub path: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its Euclidean norm.
    pub norm: f64,
    /// Whether it asks for a gradient.
    pub trainable: bool,
    /// How the optimizer steps it, where a bound [asks](crate::bound::StepBound::looks_at_direction): `None` if it is
    /// frozen, or if its step depends on the size of the gradient in another way.
    pub direction: Option<Direction>,
}

impl Parameter {
    /// A trainable parameter.
    pub fn new(path: impl Into<String>, shape: impl Into<Vec<usize>>, norm: f64) -> Self {
        Self { path: path.into(), shape: shape.into(), norm, trainable: true, direction: None }
    }

    /// The same, stepped in this way.
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
    /// It changes each element by about `size` times the rate, however large the gradient is: Adam and its kin,
    /// Lion, Muon.
    Normalized {
        /// The root mean square of a step at a rate of 1.
        size: f64,
    },
    /// It changes each element in proportion to the gradient: descent, and momentum.
    Gradient {
        /// What a first step at a rate of 1 is, over the gradient.
        size: f64,
        /// The share of one step that goes on in the next.
        momentum: f64,
    },
}

impl Direction {
    /// Its numbers, to be saved.
    pub(crate) fn parts(self) -> [f64; 2] {
        match self {
            Self::Normalized { size } => [size, -1.0],
            Self::Gradient { size, momentum } => [size, momentum],
        }
    }

    /// What was saved by [`parts`](Self::parts); `None` if nothing was known.
    fn of_parts(parts: [f64; 2]) -> Option<Self> {
        match parts {
            [size, -1.0] if size.is_finite() && size >= 0.0 => Some(Self::Normalized { size }),
            [size, momentum]
                if size.is_finite() && size >= 0.0 && (0.0..1.0).contains(&momentum) =>
            {
                Some(Self::Gradient { size, momentum })
            }
            _ => None,
        }
    }

    /// The direction of a run that goes on, where `found` is what a try came to when it was resumed: the saved one,
    /// unless the optimizer is another now, or has another momentum. They differ by rounding, and by what depends on the
    /// weights, which are others then: their decay, or their norm in a step that is measured by it.
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
