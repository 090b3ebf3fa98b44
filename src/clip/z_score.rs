//! Gradient clipping by z-score.

use super::Clip;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::{Error, Reading, Verdict};

/// Clips the norm of the whole gradient where it lies far above its moving mean: ZClip.
///
/// ```text
/// z = (n − μ)/(σ + min(10⁻⁶, 10⁻³·μ))        n = ‖g‖
/// n* = μ + θσ/(z/θ)     for z > θ             the larger the outlier, the nearer to the mean
///    = n                otherwise
/// factor = n*/n
/// μ ← αμ + (1 − α)n*     σ² ← ασ² + (1 − α)(n* − μ)²
/// ```
///
/// The first norms only initialize the mean and variance. Defaults: `θ` = 2.5, `α` = 0.97, 25 norms.
///
/// It clips spikes and nothing else: if every gradient is too large, none stands out. The authors also bound the
/// norm by 1; add a [`GlobalNorm`](super::GlobalNorm) for that.
///
/// Edges: nothing is clipped during the warmup. Rejected steps are not remembered.
///
/// Source: Kumar et al. 2025 (arXiv 2504.02507) and its code, whose reciprocal clipping this is. There, 10⁻⁶ is
/// added to every deviation, so spikes go unnoticed where norms are below 10⁻⁸.
///
/// ```
/// use evenkeel::Reading;
/// use evenkeel::Verdict;
/// use evenkeel::clip::{Clip, ZScore};
///
/// let mut clip = ZScore::default().warmup(2)?;
/// for norm in [1.0, 3.0] {
///     clip.record(&Reading::new(0).with_grad_norm(norm), Verdict::Apply);
/// }
/// // μ = 2, σ = 1, so that 12 is 10 deviations out: what is left is 2 + 2.5/4.
/// let factor = clip.factor(&Reading::new(2).with_grad_norm(12.0));
/// assert!((factor - 2.625 / 12.0).abs() < 1e-5);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[doc(alias = "ZClip")]
pub struct ZScore {
    above: f64,
    decay: f64,
    warmup: u64,
    memory: Memory,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Memory {
    /// The norms seen during the warmup.
    first: Vec<f64>,
    /// The mean and the variance.
    moments: Option<(f64, f64)>,
}

const NAME: &str = "ZScore";
/// Keeps the quotient finite where all norms are equal; the second value caps it as a share of the mean.
const TINY: f64 = 1e-6;
const TINY_SHARE: f64 = 1e-3;

impl Default for ZScore {
    fn default() -> Self {
        Self { above: 2.5, decay: 0.97, warmup: 25, memory: Memory::default() }
    }
}

impl ZScore {
    /// Sets `θ`: how many deviations above the mean a norm may lie without being clipped.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn above(mut self, deviations: f64) -> Result<Self, Error> {
        self.above = Param(NAME, "above").positive(deviations)?;
        Ok(self)
    }

    /// Sets `α`, the share of the mean and variance that is kept at each step.
    ///
    /// # Errors
    /// If it is not in `[0, 1)`.
    pub fn smoothing(mut self, alpha: f64) -> Result<Self, Error> {
        self.decay = Param(NAME, "smoothing").below_one(alpha)?;
        Ok(self)
    }

    /// Sets how many norms the initial mean and variance are computed from.
    ///
    /// # Errors
    /// If it is below 2.
    pub fn warmup(mut self, norms: u64) -> Result<Self, Error> {
        self.warmup = Param(NAME, "warmup").at_least(2, norms)?;
        Ok(self)
    }

    /// `n*`
    fn clipped(&self, norm: f64) -> f64 {
        let Some((mean, variance)) = self.memory.moments else { return norm };
        let deviation = variance.sqrt();
        let tiny = TINY.min(TINY_SHARE * mean).max(f64::MIN_POSITIVE);
        let z = (norm - mean) / (deviation + tiny);
        match z > self.above {
            true => mean + self.above * deviation * (self.above / z),
            false => norm,
        }
    }
}

impl Clip for ZScore {
    fn factor(&self, now: &Reading) -> f64 {
        match self.clipped(now.grad_norm) {
            clipped if clipped < now.grad_norm => clipped / now.grad_norm,
            _ => 1.0,
        }
    }

    fn record(&mut self, now: &Reading, ruling: Verdict) {
        if ruling != Verdict::Apply || !now.grad_norm.is_finite() {
            return;
        }
        // The norm before any other clip has acted on the gradient.
        let norm = self.clipped(now.grad_norm);
        let Memory { first, moments } = &mut self.memory;
        match moments {
            Some((mean, variance)) => {
                *mean = self.decay * *mean + (1.0 - self.decay) * norm;
                *variance = self.decay * *variance + (1.0 - self.decay) * (norm - *mean).powi(2);
            }
            None => {
                first.push(norm);
                if first.len() as u64 >= self.warmup {
                    let n = first.len() as f64;
                    let mean = first.iter().sum::<f64>() / n;
                    let square = |x: &f64| (x - mean).powi(2);
                    *moments = Some((mean, first.iter().map(square).sum::<f64>() / n));
                    first.clear();
                }
            }
        }
    }

    fn name(&self) -> &str {
        NAME
    }

    fn state(&self) -> State {
        let Memory { first, moments } = &self.memory;
        let moments = moments.map_or(Vec::new(), |(mean, variance)| vec![mean, variance]);
        State::new().with_list("first", first.clone()).with_list("moments", moments)
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&["first", "moments"])?;
        let first = state.list("first")?;
        let moments = match state.list("moments")? {
            [] => None,
            [mean, variance] => Some((*mean, *variance)),
            _ => return Err(Error::record("a ZScore has a mean and a variance, or neither")),
        };
        let sound = |x: f64| x.is_finite() && x >= 0.0;
        let fits = (first.len() as u64) < self.warmup && first.iter().copied().all(sound);
        if !fits || moments.is_some_and(|(mean, variance)| !(sound(mean) && sound(variance))) {
            return Err(Error::record("the norms of a ZScore must be finite and at least 0"));
        }
        self.memory = Memory { first: first.to_vec(), moments };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(norm: f64) -> Reading {
        Reading::new(0).with_grad_norm(norm)
    }

    /// The authors' code, line by line.
    struct Twin {
        buffer: Vec<f64>,
        mean: f64,
        var: f64,
        initialized: bool,
    }

    impl Twin {
        fn step(&mut self, norm: f64) -> f64 {
            if !self.initialized {
                self.buffer.push(norm);
                if self.buffer.len() >= 25 {
                    let n = self.buffer.len() as f64;
                    self.mean = self.buffer.iter().sum::<f64>() / n;
                    self.var = self.buffer.iter().map(|x| (x - self.mean).powi(2)).sum::<f64>() / n;
                    self.initialized = true;
                }
                return norm;
            }
            let std = self.var.sqrt();
            let z = (norm - self.mean) / (std + 1e-6);
            let clip = if z > 2.5 {
                let eta = z / 2.5;
                self.mean + (2.5 * std) / eta
            } else {
                norm
            };
            self.mean = 0.97 * self.mean + (1.0 - 0.97) * clip;
            self.var = 0.97 * self.var + (1.0 - 0.97) * (clip - self.mean).powi(2);
            clip
        }
    }

    #[test]
    fn it_clips_as_the_authors_code_does() {
        let mut clip = ZScore::default();
        let mut twin = Twin { buffer: vec![], mean: 0.0, var: 0.0, initialized: false };
        let mut clipped = 0;
        for k in 0..400u32 {
            let calm = 1.0 + 0.3 * f64::from(k * 37 % 101) / 101.0;
            let norm = if k % 13 == 5 { 20.0 * calm } else { calm };
            let factor = clip.factor(&at(norm));
            clip.record(&at(norm), Verdict::Apply);
            let expected = twin.step(norm) / norm;
            assert!((factor / expected - 1.0).abs() < 1e-12, "update {k}: {factor}, {expected}");
            clipped += u32::from(factor < 1.0);
        }
        assert!(clipped > 20, "{clipped}");
    }

    /// Gradients of a loss that is a billion times smaller are a billion times smaller, and clipped alike.
    #[test]
    fn it_sees_spikes_of_short_gradients() {
        let run = |unit: f64| {
            let mut clip = ZScore::default();
            let mut factors = Vec::new();
            for k in 0..60u32 {
                let calm = 1.0 + 0.3 * f64::from(k * 37 % 101) / 101.0;
                let norm = at(unit * if k == 50 { 20.0 * calm } else { calm });
                factors.push(clip.factor(&norm));
                clip.record(&norm, Verdict::Apply);
            }
            factors
        };
        let usual = run(1.0);
        assert!(usual[50] < 0.1);
        for unit in [1e-9, 1e-15, 1e-30] {
            for (short, usual) in run(unit).into_iter().zip(&usual) {
                assert!((short / usual - 1.0).abs() < 0.02, "{unit}: {short}, {usual}");
            }
        }
    }

    #[test]
    fn rejected_steps_leave_no_trace() {
        let mut clip = ZScore::default().warmup(3).unwrap();
        for k in 0..10 {
            clip.record(&at(1.0 + f64::from(k)), Verdict::Apply);
            let before = clip.clone();
            for ruling in [Verdict::Skip, Verdict::Rewind, Verdict::Halt] {
                clip.record(&at(1e6), ruling);
            }
            clip.record(&at(f64::NAN), Verdict::Apply);
            assert_eq!(clip, before);
        }
    }

    #[test]
    fn its_state_resumes_it_and_what_is_wrong_is_named() {
        let mut clip = ZScore::default().warmup(4).unwrap();
        for k in 0..9 {
            let mut fresh = ZScore::default().warmup(4).unwrap();
            fresh.restore(&clip.state()).unwrap();
            assert_eq!(fresh, clip);
            clip.record(&at(f64::from(k)), Verdict::Apply);
        }
        let lists = |first: Vec<f64>, moments: Vec<f64>| {
            State::new().with_list("first", first).with_list("moments", moments)
        };
        let before = clip.clone();
        for wrong in [
            lists(vec![1.0; 4], vec![]),
            lists(vec![f64::NAN], vec![]),
            lists(vec![], vec![1.0]),
            lists(vec![], vec![1.0, -1.0]),
        ] {
            assert!(clip.restore(&wrong).unwrap_err().is_record());
        }
        assert_eq!(clip, before);
        assert!(
            ZScore::default().above(-1.0).is_err() && ZScore::default().above(f64::NAN).is_err()
        );
        assert!(ZScore::default().smoothing(1.0).is_err() && ZScore::default().warmup(1).is_err());
    }
}
