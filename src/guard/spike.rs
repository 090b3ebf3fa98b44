//! The spike rule shared by the guards for the loss and for the gradient norm.

use super::baseline::Baseline;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::stat::{Ema, Window};
use crate::{Error, Verdict};

/// Detection of values far above the usual level.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spike {
    owner: &'static str,
    pub(super) sigmas: f64,
    pub(super) warmup: u64,
    pub(super) relative: f64,
    pub(super) absolute: f64,
    /// A sigma is at least this share of the level at the start.
    pub(super) of_start: f64,
    /// A spike is at least this much above the level at the start; and a value this much above everything remembered is
    /// a spike, however wide the spread.
    pub(super) reach: Option<f64>,
    pub(super) patience: u64,
    pub(super) baseline: Baseline,
    /// The center at the end of the warmup: the run's own scale.
    start: Option<f64>,
    /// Number of spikes in a row that patience let through.
    streak: u64,
}

impl Spike {
    pub(super) fn new(owner: &'static str) -> Self {
        Self {
            owner,
            sigmas: 6.0,
            warmup: 20,
            relative: 0.0,
            absolute: 0.0,
            of_start: 0.0,
            reach: None,
            patience: 0,
            baseline: Baseline::Window(Window::new(128)),
            start: None,
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
        self.forget();
        Ok(self)
    }

    pub(super) fn ema(mut self, decay: f64) -> Result<Self, Error> {
        if !(decay > 0.0 && decay < 1.0) {
            return Err(Error::parameter(self.owner, "ema", "above 0 and below 1", decay));
        }
        self.baseline = Baseline::Ema(Ema::new(decay));
        self.forget();
        Ok(self)
    }

    pub(super) fn warmup(mut self, warmup: u64) -> Result<Self, Error> {
        self.warmup = Param(self.owner, "warmup").at_least(3, warmup)?;
        Ok(self)
    }

    /// Returns the value above which there is a spike; `None` during warmup.
    pub(super) fn threshold(&self) -> Option<f64> {
        let warm = self.baseline.is_warm(self.warmup);
        let (center, sigma) = warm.then(|| self.baseline.center_and_sigma())??;
        let start = self.start.unwrap_or(center);
        let sigma = sigma
            .max(self.relative * center.abs())
            .max(self.of_start * start.abs())
            .max(self.absolute);
        let usual = center + self.sigmas * sigma;
        let Some(reach) = self.reach else { return Some(usual) };
        let beyond_all = self.baseline.largest().map_or(f64::INFINITY, |largest| largest + reach);
        Some(usual.min(beyond_all).max(start + reach))
    }

    pub(super) fn is_spike(&self, value: f64) -> bool {
        value.is_finite() && self.threshold().is_some_and(|threshold| value > threshold)
    }

    /// Returns whether a spike would be let through by patience.
    pub(super) fn is_patient(&self) -> bool {
        self.streak < self.patience
    }

    pub(super) fn judge(&self, value: f64) -> Verdict {
        match self.is_spike(value) && !self.is_patient() {
            true => Verdict::Skip,
            false => Verdict::Apply,
        }
    }

    /// Records that a step with this value was applied; `spike` says that it was let through although it was a spike.
    pub(super) fn accept(&mut self, value: f64, spike: bool) {
        if spike {
            // Let through, but kept out of the baseline.
            self.streak += 1;
            return;
        }
        self.streak = 0;
        self.baseline.push(value);
        if self.start.is_none() && self.baseline.is_warm(self.warmup) {
            self.start = self.baseline.center_and_sigma().map(|(center, _)| center);
        }
    }

    /// Forgets the baseline, and learns it from the beginning.
    pub(super) fn forget(&mut self) {
        self.baseline = self.baseline.emptied();
        self.start = None;
        self.streak = 0;
    }

    pub(super) fn state(&self) -> State {
        let start = self.start.into_iter().collect();
        self.baseline.state().with_count("streak", self.streak).with_list("start", start)
    }

    pub(super) fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&["accepted", "count", "ema", "streak", "start"])?;
        let streak = state.counter("streak")?;
        let start = state.list("start")?.first().copied();
        if start.is_some_and(|start| !start.is_finite()) {
            return Err(Error::record("the level at the start must be finite"));
        }
        self.baseline = self.baseline.restored(state)?;
        (self.streak, self.start) = (streak, start);
        Ok(())
    }
}
