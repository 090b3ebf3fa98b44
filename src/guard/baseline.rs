//! Baselines: the center and spread of accepted values.

use crate::Error;
use crate::checkpoint::State;
use crate::stat::{Ema, Window};

/// How the usual level of a number is estimated. Only accepted values enter it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Baseline {
    /// Median, and the median absolute deviation scaled to a standard deviation.
    Window(Window<f64>),
    /// Exponentially weighted mean and standard deviation.
    Ema(Ema<f64>),
}

/// `1/Φ⁻¹(3/4)`: converts the median absolute deviation of a normal variable to its σ.
const MAD_TO_SIGMA: f64 = 1.482_602_218_505_602;

impl Baseline {
    pub(super) fn push(&mut self, value: f64) {
        match self {
            Self::Window(window) => window.push(value),
            Self::Ema(ema) => ema.push(value),
        }
    }

    /// Returns an empty baseline of the same kind.
    pub(super) fn emptied(&self) -> Self {
        match self {
            Self::Window(w) => Self::Window(Window::new(w.capacity())),
            Self::Ema(ema) => Self::Ema(Ema::new(ema.decay())),
        }
    }

    /// Returns whether it has seen `warmup` values, or as many as it can hold.
    pub(super) fn is_warm(&self, warmup: u64) -> bool {
        match self {
            Self::Window(w) => w.len() as u64 >= warmup.min(w.capacity() as u64),
            Self::Ema(ema) => ema.count() >= warmup,
        }
    }

    /// Returns center and σ.
    pub(super) fn center_and_sigma(&self) -> Option<(f64, f64)> {
        match self {
            Self::Window(w) => w.median_and_mad().map(|(m, mad)| (m, MAD_TO_SIGMA * mad)),
            Self::Ema(ema) => ema.mean_and_deviation(),
        }
    }

    /// Returns the largest remembered value; `None` if it keeps no single values.
    pub(super) fn largest(&self) -> Option<f64> {
        match self {
            Self::Window(w) => w.values().reduce(f64::max),
            Self::Ema(_) => None,
        }
    }

    pub(super) fn state(&self) -> State {
        match self {
            Self::Window(w) => State::new().with_list("accepted", w.values().collect()),
            Self::Ema(ema) => {
                let (count, parts) = ema.parts();
                State::new().with_count("count", count).with_list("ema", parts.to_vec())
            }
        }
    }

    /// Returns a baseline of the same kind with that memory.
    pub(super) fn restored(&self, state: &State) -> Result<Self, Error> {
        match self {
            Self::Window(w) => Ok(Self::Window(w.refilled(state.list("accepted")?)?)),
            Self::Ema(ema) => {
                Ok(Self::Ema(ema.refilled(state.counter("count")?, state.list("ema")?)?))
            }
        }
    }
}
