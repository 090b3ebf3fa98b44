//! A bound that follows the mean and the deviation of the norms.

use super::Clip;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::{Error, Reading, Verdict};

/// Scales down a gradient whose norm lies far above its running mean, the more the farther: ZClip.
///
/// With `μ` and `σ` the exponentially weighted mean and deviation of the clipped norms,
///
/// ```text
/// z = (‖g‖ − μ)/(σ + 10⁻⁶)
/// n = μ + (k²/z)·σ      for z > k          factor = n/‖g‖
///   = ‖g‖               for z ≤ k
/// μ ← λ·μ + (1 − λ)·n        σ² ← λ·σ² + (1 − λ)·(n − μ)²
/// ```
///
/// with the new `μ` in the last line. It starts after `warm_up` accepted norms, with their mean and
/// their deviation. Until then it clips nothing: put a [`GlobalNorm`](super::GlobalNorm) beside it, or
/// a guard.
///
/// It shrinks a spike and applies it; [`NormSpike`](crate::guard::NormSpike) drops it.
///
/// Defaults: `k` 2.5, λ 0.97, warm-up 25.
///
/// Only accepted steps enter `μ` and `σ`, each with the norm that this clip alone would have left.
///
/// Edges: norms that have all been alike have a deviation of 0, and whatever is more than `k·10⁻⁶`
/// above them is then scaled down to their mean.
///
/// Source: Kumar et al. 2025 (arXiv 2504.02507), with reciprocal clipping. Their code takes in a NaN,
/// after which every comparison is false and clipping is off for the rest of the run.
///
/// ```
/// use evenkeel::{Reading, Verdict};
/// use evenkeel::clip::{Clip, ZScore};
///
/// let mut clip = ZScore::above(2.0)?.warm_up(2)?;
/// for (update, norm) in [1.0, 3.0].into_iter().enumerate() {
///     clip.record(&Reading::new(update as u64).with_grad_norm(norm), Verdict::Apply);
/// }
/// // μ = 2, σ = 1: a norm of 10 has z = 8 and is scaled down to 2 + 4/8.
/// let factor = |norm| clip.factor(&Reading::new(2).with_grad_norm(norm));
/// assert_eq!(factor(4.0), 1.0);
/// assert!((factor(10.0) - 0.25).abs() < 1e-6);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ZScore {
    k: f64,
    decay: f64,
    warm_up: usize,
    /// The norms of the warm-up, until there are enough.
    first: Vec<f64>,
    mean: f64,
    variance: f64,
}

const NAME: &str = "ZScore";
const EPSILON: f64 = 1e-6;

impl Default for ZScore {
    fn default() -> Self {
        Self { k: 2.5, decay: 0.97, warm_up: 25, first: Vec::new(), mean: 0.0, variance: 0.0 }
    }
}

impl ZScore {
    /// Scales down what lies more than `k` deviations above the mean.
    ///
    /// # Errors
    /// If `k` is not positive and finite.
    pub fn above(k: f64) -> Result<Self, Error> {
        Ok(Self { k: Param(NAME, "above").positive(k)?, ..Self::default() })
    }

    /// The share `λ` of the past in mean and deviation. Forgets the norms seen so far.
    ///
    /// # Errors
    /// If `decay` is not at least 0 and below 1.
    pub fn decay(self, decay: f64) -> Result<Self, Error> {
        let decay = Param(NAME, "decay").below_one(decay)?;
        Ok(Self { decay, ..self.emptied() })
    }

    /// How many norms must have been accepted before any is scaled down. Forgets those seen so far.
    ///
    /// # Errors
    /// If `warm_up` is below 2: one norm has no deviation.
    pub fn warm_up(self, warm_up: usize) -> Result<Self, Error> {
        Param(NAME, "warm_up").at_least(2, warm_up as u64)?;
        Ok(Self { warm_up, ..self.emptied() })
    }

    fn emptied(self) -> Self {
        Self { first: Vec::new(), mean: 0.0, variance: 0.0, ..self }
    }

    fn is_warm(&self) -> bool {
        self.first.len() >= self.warm_up
    }

    /// The norm that a gradient of this norm is left with.
    fn left(&self, norm: f64) -> f64 {
        let sigma = self.variance.sqrt();
        let z = (norm - self.mean) / (sigma + EPSILON);
        match self.is_warm() && z > self.k {
            true => self.mean + self.k * self.k / z * sigma,
            false => norm,
        }
    }
}

impl Clip for ZScore {
    fn factor(&self, now: &Reading) -> f64 {
        match self.left(now.grad_norm) {
            left if left < now.grad_norm => left / now.grad_norm,
            _ => 1.0,
        }
    }

    fn record(&mut self, now: &Reading, ruling: Verdict) {
        if ruling != Verdict::Apply || !now.grad_norm.is_finite() {
            return;
        }
        if self.is_warm() {
            let left = self.left(now.grad_norm);
            let kept = |old: f64, new: f64| self.decay * old + (1.0 - self.decay) * new;
            let mean = kept(self.mean, left);
            self.variance = kept(self.variance, (left - mean).powi(2));
            self.mean = mean;
            return;
        }
        self.first.push(now.grad_norm);
        if self.is_warm() {
            let n = self.first.len() as f64;
            self.mean = self.first.iter().sum::<f64>() / n;
            self.variance = self.first.iter().map(|x| (x - self.mean).powi(2)).sum::<f64>() / n;
        }
    }

    fn name(&self) -> &str {
        NAME
    }

    fn state(&self) -> State {
        State::new()
            .with_list("first", self.first.clone())
            .with_number("mean", self.mean)
            .with_number("variance", self.variance)
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let first = state.list("first")?;
        let (mean, variance) = (state.number("mean")?, state.number("variance")?);
        let sound = first.iter().chain([&mean, &variance]).all(|x| x.is_finite() && *x >= 0.0);
        if !sound || first.len() > self.warm_up {
            return Err(Error::record("the memory of a ZScore is damaged"));
        }
        (self.first, self.mean, self.variance) = (first.to_vec(), mean, variance);
        Ok(())
    }
}
