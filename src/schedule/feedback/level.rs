//! The backoff of a rate by rewinds: the arithmetic, wherever it is stored.

use super::metric::same_settings;
use crate::Error;
use crate::checkpoint::State;
use crate::schedule::math::{lerp, progress};

/// A factor on a rate. Setbacks lower it; it may climb back to the level that they left, and that level may recover up
/// to 1.
///
/// ```text
/// factor(t) = level(t) · climb(t)
/// level(t)  = gain + (1 − gain)·min((t − at)/recover, 1)     gain, without recovery
/// climb(t)  = min(1, (t − from + 1)/(over + 1))              1 for t < from
/// ```
///
/// `at` is the update of the last setback, and `from` the update of the last setback that asked for a climb.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BackoffLevel {
    gain: f64,
    at: u64,
    from: u64,
    over: u64,
    /// The number of updates over which the level recovers; 0 for never.
    recover: u64,
}

impl Default for BackoffLevel {
    fn default() -> Self {
        Self::recovering(0)
    }
}

impl BackoffLevel {
    pub(super) fn recovering(recover: u64) -> Self {
        Self { gain: 1.0, at: 0, from: 0, over: 0, recover }
    }

    #[cfg(feature = "serde")]
    pub(super) fn recover(&self) -> u64 {
        self.recover
    }

    /// Returns the level that the last setback left.
    pub(crate) fn gain(&self) -> f64 {
        self.gain
    }

    pub(crate) fn at(&self, update: u64) -> f64 {
        let level = self.level(update);
        match update.checked_sub(self.from) {
            Some(since) if since < self.over => {
                level * ((since + 1) as f64 / (self.over as f64 + 1.0))
            }
            _ => level,
        }
    }

    fn level(&self, update: u64) -> f64 {
        match update.saturating_sub(self.at) {
            _ if self.recover == 0 => self.gain,
            since if since >= self.recover => 1.0,
            since => lerp(self.gain, 1.0, progress(since, self.recover)),
        }
    }

    /// Multiplies the level, as far as it has recovered, by `factor`, in `(0, 1]`, from `update` on.
    pub(crate) fn back_off(&mut self, update: u64, factor: f64) {
        // Never to 0, however often it is lowered.
        self.gain = (self.level(update) * factor).max(f64::MIN_POSITIVE);
        // Without recovery, there is no need to remember where it would have begun.
        self.at = if self.recover == 0 { 0 } else { update };
    }

    /// Makes the factor climb to its level over `over` updates, from `update` on.
    pub(crate) fn warmup(&mut self, update: u64, over: u64) {
        self.from = if over == 0 { 0 } else { update };
        self.over = over;
    }

    pub(crate) fn state(&self) -> State {
        State::new()
            .with_number("gain", self.gain)
            .with_count("at", self.at)
            .with_count("from", self.from)
            .with_count("over", self.over)
            .with_count("recover", self.recover)
    }

    /// Returns the backoff of a saved state, which must have the same recovery.
    pub(crate) fn restored(&self, state: &State) -> Result<Self, Error> {
        state.only(&["gain", "at", "from", "over", "recover"])?;
        let gain = state.number("gain")?;
        let saved = [state.count("recover")? as f64];
        same_settings("backoff", &saved, &[self.recover as f64])?;
        if !(gain > 0.0 && gain <= 1.0) {
            return Err(Error::record(format_args!("a rate's gain of {gain}")));
        }
        let [at, from, over] = ["at", "from", "over"].map(|name| state.count(name));
        Ok(Self { gain, at: at?, from: from?, over: over?, recover: self.recover })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_climbs_to_its_level_and_stays() {
        let mut level = BackoffLevel::default();
        level.back_off(10, 0.5);
        level.warmup(10, 3);
        let at: Vec<f64> = (8..16).map(|t| level.at(t)).collect();
        assert_eq!(at, [0.5, 0.5, 0.125, 0.25, 0.375, 0.5, 0.5, 0.5]);
        assert_eq!(BackoffLevel::default().restored(&level.state()).unwrap(), level);
    }

    #[test]
    fn it_climbs_while_its_level_recovers() {
        let mut level = BackoffLevel::recovering(4);
        level.back_off(10, 0.5);
        level.warmup(10, 1);
        let at: Vec<f64> = (9..16).map(|t| level.at(t)).collect();
        assert_eq!(at, [0.5, 0.25, 0.625, 0.75, 0.875, 1.0, 1.0]);
        // A second setback multiplies the level that has recovered.
        level.back_off(12, 0.5);
        assert_eq!(level.gain(), 0.375);
        let error = BackoffLevel::default().restored(&level.state()).unwrap_err().to_string();
        assert!(error.ends_with("it is of a backoff with other settings"), "{error}");
    }

    #[test]
    fn it_never_falls_to_nothing() {
        let mut level = BackoffLevel::default();
        (0..5000).for_each(|t| level.back_off(t, 0.5));
        assert_eq!(level.gain(), f64::MIN_POSITIVE);
        assert!(BackoffLevel::default().restored(&level.state()).is_ok());
    }
}
