//! Online statistics, each with its formula. This module contains no policies or thresholds.

use std::collections::VecDeque;

use num_traits::Float;

use crate::Error;

/// The last `capacity` values, with their median and spread.
///
/// Quantiles of the window are recomputed on request: `O(n log n)` for a window of `n`, which at the usual 128 is a few
/// microseconds per step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Window<T> {
    values: VecDeque<T>,
    capacity: usize,
}

impl<T: Float> Window<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        // Memory is allocated as needed: a window may be larger than any run.
        Self { values: VecDeque::new(), capacity }
    }

    /// Adds a value, and drops the oldest one past `capacity`. Non-finite values are ignored: one NaN would make every
    /// quantile NaN for as long as it stays.
    pub(crate) fn push(&mut self, value: T) {
        if !value.is_finite() {
            return;
        }
        if self.values.len() == self.capacity {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns a window of the same capacity with these values, or an error if they don't fit.
    pub(crate) fn refilled(&self, values: &[T]) -> Result<Self, Error> {
        if values.len() > self.capacity {
            return Err(Error::record(format_args!(
                "a window of {} cannot hold {} values",
                self.capacity,
                values.len()
            )));
        }
        if !values.iter().all(|x| x.is_finite()) {
            return Err(Error::record("a window holds a non-finite value"));
        }
        Ok(Self { values: values.iter().copied().collect(), capacity: self.capacity })
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = T> {
        self.values.iter().copied()
    }

    /// Returns the median `m` and the median absolute deviation `median(|xᵢ − m|)`; `None` for an empty window.
    pub(crate) fn median_and_mad(&self) -> Option<(T, T)> {
        let mut scratch: Vec<T> = self.values().collect();
        let median = median(&mut scratch)?;
        for x in &mut scratch {
            *x = (*x - median).abs();
        }
        Some((median, self::median(&mut scratch)?))
    }
}

/// Returns the middle value, or the mean of the two middle ones. Reorders its argument.
pub(crate) fn median<T: Float>(values: &mut [T]) -> Option<T> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    // Windows hold finite values only, so the comparison is total.
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let upper = values[n / 2];
    match n % 2 {
        1 => Some(upper),
        // Halved before they are added, so that two large values do not overflow.
        _ => Some(values[n / 2 - 1] / (T::one() + T::one()) + upper / (T::one() + T::one())),
    }
}

/// Exponentially weighted mean and variance, without bias at the start.
///
/// The value seen `i` values ago has weight `λⁱ`. With `w = Σλⁱ`,
///
/// ```text
/// w ← λ·w + 1     δ = x − m     m ← m + δ/w     S ← λ·S + δ·(x − m)     σ² = S/w
/// ```
///
/// Source: West 1979, *Updating mean and variance estimates: an improved method*, with weights that
/// decay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ema<T> {
    decay: T,
    count: u64,
    weight: T,
    mean: T,
    squares: T,
}

impl<T: Float> Ema<T> {
    pub(crate) fn new(decay: T) -> Self {
        Self { decay, count: 0, weight: T::zero(), mean: T::zero(), squares: T::zero() }
    }

    /// Adds a value. Non-finite values are ignored, because they would stay forever.
    pub(crate) fn push(&mut self, value: T) {
        if value.is_finite() {
            *self = self.with(value);
        }
    }

    /// Returns the statistics after adding this value.
    pub(crate) fn with(&self, value: T) -> Self {
        let weight = self.decay * self.weight + T::one();
        let delta = value - self.mean;
        let mean = self.mean + delta / weight;
        let squares = self.decay * self.squares + delta * (value - mean);
        Self { decay: self.decay, count: self.count + 1, weight, mean, squares }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn decay(&self) -> T {
        self.decay
    }

    /// Returns the mean; `None` before the first value.
    pub(crate) fn mean(&self) -> Option<T> {
        (self.count > 0).then_some(self.mean)
    }

    /// Returns mean and standard deviation; `None` before the first value.
    pub(crate) fn mean_and_deviation(&self) -> Option<(T, T)> {
        let variance = (self.squares / self.weight).max(T::zero());
        self.mean().map(|mean| (mean, variance.sqrt()))
    }

    /// Returns its memory: the number of values, their weight, mean and squares.
    pub(crate) fn parts(&self) -> (u64, [T; 3]) {
        (self.count, [self.weight, self.mean, self.squares])
    }

    /// Returns statistics of the same decay with this memory, or an error if it is not valid.
    pub(crate) fn refilled(&self, count: u64, parts: &[T]) -> Result<Self, Error> {
        match *parts {
            [weight, mean, squares] if parts.iter().all(|x| x.is_finite()) => {
                Ok(Self { decay: self.decay, count, weight, mean, squares })
            }
            _ => Err(Error::record("a running mean is damaged")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(values: &[f64]) -> Window<f64> {
        let mut w = Window::new(values.len().max(1));
        values.iter().for_each(|&x| w.push(x));
        w
    }

    #[test]
    fn median_and_mad_of_literals() {
        assert_eq!(window(&[]).median_and_mad(), None);
        assert_eq!(window(&[7.0]).median_and_mad(), Some((7.0, 0.0)));
        assert_eq!(window(&[1.0, 3.0]).median_and_mad(), Some((2.0, 1.0)));
        // The classic example: deviations from 2 are 1 1 0 0 2 4 7.
        let classic = window(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]);
        assert_eq!(classic.median_and_mad(), Some((2.0, 1.0)));
        let large = window(&[1e300, 1.7e308]).median_and_mad();
        assert_eq!(large.map(|(m, _)| m.is_finite()), Some(true));
    }

    #[test]
    fn the_oldest_value_leaves_first() {
        let mut w = Window::new(2);
        [1.0, 2.0, 3.0].into_iter().for_each(|x| w.push(x));
        assert_eq!(w.values().collect::<Vec<_>>(), [2.0, 3.0]);
    }

    #[test]
    fn non_finite_values_are_not_taken() {
        let (mut w, mut e) = (window(&[1.0]), Ema::new(0.5));
        e.push(1.0);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            w.push(bad);
            e.push(bad);
        }
        assert_eq!((w.len(), e.count()), (1, 1));
    }

    /// Compared with the definition: weighted sums over all values, in two passes.
    #[test]
    fn the_running_mean_and_variance_are_the_weighted_ones() {
        for decay in [0.0, 0.5, 0.9, 0.99, 1.0] {
            for scale in [1e-150, 1.0, 1e120] {
                let values: Vec<f64> =
                    (0..60).map(|i| scale * (f64::from(i * 37 % 23) - 7.0)).collect();
                let mut ema = Ema::new(decay);
                for (n, &x) in values.iter().enumerate() {
                    ema.push(x);
                    let weights = (0..=n).map(|i| f64::powi(decay, (n - i) as i32));
                    let total: f64 = weights.clone().sum();
                    let weighted = |f: &dyn Fn(f64) -> f64| -> f64 {
                        weights.clone().zip(&values).map(|(w, &x)| w * f(x)).sum::<f64>() / total
                    };
                    let mean = weighted(&|x| x);
                    let deviation = weighted(&|x| (x - mean).powi(2)).sqrt();
                    let (m, s) = ema.mean_and_deviation().unwrap();
                    assert!((m - mean).abs() <= 1e-12 * scale * 20.0, "{decay} {n}: {m} {mean}");
                    // The square root turns a rounding of 1e-16 into one of 1e-8.
                    assert!((s - deviation).abs() <= 1e-7 * scale * 20.0, "{s} {deviation}");
                }
            }
        }
    }

    #[test]
    fn constant_values_have_no_deviation() {
        let mut ema = Ema::new(0.9);
        (0..100).for_each(|_| ema.push(0.1));
        let (mean, deviation) = ema.mean_and_deviation().unwrap();
        assert!((mean - 0.1).abs() < 1e-15 && deviation < 1e-15);
    }
}
