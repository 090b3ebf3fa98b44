//! Results of a search for the highest stable rate.

use std::fmt;

use super::Refusal;
use super::estimate::confidence;
use super::run::Outcome;

/// One run of the search.
///
/// ```
/// use evenkeel::finder::StableRate;
///
/// let found = StableRate::new(10)?.seeds(1)?.find(|run| {
///     let end = if run.rate < 0.3 { 0.5 } else { f64::INFINITY };
///     Ok::<_, evenkeel::Error>([vec![1.0], vec![end; 9]].concat())
/// })?;
/// let first = found.points()[0];
/// assert_eq!((first.rate, first.seed, first.start, first.end), (1e-3, 0, 1.0, Some(0.5)));
/// assert!(found.points().iter().all(|tried| tried.lost == (tried.rate >= 0.3)));
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Tried {
    /// The rate of the run.
    pub rate: f64,
    /// The seed of the run.
    pub seed: u64,
    /// The first loss.
    pub start: f64,
    /// The median of the last tenth of the losses, if the run was stable.
    pub end: Option<f64>,
    /// Whether the run broke or became hopeless. A run that is neither lost, dead nor stable has learned nothing.
    pub lost: bool,
    /// The update from which the network was [dead](super::LossCurve), if it died.
    #[cfg_attr(feature = "serde", serde(default))]
    pub dead_from: Option<u64>,
}

impl Tried {
    pub(super) fn new(rate: f64, seed: u64, start: f64, outcome: Outcome) -> Self {
        let (end, dead_from) = match outcome {
            Outcome::Stable(end) => (Some(end), None),
            Outcome::Dead(from) => (None, Some(from)),
            Outcome::Stuck | Outcome::Lost => (None, None),
        };
        Self { rate, seed, start, end, lost: outcome == Outcome::Lost, dead_from }
    }
}

/// The edge of one seed: the highest stable rate below which every tried rate was stable, and the lowest tried
/// rate above it that was not stable.
///
/// ```
/// use evenkeel::finder::StableRate;
///
/// let found = StableRate::new(10)?.seeds(1)?.find(|run| {
///     let end = if run.rate < 0.3 { 0.5 } else { 2.0 };
///     Ok::<_, evenkeel::Error>([vec![1.0], vec![end; 9]].concat())
/// })?;
/// let edge = found.edges()[0];
/// assert!(edge.stable.unwrap() < 0.3 && edge.unstable.unwrap() >= 0.3);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Edge {
    /// The highest stable rate; `None` if no rate was stable.
    pub stable: Option<f64>,
    /// The lowest unstable rate; `None` if every rate was stable.
    pub unstable: Option<f64>,
}

/// The result of a search: the highest stable rate, the best rate, and every measurement.
///
/// With the feature `serde`, it can be serialized, and a search can be [resumed](super::StableRate::resume) from
/// it.
///
/// ```
/// use evenkeel::finder::StableRate;
///
/// // A loss that shrinks below a rate of 0.3, and grows above it.
/// let losses = |rate: f64| (0..20).map(|k| (0.9 + rate / 3.0).powi(k)).collect::<Vec<f64>>();
/// let found = StableRate::new(20)?.find(|run| Ok::<_, evenkeel::Error>(losses(run.rate)))?;
///
/// let (low, high) = found.interval().unwrap();
/// assert!(low <= 0.3 && high.unwrap() >= 0.3);
/// assert_eq!(found.rate(), Some(low));
/// assert_eq!(found.confidence(), 0.75);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StableRange {
    pub(super) edges: Vec<Edge>,
    pub(super) points: Vec<Tried>,
    pub(super) updates: u64,
    pub(super) complete: bool,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) refusal: Option<Refusal>,
}

impl StableRange {
    /// Returns the reason why there is nothing to search, if there is one: before any update, the loss or its
    /// gradient is [not finite](Refusal::NotFinite), or the network is [dead](Refusal::Dead). Either is the case
    /// at every rate. The search ended there and names no rate; the number of [edges](Self::edges) is the index
    /// of the seed at which it ended.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    /// Returns the highest rate that was stable for every seed: the lowest of the seeds' edges. `None` if a seed
    /// had no stable rate, or the search was [refused](Self::refusal).
    pub fn rate(&self) -> Option<f64> {
        if self.refusal.is_some() {
            return None;
        }
        let edges = self.edges.iter().map(|edge| edge.stable);
        edges.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::min)
    }

    /// Returns the lowest and the highest edge of all seeds; between them, stability depends on the seed. The
    /// upper one is `None` if, for some seed, no rate was unstable.
    ///
    /// The median edge over all possible seeds lies in this interval with a probability of
    /// [`confidence`](Self::confidence).
    #[must_use]
    pub fn interval(&self) -> Option<(f64, Option<f64>)> {
        let above = self.edges.iter().map(|edge| edge.unstable).collect::<Option<Vec<f64>>>();
        Some((self.rate()?, above.and_then(|above| above.into_iter().reduce(f64::max))))
    }

    /// Returns the probability that the [interval](Self::interval) contains the median edge over all possible
    /// seeds: `1 − 2^(1−n)` for `n` seeds, whatever the distribution. 75 % for 3 seeds, 94 % for 5, and 0 for
    /// one.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        match self.edges.len() {
            0 => 0.0,
            n => confidence(n as u64),
        }
    }

    /// Returns the measured rate with the lowest final loss, and that loss: the mean over the seeds that tried
    /// the rate.
    #[must_use]
    pub fn best(&self) -> Option<(f64, f64)> {
        let means = self.curve().into_iter().filter_map(|(rate, loss)| Some((rate, loss?)));
        means.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Returns every measured rate, lowest first, with the mean final loss; the loss is `None` where some seed
    /// was not stable.
    pub fn curve(&self) -> Vec<(f64, Option<f64>)> {
        let mut rates: Vec<f64> = self.points.iter().map(|point| point.rate).collect();
        rates.sort_by(f64::total_cmp);
        rates.dedup();
        let mean = |rate: f64| {
            let ends = self.points.iter().filter(|point| point.rate == rate).map(|point| point.end);
            let ends = ends.collect::<Option<Vec<f64>>>()?;
            Some(ends.iter().sum::<f64>() / ends.len() as f64)
        };
        rates.into_iter().map(|rate| (rate, mean(rate))).collect()
    }

    /// Returns the average loss that a wrong rate costs: the mean of `min(L(γ), L₀) − L*`, uniform in the
    /// logarithm of the rate, with the initial loss `L₀` and the lowest loss `L*`. A rate that is not stable for
    /// every seed counts as `L₀`.
    ///
    /// The mean covers the rates that were tried, from the lowest to the highest, by the trapezoidal rule: a
    /// search tries most of its rates near the edge, and they must not count for more than the rest.
    ///
    /// Source: the LR sensitivity of Wortsman et al. 2023 (arXiv 2309.14322), which is the mean over a uniform
    /// grid. To compare two setups, use the same range for both, with [`sensitivity_between`].
    ///
    /// [`sensitivity_between`]: Self::sensitivity_between
    #[must_use]
    pub fn sensitivity(&self) -> Option<f64> {
        self.sensitivity_between(0.0, f64::INFINITY)
    }

    /// Returns the [sensitivity](Self::sensitivity) over the rates from `low` to `high`, or the part of that
    /// range that was tried. Above the highest rate that was tried, if it was not stable, every rate counts as
    /// `L₀`. Wortsman et al. use 3·10⁻⁴ to 0.3.
    ///
    /// `None` if no rate was stable, or none was tried in that range.
    #[must_use]
    pub fn sensitivity_between(&self, low: f64, high: f64) -> Option<f64> {
        let (_, best) = self.best()?;
        let starts: Vec<f64> = self.points.iter().map(|point| point.start).collect();
        let start = starts.iter().sum::<f64>() / starts.len() as f64;
        let lost = |loss: Option<f64>| loss.map_or(start, |loss| loss.min(start)) - best;
        let curve = self.curve();
        let mut curve: Vec<(f64, f64)> =
            curve.iter().map(|(rate, loss)| (rate.ln(), lost(*loss))).collect();
        let unstable_end = self.curve().last().is_some_and(|(_, loss)| loss.is_none());
        let (low, high) = (low.ln(), high.ln());
        // If it is not above the last rate, it leads back, and counts for nothing.
        if unstable_end && high.is_finite() {
            curve.push((high, start - best));
        }
        mean_between(&curve, low, high)
    }

    /// Returns every run, in the order in which they were made.
    #[must_use]
    pub fn points(&self) -> &[Tried] {
        &self.points
    }

    /// Returns the edge of each seed.
    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// Returns the number of updates that the search took.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Returns whether the search finished: it neither ran out of budget nor was stopped. A search that was
    /// [refused](Self::refusal) is complete: nothing more would be found.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

/// Returns the mean height of the line through these points, between `low` and `high`. Parts of it that lead back count
/// for nothing.
fn mean_between(points: &[(f64, f64)], low: f64, high: f64) -> Option<f64> {
    let (mut area, mut width) = (0.0, 0.0);
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let (from, to) = (x0.max(low), x1.min(high));
        if from < to {
            let at = |x: f64| y0 + (y1 - y0) * (x - x0) / (x1 - x0);
            area += (to - from) * 0.5 * (at(from) + at(to));
            width += to - from;
        }
    }
    (width > 0.0).then(|| area / width)
}

impl fmt::Display for StableRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = self.refusal {
            return write!(f, "no rate: {why} (seed {})", self.edges.len());
        }
        match self.interval() {
            Some((low, Some(high))) => {
                write!(f, "stable up to {low:.3e} for every seed, for none above {high:.3e}")?;
            }
            Some((low, None)) => write!(f, "stable up to {low:.3e}, and no edge was found")?,
            None => f.write_str("no rate was stable for every seed")?,
        }
        if let Some((rate, loss)) = self.best() {
            write!(f, "; best of those measured: {rate:.3e}, loss {loss:.4e}")?;
        }
        if !self.complete {
            f.write_str("; the budget was used up, or it was stopped, before the end")?;
        }
        write!(f, " ({} runs, {} updates)", self.points.len(), self.updates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_of_a_rate_is_the_mean_over_the_seeds_that_tried_it() {
        let tried = |rate, seed, end| Tried::new(rate, seed, 8.0, Outcome::Stable(end));
        let lost = Tried::new(2.0, 1, 8.0, Outcome::Lost);
        let points = vec![tried(1.0, 0, 1.0), tried(1.0, 1, 4.0), tried(2.0, 0, 0.5), lost];
        let found = StableRange { points, ..StableRange::default() };
        assert_eq!(found.curve(), [(1.0, Some(2.5)), (2.0, None)]);
        assert_eq!(found.best(), Some((1.0, 2.5)));
    }

    /// The logarithms of two rates may be equal where the rates are not.
    #[test]
    fn two_points_in_the_same_place_add_nothing_to_a_mean() {
        let points = [(1.0, 2.0), (1.0, 4.0), (2.0, 6.0)];
        assert_eq!(mean_between(&points, 0.0, 9.0), Some(5.0));
        assert_eq!(mean_between(&points, 1.5, 1.5), None);
        // A step back adds nothing either.
        assert_eq!(mean_between(&[(1.0, 2.0), (2.0, 6.0), (1.5, 99.0)], 0.0, 9.0), Some(4.0));
    }
}
