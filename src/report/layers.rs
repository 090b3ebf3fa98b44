//! Numbers by parameter.

use std::sync::Arc;

/// One number for each parameter that received a gradient, in the order of the model.
///
/// ```
/// use evenkeel::Layers;
///
/// let paths = ["body.weight".to_string(), "head.weight".to_string()];
/// let layers = Layers::new(paths, vec![0.5, 2.0]).expect("one norm for each path");
/// assert_eq!(layers.get("head.weight"), Some(2.0));
///
/// let largest = layers.iter().max_by(|a, b| a.1.total_cmp(&b.1));
/// assert_eq!(largest, Some(("head.weight", 2.0)));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layers {
    paths: Arc<[String]>,
    norms: Vec<f64>,
}

impl Layers {
    /// Pairs each path with its norm. Returns `None` if there are not as many norms as paths.
    pub fn new(paths: impl Into<Arc<[String]>>, norms: Vec<f64>) -> Option<Self> {
        let paths = paths.into();
        (paths.len() == norms.len()).then_some(Self { paths, norms })
    }

    /// Iterates over the path and norm of every parameter, in the order of the model.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, f64)> {
        self.paths.iter().map(String::as_str).zip(self.norms.iter().copied())
    }

    /// Returns the norm of the parameter at `path`, written as Burn writes it: field names joined by dots.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<f64> {
        self.iter().find(|(p, _)| *p == path).map(|(_, norm)| norm)
    }

    /// Returns norms of the same parameters; `norms` must have the same length.
    pub(crate) fn with_norms(&self, norms: Vec<f64>) -> Self {
        Self { paths: self.paths.clone(), norms }
    }

    /// Multiplies the norms by `factor`.
    pub(crate) fn scaled(mut self, factor: f64) -> Self {
        self.norms.iter_mut().for_each(|norm| *norm *= factor);
        self
    }

    /// Returns the number of parameters that received a gradient.
    #[must_use]
    pub fn len(&self) -> usize {
        self.norms.len()
    }

    /// Returns whether no parameter received a gradient.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.norms.is_empty()
    }
}

/// Returns whether the parameter at `path` is under `prefix`, which ends where a path component does.
pub(crate) fn is_under(path: &str, prefix: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => prefix.is_empty() || rest.is_empty() || rest.starts_with('.'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_need_one_norm_for_each_path() {
        let paths: Arc<[String]> = ["a".to_string(), "b".to_string()].into();
        assert!(Layers::new(paths.clone(), vec![1.0]).is_none());
        let layers = Layers::new(paths, vec![1.0, 2.0]).unwrap();
        assert_eq!(layers.get("b"), Some(2.0));
        assert_eq!(layers.get("c"), None);
    }
}
