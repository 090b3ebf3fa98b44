//! Adaptive gradient clipping per parameter.

use std::collections::BTreeMap;

use super::Clip;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::{Error, Reading, Verdict};

/// Clips each parameter's gradient near the running mean of its own clipped norms: AdaGC.
///
/// For the first `warmup` accepted steps, there is one factor for the whole gradient,
///
/// ```text
/// factor = min(1, λ_abs/‖g‖)        γᵢ = the smallest ‖factor·gᵢ‖ so far
/// ```
///
/// and afterwards one per parameter:
///
/// ```text
/// factorᵢ = min(1, λ_rel·γᵢ/‖gᵢ‖)        γᵢ ← β·γᵢ + (1 − β)·‖factorᵢ·gᵢ‖
/// ```
///
/// A bound therefore rises by at most a fraction `(1 − β)(λ_rel − 1)` of itself per update: 0.1 % by default. A
/// spike in one layer neither gets through nor shrinks the steps of the other layers.
///
/// Defaults: `λ_abs` 1, `λ_rel` 1.05, β 0.98, warmup 100.
///
/// `γᵢ` is updated by accepted steps only, with the norms that this clip alone would have left.
///
/// Edges: a norm of 0 does not update `γᵢ`; otherwise its parameter would never move again. A parameter whose
/// first gradient arrives after the warmup is not clipped in that step; its `γᵢ` starts at that norm.
///
/// Source: Wang et al. 2025 (arXiv 2502.11034), algorithm 1.
///
/// ```
/// use evenkeel::{Layers, Reading, Verdict};
/// use evenkeel::clip::{AdaGc, Clip};
///
/// let mut clip = AdaGc::default().warmup(1)?;
/// let now = |a, b| {
///     let paths = ["a".to_string(), "b".to_string()];
///     Reading::new(0).with_grad_norm(f64::hypot(a, b)).with_layers(Layers::new(paths, vec![a, b]).unwrap())
/// };
/// clip.record(&now(0.5, 0.2), Verdict::Apply);
/// // The first is in its band, the second far above it.
/// let factors = clip.layer_factors(&now(0.52, 21.0));
/// assert_eq!(factors[0], 1.0);
/// assert!((factors[1] - 0.01).abs() < 1e-12);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct AdaGc {
    absolute: f64,
    relative: f64,
    decay: f64,
    warmup: u64,
    accepted: u64,
    /// Keyed by path, so that it survives a change of the parameters' ids.
    norms: BTreeMap<String, f64>,
}

const NAME: &str = "AdaGc";

impl Default for AdaGc {
    fn default() -> Self {
        let (absolute, relative, decay, warmup) = (1.0, 1.05, 0.98, 100);
        Self { absolute, relative, decay, warmup, accepted: 0, norms: BTreeMap::new() }
    }
}

impl AdaGc {
    /// Sets `λ_abs`, the maximum norm of the whole gradient during warmup.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn absolute(self, at_most: f64) -> Result<Self, Error> {
        Ok(Self { absolute: Param(NAME, "absolute").positive(at_most)?, ..self })
    }

    /// Sets `λ_rel`: a parameter's gradient is at most this many times its usual norm.
    ///
    /// # Errors
    /// If it is not finite and at least 1: below 1, every bound shrinks to nothing.
    pub fn relative(self, times: f64) -> Result<Self, Error> {
        let fits = times.is_finite() && times >= 1.0;
        let relative =
            Param(NAME, "relative").must(fits, "a finite number of at least 1", times)?;
        Ok(Self { relative, ..self })
    }

    /// Sets `β`, the weight of the past in the running means.
    ///
    /// # Errors
    /// If `decay` is not at least 0 and below 1.
    pub fn smoothing(self, decay: f64) -> Result<Self, Error> {
        Ok(Self { decay: Param(NAME, "smoothing").below_one(decay)?, ..self })
    }

    /// Sets how many steps must be accepted before parameters are clipped separately.
    ///
    /// # Errors
    /// If `warmup` is 0: there would be no usual norms.
    pub fn warmup(self, warmup: u64) -> Result<Self, Error> {
        Ok(Self { warmup: Param(NAME, "warmup").at_least(1, warmup)?, ..self })
    }

    fn is_warm(&self) -> bool {
        self.accepted >= self.warmup
    }

    fn layer_factor(&self, (path, norm): (&str, f64)) -> f64 {
        match self.norms.get(path).map(|usual| self.relative * usual) {
            Some(bound) if norm > bound => bound / norm,
            _ => 1.0,
        }
    }
}

impl Clip for AdaGc {
    fn factor(&self, now: &Reading) -> f64 {
        match !self.is_warm() && now.grad_norm > self.absolute {
            true => self.absolute / now.grad_norm,
            false => 1.0,
        }
    }

    fn layer_factors(&self, now: &Reading) -> Vec<f64> {
        match self.is_warm() {
            true => now.layers.iter().map(|layer| self.layer_factor(layer)).collect(),
            false => Vec::new(),
        }
    }

    fn record(&mut self, now: &Reading, ruling: Verdict) {
        if ruling != Verdict::Apply || !now.grad_norm.is_finite() {
            return;
        }
        let (warm, factor) = (self.is_warm(), self.factor(now));
        for (path, norm) in now.layers.iter().filter(|&(_, norm)| norm > 0.0 && norm.is_finite()) {
            let left = norm * if warm { self.layer_factor((path, norm)) } else { factor };
            match self.norms.get_mut(path) {
                Some(usual) if warm => *usual = self.decay * *usual + (1.0 - self.decay) * left,
                Some(usual) => *usual = usual.min(left),
                None => {
                    self.norms.insert(path.to_string(), left);
                }
            }
        }
        self.accepted = self.accepted.saturating_add(1);
    }

    fn name(&self) -> &str {
        NAME
    }

    fn state(&self) -> State {
        let paths: Vec<&str> = self.norms.keys().map(String::as_str).collect();
        State::new()
            .with_count("accepted", self.accepted)
            .with_bytes("paths", paths.join("\n").into_bytes())
            .with_list("norms", self.norms.values().copied().collect())
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let damaged = || Error::record("the memory of an AdaGc is damaged");
        state.only(&["accepted", "paths", "norms"])?;
        let accepted = state.counter("accepted")?;
        let paths = std::str::from_utf8(state.bytes("paths")?).map_err(|_| damaged())?;
        let norms = state.list("norms")?;
        // The path of a model that is a single parameter is empty, and so is the text of an empty list.
        let paths: Vec<&str> =
            if norms.is_empty() { Vec::new() } else { paths.split('\n').collect() };
        if paths.len() != norms.len() || !norms.iter().all(|x| x.is_finite() && *x > 0.0) {
            return Err(damaged());
        }
        self.accepted = accepted;
        self.norms = paths.into_iter().map(String::from).zip(norms.iter().copied()).collect();
        Ok(())
    }
}
