//! Chooses the next rate to measure from those already measured: from below, and never past one that fails.

use super::range::{Edge, Tried};

/// Where to look for the edge, and how closely.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bracket {
    pub(super) start: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// How far apart, relatively, the two sides of the edge may be.
    pub(super) within: f64,
}

/// The next action of the search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Next {
    Measure(f64),
    Found(Edge),
}

/// The factor by which the rate is raised or lowered until something is known.
const LEAP: f64 = 4.0;
/// The maximum factor between neighboring rates below the edge.
const STEP: f64 = std::f64::consts::SQRT_2;
/// How far below the edge rates are tried, as a factor.
const REACH: f64 = 8.0;
/// The share of its initial value by which a loss has clearly fallen.
const CLEAR: f64 = 0.1;
/// The tolerance for a ratio of two rates that should be equal.
const ROUNDING: f64 = 1.0 + 1e-9;

impl Bracket {
    /// Returns the next action for one seed, from its points in any order.
    ///
    /// A rate fails if its run was lost or died, or if it has learned nothing although a lower rate clearly did.
    /// The result is the highest stable rate below the lowest that fails.
    pub(super) fn next(&self, points: &[Tried]) -> Next {
        let mut points = points.to_vec();
        points.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        let (Some(lowest), Some(highest)) = (points.first(), points.last()) else {
            return Next::Measure(self.start.clamp(self.low, self.high));
        };
        let failing = first_failing(&points);
        if failing.is_none() && highest.rate < self.high {
            return Next::Measure((highest.rate * LEAP).min(self.high));
        }
        let sound = &points[..failing.unwrap_or(points.len())];
        // Between a rate that is too low and one that is too high.
        if let (Some(below), Some(at)) = (sound.last(), failing)
            && below.end.is_none()
            && points[at].rate / below.rate > self.step() * ROUNDING
        {
            return Next::Measure(below.rate * self.step());
        }
        if let Some(top) = sound.iter().rposition(|point| point.end.is_some()) {
            return self.around(&points, top);
        }
        if lowest.rate > self.low {
            return Next::Measure((lowest.rate / LEAP).max(self.low));
        }
        let unstable = failing.map_or(lowest.rate, |at| points[at].rate);
        Next::Found(Edge { stable: None, unstable: Some(unstable) })
    }

    /// Tries the rates below the highest stable one, `points[top]`, and then those up to the next one above it.
    fn around(&self, points: &[Tried], top: usize) -> Next {
        let stable = points[top].rate;
        let floor = (stable / REACH).max(self.low);
        let mut covered = stable;
        for point in points[..top].iter().rev() {
            if covered / point.rate > self.step() * ROUNDING {
                break;
            }
            covered = point.rate;
        }
        if covered > floor * ROUNDING {
            return Next::Measure((covered / self.step()).max(self.low));
        }
        let Some(above) = points.get(top + 1).map(|point| point.rate) else {
            return Next::Found(Edge { stable: Some(stable), unstable: None });
        };
        let ratio = above / stable;
        if ratio > self.step() * ROUNDING {
            return Next::Measure(stable * self.step());
        }
        let middle = stable * ratio.sqrt();
        // There is no number between two adjacent floating-point numbers.
        let apart = middle > stable && middle < above;
        match ratio > 1.0 + self.within && apart {
            true => Next::Measure(middle),
            false => Next::Found(Edge { stable: Some(stable), unstable: Some(above) }),
        }
    }

    fn step(&self) -> f64 {
        STEP.max(1.0 + self.within)
    }
}

/// Returns the index of the lowest rate that fails, of points sorted by rate.
fn first_failing(points: &[Tried]) -> Option<usize> {
    let mut clearly = false;
    points.iter().position(|point| match point.end {
        Some(end) => {
            clearly |= point.start - end > CLEAR * point.start.abs();
            false
        }
        None => point.lost || point.dead_from.is_some() || clearly,
    })
}

#[cfg(test)]
mod tests {
    use super::super::run::Outcome;
    use super::*;

    const STABLE: Outcome = Outcome::Stable(0.5);

    /// The largest ratio that counts as one step, which is a factor of 2 where the sides may be as far apart.
    const TWO: f64 = 2.0 * ROUNDING;

    fn next(low: f64, high: f64, outcomes: &[(f64, Outcome)]) -> Next {
        let bracket = Bracket { start: 1.0, low, high, within: 1.0 };
        let points: Vec<Tried> =
            outcomes.iter().map(|(rate, outcome)| Tried::new(*rate, 0, 1.0, *outcome)).collect();
        bracket.next(&points)
    }

    fn found(stable: f64, unstable: Option<f64>) -> Next {
        Next::Found(Edge { stable: Some(stable), unstable })
    }

    #[test]
    fn a_gap_of_one_step_below_a_rate_that_fails_is_not_searched() {
        let between =
            |failing| next(1.0, 100.0, &[(1.0, Outcome::Stuck), (failing, Outcome::Lost)]);
        assert_eq!(between(TWO), Next::Found(Edge { stable: None, unstable: Some(TWO) }));
        assert_eq!(between(2.1), Next::Measure(2.0));
    }

    #[test]
    fn neighbors_one_step_apart_cover_what_is_between_them() {
        let covered = |top| next(1.0, top, &[(1.0, STABLE), (top, STABLE)]);
        assert_eq!(covered(TWO), found(TWO, None));
        assert_eq!(covered(2.1), Next::Measure(1.05));
    }

    #[test]
    fn nothing_is_tried_below_the_lowest_rate() {
        for at in [1.0, ROUNDING] {
            assert_eq!(next(1.0, at, &[(at, STABLE)]), found(at, None));
        }
        assert_eq!(next(1.0, 1.1, &[(1.1, STABLE)]), Next::Measure(1.0));
    }

    #[test]
    fn the_edge_is_halved_until_its_sides_are_near() {
        let edge = |failing| next(1.0, 100.0, &[(1.0, STABLE), (failing, Outcome::Lost)]);
        assert_eq!(edge(2.0), found(1.0, Some(2.0)));
        assert_eq!(edge(TWO), Next::Measure(TWO.sqrt()));
        assert_eq!(edge(2.1), Next::Measure(2.0));
    }

    /// Where numbers lie so close to 0 that they are evenly spaced, the middle of two neighbors may be the upper one.
    #[test]
    fn nothing_is_between_two_adjacent_numbers() {
        let (low, high) = (f64::from_bits(0x1ad9_b0e1), f64::from_bits(0x1ad9_b0e2));
        assert_eq!(low * (high / low).sqrt(), high);
        let bracket = Bracket { start: low, low, high, within: 1e-300 };
        let points = [Tried::new(low, 0, 1.0, STABLE), Tried::new(high, 0, 1.0, Outcome::Lost)];
        assert_eq!(bracket.next(&points), found(low, Some(high)));
    }

    /// From 10 to 9 it has fallen by exactly a tenth.
    #[test]
    fn a_loss_has_clearly_fallen_by_more_than_a_tenth() {
        let failing = |end| {
            let fallen = Tried::new(1.0, 0, 10.0, Outcome::Stable(end));
            first_failing(&[fallen, Tried::new(2.0, 0, 10.0, Outcome::Stuck)])
        };
        assert_eq!([9.5, 9.0, 8.9].map(failing), [None, None, Some(1)]);
    }
}
