//! Random noise that supports seeking.

use std::ops::Range;

use crate::Error;
use crate::error::check::Param;
use crate::random::{GOLDEN, mix, unit};
use crate::schedule::Schedule;
use crate::schedule::math::saturate;

/// Random noise for a schedule; see [`Schedule::noise`].
///
/// ```text
/// y(t) = inner(t)·(1 + n(t))
/// ```
///
/// where `n(t)` is a random number that depends only on the seed and on `t`, so runs can be resumed, moved and repeated
/// with the same noise. It is uniform in `[−limit, limit)`, or normal with mean 0 and a given standard deviation, drawn
/// again while it is outside `±limit`.
///
/// Defaults: seed 0, all updates, and a limit of 0.67 for normal noise.
///
/// Source: timm's `lr_noise`. timm's numbers are those of torch's generator, with seed `42 + t`; here they are those of
/// SplitMix64 (Steele et al. 2014).
///
/// ```
/// use evenkeel::schedule::{Constant, Noise, Schedule};
///
/// let noisy = Constant::new(1.0)?.noise(Noise::uniform(0.1)?.seed(7).during(10..20));
/// assert_eq!(noisy.at(9), 1.0);
/// assert!(noisy.at(10) != 1.0 && (noisy.at(10) - 1.0).abs() <= 0.1);
/// assert_eq!(noisy.at(20), 1.0);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// The standard deviation of normal noise; `None` if the noise is uniform.
    pub(in crate::schedule) deviation: Option<f64>,
    pub(in crate::schedule) limit: f64,
    pub(in crate::schedule) seed: u64,
    pub(in crate::schedule) from: u64,
    pub(in crate::schedule) until: Option<u64>,
}

impl Noise {
    /// Creates uniform noise of up to ±`limit`, a fraction of the schedule's value.
    ///
    /// # Errors
    /// If `limit` is negative or not finite.
    pub fn uniform(limit: f64) -> Result<Self, Error> {
        let limit = Param("Noise", "limit").non_negative(limit)?;
        Ok(Self { deviation: None, limit, seed: 0, from: 0, until: None })
    }

    /// Creates normal noise with a standard deviation of `deviation`, a fraction of the schedule's value.
    ///
    /// # Errors
    /// If `deviation` is negative or not finite.
    pub fn normal(deviation: f64) -> Result<Self, Error> {
        let deviation = Param("Noise", "deviation").non_negative(deviation)?;
        Ok(Self { deviation: Some(deviation), limit: 0.67, seed: 0, from: 0, until: None })
    }

    /// Sets the limit of normal noise. With a limit below 1, no value changes its sign.
    ///
    /// # Errors
    /// If `limit` is not positive and finite.
    pub fn limit(mut self, limit: f64) -> Result<Self, Error> {
        self.limit = Param("Noise", "limit").positive(limit)?;
        Ok(self)
    }

    /// Sets the seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the updates that have noise.
    #[must_use]
    pub fn during(mut self, updates: Range<u64>) -> Self {
        (self.from, self.until) = (updates.start, Some(updates.end));
        self
    }

    /// `n(t)`.
    fn at(&self, t: u64) -> f64 {
        if t < self.from || self.until.is_some_and(|until| t >= until) {
            return 0.0;
        }
        let mut random = Random(mix(self.seed) ^ t);
        let Some(deviation) = self.deviation else {
            return self.limit * (2.0 * random.unit() - 1.0);
        };
        // If the limit is so tight that hardly any draw is inside it, the last draw is clamped.
        let mut drawn = 0.0;
        for _ in 0..64 {
            drawn = deviation * random.normal();
            if drawn.abs() < self.limit {
                return drawn;
            }
        }
        drawn.clamp(-self.limit, self.limit)
    }
}

/// A schedule with noise; see [`Noise`].
///
/// ```
/// use evenkeel::schedule::{Noise, Ramp, Schedule};
///
/// let (ramp, noise) = (Ramp::new(0.0, 1.0, 4)?, Noise::uniform(0.5)?);
/// let noisy = ramp.noise(noise);
/// assert!(noisy.at(0) == 0.0 && (noisy.at(4) - 1.0).abs() <= 0.5);
/// // The same schedule has the same noise.
/// assert_eq!(noisy.at(3), ramp.noise(noise).at(3));
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noisy<S> {
    pub(in crate::schedule) inner: S,
    pub(in crate::schedule) noise: Noise,
}

impl<S> Noisy<S> {
    pub(in crate::schedule) fn new(inner: S, noise: Noise) -> Self {
        Self { inner, noise }
    }
}

impl<S: Schedule> Schedule for Noisy<S> {
    fn at(&self, t: u64) -> f64 {
        saturate(self.inner.at(t) * (1.0 + self.noise.at(t)))
    }

    passes_on!(|self, t| t);
}

/// SplitMix64: a counter, and a mixer of its bits.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Uniform in `[0, 1)`.
    fn unit(&mut self) -> f64 {
        unit(self.next())
    }

    /// Standard normal, by the Box–Muller method.
    fn normal(&mut self) -> f64 {
        // 1 − u is in (0, 1], so that its logarithm is finite.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of the reference implementation for seed 1234567, by Vigna.
    #[test]
    fn the_generator_is_splitmix64() {
        let mut random = Random(1_234_567);
        let first: [u64; 3] = std::array::from_fn(|_| random.next());
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    fn moments(noise: &Noise) -> (f64, f64, f64) {
        let n = 20_000;
        let all: Vec<f64> = (0..n).map(|t| noise.at(t)).collect();
        let mean = all.iter().sum::<f64>() / n as f64;
        let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        let neighbors = all.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum::<f64>();
        (mean, variance.sqrt(), neighbors / n as f64 / variance)
    }

    #[test]
    fn it_has_the_moments_of_its_distribution_and_no_memory() {
        for seed in 0..3 {
            let (mean, sd, correlation) = moments(&Noise::uniform(0.3).unwrap().seed(seed));
            assert!(mean.abs() < 0.005 && (sd - 0.3 / 3f64.sqrt()).abs() < 0.005);
            assert!(correlation.abs() < 0.03, "{correlation}");
            let normal = Noise::normal(0.1).unwrap().seed(seed);
            let (mean, sd, correlation) = moments(&normal);
            assert!(mean.abs() < 0.005 && (sd - 0.1).abs() < 0.005, "{mean} {sd}");
            assert!(correlation.abs() < 0.03, "{correlation}");
        }
    }

    #[test]
    fn seeds_differ_and_limits_hold() {
        let [a, b] = [1, 2].map(|seed| Noise::uniform(0.1).unwrap().seed(seed));
        assert!((0..100).all(|t| a.at(t) != b.at(t)));
        let tight = Noise::normal(10.0).unwrap().limit(1e-6).unwrap();
        assert!((0..1000).all(|t| tight.at(t).abs() <= 1e-6));
    }
}
