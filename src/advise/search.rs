//! The search over a ladder of rates: a first pass over all of it, and then a closer look at the good ones.

use super::outcome::{Objective, Outcome, Point, order};

/// Two rates per decade, both ends included; if both ends are the same, that rate.
pub(super) fn ladder(from: f64, to: f64) -> Vec<f64> {
    if from == to {
        return vec![from];
    }
    // Whole steps of the exponent, so that the same rates occur whatever the ends are.
    let step = |x: f64| (2.0 * x.log10()).round() as i64;
    (step(from)..=step(to)).map(|half| 10f64.powf(half as f64 / 2.0)).collect()
}

/// The next measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// This rung, with the first seed.
    First(usize),
    /// This rung, with every seed of the search that it has not been measured with.
    Whole(usize),
}

/// Chooses the rungs at which a recipe is measured. It starts without prior knowledge: the best rate of another recipe
/// says nothing about this one, and a plateau met on the way up hides what lies beyond it.
///
/// 1. One rung per decade with one seed, from the highest down. This ends early once rates are too low to learn
///    anything: when two rungs in a row, below the best one, have gained less than a twentieth of the best one's gain.
/// 2. With every seed: the two best rungs, then the neighbors of the best so far, half a decade away, until both are
///    known, and every rung whose first result was better than that of the best.
/// 3. The edge: the first rung above that is not stable, to half a decade.
///
/// If requested, the whole ladder is measured with every seed instead. A search with one seed is a look at a recipe, and
/// a later search with every seed goes on from it.
#[derive(Debug)]
pub(super) struct Search {
    objective: Objective,
    seeds: usize,
    every: bool,
    known: Vec<Option<Point>>,
}

/// The share of the best rate's gain below which a lower rate has learned next to nothing.
const LITTLE: f64 = 0.05;
/// The first pass measures every `STRIDE`-th rung.
const STRIDE: usize = 2;
/// How many of those are measured with every seed.
const PROMISING: usize = 2;

impl Search {
    pub(super) fn new(rungs: usize, seeds: u64, objective: Objective, every: bool) -> Self {
        Self { objective, seeds: seeds as usize, every, known: vec![None; rungs] }
    }

    /// Goes on from these results at rungs of this ladder.
    pub(super) fn continued(mut self, ladder: &[f64], points: &[Point]) -> Self {
        for (known, rate) in self.known.iter_mut().zip(ladder) {
            *known = points.iter().find(|point| point.rate == *rate).cloned();
        }
        self
    }

    /// Records the results of a rung.
    pub(super) fn take(&mut self, rung: usize, point: Point) {
        self.known[rung] = Some(point);
    }

    /// The results of a rung.
    pub(super) fn known(&self, rung: usize) -> Option<&Point> {
        self.known[rung].as_ref()
    }

    /// The measured points, the lowest rate first.
    pub(super) fn into_points(self) -> Vec<Point> {
        self.known.into_iter().flatten().collect()
    }

    fn is_whole(&self, rung: usize) -> bool {
        self.known(rung).is_some_and(|point| point.losses.len() >= self.seeds)
    }

    /// The next measurement; `None` once everything needed is known.
    pub(super) fn next(&self) -> Option<Ask> {
        if self.every {
            return (0..self.known.len()).find(|rung| !self.is_whole(*rung)).map(Ask::Whole);
        }
        self.first().or_else(|| self.closer()).or_else(|| self.edge())
    }

    fn first(&self) -> Option<Ask> {
        let top = self.known.len().checked_sub(1)?;
        let down = (0..=top).rev().step_by(STRIDE);
        let lowest = (!top.is_multiple_of(STRIDE)).then_some(0);
        for rung in down.chain(lowest) {
            if self.known(rung).is_none() {
                return (!self.is_idle_below(rung)).then_some(Ask::First(rung));
            }
        }
        None
    }

    /// How far the loss of a rung has fallen from that of the untrained model, with the first seed.
    fn gain(&self, rung: usize) -> Option<f64> {
        let point = self.known(rung)?;
        Some(point.starts.first()? - (*point.losses.first()?)?)
    }

    fn is_idle_below(&self, rung: usize) -> bool {
        let gains = (rung + 1..self.known.len()).filter_map(|at| Some((at, self.gain(at)?)));
        let Some((best, most)) = gains.max_by(|a, b| a.1.total_cmp(&b.1)) else { return false };
        let is_little = |gain: f64| gain < LITTLE * most;
        let little = |at: usize| at < best && self.gain(at).is_some_and(is_little);
        most > 0.0 && little(rung + STRIDE) && little(rung + 2 * STRIDE)
    }

    fn order(
        &self,
        a: usize,
        b: usize,
        score: impl Fn(&Point) -> (f64, f64),
    ) -> std::cmp::Ordering {
        let of = |rung| self.known(rung).map_or((f64::INFINITY, f64::INFINITY), &score);
        order(of(a), of(b))
    }

    fn stable(&self) -> Vec<usize> {
        let stable = |rung: &usize| self.known(*rung).is_some_and(|point| point.stable);
        (0..self.known.len()).filter(stable).collect()
    }

    /// The best of the rungs that were measured with every seed.
    fn best(&self) -> Option<usize> {
        let whole = self.stable().into_iter().filter(|rung| self.is_whole(*rung));
        whole.min_by(|a, b| self.order(*a, *b, |point| point.choice(self.objective)))
    }

    fn closer(&self) -> Option<Ask> {
        let first_look = |point: &Point| point.of_seed(0, self.objective);
        let mut promising = self.stable();
        promising.sort_by(|a, b| self.order(*a, *b, first_look));
        if let Some(rung) = promising.iter().take(PROMISING).find(|rung| !self.is_whole(**rung)) {
            return Some(Ask::Whole(*rung));
        }
        let best = self.best()?;
        let neighbors = [best.checked_add(1), best.checked_sub(1)].into_iter().flatten();
        let neighbors = neighbors.filter(|rung| *rung < self.known.len());
        if let Some(rung) = neighbors.into_iter().find(|rung| !self.is_whole(*rung)) {
            return Some(Ask::Whole(rung));
        }
        let better = |rung: &&usize| self.order(**rung, best, first_look).is_lt();
        let better = promising.iter().filter(better).find(|rung| !self.is_whole(**rung));
        better.map(|rung| Ask::Whole(*rung))
    }

    fn edge(&self) -> Option<Ask> {
        let mut last = self.best()?;
        for rung in last + 1..self.known.len() {
            match self.known(rung) {
                None => {}
                Some(point) if point.stable => last = rung,
                // A rung between two measured ones.
                Some(_) if rung > last + 1 => return Some(Ask::First(last + 1)),
                Some(_) => break,
            }
        }
        // If the edge is the objective, the run has to be stable with every seed.
        let wanted = self.objective == Objective::HighestRate && !self.is_whole(last);
        wanted.then_some(Ask::Whole(last))
    }
}

/// An edge is known well enough once it lies between two rates of at most this ratio.
const EDGE: f64 = 1.2;
/// A best rate is known well enough once its neighbors are within this ratio: seeds differ by more than closer rates do.
const BEST: f64 = 2.0;

/// The geometric mean of two rates, unless they are close to each other.
fn middle(low: f64, high: f64, near: f64) -> Option<f64> {
    (high > near * low).then(|| (low * high).sqrt())
}

/// The next rate to measure around the best one, between the rungs. `None` once it is known well enough.
pub(super) fn nearer(outcome: &Outcome, objective: Objective) -> Option<f64> {
    let best = outcome.best(objective)?.rate;
    let points = &outcome.points;
    let above = points.iter().find(|point| point.rate > best).map(|point| point.rate);
    let below = points.iter().rev().find(|point| point.rate < best).map(|point| point.rate);
    let up = above.and_then(|above| middle(best, above, BEST));
    let down = below.and_then(|below| middle(below, best, BEST));
    up.or(down)
}

/// The next rate to measure at the edge. `None` once it is known well enough.
pub(super) fn edge(outcome: &Outcome) -> Option<f64> {
    middle(outcome.highest_stable()?, outcome.first_unstable()?, EDGE)
}

#[cfg(test)]
mod tests {
    use super::super::Recipe;
    use super::*;

    const START: f64 = 1.0;

    /// `None` stands for a broken run.
    fn point(rate: f64, losses: &[Option<f64>]) -> Point {
        Point {
            losses: losses.to_vec(),
            starts: vec![START; losses.len()],
            stable: losses.iter().all(|loss| loss.is_some_and(|loss| loss < START)),
            ..Point::at(rate)
        }
    }

    /// The measurements, in order, and the best rung, for one loss curve per seed.
    fn searched(curves: &[Vec<Option<f64>>]) -> (Vec<Ask>, Option<usize>) {
        let mut search =
            Search::new(curves[0].len(), curves.len() as u64, Objective::LowestLoss, false);
        let mut asked = Vec::new();
        while let Some(ask) = search.next() {
            let (rung, seeds) = match ask {
                Ask::First(rung) => (rung, 1),
                Ask::Whole(rung) => (rung, curves.len()),
            };
            assert!(!asked.contains(&ask), "twice the same: {ask:?} of {asked:?}");
            asked.push(ask);
            let losses: Vec<_> = curves[..seeds].iter().map(|curve| curve[rung]).collect();
            search.take(rung, point(rung as f64, &losses));
        }
        (asked, search.best())
    }

    fn valley(bottom: usize, rungs: usize, edge: usize) -> Vec<Option<f64>> {
        let loss = |at: usize| (0.1 + 0.1 * at.abs_diff(bottom) as f64).min(0.99);
        (0..rungs).map(|at| (at < edge).then(|| loss(at))).collect()
    }

    #[test]
    fn the_valley_and_the_edge_are_found_wherever_they_are() {
        for bottom in 0..17 {
            for edge in bottom + 1..=17 {
                let curve = valley(bottom, 17, edge);
                let (asked, best) = searched(&[curve.clone(), curve]);
                assert_eq!(best, Some(bottom), "edge {edge}: {asked:?}");
                let known =
                    |rung| asked.contains(&Ask::First(rung)) || asked.contains(&Ask::Whole(rung));
                assert!(known(edge - 1) && (edge == 17 || known(edge)), "{edge}: {asked:?}");
            }
        }
    }

    /// The valley lies beyond a plateau of dead units that has a step down in its middle.
    #[test]
    fn no_plateau_hides_the_valley() {
        let mut curve = vec![Some(0.65); 17];
        (curve[12], curve[5], curve[6], curve[7]) = (Some(0.6), Some(0.4), Some(0.25), Some(0.35));
        (0..4).for_each(|at| curve[at] = Some(0.98));
        assert_eq!(searched(&[curve]).1, Some(6));
    }

    #[test]
    fn what_learns_next_to_nothing_is_not_followed_down() {
        let mut curve = vec![Some(0.999); 17];
        (14..17).for_each(|at| curve[at] = None);
        curve[12] = Some(0.2);
        curve[11] = Some(0.4);
        let (asked, best) = searched(&[curve]);
        assert_eq!(best, Some(12));
        assert!(!asked.contains(&Ask::First(4)), "{asked:?}");
        // The rule does not apply if everything above has broken.
        let mut late = vec![None; 17];
        late[0] = Some(0.5);
        assert_eq!(searched(&[late]).1, Some(0));
    }

    #[test]
    fn the_first_seed_does_not_decide() {
        let (one, other) = (valley(8, 17, 17), valley(8, 17, 10));
        let mut lucky = one.clone();
        lucky[12] = Some(0.01);
        assert_eq!(searched(&[lucky, other.clone(), other]).1, Some(8));
    }

    /// Rungs 8 and 6 are the best with the first seed, rung 7 between them is better with both, and rung 4, whose first
    /// result was better than that of rung 7, is the best of all.
    #[test]
    fn what_was_better_at_first_is_looked_at_with_every_seed() {
        let one = [0.9, 0.9, 0.5, 0.9, 0.3, 0.9, 0.2, 0.35, 0.1].map(Some).to_vec();
        let other = [0.9, 0.9, 0.5, 0.9, 0.0, 0.9, 0.9, 0.05, 0.9].map(Some).to_vec();
        let (asked, best) = searched(&[one, other]);
        assert_eq!(best, Some(4));
        assert!(!asked.contains(&Ask::Whole(2)), "{asked:?}");
    }

    /// With the first seed rung 4 is the best, and with both rung 5. What the look at the first seed knows is not
    /// measured again.
    #[test]
    fn a_search_goes_on_from_a_look() {
        let ladder: Vec<f64> = (0..9).map(f64::from).collect();
        let one = [0.9, 0.9, 0.9, 0.5, 0.1, 0.2, 0.9, 0.9, 0.9];
        let other = [0.9, 0.9, 0.9, 0.9, 0.9, 0.2, 0.9, 0.9, 0.9];
        let run = |mut search: Search| {
            let mut asked = Vec::new();
            while let Some(ask) = search.next() {
                let (Ask::First(rung) | Ask::Whole(rung)) = ask;
                let seeds = if matches!(ask, Ask::First(_)) { 1 } else { search.seeds };
                let losses = [one[rung], other[rung]].map(Some);
                search.take(rung, point(rung as f64, &losses[..seeds]));
                asked.push(ask);
            }
            (asked, search)
        };
        let of = |seeds| Search::new(9, seeds, Objective::LowestLoss, false);
        let (asked, look) = run(of(1));
        // The rungs that are two apart, and the neighbors of the best.
        assert_eq!(
            asked,
            [8, 6, 4, 2, 0]
                .map(Ask::First)
                .into_iter()
                .chain([5, 3].map(Ask::Whole))
                .collect::<Vec<_>>()
        );
        assert_eq!(look.best(), Some(4));
        let (asked, whole) = run(of(2).continued(&ladder, &look.into_points()));
        // The two best with the first seed, and the neighbors of the better one.
        assert_eq!(asked, [4, 5, 6].map(Ask::Whole));
        assert_eq!(whole.best(), Some(5));
        // A point that is at none of the rungs is left alone.
        let off = of(1).continued(&ladder, &[point(0.5, &[Some(0.1)])]);
        assert!(off.into_points().is_empty());
    }

    #[test]
    fn a_seed_that_ends_badly_counts() {
        let mut curves = vec![vec![Some(0.9); 5]; 3];
        curves.iter_mut().for_each(|curve| (curve[2], curve[4]) = (Some(0.1), Some(0.2)));
        curves[2][2] = Some(0.8);
        assert_eq!(searched(&curves).1, Some(4));
    }

    #[test]
    fn where_nothing_is_stable_it_ends() {
        let (asked, best) = searched(&[vec![None; 5]]);
        assert_eq!((asked.len(), best), (3, None));
    }

    #[test]
    fn every_rung_is_measured_where_that_is_asked_for() {
        let mut search = Search::new(3, 2, Objective::LowestLoss, true);
        for rung in 0..3 {
            assert_eq!(search.next(), Some(Ask::Whole(rung)));
            search.take(rung, point(1.0, &[None, None]));
        }
        assert_eq!(search.next(), None);
    }

    /// What is asked for in the first pass, with these losses from the highest of the rungs down, two apart.
    fn first_pass(rungs: usize, losses: &[f64]) -> Option<Ask> {
        let mut search = Search::new(rungs, 1, Objective::LowestLoss, false);
        for (k, loss) in losses.iter().enumerate() {
            let rung = rungs - 1 - STRIDE * k;
            assert_eq!(search.next(), Some(Ask::First(rung)));
            let starts = vec![0.0];
            search.take(rung, Point { starts, ..point(rung as f64, &[Some(*loss)]) });
        }
        search.first()
    }

    #[test]
    fn the_first_pass_reaches_the_lowest_rung_once() {
        assert_eq!(first_pass(4, &[-1.0, -1.0]), Some(Ask::First(0)));
        assert_eq!(first_pass(5, &[-1.0, -1.0]), Some(Ask::First(0)));
        assert_eq!(first_pass(5, &[-1.0, -1.0, -1.0]), None);
    }

    /// From a start at 0, so that gains are exact.
    #[test]
    fn two_rungs_below_the_best_that_learn_little_end_the_first_pass() {
        let goes_on = Some(Ask::First(2));
        // A twentieth of the best gain is not less than that.
        assert_eq!(first_pass(9, &[-1.0, -0.05, -0.05]), goes_on);
        assert_eq!(first_pass(9, &[-1.0, -0.04, -0.04]), None);
        // A twentieth of 0.5 is 0.025.
        assert_eq!(first_pass(9, &[-0.5, -0.03, -0.03]), goes_on);
        assert_eq!(first_pass(9, &[-0.5, -0.02, -0.02]), None);
        // One of them is not enough.
        assert_eq!(first_pass(9, &[-1.0, -0.01, -0.5]), goes_on);
        assert_eq!(first_pass(9, &[-1.0, -0.5, -0.01]), goes_on);
        // Nor is it if the best itself has learned nothing.
        assert_eq!(first_pass(9, &[0.0, 0.1, 0.1]), goes_on);
    }

    /// The last of the stable rungs, and whether it was measured with every seed, once the search has ended.
    fn edge_of(objective: Objective) -> (usize, bool) {
        let curve = valley(2, 9, 8);
        let mut search = Search::new(9, 2, objective, false);
        let mut asked = 0;
        while let Some(ask) = search.next() {
            let (rung, seeds) = match ask {
                Ask::First(rung) => (rung, 1),
                Ask::Whole(rung) => (rung, 2),
            };
            search.take(rung, point(rung as f64, &vec![curve[rung]; seeds]));
            asked += 1;
            assert!(asked < 20, "without end");
        }
        let last = search.stable().pop().unwrap();
        (last, search.is_whole(last))
    }

    #[test]
    fn the_edge_is_measured_with_every_seed_if_it_is_the_objective() {
        assert_eq!(edge_of(Objective::HighestRate), (7, true));
        assert_eq!(edge_of(Objective::LowestLoss), (7, false));
    }

    #[test]
    fn between_two_rates_there_is_another_unless_they_are_close() {
        assert_eq!(middle(1.0, 4.0, 1.5), Some(2.0));
        assert_eq!(middle(2.0, 3.0, 1.5), None);
        assert_eq!(middle(2.0, 2.9, 1.5), None);
    }

    #[test]
    fn the_best_rate_is_looked_for_above_it_and_then_below() {
        let nearer = |rates: [f64; 3]| {
            let [below, best, above] = rates;
            let points = [(below, 0.3), (best, 0.1), (above, 0.2)];
            let points = points.map(|(rate, loss)| point(rate, &[Some(loss)]));
            nearer(&Outcome::new(Recipe::plain(), points.to_vec()), Objective::LowestLoss)
        };
        assert_eq!(nearer([1.0, 4.0, 16.0]), Some(8.0));
        assert_eq!(nearer([1.0, 4.0, 5.0]), Some(2.0));
        assert_eq!(nearer([2.0, 4.0, 8.0]), None);
        assert_eq!(nearer([2.0, 4.0, 9.0]), Some(6.0));
    }

    #[test]
    fn the_ladder_has_two_rungs_a_decade() {
        let rates = ladder(1e-3, 1.0);
        assert_eq!(rates.len(), 7);
        assert!(rates.windows(2).all(|w| (w[1] / w[0] - 10f64.sqrt()).abs() < 1e-9));
        assert!((rates[0] - 1e-3).abs() < 1e-12 && (rates[6] - 1.0).abs() < 1e-12);
        assert_eq!(ladder(0.3, 0.3), [0.3]);
        assert_eq!(ladder(0.3, 0.31).len(), 1);
    }
}
