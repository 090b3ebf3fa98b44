//! A search under way: first every recipe, then the best ones more closely, then these on other seeds.

use std::ops::{ControlFlow, Range};

use super::advisor::{Advisor, Prepare, Runner, Stage, Watch};
use super::outcome::{Aim, Outcome, Point, rank};
use super::trial::{End, Order, Trial};
use super::{Advice, Recipe, plan, search};
use crate::Error;

/// How many rates are tried with fresh seeds, if they are not stable.
const LOWER: usize = 4;

pub(super) struct Session<'s, 'a, B> {
    advisor: &'s Advisor<'a, B>,
    prepare: Option<Prepare<'a, B>>,
    watch: Option<Watch<'a>>,
    ladder: Vec<f64>,
    outcomes: Vec<Outcome>,
    /// The loss that updates are counted to.
    target: Option<f64>,
    /// What plain descent gave at each rate, kept until there is a target to count its updates to.
    plain: Vec<(f64, Vec<Trial>)>,
    /// Parts of the search: how many are done, and how many there are.
    parts: (usize, usize),
    updates: u64,
    stopped: bool,
}

impl<'s, 'a, B> Session<'s, 'a, B> {
    pub(super) fn new(
        advisor: &'s Advisor<'a, B>,
        prepare: Option<Prepare<'a, B>>,
        watch: Option<Watch<'a>>,
    ) -> Self {
        let ladder = search::ladder(advisor.rates.0, advisor.rates.1);
        Self {
            advisor,
            prepare,
            watch,
            ladder,
            outcomes: Vec::new(),
            target: advisor.counted_to(),
            plain: Vec::new(),
            parts: (0, 0),
            updates: 0,
            stopped: false,
        }
    }

    pub(super) fn run(mut self) -> Result<Advice, Error> {
        let advisor = self.advisor;
        let names: Vec<String> = advisor.variants.iter().map(|(name, _)| name.clone()).collect();
        let singles = plan::singles(advisor.over, advisor.prepare.is_some(), &names);
        self.measure(singles)?;
        if !self.stopped {
            let more = plan::combinations(advisor.over, advisor.aim, &self.outcomes);
            self.measure(more)?;
        }
        rank(&mut self.outcomes, advisor.aim);
        let finalists = self.finalists();
        self.parts.1 += 2 * finalists.len();
        for &at in &finalists {
            self.refine(at)?;
        }
        // That may have changed who is ahead of whom.
        rank(&mut self.outcomes, advisor.aim);
        let finalists = self.finalists();
        self.parts.1 = self.parts.0 + finalists.len();
        for &at in &finalists {
            self.confirm(at)?;
        }
        Ok(Advice::new(
            self.advisor.wanted(),
            self.target,
            self.updates,
            !self.stopped,
            self.outcomes,
        ))
    }

    /// Where in the ranking those are that are looked at more closely: the best ones, and plain descent,
    /// which all are compared with.
    fn finalists(&self) -> Vec<usize> {
        let aim = self.advisor.aim;
        let plain = Recipe::plain();
        let chosen = |(at, o): &(usize, &Outcome)| {
            o.best(aim).is_some() && (*at < self.advisor.confirm.0 || o.recipe == plain)
        };
        match self.advisor.confirm.0 {
            0 => Vec::new(),
            _ => self.outcomes.iter().enumerate().filter(chosen).map(|(at, _)| at).collect(),
        }
    }

    fn measure(&mut self, recipes: Vec<Recipe>) -> Result<(), Error> {
        self.parts.1 += recipes.len();
        for recipe in recipes {
            if self.stopped {
                break;
            }
            let mut failed = None;
            let (rungs, aim) = (self.ladder.clone(), self.advisor.aim);
            // The rate that was best last is near the best of this one, more often than not.
            let (every_rate, start) = (self.advisor.every_rate, self.start());
            let mut measure = |rung: usize| {
                self.searched(&recipe, rungs[rung]).unwrap_or_else(|error| {
                    failed = Some(error);
                    None
                })
            };
            let (points, complete) = match every_rate {
                true => search::sweep(rungs.len(), &mut measure),
                false => search::climb(rungs.len(), start, aim, &mut measure),
            };
            if let Some(error) = failed {
                return Err(error);
            }
            self.stopped |= !complete;
            if !points.is_empty() {
                let mut outcome = Outcome::new(recipe, points);
                self.set_target(&mut outcome);
                self.outcomes.push(outcome);
            }
            self.parts.0 += 1;
        }
        Ok(())
    }

    /// What plain descent comes to, which is measured first, is what the others are timed by, unless
    /// somebody has said otherwise.
    fn set_target(&mut self, outcome: &mut Outcome) {
        let plain = std::mem::take(&mut self.plain);
        if self.target.is_some() || outcome.recipe != Recipe::plain() {
            return;
        }
        self.target = outcome.best(Aim::LowestLoss).map(Point::loss);
        let Some(target) = self.target else { return };
        for point in &mut outcome.points {
            let trials = plain.iter().find(|(rate, _)| *rate == point.rate);
            let trials = trials.map(|(_, trials)| trials.as_slice()).unwrap_or_default();
            point.reached =
                trials.iter().map(|t| t.updates_to(target, self.advisor.over)).collect();
        }
    }

    fn start(&self) -> usize {
        let best = self.outcomes.last().and_then(|o| o.best(self.advisor.aim)).map(|p| p.rate);
        let near = best.unwrap_or(1e-2);
        let below = |rate: &&f64| **rate < near * 0.99;
        self.ladder.iter().take_while(below).count().min(self.ladder.len().saturating_sub(1))
    }

    /// The best rate of a finalist, and its edge, between the rungs.
    fn refine(&mut self, at: usize) -> Result<(), Error> {
        while let Some(rate) = search::between(&self.outcomes[at], self.advisor.aim) {
            let recipe = self.outcomes[at].recipe.clone();
            let Some(point) = self.searched(&recipe, rate)? else { return Ok(()) };
            self.outcomes[at].insert(point);
        }
        self.parts.0 += 1;
        Ok(())
    }

    /// A finalist at its best rate, with seeds that had no say in which rate that is. If one of them is not
    /// stable there, a lower rate.
    fn confirm(&mut self, at: usize) -> Result<(), Error> {
        let (first, n) = (self.advisor.fresh_seed(), self.advisor.confirm.1);
        let aim = self.advisor.aim;
        let mut best = self.outcomes[at].best(aim).map(|point| point.rate);
        for _ in 0..LOWER {
            let Some(rate) = best.filter(|_| n > 0 && aim != Aim::HighestRate) else { break };
            let recipe = self.outcomes[at].recipe.clone();
            let Some(point) = self.point(&recipe, rate, first..first.saturating_add(n))? else {
                return Ok(());
            };
            best = match point.stable {
                true => None,
                false => self.outcomes[at].best_below(rate, aim).map(|point| point.rate),
            };
            self.outcomes[at].confirmed = Some(point);
        }
        self.parts.0 += 1;
        Ok(())
    }

    /// The seeds of the search at one rate.
    fn searched(&mut self, recipe: &Recipe, rate: f64) -> Result<Option<Point>, Error> {
        self.point(recipe, rate, self.advisor.first_seed..self.advisor.fresh_seed())
    }

    /// These seeds at one rate; `None` if it was told to stop.
    fn point(
        &mut self,
        recipe: &Recipe,
        rate: f64,
        seeds: Range<u64>,
    ) -> Result<Option<Point>, Error> {
        if self.stopped {
            return Ok(None);
        }
        let advisor = self.advisor;
        let Self { prepare, watch, parts, updates, .. } = self;
        let named = |(name, _): &&(String, Runner<'a, B>)| *name == recipe.variant;
        let runner = advisor.variants.iter().find(named).map_or(&advisor.base, |(_, run)| run);
        let prepared = |k: u64| {
            let batch = (advisor.batch)(k);
            match prepare.as_ref().filter(|_| recipe.standardized) {
                Some(prepare) => prepare(batch),
                None => batch,
            }
        };
        let mut point = Point::at(rate);
        let now = || advisor.clock.as_ref().map(|clock| clock());
        let (mut seconds, mut made, mut trials) = (0.0, 0u64, Vec::new());
        for seed in seeds {
            let mut go_on = || {
                let (done, of) = *parts;
                let stage = Stage { recipe, rate, seed, done, of, updates: *updates };
                let stop = advisor.is_spent(*updates)
                    || watch.as_mut().is_some_and(|watch| watch(&stage) == ControlFlow::Break(()));
                *updates += u64::from(!stop);
                !stop
            };
            let begun = now();
            let over = advisor.over;
            let order = Order { recipe, rate, seed, over, batch: &prepared, go_on: &mut go_on };
            let trial = runner(order)?;
            if trial.end == End::Stopped {
                self.stopped = true;
                return Ok(None);
            }
            seconds += now().zip(begun).map_or(0.0, |(end, begun)| end - begun);
            made += trial.losses.len() as u64;
            point.take(&trial, self.target, over);
            trials.push(trial);
        }
        point.seconds = advisor.clock.as_ref().map(|_| seconds / made.max(1) as f64);
        if self.target.is_none() && *recipe == Recipe::plain() {
            self.plain.push((rate, trials));
        }
        Ok(Some(point))
    }
}
