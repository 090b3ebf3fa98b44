//! What happens to a step.

use std::fmt;

/// What happens to a step. Ordered by severity, so that verdicts of several guards combine by `max`.
///
/// ```
/// use evenkeel::Verdict;
///
/// let verdicts = [Verdict::Skip, Verdict::Rewind, Verdict::Apply];
/// assert_eq!(verdicts.into_iter().max(), Some(Verdict::Rewind));
/// assert_eq!(Verdict::Skip.to_string(), "skipped");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Verdict {
    /// The update is applied.
    #[default]
    Apply,
    /// The batch is dropped, as if it had never been seen.
    Skip,
    /// Model, optimizer and schedule go back to the last good snapshot.
    Rewind,
    /// Training stops, and the model is returned.
    Halt,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Apply => "applied",
            Self::Skip => "skipped",
            Self::Rewind => "rewound",
            Self::Halt => "halted",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_combine_by_max() {
        use Verdict::*;
        assert!(Apply < Skip && Skip < Rewind && Rewind < Halt);
    }
}
