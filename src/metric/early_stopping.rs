//! Early stopping by a metric.

use std::fmt;

use crate::Error;
use crate::checkpoint::{Persist, State};
use crate::error::check::Param;
use crate::text::short;

/// Early stopping: tracks a metric from one validation to the next, reports the best so far, and ends training when the
/// metric no longer improves or has reached its target. That is a normal end and not an error: your loop breaks.
///
/// With `b` the metric that last counted as an improvement, a check is an improvement if
///
/// ```text
/// lowest:   metric + min_delta < b
/// highest:  metric − min_delta > b
/// ```
///
/// and training ends after `patience` checks in a row that are not. Without [`patience`](Self::patience) and
/// [`target`](Self::target) it never ends, and only the best is tracked. The *best* is any strictly better metric,
/// however small the difference. A metric that is NaN or infinite is never the best and never an improvement.
///
/// The unit is checks, however many updates lie between them. A [rewind](crate::Rewind) changes nothing here: a best
/// metric whose weights were rewound is still the best so far, and its checkpoint still has them. Save the state with
/// the keel, by [`Persist`], and a resumed run ends where the original would have.
///
/// For a training loss that is checked in every step, use [`Stall`](crate::guard::Stall).
///
/// Source: `EarlyStopping` of Lightning and Keras, with the same `min_delta` and `patience`, and the best metric of
/// their `ModelCheckpoint`. Differs: the target stops *at* the metric and not beyond it, and a NaN counts as a check
/// without an improvement (Lightning stops; Keras ignores it).
///
/// ```
/// use evenkeel::metric::EarlyStopping;
///
/// # fn main() -> Result<(), evenkeel::Error> {
/// let mut stopping = EarlyStopping::lowest().patience(3)?;
/// for epoch in 0..100 {
///     // Train, then measure on held-out data; here a loss that falls and rises again.
///     let valid_loss = f64::from((epoch - 10) * (epoch - 10));
///     let checked = stopping.check(epoch as u64, valid_loss);
///     if checked.is_best {
///         // keel.save_best(&folder, &model, &[("stopping", &stopping)])?;
///     }
///     if let Some(end) = checked.end {
///         assert_eq!(end.to_string(), "no improvement in 3 checks: the best metric is 0, of update 10");
///         break;
///     }
/// }
/// assert_eq!(stopping.best().unwrap().update, 10);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyStopping {
    lowest: bool,
    patience: Option<u64>,
    min_delta: f64,
    target: Option<f64>,
    best: Option<Best>,
    /// The metric that the next improvement is measured from.
    bar: Option<f64>,
    since: u64,
}

/// The best metric so far.
///
/// ```
/// use evenkeel::metric::EarlyStopping;
///
/// let mut stopping = EarlyStopping::lowest();
/// for (update, valid_loss) in [(100, 0.5), (200, 0.3), (300, 0.4)] {
///     let _ = stopping.check(update, valid_loss);
/// }
/// let best = stopping.best().unwrap();
/// assert_eq!((best.update, best.metric), (200, 0.3));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Best {
    /// The update at which it was measured, as given.
    pub update: u64,
    /// The metric.
    pub metric: f64,
}

/// The result of one check.
///
/// ```
/// use evenkeel::metric::EarlyStopping;
///
/// let mut stopping = EarlyStopping::lowest().patience(1)?;
/// let first = stopping.check(100, 0.5);
/// assert!(first.is_best && first.end.is_none());
/// let second = stopping.check(200, 0.6);
/// assert!(!second.is_best && second.end.is_some());
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "it says whether training should end"]
#[non_exhaustive]
pub struct Checked {
    /// Whether this metric is better than all earlier ones.
    pub is_best: bool,
    /// Why training should end, if it should.
    pub end: Option<End>,
}

/// Why training ends normally.
///
/// ```
/// use evenkeel::metric::{EarlyStopping, End};
///
/// let mut stopping = EarlyStopping::highest().target(0.9)?;
/// let end = stopping.check(100, 0.95).end.unwrap();
/// assert_eq!(end, End::TargetReached { target: 0.9, metric: 0.95 });
/// assert_eq!(end.to_string(), "the target of 0.9 is reached: the metric is 0.95");
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// The metric has reached its target.
    TargetReached {
        /// The target.
        target: f64,
        /// The metric that reached it.
        metric: f64,
    },
    /// The metric has not improved for the allowed number of checks.
    NoImprovement {
        /// Number of checks without an improvement.
        checks: u64,
        /// The best so far; `None` if every metric was NaN or infinite.
        best: Option<Best>,
    },
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TargetReached { target, metric } => {
                write!(
                    f,
                    "the target of {} is reached: the metric is {}",
                    short(*target),
                    short(*metric)
                )
            }
            Self::NoImprovement { checks, best } => {
                write!(f, "no improvement in {checks} checks: ")?;
                match best {
                    Some(best) => write!(
                        f,
                        "the best metric is {}, of update {}",
                        short(best.metric),
                        best.update
                    ),
                    None => f.write_str("no metric was finite"),
                }
            }
        }
    }
}

const NAME: &str = "EarlyStopping";

impl EarlyStopping {
    /// Creates an `EarlyStopping` for a metric that should fall, such as a loss or an error.
    #[must_use]
    pub fn lowest() -> Self {
        Self {
            lowest: true,
            patience: None,
            min_delta: 0.0,
            target: None,
            best: None,
            bar: None,
            since: 0,
        }
    }

    /// Creates an `EarlyStopping` for a metric that should rise, such as an accuracy.
    #[must_use]
    pub fn highest() -> Self {
        Self { lowest: false, ..Self::lowest() }
    }

    /// Ends training after this many checks in a row without an improvement.
    ///
    /// # Errors
    /// If `checks` is 0.
    pub fn patience(mut self, checks: u64) -> Result<Self, Error> {
        self.patience = Some(Param(NAME, "patience").at_least(1, checks)?);
        Ok(self)
    }

    /// Sets what an improvement must exceed, in units of the metric; the default is 0.
    ///
    /// # Errors
    /// If `amount` is negative or not finite.
    pub fn min_delta(mut self, amount: f64) -> Result<Self, Error> {
        self.min_delta = Param(NAME, "min_delta").non_negative(amount)?;
        Ok(self)
    }

    /// Ends training once the metric is at `metric` or better.
    ///
    /// # Errors
    /// If `metric` is not finite.
    #[doc(alias = "stopping_threshold")]
    pub fn target(mut self, metric: f64) -> Result<Self, Error> {
        self.target = Some(Param(NAME, "target").finite(metric)?);
        Ok(self)
    }

    /// Checks a metric that was measured after `update` updates.
    ///
    /// Once training should end, every further check that doesn't improve says so again.
    pub fn check(&mut self, update: u64, metric: f64) -> Checked {
        // In the same order as Lightning's; another order rounds differently.
        let better = |than: f64, by: f64| match self.lowest {
            true => metric + by < than,
            false => metric - by > than,
        };
        let finite = metric.is_finite();
        let is_best = finite && self.best.is_none_or(|best| better(best.metric, 0.0));
        let improves = finite && self.bar.is_none_or(|bar| better(bar, self.min_delta));
        let reached = self.target.filter(|target| {
            finite && if self.lowest { metric <= *target } else { metric >= *target }
        });
        if is_best {
            self.best = Some(Best { update, metric });
        }
        if improves {
            (self.bar, self.since) = (Some(metric), 0);
        } else {
            self.since = self.since.saturating_add(1);
        }
        let end = match reached {
            Some(target) => Some(End::TargetReached { target, metric }),
            None => self
                .patience
                .filter(|patience| self.since >= *patience)
                .map(|_| End::NoImprovement { checks: self.since, best: self.best }),
        };
        Checked { is_best, end }
    }

    /// Returns the best so far; `None` before the first finite metric.
    #[must_use]
    pub fn best(&self) -> Option<Best> {
        self.best
    }

    /// Returns the number of checks since the last improvement.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.since
    }
}

impl Persist for EarlyStopping {
    fn state(&self) -> State {
        let state = State::new()
            .with_count("lowest", self.lowest.into())
            .with_count("since", self.since)
            .with_list("bar", self.bar.into_iter().collect());
        match self.best {
            Some(best) => state.with_count("update", best.update).with_number("best", best.metric),
            None => state,
        }
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&["lowest", "since", "bar", "update", "best"])?;
        if (state.count("lowest")? != 0) != self.lowest {
            let said = "it is of an EarlyStopping for a metric of the other direction";
            return Err(Error::record(said));
        }
        let best = match state.number("best") {
            Ok(metric) => Some(Best { update: state.counter("update")?, metric }),
            Err(_) => None,
        };
        let bar = state.list("bar")?.first().copied();
        if [bar, best.map(|best| best.metric)].into_iter().flatten().any(|x| !x.is_finite()) {
            return Err(Error::record("the best metric is not finite"));
        }
        (self.since, self.bar, self.best) = (state.counter("since")?, bar, best);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(mut stopping: EarlyStopping, metrics: &[f64]) -> (Option<usize>, Option<f64>) {
        let end = metrics.iter().position(|m| stopping.check(0, *m).end.is_some());
        (end, stopping.best().map(|best| best.metric))
    }

    #[test]
    fn patience_counts_checks_without_an_improvement() {
        let lowest = || EarlyStopping::lowest().patience(2).unwrap();
        assert_eq!(ends(lowest(), &[3.0, 2.0, 2.0, 1.0, 1.0, 1.0]), (Some(5), Some(1.0)));
        assert_eq!(ends(lowest(), &[3.0, 4.0, 2.9, 4.0, 2.8]), (None, Some(2.8)));
        let highest = EarlyStopping::highest().patience(2).unwrap();
        assert_eq!(ends(highest, &[0.1, 0.5, 0.4, 0.5, 0.9]), (Some(3), Some(0.5)));
        assert_eq!(ends(EarlyStopping::lowest(), &[1.0; 99]), (None, Some(1.0)));
    }

    #[test]
    fn a_small_improvement_is_the_best_and_not_progress() {
        let lowest = || EarlyStopping::lowest().patience(2).unwrap().min_delta(0.5).unwrap();
        assert_eq!(ends(lowest(), &[3.0, 2.9, 2.8, 2.7]), (Some(2), Some(2.8)));
        // Measured from the last improvement, so that many small ones add up.
        assert_eq!(ends(lowest(), &[3.0, 2.7, 2.4, 2.1, 1.8]), (None, Some(1.8)));
    }

    #[test]
    fn a_target_ends_it_where_it_is_reached() {
        let lowest = EarlyStopping::lowest().target(0.5).unwrap();
        assert_eq!(ends(lowest.clone(), &[1.0, 0.6, 0.5]), (Some(2), Some(0.5)));
        let highest = EarlyStopping::highest().target(0.9).unwrap();
        assert_eq!(ends(highest, &[0.1, f64::INFINITY, 0.9]), (Some(2), Some(0.9)));
        let end = lowest.clone().check(7, 0.25).end.unwrap();
        assert_eq!(end.to_string(), "the target of 0.5 is reached: the metric is 0.25");
    }

    #[test]
    fn what_is_not_finite_is_no_best_and_uses_patience_up() {
        let mut lowest = EarlyStopping::lowest().patience(2).unwrap();
        assert!(!lowest.check(0, f64::NEG_INFINITY).is_best);
        let end = lowest.check(1, f64::NAN).end.unwrap();
        assert_eq!(end.to_string(), "no improvement in 2 checks: no metric was finite");
        let checked = lowest.check(2, 5.0);
        assert!(checked.is_best && checked.end.is_none());
    }

    #[test]
    fn it_goes_on_where_it_was_saved() {
        let fresh = || EarlyStopping::lowest().patience(3).unwrap();
        let metrics = [f64::NAN, 3.0, 2.0, 2.5, 1.9, 2.0, 2.1, 2.2, 2.3];
        for stop in 0..metrics.len() {
            let mut whole = fresh();
            for (at, metric) in metrics[..stop].iter().enumerate() {
                let _ = whole.check(at as u64, *metric);
            }
            let mut resumed = fresh();
            resumed.restore(&whole.state()).unwrap();
            assert_eq!(resumed, whole);
        }
        let mut other = EarlyStopping::highest();
        let before = other.clone();
        assert!(other.restore(&fresh().state()).unwrap_err().is_record());
        let mut whole = fresh();
        let _ = whole.check(0, 1.0);
        assert!(other.restore(&whole.state().with_number("best", f64::NAN)).is_err());
        assert_eq!(other, before);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let said = |e: Result<EarlyStopping, Error>| e.unwrap_err().to_string();
        let new = EarlyStopping::lowest;
        assert_eq!(
            said(new().patience(0)),
            "`patience` of EarlyStopping must be at least 1, got 0"
        );
        assert!(said(new().min_delta(-1.0)).starts_with("`min_delta` of EarlyStopping"));
        assert!(said(new().target(f64::NAN)).starts_with("`target` of EarlyStopping"));
    }
}
