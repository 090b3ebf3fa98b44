//! The failures that a check can find.

use std::fmt;

/// A failed check: what broke, and at which step.
///
/// [`Debug`](fmt::Debug) and [`Display`](fmt::Display) print the same sentence, so a test or a `main` that returns the
/// error ends with that sentence.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// A value is NaN or infinite.
    #[error("after step {at}, `{name}` is not finite")]
    Poisoned {
        /// The step after which it was found.
        at: u64,
        /// The path of the tensor.
        name: String,
    },
    /// The loss on clean data is not below its initial value.
    #[error("it no longer trains: the loss went from {before:.4e} to {after:.4e} in {steps} steps")]
    Untrained {
        /// How many steps were made.
        steps: u64,
        /// The loss before the first step.
        before: f64,
        /// The loss after the last step.
        after: f64,
    },
    /// A harmed step has changed something, immediately or later.
    #[error(
        "after step {at}, `{name}` is not as in the run that never saw a faulty batch; the last one \
         was at step {injected}"
    )]
    Traced {
        /// The step after which the difference shows.
        at: u64,
        /// The path of the tensor.
        name: String,
        /// The last harmed step up to then.
        injected: u64,
    },
    /// The resumed run differs from the uninterrupted one.
    #[error("stopped before step {stop} and resumed, `{name}` differs after step {at}")]
    Diverged {
        /// The step before which the run was stopped.
        stop: u64,
        /// The step after which the difference shows; the one before `stop` if loading itself has lost something.
        at: u64,
        /// The path of the tensor.
        name: String,
    },
    /// The loop ended with an error.
    #[error("step {at} ended with an error: {cause}")]
    Stopped {
        /// The step.
        at: u64,
        /// The text of the error.
        cause: String,
    },
    /// Nothing was tested, because nothing was harmed.
    #[error(
        "no harm reached the loop in {steps} steps: does it pass its tensors through the injector?"
    )]
    Unharmed {
        /// How many steps were made.
        steps: u64,
    },
    /// The run is too short for the requested stop.
    #[error("a run of {steps} steps cannot be stopped before step {stop}")]
    Short {
        /// How many steps were to be made.
        steps: u64,
        /// The step before which the run was to be stopped.
        stop: u64,
    },
}

// Implemented by hand, because tests and `main` print the error that they return with `Debug`.
impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Broken {
    /// Returns the step at which the failure showed, if it was at one.
    #[must_use]
    pub fn at(&self) -> Option<u64> {
        match self {
            Self::Poisoned { at, .. }
            | Self::Traced { at, .. }
            | Self::Diverged { at, .. }
            | Self::Stopped { at, .. } => Some(*at),
            Self::Untrained { .. } | Self::Unharmed { .. } | Self::Short { .. } => None,
        }
    }

    pub(super) fn stopped(at: u64, cause: impl fmt::Display) -> Self {
        Self::Stopped { at, cause: cause.to_string() }
    }
}
