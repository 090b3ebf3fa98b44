//! Up and down a ladder of rates, from somewhere in the middle.

use super::outcome::{Aim, Outcome, Point, order};

/// Two rates a decade, both ends included.
pub(super) fn ladder(from: f64, to: f64) -> Vec<f64> {
    // Whole steps of the exponent, so that the same rates are met whatever the ends.
    let step = |x: f64| (2.0 * x.log10() * (1.0 + 1e-12)).round() as i64;
    (step(from)..=step(to)).map(|half| 10f64.powf(half as f64 / 2.0)).collect()
}

/// Measures rungs until the best one has worse ones on both sides, and the first unstable one above it is
/// known. `measure` gives `None` to stop.
///
/// The points that were measured, and whether it was not stopped.
pub(super) fn climb(
    rungs: usize,
    start: usize,
    aim: Aim,
    mut measure: impl FnMut(usize) -> Option<Point>,
) -> (Vec<Point>, bool) {
    let mut known: Vec<Option<Point>> = vec![None; rungs];
    let mut next = Some(start.min(rungs.saturating_sub(1))).filter(|_| rungs > 0);
    let mut complete = true;
    while let Some(at) = next {
        known[at] = measure(at);
        if known[at].is_none() {
            complete = false;
            break;
        }
        next = to_measure(&known, aim);
    }
    (known.into_iter().flatten().collect(), complete)
}

/// Measures all rungs, from the lowest up; as [`climb`] otherwise.
pub(super) fn sweep(
    rungs: usize,
    mut measure: impl FnMut(usize) -> Option<Point>,
) -> (Vec<Point>, bool) {
    let points: Vec<Point> = (0..rungs).map_while(&mut measure).collect();
    let complete = points.len() == rungs;
    (points, complete)
}

/// An edge is known well enough if it lies between two rates of this ratio.
const EDGE: f64 = 1.2;
/// A best rate is, if those beside it are this near.
const BEST: f64 = 1.5;

/// The rate to measure next, between the rungs: first around the best one, then at the edge. `None` once both
/// are known well enough.
pub(super) fn between(outcome: &Outcome, aim: Aim) -> Option<f64> {
    let best = outcome.best(aim)?.rate;
    let points = &outcome.points;
    let above = points.iter().find(|point| point.rate > best).map(|point| point.rate);
    let below = points.iter().rev().find(|point| point.rate < best).map(|point| point.rate);
    let middle = |low: f64, high: f64, near: f64| (high > near * low).then(|| (low * high).sqrt());
    let up = above.and_then(|above| middle(best, above, BEST));
    let down = below.and_then(|below| middle(below, best, BEST));
    let edge = || {
        let (stable, not) = (outcome.highest_stable()?, outcome.first_unstable()?);
        middle(stable, not, EDGE)
    };
    up.or(down).or_else(edge)
}

/// The rung to measure next.
fn to_measure(known: &[Option<Point>], aim: Aim) -> Option<usize> {
    let stable = || known.iter().enumerate().filter_map(|(at, p)| Some((at, p.as_ref()?)));
    let best = stable()
        .filter(|(_, point)| point.stable)
        .min_by(|a, b| order(a.1.score(aim), b.1.score(aim)));
    let Some((best, _)) = best else {
        // Nothing is stable yet: further down. Where even the lowest rate is not, up: a rate may have been
        // too low for noise to leave the loss below its start.
        let (lowest, highest) = (stable().next()?.0, stable().next_back()?.0);
        let up = Some(highest + 1).filter(|at| *at < known.len());
        let broke = stable().any(|(_, point)| point.losses.iter().any(Option::is_none));
        return lowest.checked_sub(1).or(up.filter(|_| !broke));
    };
    let unknown = |at: &usize| known.get(*at).is_some_and(Option::is_none);
    let above = Some(best + 1).filter(unknown);
    let below = best.checked_sub(1).filter(unknown);
    // Above the best, until the edge.
    let edge = || {
        let stays = |at: &usize| known[*at].as_ref().is_some_and(|point| point.stable);
        let first = (best..known.len()).find(|at| !stays(at))?;
        Some(first).filter(unknown)
    };
    above.or(below).or_else(edge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(rate: f64, loss: Option<f64>) -> Point {
        let stable = loss.is_some_and(|loss| loss < 1.0);
        Point { rate, losses: vec![loss], reached: vec![], broke: 0, stable, seconds: None }
    }

    /// Climbs a curve of losses; `None` breaks. What was measured, in order, and the points.
    fn climbed(losses: &[Option<f64>], start: usize) -> (Vec<usize>, Vec<Point>) {
        let mut order = Vec::new();
        let (points, complete) = climb(losses.len(), start, Aim::LowestLoss, |at| {
            order.push(at);
            Some(point(at as f64, losses[at]))
        });
        assert!(complete);
        (order, points)
    }

    #[test]
    fn the_valley_and_the_edge_are_found_from_anywhere() {
        let some = Some;
        let losses = [some(0.9), some(0.7), some(0.4), some(0.2), some(0.5), some(0.8), None, None];
        for start in 0..losses.len() {
            let (measured, points) = climbed(&losses, start);
            let best =
                points.iter().filter(|p| p.stable).min_by(|a, b| a.loss().total_cmp(&b.loss()));
            assert_eq!(best.unwrap().rate, 3.0, "from {start}");
            for needed in 2..=6 {
                assert!(
                    measured.contains(&needed),
                    "from {start}: {needed} is not in {measured:?}"
                );
            }
            let mut once = measured.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), measured.len(), "twice the same: {measured:?}");
        }
    }

    #[test]
    fn nothing_far_away_is_measured() {
        let mut losses = vec![Some(0.9); 20];
        losses[10] = Some(0.1);
        losses[11] = Some(0.5);
        losses[12] = None;
        assert_eq!(climbed(&losses, 10).0, [10, 11, 9, 12]);
    }

    #[test]
    fn where_nothing_is_stable_it_ends() {
        assert_eq!(climbed(&[None, None, None, None], 2).0, [2, 1, 0]);
        // Finite, but never below the start: perhaps the rates are too low.
        assert_eq!(climbed(&[Some(1.5), Some(1.5), Some(0.5)], 1).0, [1, 0, 2]);
    }

    #[test]
    fn it_stops_when_told_to() {
        let mut left = 2;
        let (points, complete) = climb(9, 4, Aim::LowestLoss, |at| {
            left -= 1;
            (left >= 0).then(|| point(at as f64, Some(0.5 - at as f64 / 100.0)))
        });
        assert_eq!((points.len(), complete), (2, false));
    }

    #[test]
    fn the_ladder_has_two_rungs_a_decade() {
        let rates = ladder(1e-3, 1.0);
        assert_eq!(rates.len(), 7);
        assert!(rates.windows(2).all(|w| (w[1] / w[0] - 10f64.sqrt()).abs() < 1e-9));
        assert!((rates[0] - 1e-3).abs() < 1e-12 && (rates[6] - 1.0).abs() < 1e-12);
        assert_eq!(ladder(0.3, 0.3).len(), 1);
    }
}
