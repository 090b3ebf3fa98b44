//! What one look at training came to: names and numbers.

/// The numbers of one sampled step, by name.
///
/// A name is a quantity, and for a part of the model its path after a slash: `grad_norm` is of the
/// whole, `grad_norm/encoder.weight` of one parameter or of a group. Names do not change during a run;
/// which of them are there does, where a number is not known: see [`Watch`](super::Watch).
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Observation {
    /// How many steps were looked at or passed over before this one.
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

    /// Name and number of each, in the same order in every observation.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, f64)> {
        self.values.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The same with a number of yours, which replaces one of the same name: a validation loss, an accuracy.
    ///
    /// [`Logbook::step`](crate::record::Logbook::step) records it with the step, so that it is in the files,
    /// on the page and in the findings; [`metric`](crate::metric) says how. For a step that no
    /// [`Watch`](super::Watch) has sampled begin with `Observation::default()`.
    ///
    /// ```
    /// use evenkeel::monitor::Observation;
    ///
    /// # let sampled: Option<Observation> = None;
    /// let seen = sampled.unwrap_or_default().value("valid_loss", 0.31).value("accuracy", 0.92);
    /// assert_eq!(seen.get("accuracy"), Some(0.92));
    /// ```
    pub fn value(mut self, name: impl Into<String>, value: f64) -> Self {
        let name = name.into();
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name, value)),
        }
        self
    }

    /// The number of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}
