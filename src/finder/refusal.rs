//! Reasons why no rate is named.

use std::fmt;

use crate::text::short;

/// The reason why a curve says nothing about the rate. All numbers are in units of the loss, or are rates or
/// updates.
///
/// It [prints](fmt::Display) as a sentence, with advice.
///
/// ```
/// use evenkeel::finder::{LrFinder, Refusal};
///
/// let test = LrFinder::new(1e-5, 1.0)?;
/// let found = test.find(|sweep| Ok::<_, evenkeel::Error>(vec![1.0; sweep.over as usize]))?;
/// let why = found.refusal().unwrap();
/// assert!(matches!(why, Refusal::Flat { .. }));
/// assert!(why.to_string().starts_with("the loss is flat"));
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Refusal {
    /// Before any update, the loss or its gradient is NaN or infinite. This is the case at every rate.
    NotFinite,
    /// The network is [dead](super::LossCurve) from this update on, and the loss had not fallen before.
    Dead {
        /// The number of updates until then; 0 if the network was dead from the start, at every rate.
        updates: u64,
    },
    /// The loss did not fall, and a fall would have been visible.
    Flat {
        /// The largest fall.
        fall: f64,
        /// The smallest fall that would have counted.
        needed: f64,
    },
    /// The loss rose without having fallen first.
    Rising {
        /// The loss at the start.
        from: f64,
        /// The loss at the end, or where it was lost.
        to: f64,
    },
    /// The loss varies so much that a fall by a tenth would not be visible.
    Noisy {
        /// The largest fall.
        fall: f64,
        /// The smallest fall that would have counted.
        needed: f64,
    },
    /// The loss was lost before there was a curve.
    AtOnce {
        /// The number of updates until then.
        updates: u64,
    },
    /// There are too few points.
    TooShort {
        /// The number of points.
        updates: u64,
    },
    /// The loss is lowest at the highest rate: the rate sought is above the range.
    StillFalling {
        /// The highest rate.
        at: f64,
    },
    /// The repeats give rates that differ by more than a factor of ten.
    Disagreeing {
        /// The lowest rate.
        low: f64,
        /// The highest rate.
        high: f64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = |x: &f64| short(*x);
        match self {
            Self::NotFinite => f.write_str(
                "the loss or its gradient is not finite before any update, so that no rate can help: look for \
                 NaN and infinities in the weights and in the batches",
            ),
            Self::Dead { updates: 0 } => f.write_str(
                "the network is dead from the start: no weight has a gradient, at any rate; standardize the \
                 inputs, or draw other weights",
            ),
            Self::Dead { updates } => write!(
                f,
                "the network died after {updates} updates, before the loss had fallen: a weight has no \
                 gradient any more; begin the sweep at a lower rate"
            ),
            Self::Flat { fall, needed } => write!(
                f,
                "the loss is flat: it fell by {} at most, and {} would count; nothing is learned at any of \
                 these rates",
                n(fall),
                n(needed)
            ),
            Self::Rising { from, to } => write!(
                f,
                "the loss only rises, from {} to {}: begin the sweep at a lower rate, or nothing is left \
                 to be learned",
                n(from),
                n(to)
            ),
            Self::Noisy { fall, needed } => write!(
                f,
                "the loss is noisy: a fall would have to be {} to be told from chance, and the largest is \
                 {}; take larger batches, or more updates",
                n(needed),
                n(fall)
            ),
            Self::AtOnce { updates } => write!(
                f,
                "the loss was lost after {updates} updates: begin the sweep at a lower rate"
            ),
            Self::TooShort { updates } => {
                write!(f, "{updates} updates are too few to say anything")
            }
            Self::StillFalling { at } => write!(
                f,
                "the loss still falls at {}, the highest rate: end the sweep at a higher one",
                n(at)
            ),
            Self::Disagreeing { low, high } => write!(
                f,
                "the repeats disagree, from {} to {}: take larger batches, or more updates",
                n(low),
                n(high)
            ),
        }
    }
}
