//! Reduces many points to few, without hiding outliers.

use crate::stat::median;

/// Reduces points to at most four for each of `bins` stretches of equal length in the chart, where `place` gives
/// the position: the first, the lowest, the highest and the last, in order. Joined by lines, they look the same
/// as all points would in a chart `bins` wide, so that an outlier of a single step remains visible. Non-finite
/// values are kept, as one for each stretch.
///
/// Source: Jugel et al. 2014, *M4: a visualization-oriented time series data aggregation*.
pub(crate) fn reduced(
    points: &[(f64, f64)],
    bins: usize,
    place: impl Fn(f64) -> f64,
) -> Vec<(f64, f64)> {
    if points.len() <= 4 * bins {
        return points.to_vec();
    }
    let mut kept = Vec::with_capacity(4 * bins);
    for stretch in stretches(points, bins, place) {
        let finite = || (0..stretch.len()).filter(|at| stretch[*at].1.is_finite());
        let by = |a: &usize, b: &usize| stretch[*a].1.total_cmp(&stretch[*b].1);
        let broken = (0..stretch.len()).find(|at| !stretch[*at].1.is_finite());
        let extremes = [finite().min_by(by), finite().max_by(by)];
        let mut chosen: Vec<usize> =
            [finite().next(), extremes[0], extremes[1], finite().next_back(), broken]
                .into_iter()
                .flatten()
                .collect();
        chosen.sort_unstable();
        chosen.dedup();
        kept.extend(chosen.into_iter().map(|at| stretch[at]));
    }
    kept
}

/// Returns the middle of each stretch: the mean of its positions, and the median of its finite values.
pub(crate) fn middles(
    points: &[(f64, f64)],
    bins: usize,
    place: impl Fn(f64) -> f64,
) -> Vec<(f64, f64)> {
    let middle = |stretch: &[(f64, f64)]| {
        let finite = || stretch.iter().filter(|(_, y)| y.is_finite());
        let mut values: Vec<f64> = finite().map(|(_, y)| *y).collect();
        let x = finite().map(|(x, _)| *x).sum::<f64>() / values.len().max(1) as f64;
        Some((x, median(&mut values)?))
    };
    stretches(points, bins, place).filter_map(middle).collect()
}

/// Divides the points into this many stretches of equal length, leaving out empty ones.
fn stretches(
    points: &[(f64, f64)],
    bins: usize,
    place: impl Fn(f64) -> f64,
) -> impl Iterator<Item = &[(f64, f64)]> {
    let start = points.first().map_or(0.0, |p| place(p.0));
    let length = (points.last().map_or(0.0, |p| place(p.0)) - start) / bins.max(1) as f64;
    let of = move |x: f64| ((place(x) - start) / length).floor().min(bins as f64 - 1.0);
    points.chunk_by(move |a, b| length <= 0.0 || of(a.0) == of(b.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn even(x: f64) -> f64 {
        x
    }

    /// On a logarithmic scale, the first ten of a thousand take a third of the chart.
    #[test]
    fn stretches_are_as_long_as_they_look() {
        let points: Vec<(f64, f64)> =
            (1..=1000).map(|k| (f64::from(k), f64::from(k % 2))).collect();
        let early = |kept: Vec<(f64, f64)>| kept.iter().filter(|p| p.0 <= 10.0).count();
        assert!(early(reduced(&points, 30, even)) <= 4);
        assert!(early(reduced(&points, 30, f64::ln)) >= 9);
    }

    #[test]
    fn one_step_that_stands_out_still_does() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|k| (k as f64, 1.0)).collect();
        points[31_415].1 = 9.0;
        points[77_777].1 = -2.0;
        points[50_000].1 = f64::NAN;
        let kept = reduced(&points, 500, even);
        assert!(kept.len() <= 2500, "{}", kept.len());
        for (at, value) in [(31_415.0, 9.0), (77_777.0, -2.0), (0.0, 1.0), (99_999.0, 1.0)] {
            assert!(kept.contains(&(at, value)), "{at}");
        }
        assert_eq!(kept.iter().filter(|p| p.1.is_nan()).count(), 1);
        assert!(kept.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn few_points_stay_as_they_are() {
        let points = [(0.0, 1.0), (1.0, f64::NAN), (5.0, 3.0)];
        assert_eq!(reduced(&points, 10, even)[2], (5.0, 3.0));
        assert_eq!(reduced(&points, 10, even).len(), 3);
        assert!(reduced(&[], 10, even).is_empty() && middles(&[], 10, even).is_empty());
        assert_eq!(middles(&[(3.0, 4.0)], 10, even), [(3.0, 4.0)]);
    }

    #[test]
    fn the_middle_is_where_most_are() {
        let points: Vec<(f64, f64)> = (0..100)
            .map(|k| (k as f64, if k % 10 == 0 { 50.0 } else { f64::from(k / 50) }))
            .collect();
        let middles = middles(&points, 2, even);
        assert_eq!(middles, [(24.5, 0.0), (74.5, 1.0)]);
    }
}
