//! Tensors with non-finite elements.

use std::fmt;

/// A tensor that held non-finite values.
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::{GradientsParams, SgdConfig};
/// # use burn::tensor::{Device, Tensor};
/// # use evenkeel::Keel;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let device = Device::default().autodiff();
/// # let model = LinearConfig::new(4, 1).with_bias(false).init(&device);
/// # let mut keel = Keel::wrap(SgdConfig::new().init()).build(&model)?;
/// # let x = Tensor::<2>::ones([2, 4], &device);
/// // The square root has no finite derivative at 0.
/// let loss = model.forward(x).mul_scalar(0.0).sqrt().mean();
/// let grads = GradientsParams::from_grads(loss.backward(), &model);
/// let report = keel.step(0.1, model, grads, &loss)?.report;
///
/// let first = &report.culprits[0];
/// assert_eq!((first.path.as_str(), first.nan, first.elements), ("weight", 4, 4));
/// assert_eq!(first.to_string(), "the gradient of `weight`: 4 of 4 NaN");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Culprit {
    /// The parameter's path in the model: field names joined by dots.
    pub path: String,
    /// Which of the parameter's tensors this is.
    pub part: Part,
    /// Number of NaN elements.
    pub nan: usize,
    /// Number of infinite elements.
    pub infinite: usize,
    /// Number of elements in total. If none is non-finite, their squares overflowed.
    pub elements: usize,
}

/// One of a parameter's tensors.
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::{GradientsParams, SgdConfig};
/// # use burn::tensor::{Device, Tensor};
/// use evenkeel::{Keel, Part};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let device = Device::default().autodiff();
/// # let model = LinearConfig::new(4, 1).with_bias(false).init(&device);
/// # let mut keel = Keel::wrap(SgdConfig::new().init()).build(&model)?;
/// # let x = Tensor::<2>::ones([2, 4], &device);
/// // The square root has no finite derivative at 0.
/// let loss = model.forward(x).mul_scalar(0.0).sqrt().mean();
/// let grads = GradientsParams::from_grads(loss.backward(), &model);
/// let report = keel.step(0.1, model, grads, &loss)?.report;
///
/// let broken = |part: Part| report.culprits.iter().filter(|culprit| culprit.part == part).count();
/// assert_eq!((broken(Part::Gradient), broken(Part::Parameter)), (1, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Part {
    /// The parameter's value.
    Parameter,
    /// Its gradient.
    Gradient,
    /// A running statistic of the forward pass.
    Statistic,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parameter => "parameter",
            Self::Gradient => "the gradient of",
            Self::Statistic => "statistic",
        })
    }
}

impl Culprit {
    pub(crate) fn new(path: String, part: Part, [nan, infinite, elements]: [usize; 3]) -> Self {
        Self { path, part, nan, infinite, elements }
    }
}

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`: ", self.part, self.path)?;
        match (self.nan, self.infinite) {
            (0, 0) => write!(f, "the squares of its {} elements overflow", self.elements),
            (nan, 0) => write!(f, "{nan} of {} NaN", self.elements),
            (0, inf) => write!(f, "{inf} of {} infinite", self.elements),
            (nan, inf) => write!(f, "{nan} NaN and {inf} infinite of {}", self.elements),
        }
    }
}
