//! What was measured of one recipe, and what is wanted of it.

use super::run::{End, Trial};
use super::{Recipe, confidence};
use crate::stat;

/// What is wanted. Losses are those on what is held out, unless a ranking by training loss was
/// [asked for](super::Advisor::by_training_loss).
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Aim {
    /// The fewest updates until the loss is this or less. It is looked at after every twentieth of a run; a
    /// training loss is the median over a twentieth.
    FastestTo(f64),
    /// The lowest loss at the end of a run: the median of five looks in its last quarter, and of training losses
    /// that of its last tenth.
    LowestLoss,
    /// The highest stable rate. What is stable may learn nothing: the lowest loss decides between equals.
    HighestRate,
}

/// What became of one rate, seed by seed.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Point {
    /// The rate, at its highest.
    pub rate: f64,
    /// The loss that each run came to, of the kind that recipes are ranked by; `None` if the run broke or was
    /// hopeless. Where only a first look was taken, there are fewer than there are seeds.
    pub losses: Vec<Option<f64>>,
    /// The same loss of each untrained model.
    pub starts: Vec<f64>,
    /// The median training loss of each run's last tenth.
    pub training: Vec<Option<f64>>,
    /// The lowest loss that each run had on its way on what is held out, and after how many updates.
    pub lowest: Vec<Option<(u64, f64)>>,
    /// The updates that each run took to the target, where there is one and it was reached.
    pub reached: Vec<Option<u64>>,
    /// How many runs met a value that was not finite.
    pub broke: usize,
    /// Whether all seeds ended at a training loss that is not above that of the untrained model.
    pub stable: bool,
    /// Seconds for each update, where there is a clock.
    pub seconds: Option<f64>,
}

impl Point {
    /// Nothing yet.
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

    /// One more seed.
    pub(super) fn take(&mut self, trial: &Trial, target: Option<f64>) {
        let loss = trial.reached();
        self.stable &= trial.is_stable();
        self.losses.push(loss);
        self.starts.push(trial.begun());
        self.training.push(trial.trained_to());
        self.lowest.push(trial.lowest_look());
        self.broke += usize::from(trial.end == End::Broke);
        let target = target.filter(|_| loss.is_some());
        self.reached.push(target.and_then(|target| trial.updates_to(target)));
    }

    /// The median loss, in which a broken run counts as infinite.
    pub fn loss(&self) -> f64 {
        median(self.losses.iter().map(|loss| loss.unwrap_or(f64::INFINITY)))
    }

    /// The median training loss, in which a broken run counts as infinite.
    pub fn training_loss(&self) -> f64 {
        median(self.training.iter().map(|loss| loss.unwrap_or(f64::INFINITY)))
    }

    /// The lowest and the highest loss over seeds; infinite where a run broke.
    pub fn spread(&self) -> (f64, f64) {
        let all = || self.losses.iter().map(|loss| loss.unwrap_or(f64::INFINITY));
        (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max))
    }

    /// The median of the updates to the target; `None` unless most seeds have reached it.
    pub fn updates(&self) -> Option<f64> {
        let all = self.reached.iter().map(|n| n.map_or(f64::INFINITY, |n| n as f64));
        Some(median(all)).filter(|n| n.is_finite())
    }

    /// What is compared between rates, the lower the better: updates first where those are wanted.
    pub(super) fn score(&self, aim: Aim) -> (f64, f64) {
        match aim {
            Aim::FastestTo(_) => (self.updates().unwrap_or(f64::INFINITY), self.loss()),
            Aim::LowestLoss | Aim::HighestRate => (self.loss(), self.loss()),
        }
    }

    /// The same for one seed.
    pub(super) fn of_seed(&self, seed: usize, aim: Aim) -> (f64, f64) {
        let loss = self.losses.get(seed).copied().flatten().unwrap_or(f64::INFINITY);
        let reached = self.reached.get(seed).copied().flatten();
        match aim {
            Aim::FastestTo(_) => (reached.map_or(f64::INFINITY, |n| n as f64), loss),
            Aim::LowestLoss | Aim::HighestRate => (loss, loss),
        }
    }

    /// The chance that as many runs end below the loss of their untrained model if training does nothing:
    /// signed ranks, two-sided. 1 if most of them end above.
    pub(super) fn nothing_learnt(&self) -> f64 {
        let pairs = self.starts.iter().zip(&self.losses);
        let gains = pairs.map(|(start, loss)| start - loss.unwrap_or(f64::INFINITY));
        let gains: Vec<f64> = gains.collect();
        match median(gains.iter().copied()) > 0.0 {
            true => confidence::signed_rank(&gains),
            false => 1.0,
        }
    }

    /// Whether a run ends at a loss below that of its untrained model: more often than chance gives to one of so
    /// many recipes, where there are runs enough to tell, and always where there are not.
    pub(super) fn learns(&self, among: usize) -> bool {
        let below = |(start, loss): (&f64, &Option<f64>)| loss.is_some_and(|loss| loss < *start);
        let among = among.max(1) as f64;
        // The least that there is to be seen of so many runs.
        let least = 0.5f64.powi(self.losses.len() as i32 - 1);
        match among * least <= confidence::SURE {
            true => among * self.nothing_learnt() <= confidence::SURE,
            false => !self.losses.is_empty() && self.starts.iter().zip(&self.losses).all(below),
        }
    }
}

/// The middle value, or the mean of the two in the middle; infinite of none, or where one of these is.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    stat::median(&mut values).unwrap_or(f64::INFINITY)
}

/// Everything that was measured of one recipe.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Outcome {
    /// The recipe.
    pub recipe: Recipe,
    /// By rate, the lowest first.
    pub points: Vec<Point>,
    /// What became of the best rate with fresh seeds, where that was tried: the number to believe. The best
    /// of many rates is a little lucky with the seeds that it was chosen by. If it was not stable with all
    /// of them, this is of a lower rate.
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

    /// The best rate, and what became of it; `None` if nothing was measured, or no rate is stable. Rates that
    /// only a first look was taken at are none of them.
    pub fn best(&self, aim: Aim) -> Option<&Point> {
        self.best_below(f64::INFINITY, aim)
    }

    /// The best of the rates below this one.
    pub(super) fn best_below(&self, rate: f64, aim: Aim) -> Option<&Point> {
        let seeds = self.points.iter().map(|point| point.losses.len()).max().unwrap_or(0);
        let whole = |point: &&Point| point.stable && point.losses.len() == seeds;
        let stable = self.points.iter().filter(whole).filter(|point| point.rate < rate);
        stable.min_by(|a, b| order(a.score(aim), b.score(aim)))
    }

    /// What is believed of it: what fresh seeds gave, where there were any, or else the best rate.
    pub(super) fn believed(&self, aim: Aim) -> Option<&Point> {
        self.confirmed.as_ref().or(self.best(aim))
    }

    /// The rate to train at: the one that fresh seeds have confirmed, or else the [best](Self::best).
    pub fn rate(&self, aim: Aim) -> Option<f64> {
        Some(self.believed(aim)?.rate)
    }

    /// The highest rate that is stable, with all that were tried between it and the one of lowest loss.
    pub fn highest_stable(&self) -> Option<f64> {
        let best = self.best(Aim::LowestLoss)?.rate;
        let above = self.points.iter().skip_while(|point| point.rate < best);
        above.take_while(|point| point.stable).last().map(|point| point.rate)
    }

    /// The first rate above that which was tried, and is not stable: the true edge is between the two.
    /// `None` if the highest rate of all is stable.
    pub fn first_unstable(&self) -> Option<f64> {
        let stable = self.highest_stable()?;
        self.points.iter().find(|point| point.rate > stable).map(|point| point.rate)
    }

    /// What recipes are ranked by, the lower the better.
    fn rank(&self, aim: Aim) -> (f64, f64) {
        let Some(best) = self.best(aim) else { return (f64::INFINITY, f64::INFINITY) };
        match aim {
            Aim::HighestRate => (-self.highest_stable().unwrap_or(0.0), best.loss()),
            _ => best.score(aim),
        }
    }

    /// For how many seeds, of how many, this is ahead of `other`, each at its best rate.
    pub fn ahead_of(&self, other: &Self, aim: Aim) -> (usize, usize) {
        let Some(mine) = self.best(aim) else { return (0, 0) };
        let seeds = mine.losses.len();
        let Some(theirs) = other.best(aim) else { return (seeds, seeds) };
        let wins = |seed: &usize| match aim {
            Aim::HighestRate => self.rank(aim).0 < other.rank(aim).0,
            _ => order(mine.of_seed(*seed, aim), theirs.of_seed(*seed, aim)).is_lt(),
        };
        ((0..seeds).filter(wins).count(), seeds)
    }
}

/// The chance that `a` and `b` differ this much between fresh seeds if neither is better, two-sided. `None`
/// without fresh seeds.
pub(super) fn chance(a: &Outcome, b: &Outcome, aim: Aim) -> Option<f64> {
    let (a, b) = (a.confirmed.as_ref()?, b.confirmed.as_ref()?);
    let seeds = 0..a.losses.len().min(b.losses.len());
    let difference = |seed| a.of_seed(seed, aim).0 - b.of_seed(seed, aim).0;
    let differences: Vec<f64> = seeds.map(difference).collect();
    Some(confidence::signed_rank(&differences))
}

/// Lexicographic.
pub(super) fn order(a: (f64, f64), b: (f64, f64)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
}

/// The best first; equals as they were.
pub(super) fn rank(outcomes: &mut [Outcome], aim: Aim) {
    outcomes.sort_by(|a, b| order(a.rank(aim), b.rank(aim)));
}
