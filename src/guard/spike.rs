//! The rule that spikes of the loss and of the gradient norm share.

use super::baseline::Baseline;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::stat::{Ema, Window};
use crate::{Error, Verdict};

/// A value far above what is usual.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spike {
    owner: &'static str,
    pub(super) sigmas: f64,
    pub(super) warm_up: u64,
    pub(super) relative: f64,
    pub(super) absolute: f64,
    pub(super) patience: u64,
    pub(super) baseline: Baseline,
    /// Spikes in a row that patience let through.
    streak: u64,
}

impl Spike {
    pub(super) fn new(owner: &'static str) -> Self {
        Self {
            owner,
            sigmas: 6.0,
            warm_up: 20,
            relative: 0.0,
            absolute: 0.0,
            patience: 0,
            baseline: Baseline::Window(Window::new(128)),
            streak: 0,
        }
    }

    pub(super) fn above(mut self, k: f64) -> Result<Self, Error> {
        self.sigmas = Param(self.owner, "above").positive(k)?;
        Ok(self)
    }

    pub(super) fn window(mut self, window: usize) -> Result<Self, Error> {
        let window = Param(self.owner, "window").at_least(3, window as u64)?;
        self.baseline = Baseline::Window(Window::new(window as usize));
        Ok(self)
    }

    pub(super) fn ema(mut self, decay: f64) -> Result<Self, Error> {
        if !(decay > 0.0 && decay < 1.0) {
            return Err(Error::parameter(self.owner, "ema", "above 0 and below 1", decay));
        }
        self.baseline = Baseline::Ema(Ema::new(decay));
        Ok(self)
    }

    pub(super) fn warm_up(mut self, warm_up: u64) -> Result<Self, Error> {
        self.warm_up = Param(self.owner, "warm_up").at_least(3, warm_up)?;
        Ok(self)
    }

    /// The value above which there is a spike; `None` during warm-up.
    pub(super) fn threshold(&self) -> Option<f64> {
        let warm = self.baseline.is_warm(self.warm_up);
        let (centre, sigma) = warm.then(|| self.baseline.centre_and_sigma())??;
        let sigma = sigma.max(self.relative * centre.abs()).max(self.absolute);
        Some(centre + self.sigmas * sigma)
    }

    fn is_spike(&self, value: f64) -> bool {
        value.is_finite() && self.threshold().is_some_and(|threshold| value > threshold)
    }

    pub(super) fn judge(&self, value: f64) -> Verdict {
        match self.is_spike(value) && self.streak >= self.patience {
            true => Verdict::Skip,
            false => Verdict::Apply,
        }
    }

    pub(super) fn record(&mut self, value: f64, ruling: Verdict) {
        if ruling != Verdict::Apply {
            return;
        }
        match self.is_spike(value) {
            // Let through, but not taken for usual.
            true => self.streak += 1,
            false => {
                self.streak = 0;
                self.baseline.push(value);
            }
        }
    }

    pub(super) fn state(&self) -> State {
        self.baseline.state().with_count("streak", self.streak)
    }

    pub(super) fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&["accepted", "count", "ema", "streak"])?;
        let streak = state.count("streak")?;
        self.baseline = self.baseline.restored(state)?;
        self.streak = streak;
        Ok(())
    }
}
