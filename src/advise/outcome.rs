//! The measurements of one recipe, and the objective they are ranked by.

use super::log::Ran;
use super::{Recipe, confidence};
use crate::stat;

/// The objective of a search. Losses are measured on held-out batches, unless a ranking by training loss was
/// [requested](super::Advisor::by_training_loss).
///
/// ```
/// # use burn::{nn::{Linear, LinearConfig}, tensor::Device};
/// # use evenkeel::advise::Advisor;
/// # let device = Device::default().autodiff();
/// # let build = |seed: u64| {
/// #     device.seed(seed);
/// #     LinearConfig::new(1, 1).with_bias(false).init(&device)
/// # };
/// # let loss = |model: &Linear, _: u64| model.weight.val().powi_scalar(2).mean();
/// # let advisor = Advisor::new(build, loss, |k| k).by_training_loss().recipes([]);
/// # let advisor = advisor.over(20)?.seeds(1)?.between(0.1, 1.0)?.confirm(0, 0);
/// use evenkeel::advise::Objective;
///
/// let advice = advisor.objective(Objective::FastestTo(1e-3))?.run()?;
/// assert_eq!(advice.objective(), Objective::FastestTo(1e-3));
/// assert_eq!(advice.target(), Some(1e-3));
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Objective {
    /// The fewest updates until the loss is this or less. The loss is evaluated after every twentieth of a run; a
    /// training loss is the median over a twentieth.
    FastestTo(f64),
    /// The lowest loss at the end of a run: the median of five evaluations in its last quarter, or the median training
    /// loss over its last tenth.
    LowestLoss,
    /// The highest stable rate. A stable run may learn nothing: of equal rates, the one with the lowest loss is chosen.
    HighestRate,
}

/// The results at one rate, seed by seed.
///
/// ```
/// # use burn::{nn::{Linear, LinearConfig}, tensor::Device};
/// # use evenkeel::advise::Advisor;
/// # let device = Device::default().autodiff();
/// # let build = |seed: u64| {
/// #     device.seed(seed);
/// #     LinearConfig::new(1, 1).with_bias(false).init(&device)
/// # };
/// # let loss = |model: &Linear, _: u64| model.weight.val().powi_scalar(2).mean();
/// # let advisor = Advisor::new(build, loss, |k| k).by_training_loss().recipes([]);
/// # let advisor = advisor.over(20)?.seeds(1)?.between(0.1, 1.0)?.confirm(0, 0);
/// # let advice = advisor.run()?;
/// use evenkeel::advise::Objective;
///
/// let point = advice.baseline().unwrap().best(Objective::LowestLoss).unwrap();
/// println!("rate {}: loss {} after {}", point.rate, point.loss(), point.starts[0]);
/// assert!(point.stable && point.loss() < point.starts[0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Point {
    /// The peak learning rate of the runs.
    pub rate: f64,
    /// The final loss of each run, of the kind that recipes are ranked by; `None` if the run broke or was hopeless. If
    /// the rate was tried with the first seed only, there are fewer losses than seeds.
    pub losses: Vec<Option<f64>>,
    /// The same loss of each untrained model.
    pub starts: Vec<f64>,
    /// The median training loss over the last tenth of each run.
    pub training: Vec<Option<f64>>,
    /// The lowest held-out loss of each run, and the number of updates after which it was reached.
    pub lowest: Vec<Option<(u64, f64)>>,
    /// The number of updates that each run took to the target, if there is one and it was reached.
    pub reached: Vec<Option<u64>>,
    /// The number of runs that met a non-finite value.
    pub broke: usize,
    /// Whether the runs of all seeds ended at a training loss that is not above that of the untrained model.
    pub stable: bool,
    /// Seconds per update, if there is a clock.
    pub seconds: Option<f64>,
}

impl Point {
    /// Creates a point without runs.
    pub(super) fn at(rate: f64) -> Self {
        Self {
            rate,
            losses: Vec::new(),
            starts: Vec::new(),
            training: Vec::new(),
            lowest: Vec::new(),
            reached: Vec::new(),
            broke: 0,
            stable: true,
            seconds: None,
        }
    }

    /// Adds the run of one more seed.
    pub(super) fn take(&mut self, ran: &Ran) {
        self.stable &= ran.stable;
        self.losses.push(ran.loss);
        self.starts.push(ran.start);
        self.training.push(ran.training);
        self.lowest.push(ran.lowest);
        self.broke += usize::from(ran.broke);
        self.reached.push(ran.reached);
    }

    /// Returns the median loss, where a broken run counts as infinite.
    #[must_use]
    pub fn loss(&self) -> f64 {
        median(self.losses.iter().map(|loss| loss.unwrap_or(f64::INFINITY)))
    }

    /// Returns the median training loss, where a broken run counts as infinite.
    #[must_use]
    pub fn training_loss(&self) -> f64 {
        median(self.training.iter().map(|loss| loss.unwrap_or(f64::INFINITY)))
    }

    /// Returns the lowest and the highest loss over seeds; infinite where a run broke.
    pub fn spread(&self) -> (f64, f64) {
        let all = || self.losses.iter().map(|loss| loss.unwrap_or(f64::INFINITY));
        (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max))
    }

    /// Returns the median number of updates to the target; `None` unless most seeds have reached it.
    #[must_use]
    pub fn updates(&self) -> Option<f64> {
        let all = self.reached.iter().map(|n| n.map_or(f64::INFINITY, |n| n as f64));
        Some(median(all)).filter(|n| n.is_finite())
    }

    /// The score that rates are compared by, the lower the better: first by updates, if the objective is to be fast.
    pub(super) fn score(&self, objective: Objective) -> (f64, f64) {
        match objective {
            Objective::FastestTo(_) => (self.updates().unwrap_or(f64::INFINITY), self.loss()),
            Objective::LowestLoss | Objective::HighestRate => (self.loss(), self.loss()),
        }
    }

    /// The score that the rates of one recipe are chosen by: the mean over seeds, because a rate at which one of a few
    /// seeds ends badly isn't a good one.
    pub(super) fn choice(&self, objective: Objective) -> (f64, f64) {
        let losses = self.losses.iter().map(|loss| loss.unwrap_or(f64::INFINITY));
        let mean = losses.sum::<f64>() / self.losses.len() as f64;
        match objective {
            Objective::FastestTo(_) => (self.score(objective).0, mean),
            Objective::LowestLoss | Objective::HighestRate => (mean, mean),
        }
    }

    /// The same score for one seed.
    pub(super) fn of_seed(&self, seed: usize, objective: Objective) -> (f64, f64) {
        let loss = self.losses.get(seed).copied().flatten().unwrap_or(f64::INFINITY);
        let reached = self.reached.get(seed).copied().flatten();
        match objective {
            Objective::FastestTo(_) => (reached.map_or(f64::INFINITY, |n| n as f64), loss),
            Objective::LowestLoss | Objective::HighestRate => (loss, loss),
        }
    }

    /// The chance that as many runs end below the loss of their untrained model if training does nothing: signed ranks,
    /// two-sided. 1 if most of them end above.
    pub(super) fn nothing_learned(&self) -> f64 {
        let pairs = self.starts.iter().zip(&self.losses);
        let gains = pairs.map(|(start, loss)| start - loss.unwrap_or(f64::INFINITY));
        let gains: Vec<f64> = gains.collect();
        match median(gains.iter().copied()) > 0.0 {
            true => confidence::signed_rank(&gains),
            false => 1.0,
        }
    }

    /// Whether runs end below the loss of their untrained model, more often than expected by chance for one of `among`
    /// recipes. With too few runs to tell, whether all of them do.
    pub(super) fn learns(&self, among: usize) -> bool {
        let below = |(start, loss): (&f64, &Option<f64>)| loss.is_some_and(|loss| loss < *start);
        let among = among.max(1) as f64;
        // The smallest chance that this number of runs can show.
        let least = 0.5f64.powi(self.losses.len() as i32 - 1);
        match among * least <= confidence::SURE {
            true => among * self.nothing_learned() <= confidence::SURE,
            false => !self.losses.is_empty() && self.starts.iter().zip(&self.losses).all(below),
        }
    }
}

/// The middle value, or the mean of the two in the middle; infinite without values, or if one of these is infinite.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    stat::median(&mut values).unwrap_or(f64::INFINITY)
}

/// Everything that was measured of one recipe.
///
/// ```
/// # use burn::{nn::{Linear, LinearConfig}, tensor::Device};
/// # use evenkeel::advise::Advisor;
/// # let device = Device::default().autodiff();
/// # let build = |seed: u64| {
/// #     device.seed(seed);
/// #     LinearConfig::new(1, 1).with_bias(false).init(&device)
/// # };
/// # let loss = |model: &Linear, _: u64| model.weight.val().powi_scalar(2).mean();
/// # let advisor = Advisor::new(build, loss, |k| k).by_training_loss().recipes([]);
/// # let advisor = advisor.over(20)?.seeds(1)?.between(0.1, 1.0)?.confirm(0, 0);
/// # let advice = advisor.run()?;
/// use evenkeel::advise::Objective;
///
/// let outcome = advice.baseline().unwrap();
/// for point in &outcome.points {
///     println!("{}: {}", point.rate, point.loss());
/// }
/// assert_eq!(outcome.recipe.to_string(), "SGD");
/// assert!(outcome.rate(Objective::LowestLoss) <= outcome.highest_stable());
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Outcome {
    /// The recipe.
    pub recipe: Recipe,
    /// The results at each rate, the lowest rate first.
    pub points: Vec<Point>,
    /// The results of the best rate with fresh seeds, if it was run with them. This is the number to trust: the best of
    /// many rates is biased towards the seeds that it was chosen by. If it was not stable with all fresh seeds, these
    /// are the results of a lower rate.
    pub confirmed: Option<Point>,
}

impl Outcome {
    pub(super) fn new(recipe: Recipe, mut points: Vec<Point>) -> Self {
        points.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        Self { recipe, points, confirmed: None }
    }

    pub(super) fn insert(&mut self, point: Point) {
        self.points.retain(|other| other.rate != point.rate);
        let at = self.points.partition_point(|other| other.rate < point.rate);
        self.points.insert(at, point);
    }

    /// Returns the best rate with its results; `None` if nothing was measured, or no rate is stable. Rates that were
    /// tried with the first seed only are not considered, unless all of them were: a recipe that is not among the best
    /// is tried with one seed.
    #[must_use]
    pub fn best(&self, objective: Objective) -> Option<&Point> {
        self.best_below(f64::INFINITY, objective)
    }

    /// The number of seeds that it was measured with, at the rates that count.
    pub(super) fn seeds(&self) -> usize {
        self.points.iter().map(|point| point.losses.len()).max().unwrap_or(0)
    }

    /// The stable rates, of those that were measured with every seed.
    fn stable(&self) -> impl Iterator<Item = &Point> {
        let seeds = self.seeds();
        self.points.iter().filter(move |point| point.stable && point.losses.len() == seeds)
    }

    /// The best of the rates below this one.
    pub(super) fn best_below(&self, rate: f64, objective: Objective) -> Option<&Point> {
        let below = self.stable().filter(|point| point.rate < rate);
        below.min_by(|a, b| order(a.choice(objective), b.choice(objective)))
    }

    /// The best rates, at most `n`, the best first.
    pub(super) fn best_few(&self, n: usize, objective: Objective) -> Vec<Point> {
        let mut few: Vec<Point> = self.stable().cloned().collect();
        few.sort_by(|a, b| order(a.choice(objective), b.choice(objective)));
        few.truncate(n);
        few
    }

    /// Whether the best rate is the one that was run with fresh seeds.
    pub(super) fn is_confirmed(&self, objective: Objective) -> bool {
        let best = self.best(objective).map(|point| point.rate);
        best.is_some() && best == self.confirmed.as_ref().map(|point| point.rate)
    }

    /// The results to trust: those of fresh seeds, if there are any, and otherwise those of the best rate.
    pub(super) fn believed(&self, objective: Objective) -> Option<&Point> {
        self.confirmed.as_ref().or(self.best(objective))
    }

    /// Returns the rate to train at: the one confirmed with fresh seeds, or else the [best](Self::best).
    #[must_use]
    pub fn rate(&self, objective: Objective) -> Option<f64> {
        Some(self.believed(objective)?.rate)
    }

    /// Returns the highest rate that is stable together with all rates tried between it and the one of lowest loss.
    #[must_use]
    pub fn highest_stable(&self) -> Option<f64> {
        let best = self.best(Objective::LowestLoss)?.rate;
        let above = self.points.iter().skip_while(|point| point.rate < best);
        above.take_while(|point| point.stable).last().map(|point| point.rate)
    }

    /// Returns the next tried rate above [`highest_stable`](Self::highest_stable), which is not stable: the true edge
    /// is between the two. `None` if the highest rate of all is stable.
    #[must_use]
    pub fn first_unstable(&self) -> Option<f64> {
        let stable = self.highest_stable()?;
        self.points.iter().find(|point| point.rate > stable).map(|point| point.rate)
    }

    /// The score that recipes are ranked by, the lower the better.
    fn rank(&self, objective: Objective) -> (f64, f64) {
        let Some(best) = self.best(objective) else { return (f64::INFINITY, f64::INFINITY) };
        match objective {
            Objective::HighestRate => (-self.highest_stable().unwrap_or(0.0), best.loss()),
            _ => best.score(objective),
        }
    }

    /// Returns the number of seeds for which this recipe is ahead of `other`, and the number of all seeds that both were
    /// measured with, with each recipe at its best rate.
    #[must_use]
    pub fn ahead_of(&self, other: &Self, objective: Objective) -> (usize, usize) {
        let Some(mine) = self.best(objective) else { return (0, 0) };
        let seeds = mine.losses.len();
        let Some(theirs) = other.best(objective) else { return (seeds, seeds) };
        let seeds = seeds.min(theirs.losses.len());
        let wins = |seed: &usize| match objective {
            Objective::HighestRate => self.rank(objective).0 < other.rank(objective).0,
            _ => order(mine.of_seed(*seed, objective), theirs.of_seed(*seed, objective)).is_lt(),
        };
        ((0..seeds).filter(wins).count(), seeds)
    }
}

/// The chance that `a` and `b` differ this much over fresh seeds if neither is better, two-sided. `None` without fresh
/// seeds.
pub(super) fn chance(a: &Outcome, b: &Outcome, objective: Objective) -> Option<f64> {
    let (a, b) = (a.confirmed.as_ref()?, b.confirmed.as_ref()?);
    let seeds = 0..a.losses.len().min(b.losses.len());
    let difference = |seed| a.of_seed(seed, objective).0 - b.of_seed(seed, objective).0;
    let differences: Vec<f64> = seeds.map(difference).collect();
    Some(confidence::signed_rank(&differences))
}

/// Lexicographic order.
pub(super) fn order(a: (f64, f64), b: (f64, f64)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
}

/// Sorts outcomes, the best first; equal ones keep their order.
pub(super) fn rank(outcomes: &mut [Outcome], objective: Objective) {
    outcomes.sort_by(|a, b| order(a.rank(objective), b.rank(objective)));
}
