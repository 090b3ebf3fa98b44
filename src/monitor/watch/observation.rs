//! The numbers of one sampled step, by name.

/// The numbers of one sampled step, by name.
///
/// A name is a quantity, followed for a part of the model by a slash and its path: `grad_norm` is that of the
/// whole model, `grad_norm/encoder.weight` that of one parameter or group. Names do not change during a run, but
/// a number that is not known in a step is left out: see [`Watch`](super::Watch).
///
/// ```
/// use evenkeel::monitor::Observation;
///
/// let seen = Observation::default().value("valid_loss", 0.31);
/// for (name, value) in seen.iter() {
///     println!("{name}: {value}");
/// }
/// assert_eq!(seen.get("valid_loss"), Some(0.31));
/// assert_eq!(seen.get("accuracy"), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Observation {
    /// The number of steps before this one, sampled or not.
    pub step: u64,
    values: Vec<(String, f64)>,
}

impl Observation {
    pub(in crate::monitor) fn new(step: u64) -> Self {
        Self { step, values: Vec::new() }
    }

    pub(in crate::monitor) fn push(&mut self, name: impl Into<String>, value: f64) {
        self.values.push((name.into(), value));
    }

    /// Iterates over names and numbers, in the same order in every observation.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, f64)> {
        self.values.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// Adds a custom number, replacing one of the same name: a validation loss, an accuracy.
    ///
    /// [`Logbook::step`](crate::record::Logbook::step) records it with the step, so that it appears in the files,
    /// on the page and in the findings; see [`metric`](crate::metric). For a step that no [`Watch`](super::Watch)
    /// has sampled, start with `Observation::default()`.
    ///
    /// ```
    /// use evenkeel::monitor::Observation;
    ///
    /// # let sampled: Option<Observation> = None;
    /// let seen = sampled.unwrap_or_default().value("valid_loss", 0.31).value("accuracy", 0.92);
    /// assert_eq!(seen.get("accuracy"), Some(0.92));
    /// ```
    #[must_use]
    pub fn value(mut self, name: impl Into<String>, value: f64) -> Self {
        let name = name.into();
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name, value)),
        }
        self
    }

    /// Returns the number with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}
