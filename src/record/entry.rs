//! One step of a run, as it is recorded.

use std::sync::Arc;

use super::names::Names;
use crate::monitor::Observation;
use crate::{Incident, Report, Verdict};

/// One training step as it is recorded: position, verdict, named numbers, and the reason if it was not applied.
///
/// Names are those of [`Observation`]: a quantity, followed for a part of the model by a slash and its path. They
/// keep the order in which they were first given, and each occurs once: a later number of the same name replaces
/// the earlier one. All NaNs are treated as equal.
///
/// ```
/// use evenkeel::record::Entry;
///
/// let entry = Entry::new(7, 5).value("loss", 0.25).value("accuracy", 0.9);
/// assert_eq!(entry.get("accuracy"), Some(0.9));
/// assert_eq!(entry.iter().next(), Some(("loss", 0.25)));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Entry {
    /// The number of steps attempted before this one: its position in the run, which never goes back.
    pub attempt: u64,
    /// The number of updates applied to the weights before this step. A rewind lowers it.
    pub update: u64,
    /// The verdict on the step.
    pub verdict: Verdict,
    /// For a step that was not applied, the reason, in one line. For an applied step, the
    /// [notices](Report::notices) of the keel or a policy, if any.
    pub why: Option<String>,
    names: Arc<Names>,
    values: Vec<f64>,
}

impl Entry {
    /// Creates the entry of a keel's step, with these numbers:
    ///
    /// ```text
    /// loss, lr, grad_norm          as in the reading
    /// factor                       the factor that the clips left of the gradient
    /// lr_cap                       with a bound: the highest value that the highest rate could take
    /// effective_lr                 what the bounds left of lr, times factor
    /// clip_bound                   if a clip was active: grad_norm · factor, the norm it was clipped to
    /// grad_norm/<path>             for each parameter
    /// ```
    ///
    /// For a step that is not applied, `why` is its [`Incident`] in words, including its notices. For a step that
    /// is [pending](Report::pending), only `lr` is known: record it when its report is
    /// [late](crate::Stepped::late).
    #[must_use]
    pub fn of(report: &Report) -> Self {
        Self::like(Arc::default(), report, None, true)
    }

    /// Creates the entry of a report and an observation, with or without the norms of its layers. If its names
    /// turn out to be the expected ones, they are shared instead of allocated.
    pub(super) fn like(
        names: Arc<Names>,
        report: &Report,
        seen: Option<&Observation>,
        layers: bool,
    ) -> Self {
        let now = &report.reading;
        let mut entry = Self { names, ..Self::new(now.attempt, now.update) };
        entry.verdict = report.verdict;
        if report.pending {
            entry.set("lr", now.lr);
        } else {
            entry.set("loss", now.loss);
            entry.set("lr", now.lr);
            entry.set("factor", report.factor);
            if let Some(cap) = report.cap {
                entry.set("lr_cap", cap);
            }
            entry.set("effective_lr", report.rate() * report.factor);
            entry.set("grad_norm", now.grad_norm);
            if report.is_clipped() {
                entry.set("clip_bound", now.grad_norm * report.factor);
            }
        }
        if report.verdict != Verdict::Apply {
            entry.why = Some(Incident::from(report).to_string());
        } else if !report.notices.is_empty() {
            entry.why = Some(report.notices.join("; "));
        }
        let mut name = String::from("grad_norm/");
        let prefix = name.len();
        for (path, norm) in now.layers.iter().filter(|_| layers) {
            name.truncate(prefix);
            name.push_str(path);
            entry.set(&name, norm);
        }
        if let Some(seen) = seen {
            seen.iter().for_each(|(name, value)| entry.set(name, value));
        }
        entry.cut_names();
        entry
    }

    /// Creates the entry of an applied step of a custom loop, without numbers.
    #[must_use]
    pub fn new(attempt: u64, update: u64) -> Self {
        Self {
            attempt,
            update,
            verdict: Verdict::Apply,
            why: None,
            names: Arc::default(),
            values: Vec::new(),
        }
    }

    /// Marks the step as not applied, with this verdict and reason.
    #[must_use]
    pub fn not_applied(self, verdict: Verdict, why: impl Into<String>) -> Self {
        Self { verdict, why: Some(why.into()), ..self }
    }

    /// Marks the step as applied, with a notice from a policy.
    #[must_use]
    pub fn noticed(self, what: impl Into<String>) -> Self {
        Self { verdict: Verdict::Apply, why: Some(what.into()), ..self }
    }

    /// Adds the numbers of an observation of this step by a [`Watch`](crate::monitor::Watch).
    #[must_use]
    pub fn with(mut self, observation: &Observation) -> Self {
        observation.iter().for_each(|(name, value)| self.set(name, value));
        self
    }

    /// Adds this number.
    #[must_use]
    pub fn value(mut self, name: &str, value: f64) -> Self {
        self.set(name, value);
        self
    }

    /// Returns the number with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.names.position(name).map(|at| self.values[at])
    }

    /// Iterates over names and numbers, in the order in which they were given.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, f64)> {
        self.names.iter().zip(self.values.iter().copied())
    }

    /// Returns how many numbers the entry has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns whether there are no numbers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Sets a number. There may be more names than numbers: those that are expected next.
    fn set(&mut self, name: &str, value: f64) {
        // All NaNs are made the same, so that an entry that is read back equals the one written.
        let value = if value.is_nan() { f64::NAN } else { value };
        match self.names.position(name) {
            Some(at) if at < self.values.len() => self.values[at] = value,
            Some(at) if at == self.values.len() => self.values.push(value),
            _ => {
                self.cut_names();
                Arc::make_mut(&mut self.names).push(name);
                self.values.push(value);
            }
        }
    }

    /// Drops names for which no number was given.
    fn cut_names(&mut self) {
        if self.names.len() > self.values.len() {
            self.names = Arc::new(self.names.first(self.values.len()));
        }
    }

    /// Returns the names, which entries with the same names share.
    pub(super) fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// Replaces the names by an equal, shared list.
    pub(super) fn sharing(self, names: Arc<Names>) -> Self {
        Self { names, ..self }
    }
}

/// Bitwise equality, in which NaN equals NaN.
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        let bits = |entry: &Self| entry.values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        (self.attempt, self.update, self.verdict) == (other.attempt, other.update, other.verdict)
            && self.why == other.why
            && *self.names == *other.names
            && bits(self) == bits(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fault, Layers, Reading};

    fn reading(paths: &[&str]) -> Reading {
        let paths: Vec<String> = paths.iter().map(|path| path.to_string()).collect();
        let norms = (1..=paths.len()).map(|norm| norm as f64).collect();
        let mut reading = Reading::new(4).with_loss(0.5).with_lr(0.25).with_grad_norm(8.0);
        reading.attempt = 7;
        reading.with_layers(Layers::new(paths, norms).unwrap())
    }

    #[test]
    fn a_report_is_its_numbers_under_flat_names() {
        let entry = Entry::of(&Report::applied(reading(&["a.weight", "a.bias"]), 0.125));
        assert_eq!((entry.attempt, entry.update, entry.verdict), (7, 4, Verdict::Apply));
        assert_eq!(entry.why, None);
        assert!(entry.iter().eq([
            ("loss", 0.5),
            ("lr", 0.25),
            ("factor", 0.125),
            ("effective_lr", 0.03125),
            ("grad_norm", 8.0),
            ("clip_bound", 1.0),
            ("grad_norm/a.weight", 1.0),
            ("grad_norm/a.bias", 2.0),
        ]));
    }

    #[test]
    fn a_step_that_was_not_applied_says_why() {
        let now = reading(&[]).with_loss(f64::NAN);
        let by = Fault::Loss.to_string();
        let report = Report::rejected(now, 1.0, Verdict::Skip, by, 1, Vec::new());
        let entry = Entry::of(&report);
        assert_eq!(entry.verdict, Verdict::Skip);
        let why = "batch 7: update 4 skipped (non-finite loss), loss NaN, gradient norm 8.000e0, \
                   rate 2.500e-1";
        assert_eq!(entry.why.as_deref(), Some(why));
        assert!(entry.get("loss").unwrap().is_nan() && entry.get("clip_bound").is_none());
    }

    #[test]
    fn names_that_were_expected_change_nothing() {
        let reports = [
            Report::applied(reading(&["a", "b"]), 0.5),
            Report::applied(reading(&["a", "b"]), 1.0),
            Report::applied(reading(&["a", "c"]), 0.5),
            Report::applied(reading(&[]), 0.5),
            Report::unread(reading(&["a"])),
        ];
        for expected in &reports {
            for report in &reports {
                let template = Entry::of(expected).names;
                let entry = Entry::like(template.clone(), report, None, true);
                assert_eq!(entry, Entry::of(report));
                assert_eq!(entry.names.len(), entry.values.len());
                let same = std::ptr::eq(report, expected);
                assert_eq!(Arc::ptr_eq(&entry.names, &template), same);
            }
        }
    }

    #[test]
    fn a_later_number_of_a_name_replaces_the_earlier_one_in_its_place() {
        let entry = Entry::new(0, 0).value("a", 1.0).value("b", 2.0).value("a", f64::NAN);
        assert!(entry.get("a").unwrap().is_nan());
        assert_eq!(entry.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b"]);
        let other = Entry::new(0, 0).value("a", -f64::NAN).value("b", 2.0);
        assert_eq!(entry, other, "all NaNs are the same");
        assert_ne!(entry, other.clone().value("b", -2.0));
        assert_ne!(other.clone().value("c", 0.0), other.value("c", -0.0));
    }
}
