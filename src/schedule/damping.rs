//! What rewinds have left of a rate.

use crate::Error;
use crate::checkpoint::State;

/// A factor on a rate that rewinds lower, and that may climb back to its level slowly.
///
/// ```text
/// factor(t) = gain · min(1, (t − from + 1)/(over + 1))
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Damping {
    gain: f64,
    from: u64,
    over: u64,
}

impl Default for Damping {
    fn default() -> Self {
        Self { gain: 1.0, from: 0, over: 0 }
    }
}

impl Damping {
    pub(crate) fn gain(&self) -> f64 {
        self.gain
    }

    pub(crate) fn at(&self, update: u64) -> f64 {
        match update.checked_sub(self.from) {
            Some(since) if since < self.over => {
                self.gain * ((since + 1) as f64 / (self.over as f64 + 1.0))
            }
            _ => self.gain,
        }
    }

    pub(crate) fn dampen(&mut self, factor: f64) {
        self.gain *= factor;
    }

    /// From `update` on it climbs to its level over `over` updates.
    pub(crate) fn warm_up(&mut self, update: u64, over: u64) {
        // Without a climb, where it would have begun is nothing to remember.
        self.from = if over == 0 { 0 } else { update };
        self.over = over;
    }

    pub(crate) fn state(&self) -> State {
        State::new()
            .with_number("gain", self.gain)
            .with_count("from", self.from)
            .with_count("over", self.over)
    }

    pub(crate) fn restored(state: &State) -> Result<Self, Error> {
        state.only(&["gain", "from", "over"])?;
        let gain = state.number("gain")?;
        if !(gain > 0.0 && gain <= 1.0) {
            return Err(Error::record(format_args!("a rate's gain of {gain}")));
        }
        Ok(Self { gain, from: state.count("from")?, over: state.count("over")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_climbs_to_its_level_and_stays() {
        let mut damping = Damping::default();
        damping.dampen(0.5);
        damping.warm_up(10, 3);
        let at: Vec<f64> = (8..16).map(|t| damping.at(t)).collect();
        assert_eq!(at, [0.5, 0.5, 0.125, 0.25, 0.375, 0.5, 0.5, 0.5]);
        assert_eq!(Damping::restored(&damping.state()).unwrap(), damping);
    }
}
