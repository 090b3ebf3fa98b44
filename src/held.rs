//! What became of one rate.

/// What bounds have left of a rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Held {
    /// The share of it.
    pub(crate) share: f64,
    /// The most that the highest rate could be.
    pub(crate) cap: Option<f64>,
}

impl Held {
    /// Nothing was held.
    pub(crate) const FREE: Self = Self { share: 1.0, cap: None };
}
