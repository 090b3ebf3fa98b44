//! What a check has found.

use std::fmt;

/// What broke, and at which step.
///
/// It prints the same sentence by [`Debug`](fmt::Debug) and by [`Display`](fmt::Display), so that a test
/// or a `main` which returns it ends with that.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// Something is NaN or infinite.
    #[error("after step {at}, `{name}` is not finite")]
    Poisoned {
        /// The step after which it was found.
        at: u64,
        /// The path of the tensor.
        name: String,
    },
    /// The loss on clean data is not below where it began.
    #[error("it no longer trains: the loss went from {before:.4e} to {after:.4e} in {steps} steps")]
    Untrained {
        /// The steps that were made.
        steps: u64,
        /// The loss before the first.
        before: f64,
        /// The loss after the last.
        after: f64,
    },
    /// A harmed step has changed something, now or later.
    #[error(
        "after step {at}, `{name}` is not as in the run that never saw a faulty batch; the last one \
         was at step {injected}"
    )]
    Traced {
        /// The step after which it shows.
        at: u64,
        /// The path of the tensor.
        name: String,
        /// The last harmed step before it.
        injected: u64,
    },
    /// The continued run is another one.
    #[error("stopped before step {stop} and resumed, `{name}` differs after step {at}")]
    Diverged {
        /// The step before which it was stopped.
        stop: u64,
        /// The step after which it shows; the one before `stop` if loading itself has lost something.
        at: u64,
        /// The path of the tensor.
        name: String,
    },
    /// The loop ended with an error.
    #[error("step {at} ended with an error: {cause}")]
    Stopped {
        /// The step.
        at: u64,
        /// What it said.
        cause: String,
    },
    /// Nothing was shown, because nothing was harmed.
    #[error(
        "no harm reached the loop in {steps} steps: does it pass its tensors through the injector?"
    )]
    Unharmed {
        /// The steps that were made.
        steps: u64,
    },
    /// The run is too short for the stop that was asked for.
    #[error("a run of {steps} steps cannot be stopped before step {stop}")]
    Short {
        /// The steps that were to be made.
        steps: u64,
        /// The step before which it was to be stopped.
        stop: u64,
    },
}

// By hand, because tests and `main` print the error that they return by `Debug`.
impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Broken {
    /// The step at which it showed, if it was at one.
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
