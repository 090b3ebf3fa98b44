//! The results of a short run, as numbers.

use crate::stat::median;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Finished,
    /// A value was not finite.
    Broke,
    /// The loss rose far above its start.
    Hopeless,
    /// The search was stopped.
    Stopped,
}

/// The losses on held-out batches.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    /// Before the first update.
    pub(super) start: f64,
    /// Pairs of update count and loss.
    pub(super) looks: Vec<(u64, f64)>,
}

impl From<f64> for Held {
    fn from(start: f64) -> Self {
        Self { start, looks: Vec::new() }
    }
}

/// The results of a run. All losses are in the units of the targets.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trial {
    over: u64,
    /// The losses of the untrained model on the first batches.
    starts: Vec<f64>,
    /// The loss before each update that was made.
    pub(super) losses: Vec<f64>,
    pub(super) held: Option<Held>,
    pub(super) end: End,
    lowest: f64,
}

/// The rise of the loss above its start, in units of the start, from which a run is not expected to recover.
const HOPELESS: f64 = 100.0;
/// The number of losses whose median has to show it.
const WINDOW: usize = 10;
/// The number of held-out evaluations in a run.
const LOOKS: u64 = 20;
/// The fewest batches of an evaluation, if there are that many.
const FEW: u64 = 8;
/// The number of last evaluations that give the final loss.
const LAST: usize = 5;

/// Returns how many of `n` held-out batches are evaluated: no more than there are updates until the next evaluation, so
/// that evaluating costs less than training.
pub(super) fn evaluated(n: u64, over: u64) -> u64 {
    n.min((over / LOOKS).max(FEW))
}

impl Trial {
    pub(super) fn new(starts: Vec<f64>, held: Option<Held>, over: u64) -> Self {
        Self { over, starts, losses: Vec::new(), held, end: End::Finished, lowest: f64::INFINITY }
    }

    pub(super) fn begins_finite(&self) -> bool {
        let held = self.held.as_ref().is_none_or(|held| held.start.is_finite());
        held && self.starts.iter().all(|loss| loss.is_finite())
    }

    /// The training loss of the untrained model.
    fn start(&self) -> f64 {
        median(&mut self.starts.clone()).unwrap_or(f64::NAN)
    }

    /// The loss of the untrained model, of the kind that runs are ranked by.
    pub(super) fn begun(&self) -> f64 {
        self.held.as_ref().map_or(self.start(), |held| held.start)
    }

    /// Records one more update, with the loss before it.
    pub(super) fn take(&mut self, loss: f64) {
        self.losses.push(loss);
        self.lowest = self.lowest.min(loss);
        if self.is_hopeless() {
            self.end = End::Hopeless;
        }
    }

    /// Whether the held-out batches are to be evaluated after this number of updates.
    pub(super) fn looks_after(&self, updates: u64) -> bool {
        // Twentieths of the run; the last one ends with the run.
        let part = |n: u64| n * LOOKS / self.over;
        self.end == End::Finished && part(updates) > part(updates - 1)
    }

    pub(super) fn look(&mut self, updates: u64, loss: f64) {
        if let Some(held) = &mut self.held {
            held.looks.push((updates, loss));
        }
    }

    fn finished(&self, loss: Option<f64>) -> Option<f64> {
        loss.filter(|x| self.end == End::Finished && x.is_finite())
    }

    /// The median training loss over the last tenth; `None` unless the run finished with a finite one.
    pub(super) fn trained_to(&self) -> Option<f64> {
        let last = self.losses.len().div_ceil(10);
        let mut tail = self.losses[self.losses.len() - last..].to_vec();
        self.finished(median(&mut tail))
    }

    /// The loss that the run is ranked by: the median of the last five held-out evaluations, in the last quarter of the
    /// run; without held-out batches, the training loss.
    pub(super) fn reached(&self) -> Option<f64> {
        let Some(held) = &self.held else { return self.trained_to() };
        let last = held.looks.len().saturating_sub(LAST);
        let mut last: Vec<f64> = held.looks[last..].iter().map(|look| look.1).collect();
        let finite = last.iter().all(|loss| loss.is_finite());
        self.finished(median(&mut last).filter(|_| finite))
    }

    /// The lowest held-out loss, and the number of updates after which it was reached.
    pub(super) fn lowest_look(&self) -> Option<(u64, f64)> {
        let looks = self.held.iter().flat_map(|held| &held.looks).copied();
        looks.filter(|look| look.1.is_finite()).min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Whether the run finished at a training loss that is not above that of the untrained model; if batches differ,
    /// not above the highest of the first ones.
    pub(super) fn is_stable(&self) -> bool {
        let most = self.starts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        self.reached().is_some() && self.trained_to().is_some_and(|loss| loss <= most)
    }

    /// The number of updates after which a held-out loss was first at most `target`; without held-out batches, the
    /// median training loss over a twentieth of the run counts.
    pub(super) fn updates_to(&self, target: f64) -> Option<u64> {
        if let Some(held) = &self.held {
            return held.looks.iter().find(|look| look.1 <= target).map(|look| look.0);
        }
        let window = self.over.div_ceil(LOOKS) as usize;
        let below = |w: &[f64]| median(&mut w.to_vec()).is_some_and(|loss| loss <= target);
        // The last loss of the window was computed before update `at + window`.
        self.losses.windows(window).position(below).map(|at| (at + window) as u64)
    }

    /// Whether the loss is far above its start, relative to the start, the spread of the first batches, or the gain so
    /// far, whichever is largest: a loss may be around 0, or negative.
    fn is_hopeless(&self) -> bool {
        let Some(from) = self.losses.len().checked_sub(WINDOW) else { return false };
        let start = self.start();
        let most = self.starts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let unit = start.abs().max(most - start).max(start - self.lowest);
        let last = median(&mut self.losses[from..].to_vec());
        unit > 0.0 && last.is_some_and(|last| last - start > HOPELESS * unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: f64, losses: impl IntoIterator<Item = f64>) -> Trial {
        let mut trial = Trial::new(vec![start; 4], None, 40);
        losses.into_iter().for_each(|loss| trial.take(loss));
        trial
    }

    #[test]
    fn a_loss_below_zero_is_a_loss_like_any_other() {
        let down = run(-1.0, (0..40).map(|k| -1.0 - k as f64));
        assert_eq!((down.end, down.is_stable()), (End::Finished, true));
        assert_eq!(down.reached(), Some(-38.5));
        let across = run(1e-6, (0..40).map(|k| 1e-6 - 0.1 * k as f64));
        assert_eq!((across.end, across.is_stable()), (End::Finished, true));
        let around = run(0.0, (0..40).map(|k| if k % 2 == 0 { -0.1 } else { 0.1 }));
        assert_eq!(around.end, End::Finished);
        let up = run(-1.0, (0..40).map(|k| -1.0 + 20.0 * k as f64));
        assert_eq!((up.end, up.is_stable()), (End::Hopeless, false));
    }

    /// How a run ends that starts at `starts` and then has these losses, for ten updates each.
    fn end(starts: [f64; 4], losses: &[f64]) -> End {
        let mut trial = Trial::new(starts.to_vec(), None, 10 * losses.len() as u64);
        losses.iter().for_each(|loss| (0..10).for_each(|_| trial.take(*loss)));
        trial.end
    }

    #[test]
    fn a_loss_is_hopeless_a_hundred_times_its_start_above_it() {
        assert_eq!(end([1.0; 4], &[101.0]), End::Finished);
        assert_eq!(end([1.0; 4], &[101.5]), End::Hopeless);
        assert_eq!(end([4.0; 4], &[404.0]), End::Finished);
        assert_eq!(end([4.0; 4], &[405.0]), End::Hopeless);
        // Below zero as above.
        assert_eq!(end([-1.0; 4], &[99.0]), End::Finished);
        assert_eq!(end([-1.0; 4], &[99.5]), End::Hopeless);
    }

    #[test]
    fn a_loss_is_hopeless_by_the_spread_of_the_first_batches_if_that_is_larger() {
        // The median is 1, and the spread above it 4.
        assert_eq!(end([1.0, 1.0, 1.0, 5.0], &[401.0]), End::Finished);
        assert_eq!(end([1.0, 1.0, 1.0, 5.0], &[402.0]), End::Hopeless);
    }

    #[test]
    fn a_loss_is_hopeless_by_what_was_gained_before_if_that_is_larger() {
        // From 1 down to −9: a gain of 10.
        assert_eq!(end([1.0; 4], &[-9.0, 1001.0]), End::Finished);
        assert_eq!(end([1.0; 4], &[-9.0, 1002.0]), End::Hopeless);
    }

    #[test]
    fn nothing_is_hopeless_without_a_unit_to_measure_it_by() {
        assert_eq!(end([0.0; 4], &[1e9]), End::Finished);
    }

    #[test]
    fn a_hopeless_run_has_come_to_nothing() {
        let trial = run(1.0, [200.0; 40]);
        assert_eq!((trial.end, trial.reached(), trial.trained_to()), (End::Hopeless, None, None));
        let not_finite = run(1.0, [f64::INFINITY; 9]);
        assert_eq!((not_finite.end, not_finite.trained_to()), (End::Finished, None));
    }

    #[test]
    fn a_run_begins_finite_if_all_of_its_first_losses_are() {
        let begins = |starts: &[f64], held: Option<f64>| {
            Trial::new(starts.to_vec(), held.map(Held::from), 40).begins_finite()
        };
        assert!(begins(&[1.0, 2.0], None) && begins(&[1.0, 2.0], Some(3.0)));
        assert!(!begins(&[1.0, f64::NAN], None) && !begins(&[1.0, f64::NAN], Some(3.0)));
        assert!(!begins(&[1.0, 2.0], Some(f64::INFINITY)));
    }

    #[test]
    fn a_training_loss_counts_as_the_median_of_a_twentieth() {
        // A twentieth of 40 updates is two: the lucky third loss doesn't count, and the mean of 3 and 1 is just enough.
        let trial = run(8.0, [8.0, 6.0, 1.0, 6.0, 3.0, 1.0, 0.5]);
        assert_eq!(trial.updates_to(2.0), Some(6));
        assert_eq!(trial.updates_to(1.9), Some(7));
        assert_eq!(trial.updates_to(0.5), None);
    }

    #[test]
    fn a_training_loss_that_ends_where_the_first_batches_are_is_stable() {
        let ends = |loss| {
            let mut trial = Trial::new(vec![1.0, 1.0, 1.0, 2.0], None, 40);
            (0..40).for_each(|_| trial.take(loss));
            trial.is_stable()
        };
        assert!(ends(2.0) && !ends(2.1));
    }

    #[test]
    fn one_wild_batch_does_not_decide() {
        let wild = |k: usize| if k == 38 { 1e9 } else { 1.0 / (k + 1) as f64 };
        let trial = run(1.0, (0..40).map(wild));
        assert!(trial.is_stable() && trial.reached().unwrap() < 0.03, "{:?}", trial.reached());
    }

    #[test]
    fn the_last_quarter_of_looks_says_where_it_has_come_to() {
        let mut trial = Trial::new(vec![2.0; 4], Some(Held::from(3.0)), 40);
        for k in 1..=40 {
            trial.take(1.0);
            if trial.looks_after(k) {
                trial.look(k, if k == 38 { 50.0 } else { 3.0 - k as f64 / 20.0 });
            }
        }
        let held = trial.held.as_ref().unwrap();
        assert_eq!(
            held.looks.iter().map(|look| look.0).collect::<Vec<_>>(),
            (2..=40).step_by(2).collect::<Vec<_>>()
        );
        // Evaluations at 32, 34, 36, 38 and 40, one of them an outlier.
        assert!((trial.reached().unwrap() - 1.3).abs() < 1e-12, "{:?}", trial.reached());
        assert_eq!((trial.begun(), trial.trained_to()), (3.0, Some(1.0)));
        assert_eq!(trial.updates_to(2.0), Some(20));
        assert_eq!(trial.lowest_look(), Some((40, 1.0)));
    }
}
