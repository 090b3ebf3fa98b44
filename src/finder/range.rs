//! What a search has found.

use std::fmt;

/// One run.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Tried {
    /// Its rate.
    pub rate: f64,
    /// Its seed.
    pub seed: u64,
    /// Its first loss.
    pub start: f64,
    /// The median of the last tenth of its losses, if it was stable.
    pub end: Option<f64>,
}

/// The edge of one seed: the highest rate that was stable, and the lowest above it that was not.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Edge {
    /// `None` if no rate was stable.
    pub stable: Option<f64>,
    /// `None` if every rate was.
    pub unstable: Option<f64>,
}

/// The highest stable rate, the best rate, and all that was measured on the way.
///
/// With the feature `serde` it can be written down, and a search [resumed](super::StableRate::resume)
/// with it.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StableRange {
    pub(super) edges: Vec<Edge>,
    pub(super) points: Vec<Tried>,
    pub(super) updates: u64,
    pub(super) complete: bool,
}

impl StableRange {
    /// The highest rate that was stable for every seed: the lowest of their edges. `None` if some seed
    /// had none.
    pub fn rate(&self) -> Option<f64> {
        let edges = self.edges.iter().map(|edge| edge.stable);
        edges.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::min)
    }

    /// The lowest and the highest edge of any seed: between them it depends on the seed. The upper one is
    /// `None` if nothing was unstable for some seed.
    pub fn interval(&self) -> Option<(f64, Option<f64>)> {
        let above = self.edges.iter().map(|edge| edge.unstable).collect::<Option<Vec<f64>>>();
        Some((self.rate()?, above.and_then(|above| above.into_iter().reduce(f64::max))))
    }

    /// The rate with the lowest loss at the end, and that loss, of the rates that were measured: the mean
    /// over the seeds that have been there.
    pub fn best(&self) -> Option<(f64, f64)> {
        let means = self.curve().into_iter().filter_map(|(rate, loss)| Some((rate, loss?)));
        means.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Every rate that was measured, lowest first, with the mean loss at the end; `None` where some seed was
    /// not stable.
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

    /// How much is lost, on average, by a rate that is off: the mean over the measured rates of
    /// `min(L(γ), L₀) − L*`, with the loss at the start `L₀` and the lowest `L*`. An unstable rate counts as
    /// `L₀`.
    ///
    /// Source: the LR sensitivity of Wortsman et al. 2023 (arXiv 2309.14322), which is over a fixed range
    /// of rates; here it is over those that the search came to, each counted once.
    pub fn sensitivity(&self) -> Option<f64> {
        let (_, best) = self.best()?;
        let starts: Vec<f64> = self.points.iter().map(|point| point.start).collect();
        let start = starts.iter().sum::<f64>() / starts.len() as f64;
        let curve = self.curve();
        let lost = curve.iter().map(|(_, loss)| loss.map_or(start, |loss| loss.min(start)) - best);
        Some(lost.sum::<f64>() / curve.len() as f64)
    }

    /// Every run, in the order in which they were made.
    pub fn points(&self) -> &[Tried] {
        &self.points
    }

    /// The edge of each seed.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// How many updates it took.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Whether the budget was enough.
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

impl fmt::Display for StableRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
            f.write_str("; the budget was used up before the end")?;
        }
        write!(f, " ({} runs, {} updates)", self.points.len(), self.updates)
    }
}
