//! Warmup, a long stable phase, then decay.

use super::Anneal;
use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::{lerp, progress};

/// Warmup-stable-decay (WSD): the rate stays high until the end of the run is decided on, and then falls fast.
///
/// With `W` the length of the warmup, `D` the length of the decay and `s = t − W`,
///
/// ```text
/// y(t) = from + (peak − from)·w'(1 − t/W)              for t < W
///      = stable(s)                                     for W ≤ t < over − D
///      = to + (stable(s) − to)·w((t − over + D)/D)     for over − D ≤ t < over
///      = to                                            for t ≥ over
///
/// stable(s) = peak                                     unless a power law is set:
///           = max(peak·(1 + s/timescale)^−power, to)
/// ```
///
/// `over`, `W`, `D` and `timescale` are in updates. `w` and `w'` are the shapes of the decay and the warmup.
///
/// Defaults: no warmup, `from = 0`, `to = 0`, a constant stable phase, and a decay over a
/// fifth of the run by `1 − √p`. A warmup is linear by default.
///
/// Edges: `at(W) = peak` and `at(over) = to`, exactly. Any phase may have zero length. `over` includes
/// all three.
///
/// Source: Hu et al. 2024 (arXiv 2404.06395) for the name, Zhai et al. 2022 (arXiv 2106.04560) for
/// the inverse square root with a linear decay, Hägele et al. 2024 (arXiv 2405.18392) for `1 − √p`,
/// Shen et al. 2024 (arXiv 2408.13359) for the power law. Agrees with timm's `wsd`, with Megatron's WSD and with
/// transformers' `get_wsd_schedule`.
///
/// ```
/// use evenkeel::schedule::{Anneal, Schedule, Wsd};
///
/// let rate = Wsd::new(1.0, 100)?.warmup(10)?;
/// assert_eq!([0, 5, 10, 80, 85, 100].map(|t| rate.at(t)), [0.0, 0.5, 1.0, 1.0, 0.5, 0.0]);
///
/// // The trapezoid.
/// let rate = rate.decay(40)?.shape(Anneal::Linear)?;
/// assert_eq!([10, 60, 80, 100].map(|t| rate.at(t)), [1.0, 1.0, 0.5, 0.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "get_wsd_schedule")]
pub struct Wsd {
    pub(in crate::schedule) peak: f64,
    pub(in crate::schedule) over: u64,
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) to: f64,
    pub(in crate::schedule) warmup: u64,
    pub(in crate::schedule) decay: Option<u64>,
    /// Timescale and power of the stable phase.
    pub(in crate::schedule) power_law: Option<(u64, f64)>,
    pub(in crate::schedule) warmup_shape: Anneal,
    pub(in crate::schedule) shape: Anneal,
}

const NAME: &str = "Wsd";

impl Wsd {
    /// Creates a schedule with a rate of `peak` for a run of `over` updates, warmup and decay included.
    ///
    /// # Errors
    /// If `peak` is not finite.
    pub fn new(peak: f64, over: u64) -> Result<Self, Error> {
        Ok(Self {
            peak: Param(NAME, "peak").finite(peak)?,
            over,
            from: 0.0,
            to: 0.0,
            warmup: 0,
            decay: None,
            power_law: None,
            warmup_shape: Anneal::Linear,
            shape: Anneal::OneMinusSqrt,
        })
    }

    /// Sets the length of the warmup, in updates.
    ///
    /// # Errors
    /// If warmup and decay together are longer than the run.
    pub fn warmup(mut self, over: u64) -> Result<Self, Error> {
        let room = self.over - self.decay.unwrap_or(0);
        let must = format_args!("at most {room}, which the decay leaves of the run");
        self.warmup = Param(NAME, "warmup").must(over <= room, must, over)?;
        Ok(self)
    }

    /// Sets the length of the decay, in updates.
    ///
    /// # Errors
    /// If warmup and decay together are longer than the run.
    pub fn decay(mut self, over: u64) -> Result<Self, Error> {
        let room = self.over - self.warmup;
        let must = format_args!("at most {room}, which the warmup leaves of the run");
        self.decay = Some(Param(NAME, "decay").must(over <= room, must, over)?);
        Ok(self)
    }

    /// Sets the value at the start of the warmup.
    ///
    /// # Errors
    /// If it is not finite.
    pub fn from(mut self, start: f64) -> Result<Self, Error> {
        self.from = Param(NAME, "from").finite(start)?;
        Ok(self)
    }

    /// Sets the value at the end of the decay.
    ///
    /// # Errors
    /// If it is not finite.
    pub fn to(mut self, end: f64) -> Result<Self, Error> {
        self.to = Param(NAME, "to").finite(end)?;
        Ok(self)
    }

    /// Makes the stable phase fall as an inverse square root, which continues during the decay.
    ///
    /// # Errors
    /// If `timescale` is 0.
    pub fn inverse_sqrt(self, timescale: u64) -> Result<Self, Error> {
        self.power_law(timescale, 0.5)
    }

    /// Makes the stable phase fall by a power law, which continues during the decay.
    ///
    /// # Errors
    /// If `timescale` is 0, or `power` is not positive and finite.
    pub fn power_law(mut self, timescale: u64, power: f64) -> Result<Self, Error> {
        let timescale = Param(NAME, "timescale").at_least(1, timescale)?;
        self.power_law = Some((timescale, Param(NAME, "power").positive(power)?));
        Ok(self)
    }

    /// Sets the shape of the decay.
    ///
    /// # Errors
    /// If the shape's parameter is out of range.
    pub fn shape(mut self, shape: Anneal) -> Result<Self, Error> {
        self.shape = shape.checked(NAME)?;
        Ok(self)
    }

    /// Sets the shape of the warmup, which is the decay of that name reversed in time.
    ///
    /// # Errors
    /// If the shape's parameter is out of range.
    pub fn warmup_shape(mut self, shape: Anneal) -> Result<Self, Error> {
        self.warmup_shape = shape.checked(NAME)?;
        Ok(self)
    }

    /// Returns `D`: the length that was set, or else a fifth of the run, or what the warmup leaves if that is less.
    fn decay_length(&self) -> u64 {
        self.decay.unwrap_or((self.over / 5).min(self.over - self.warmup))
    }

    fn stable(&self, s: u64) -> f64 {
        match self.power_law {
            None => self.peak,
            Some((timescale, power)) => {
                let x = 1.0 + s as f64 / timescale as f64;
                let left = match power {
                    0.5 => x.sqrt().recip(),
                    power => x.powf(-power),
                };
                (self.peak * left).max(self.to.min(self.peak))
            }
        }
    }
}

impl Schedule for Wsd {
    fn at(&self, t: u64) -> f64 {
        let Self { peak, over, from, to, warmup, .. } = *self;
        if t >= over {
            return to;
        }
        if t < warmup {
            return lerp(from, peak, self.warmup_shape.rise(progress(t, warmup)));
        }
        let stable = self.stable(t - warmup);
        let decay = self.decay_length();
        match t.checked_sub(over - decay) {
            None | Some(0) => stable,
            Some(since) => lerp(to, stable, self.shape.weight(progress(since, decay))),
        }
    }
}
