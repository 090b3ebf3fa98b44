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
/// The maximum factor between neighbouring rates below the edge.
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
