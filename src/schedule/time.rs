//! Lengths of training, in the units that people plan in.

use crate::Error;
use crate::error::check::Param;

/// A length of training, in the unit in which it was planned.
///
/// Schedules count only updates. A length that was planned in another unit is converted once, by a [`Run`], which knows
/// what an update consists of.
///
/// ```
/// use evenkeel::schedule::{Run, Time};
///
/// let run = Run::of_batches(32)?.tokens_per_sample(128)?.dataset(3_200)?;
/// let run = run.lasting(Time::Epochs(10.0))?;
/// for half in [Time::Updates(500), Time::Samples(16_000), Time::Epochs(5.0), Time::Fraction(0.5)] {
///     assert_eq!(run.updates(half)?, 500);
/// }
/// assert_eq!(run.updates(Time::Tokens(2_048_000))?, 500);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Time {
    /// Applied updates.
    Updates(u64),
    /// Samples seen by the updates.
    Samples(u64),
    /// Tokens seen by the updates.
    Tokens(u64),
    /// Passes over the data set; half a pass is 0.5.
    Epochs(f64),
    /// A fraction of the whole run, in `[0, 1]`.
    Fraction(f64),
}

/// The makeup of an update, used to convert samples, tokens, epochs and fractions into updates.
///
/// ```text
/// samples per update = batch · accumulate · devices
/// Samples(n)   ⌈n / samples per update⌉
/// Tokens(n)    ⌈n / (samples per update · tokens per sample)⌉
/// Epochs(e)    e · updates per epoch, rounded
/// Fraction(f)  f · the length of the run, rounded
/// ```
///
/// An epoch has `⌈⌈data set / (batch · devices)⌉ / accumulate⌉` updates: the last batch may be smaller, and the last
/// update may have fewer batches. If incomplete ones are [dropped](Self::drop_last), both divisions round down.
///
/// ```
/// use evenkeel::schedule::{Run, Time, recipe};
///
/// let run = Run::of_batches(32)?.accumulate(4)?.dataset(50_000)?.lasting(Time::Epochs(90.0))?;
/// assert_eq!(run.samples_per_update(), 128);
/// assert_eq!(run.updates(Time::Epochs(1.0))?, 391);
/// assert_eq!(run.updates(Time::Fraction(0.05))?, 1760);
///
/// let warmup = run.updates(Time::Samples(1_000_000))?;
/// let rate = recipe::warmup_cosine(0.1, warmup, run.updates(Time::Fraction(1.0))?)?;
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    batch: u64,
    accumulate: u64,
    devices: u64,
    dataset: Option<u64>,
    drop_last: bool,
    tokens: Option<u64>,
    length: Option<u64>,
}

const NAME: &str = "Run";

impl Run {
    /// Creates a run whose updates are each made from one batch of `samples` samples.
    ///
    /// # Errors
    /// If `samples` is 0.
    pub fn of_batches(samples: u64) -> Result<Self, Error> {
        let batch = Param(NAME, "batch").at_least(1, samples)?;
        let (dataset, tokens, length) = (None, None, None);
        Ok(Self { batch, accumulate: 1, devices: 1, dataset, drop_last: false, tokens, length })
    }

    /// Sets how many batches' gradients make one update. Set this before the [length](Self::lasting).
    ///
    /// # Errors
    /// If it is 0, or an update has more samples than can be counted.
    pub fn accumulate(mut self, batches: u64) -> Result<Self, Error> {
        self.accumulate = Param(NAME, "accumulate").at_least(1, batches)?;
        self.counted("accumulate", batches)
    }

    /// Sets how many devices work at the same time, each on a separate batch. Set this before the
    /// [length](Self::lasting).
    ///
    /// # Errors
    /// If it is 0, or an update has more samples than can be counted.
    pub fn devices(mut self, devices: u64) -> Result<Self, Error> {
        self.devices = Param(NAME, "devices").at_least(1, devices)?;
        self.counted("devices", devices)
    }

    /// Sets the number of samples in the data set. Set this before the [length](Self::lasting).
    ///
    /// # Errors
    /// If it is 0.
    pub fn dataset(mut self, samples: u64) -> Result<Self, Error> {
        self.dataset = Some(Param(NAME, "dataset").at_least(1, samples)?);
        Ok(self)
    }

    /// Drops, at the end of an epoch, a batch that is not full and an update that doesn't have all of its batches.
    #[must_use]
    pub fn drop_last(mut self) -> Self {
        self.drop_last = true;
        self
    }

    /// Sets the number of tokens in a sample.
    ///
    /// # Errors
    /// If it is 0.
    pub fn tokens_per_sample(mut self, tokens: u64) -> Result<Self, Error> {
        self.tokens = Some(Param(NAME, "tokens_per_sample").at_least(1, tokens)?);
        Ok(self)
    }

    /// Sets the length of the run.
    ///
    /// # Errors
    /// If it cannot be converted into updates, or is a fraction.
    pub fn lasting(mut self, time: Time) -> Result<Self, Error> {
        self.length = None;
        self.length = Some(self.updates(time)?);
        Ok(self)
    }

    /// Returns how many samples make one update.
    #[must_use]
    pub fn samples_per_update(&self) -> u64 {
        self.batch.saturating_mul(self.accumulate).saturating_mul(self.devices)
    }

    /// Returns how many updates make one epoch.
    ///
    /// # Errors
    /// If the size of the data set is not known.
    pub fn updates_per_epoch(&self) -> Result<u64, Error> {
        let samples = self.known("dataset", self.dataset)?;
        let together = self.batch.saturating_mul(self.devices);
        Ok(match self.drop_last {
            true => samples / together / self.accumulate,
            false => samples.div_ceil(together).div_ceil(self.accumulate),
        })
    }

    /// Converts a time into updates.
    ///
    /// # Errors
    /// If something that the conversion needs is not known, or the number of epochs or the fraction is out of range.
    pub fn updates(&self, time: Time) -> Result<u64, Error> {
        match time {
            Time::Updates(updates) => Ok(updates),
            Time::Samples(samples) => Ok(samples.div_ceil(self.samples_per_update())),
            Time::Tokens(tokens) => {
                let sample = self.known("tokens_per_sample", self.tokens)?;
                Ok(tokens.div_ceil(self.samples_per_update().saturating_mul(sample)))
            }
            Time::Epochs(epochs) => {
                let epochs = Param(NAME, "epochs").non_negative(epochs)?;
                Ok((epochs * self.updates_per_epoch()? as f64).round() as u64)
            }
            Time::Fraction(fraction) => {
                let fits = (0.0..=1.0).contains(&fraction);
                let must = "at least 0 and at most 1";
                let fraction = Param(NAME, "fraction").must(fits, must, fraction)?;
                Ok((fraction * self.known("lasting", self.length)? as f64).round() as u64)
            }
        }
    }

    fn known(&self, name: &'static str, value: Option<u64>) -> Result<u64, Error> {
        value.ok_or_else(|| Error::parameter(NAME, name, "set for this conversion", "nothing"))
    }

    fn counted(self, name: &'static str, got: u64) -> Result<Self, Error> {
        let product = self.batch.checked_mul(self.accumulate);
        let fits = product.and_then(|p| p.checked_mul(self.devices)).is_some();
        Param(NAME, name).must(fits, "small enough for an update's samples to be counted", got)?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        Run::of_batches(32).unwrap().accumulate(4).unwrap().devices(2).unwrap()
    }

    #[test]
    fn each_unit_is_converted() {
        let run = run().dataset(1000).unwrap().tokens_per_sample(10).unwrap();
        let run = run.lasting(Time::Epochs(3.0)).unwrap();
        let updates = |time| run.updates(time).unwrap();
        assert_eq!(run.samples_per_update(), 256);
        // 1000 samples are 15.6 pairs of batches, and 16 of them are 4 updates.
        assert_eq!(run.updates_per_epoch().unwrap(), 4);
        assert_eq!(run.drop_last().updates_per_epoch().unwrap(), 3);
        assert_eq!(updates(Time::Updates(7)), 7);
        assert_eq!([0, 1, 256, 257].map(|n| updates(Time::Samples(n))), [0, 1, 1, 2]);
        assert_eq!([0, 2560, 2561].map(|n| updates(Time::Tokens(n))), [0, 1, 2]);
        assert_eq!([0.0, 0.5, 1.0, 2.25].map(|e| updates(Time::Epochs(e))), [0, 2, 4, 9]);
        assert_eq!([0.0, 0.1, 0.5, 1.0].map(|f| updates(Time::Fraction(f))), [0, 1, 6, 12]);
    }

    #[test]
    fn what_is_not_known_is_named() {
        let said = |time| run().updates(time).unwrap_err().to_string();
        assert_eq!(
            said(Time::Epochs(1.0)),
            "`dataset` of Run must be set for this conversion, got nothing"
        );
        assert_eq!(
            said(Time::Tokens(1)),
            "`tokens_per_sample` of Run must be set for this conversion, got nothing"
        );
        assert_eq!(
            said(Time::Fraction(0.5)),
            "`lasting` of Run must be set for this conversion, got nothing"
        );
        assert_eq!(
            said(Time::Fraction(1.5)),
            "`fraction` of Run must be at least 0 and at most 1, got 1.5"
        );
        assert!(said(Time::Epochs(f64::NAN)).contains("`epochs` of Run"));
        assert!(run().lasting(Time::Fraction(0.5)).unwrap_err().is_parameter());
        assert!(run().devices(u64::MAX).unwrap_err().to_string().contains("`devices` of Run"));
        assert!(Run::of_batches(0).is_err() && run().accumulate(0).is_err());
    }
}
