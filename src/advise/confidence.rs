//! Tests whether one recipe is better than another, or only lucky.

/// The chance, two-sided, that paired differences are at least this lopsided if there is no difference: Wilcoxon's
/// exact signed-rank test. Differences of 0 are left out, and tied sizes share their ranks; infinite ones are the
/// largest. 1 without any pair.
///
/// Source: Wilcoxon 1945, *Individual comparisons by ranking methods*; the distribution is enumerated over all signs,
/// so it is exact with ties too.
pub(super) fn signed_rank(differences: &[f64]) -> f64 {
    let mut sorted: Vec<f64> =
        differences.iter().copied().filter(|d| *d != 0.0 && !d.is_nan()).collect();
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    // Twice the ranks, which are whole numbers even if ranks are shared.
    let mut ranks = Vec::with_capacity(sorted.len());
    for group in sorted.chunk_by(|a, b| a.abs() == b.abs()) {
        let first = ranks.len() + 1;
        ranks.extend(vec![2 * first + group.len() - 1; group.len()]);
    }
    let total: usize = ranks.iter().sum();
    let positive: usize =
        ranks.iter().zip(&sorted).filter(|(_, d)| **d > 0.0).map(|(r, _)| r).sum();
    let tail = positive.min(total - positive);

    // For each sum of positive ranks, the share of all sign combinations that give it.
    let mut share = vec![0.0; total + 1];
    share[0] = 1.0;
    for rank in ranks {
        for sum in (0..=total).rev() {
            let with = sum.checked_sub(rank).map_or(0.0, |rest| share[rest]);
            share[sum] = 0.5 * (share[sum] + with);
        }
    }
    (2.0 * share[..=tail].iter().sum::<f64>()).min(1.0)
}

/// The number of pairs among `n`: the factor for the chance that any of them shows such a difference (Bonferroni). It
/// counts all pairs, because the best one was chosen by the same runs.
pub(super) fn pairs(n: usize) -> f64 {
    (n * n.saturating_sub(1) / 2).max(1) as f64
}

/// The smallest number of seeds with which the best of `n` can be told apart from another, if it is ahead for each.
pub(super) fn seeds_needed(n: usize) -> u64 {
    (1..64)
        .find(|seeds| pairs(n) * 0.5f64.powi(*seeds - 1) <= SURE)
        .map_or(64, |seeds| seeds as u64)
}

/// The significance level: wrong once in twenty times.
pub(super) const SURE: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of tests/golden/signed_rank.py, with scipy 1.17.1.
    #[test]
    fn the_chances_are_scipys() {
        let cases: [(&[f64], f64); 6] = [
            (&[1.0, 2.0, 3.0, 4.0, 5.0], 0.0625),
            (
                &[
                    6.0, 8.0, 14.0, 16.0, 23.0, 24.0, 28.0, 29.0, 41.0, -48.0, 49.0, 56.0, 60.0,
                    -67.0, 75.0,
                ],
                0.041259765625,
            ),
            (&[0.5, -1.5, 2.5, -3.5, 4.5, 5.5, 6.5, -7.5], 0.640625),
            (&[-1.0, -2.0, -3.0, -4.0, -5.0, -6.0, -7.0, -8.0, -9.0, -10.0], 0.001953125),
            (&[1.0, -2.0], 1.0),
            (&[3.0, -1.0, 2.0], 0.5),
        ];
        for (differences, expected) in cases {
            let found = signed_rank(differences);
            assert!((found - expected).abs() < 1e-12, "{differences:?}: {found}, not {expected}");
            let turned: Vec<f64> = differences.iter().map(|d| -d).collect();
            assert!((signed_rank(&turned) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn ties_share_their_ranks_and_equals_say_nothing() {
        // Ranks 1.5, 1.5 and 3: the positive sum is 4.5 or more for ++ + and one of the small ones off
        // is 4.5 too: of 8 signs the lower tail of 1.5 has 3, so 2·3/8.
        assert!((signed_rank(&[1.0, -1.0, 2.0]) - 0.75).abs() < 1e-12);
        assert_eq!(signed_rank(&[0.0, 1.0, 2.0, f64::NAN, 3.0]), signed_rank(&[1.0, 2.0, 3.0]));
        assert_eq!(signed_rank(&[]), 1.0);
        let infinite = signed_rank(&[f64::INFINITY, f64::INFINITY, 1.0]);
        assert!((infinite - 0.25).abs() < 1e-12);
    }

    #[test]
    fn more_recipes_want_more_seeds() {
        assert_eq!(pairs(6), 15.0);
        assert_eq!([2, 6, 25].map(seeds_needed), [6, 10, 14]);
        for n in [2, 6, 25] {
            let all = |seeds: u64| (1..=seeds).map(|k| k as f64).collect::<Vec<_>>();
            let seeds = seeds_needed(n);
            assert!(pairs(n) * signed_rank(&all(seeds)) <= SURE);
            assert!(pairs(n) * signed_rank(&all(seeds - 1)) > SURE);
        }
    }
}
