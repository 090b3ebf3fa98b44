//! The largest eigenvalue of a growing symmetric tridiagonal matrix, in plain numbers.

/// A symmetric tridiagonal matrix: `α` on the diagonal, `β` next to it.
#[derive(Debug, Default)]
pub(super) struct Tridiagonal {
    alpha: Vec<f64>,
    /// The last value belongs to the next row and is not in the matrix yet.
    beta: Vec<f64>,
}

/// The largest eigenvalue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Top {
    pub(super) value: f64,
    /// The absolute value of the last element of its unit eigenvector.
    pub(super) last: f64,
}

impl Tridiagonal {
    /// Adds a row; `beta` is the off-diagonal element of the next one.
    pub(super) fn push(&mut self, alpha: f64, beta: f64) -> Top {
        self.alpha.push(alpha);
        self.beta.push(beta);
        let value = self.largest();
        Top { value, last: self.last_element(value) }
    }

    /// Computes the largest eigenvalue by bisection.
    fn largest(&self) -> f64 {
        let beside = |row: usize| {
            let above = row.checked_sub(1).map_or(0.0, |row| self.beta[row]);
            above + if row + 1 < self.alpha.len() { self.beta[row] } else { 0.0 }
        };
        // Gershgorin: every eigenvalue lies within the sums of the off-diagonal elements.
        let rows = || self.alpha.iter().enumerate();
        let mut low = rows().map(|(row, a)| a - beside(row)).fold(f64::INFINITY, f64::min);
        let mut high = rows().map(|(row, a)| a + beside(row)).fold(f64::NEG_INFINITY, f64::max);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            match self.has_above(middle) {
                true => low = middle,
                false => high = middle,
            }
        }
        high
    }

    /// Returns whether an eigenvalue is above `x`: then a pivot of `T − x·I` is positive.
    fn has_above(&self, x: f64) -> bool {
        let (mut pivot, mut beside) = (f64::INFINITY, 0.0f64);
        for (alpha, beta) in self.alpha.iter().zip(&self.beta) {
            pivot = alpha - x - beside * beside / pivot;
            if pivot > 0.0 {
                return true;
            }
            // A pivot of 0 is treated as one just below it.
            if pivot == 0.0 {
                pivot = -f64::MIN_POSITIVE;
            }
            beside = *beta;
        }
        false
    }

    /// Computes it upwards from the last element; in this direction nothing is lost if that element is small.
    fn last_element(&self, value: f64) -> f64 {
        let (mut here, mut below, mut sum) = (1.0f64, 0.0f64, 1.0f64);
        for row in (1..self.alpha.len()).rev() {
            let under = if row + 1 < self.alpha.len() { self.beta[row] * below } else { 0.0 };
            let above = ((value - self.alpha[row]) * here - under) / self.beta[row - 1];
            (below, here) = (here, above);
            sum += above * above;
        }
        // Overflow: the result is 0.
        if sum.is_finite() { sum.sqrt().recip() } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twos and minus ones: eigenvalues `2 + 2·cos(jπ/(n + 1))`, eigenvectors of sines.
    #[test]
    fn a_matrix_with_known_eigenvalues() {
        let mut matrix = Tridiagonal::default();
        for n in 1..=60 {
            let Top { value, last } = matrix.push(2.0, 1.0);
            let angle = std::f64::consts::PI / (n as f64 + 1.0);
            assert!((value - 2.0 - 2.0 * angle.cos()).abs() < 1e-12, "{n}: {value}");
            let expected = (2.0 / (n as f64 + 1.0)).sqrt() * angle.sin();
            assert!((last - expected).abs() < 1e-9, "{n}: {last} is not {expected}");
        }
    }

    #[test]
    fn pairs_of_either_sign_and_negative_ones() {
        let near = |x: f64, y: f64| assert!((x - y).abs() < 1e-12, "{x} is not {y}");
        let mut matrix = Tridiagonal::default();
        matrix.push(0.0, 3.0);
        let top = matrix.push(0.0, 1.0);
        near(top.value, 3.0);
        near(top.last, 0.5f64.sqrt());
        let mut matrix = Tridiagonal::default();
        assert_eq!(matrix.push(-4.0, 1.0), Top { value: -4.0, last: 1.0 });
        // (−4 1; 1 −4): −3 and −5.
        let top = matrix.push(-4.0, 0.0);
        near(top.value, -3.0);
        near(top.last, 0.5f64.sqrt());
        let none = Top { value: 0.0, last: 1.0 };
        assert_eq!(Tridiagonal::default().push(0.0, 0.0), none);
    }
}
