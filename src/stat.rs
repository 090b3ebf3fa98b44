//! Online statistics, each with its formula. No policy and no threshold lives here.

use std::collections::VecDeque;

use num_traits::Float;

use crate::Error;

/// The last `capacity` values, and their median and spread.
///
/// Quantiles of the window are recomputed when asked for: `O(n log n)` for a window of `n`, which
/// at the usual 128 is a few microseconds, once a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Window<T> {
    values: VecDeque<T>,
    capacity: usize,
}

impl<T: Float> Window<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { values: VecDeque::with_capacity(capacity), capacity }
    }

    /// Adds a value and forgets the oldest one past `capacity`. A non-finite value is not taken:
    /// one NaN would make every quantile NaN for as long as it stays.
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

    /// A window of the same capacity with these values, or the reason why they cannot be its.
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

    /// Median `m` and median absolute deviation `median(|xᵢ − m|)`; `None` of an empty window.
    pub(crate) fn median_and_mad(&self) -> Option<(T, T)> {
        let mut scratch: Vec<T> = self.values().collect();
        let median = median(&mut scratch)?;
        for x in &mut scratch {
            *x = (*x - median).abs();
        }
        Some((median, self::median(&mut scratch)?))
    }
}

/// The middle value, or the mean of the two middle ones. Reorders its argument.
fn median<T: Float>(values: &mut [T]) -> Option<T> {
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
        assert_eq!(window(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]).median_and_mad(), Some((2.0, 1.0)));
        assert_eq!(
            window(&[1e300, 1.7e308]).median_and_mad().map(|(m, _)| m.is_finite()),
            Some(true)
        );
    }

    #[test]
    fn the_oldest_value_leaves_first() {
        let mut w = Window::new(2);
        [1.0, 2.0, 3.0].into_iter().for_each(|x| w.push(x));
        assert_eq!(w.values().collect::<Vec<_>>(), [2.0, 3.0]);
    }

    #[test]
    fn non_finite_values_are_not_taken() {
        let mut w = window(&[1.0]);
        let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        bad.into_iter().for_each(|x| w.push(x));
        assert_eq!(w.len(), 1);
    }
}
