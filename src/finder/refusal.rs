//! Why no rate is named.

use std::fmt;

use crate::text::short;

/// Why a curve says nothing of the rate. Every number is in units of the loss, or a rate.
///
/// It [prints](fmt::Display) as a sentence, with what to do about it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Refusal {
    /// Before any update the loss, or its gradient, is NaN or infinite. It is so at every rate.
    NotFinite,
    /// The network is [dead](super::LossCurve) from this update on, and the loss had not fallen before.
    Dead {
        /// After so many updates; 0 if it was dead from the start, at every rate.
        updates: u64,
    },
    /// The loss did not fall, and would have been seen to.
    Flat {
        /// The most that it fell.
        fall: f64,
        /// What a fall would have had to be.
        needed: f64,
    },
    /// The loss rose without having fallen first.
    Rising {
        /// The loss at the start.
        from: f64,
        /// At the end, or where it was lost.
        to: f64,
    },
    /// The loss varies so much that a fall by a tenth would not be seen.
    Noisy {
        /// The most that it fell.
        fall: f64,
        /// What a fall would have had to be.
        needed: f64,
    },
    /// The loss was lost before there was a curve.
    AtOnce {
        /// After so many updates.
        updates: u64,
    },
    /// There are too few points.
    TooShort {
        /// How many there are.
        updates: u64,
    },
    /// It is lowest at the highest rate: what is sought is above the range.
    StillFalling {
        /// The highest rate.
        at: f64,
    },
    /// The repeats give rates that are further apart than ten to one.
    Disagreeing {
        /// The lowest.
        low: f64,
        /// The highest.
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
                "the loss is flat: it fell by {} at most, and {} would count; nothing is learnt at any of \
                 these rates",
                n(fall),
                n(needed)
            ),
            Self::Rising { from, to } => write!(
                f,
                "the loss only rises, from {} to {}: begin the sweep at a lower rate, or nothing is left \
                 to be learnt",
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
