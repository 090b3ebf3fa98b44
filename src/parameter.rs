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
}

impl Parameter {
    /// A trainable parameter.
    pub fn new(path: impl Into<String>, shape: impl Into<Vec<usize>>, norm: f64) -> Self {
        Self { path: path.into(), shape: shape.into(), norm, trainable: true }
    }
}
