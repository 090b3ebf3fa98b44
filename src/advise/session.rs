//! A search in progress: first every recipe with one seed, and the best ones with every seed; then the best ones more
//! closely and with fresh seeds, then the best one without each of its parts.

use std::ops::{ControlFlow, Range};

use super::advice::sort;
use super::advisor::{Advisor, Stage, Watch};
use super::log::{Log, Ran};
use super::outcome::{Objective, Outcome, Point, order};
use super::run::{End, Trial};
use super::search::{self, Ask, Search};
use super::setup::Setup;
use super::{Advice, Recipe};
use crate::Error;

/// The number of rates to try with fresh seeds until one is stable.
const LOWER: usize = 4;
/// The number of rates of the recommended recipe to choose among with more seeds.
const SETTLED: usize = 3;

pub(super) struct Session<'s, 'a, B> {
    setup: Setup<'s, 'a, B>,
    watch: Option<Watch<'a>>,
    ladder: Vec<f64>,
    outcomes: Vec<Outcome>,
    /// The loss up to which updates are counted.
    target: Option<f64>,
    /// Whether the target is known for good: it was given, or all of plain descent has been measured.
    counted: bool,
    /// The runs of plain descent at each rate and seed, kept until there is a target to count their updates to.
    plain: Vec<((f64, u64), Trial)>,
    /// All complete runs, those of the advice that is resumed first.
    log: Log,
    /// Parts of the search: how many are done, and how many there are.
    parts: (usize, usize),
    updates: u64,
    stopped: bool,
}

impl<'s, 'a, B> Session<'s, 'a, B> {
    pub(super) fn new(setup: Setup<'s, 'a, B>, watch: Option<Watch<'a>>, log: Log) -> Self {
        let (rates, target) = (setup.advisor.rates, setup.advisor.counted_to());
        Self {
            setup,
            watch,
            ladder: search::ladder(rates.0, rates.1),
            outcomes: Vec::new(),
            target,
            counted: target.is_some(),
            plain: Vec::new(),
            log,
            parts: (0, 0),
            updates: 0,
            stopped: false,
        }
    }

    fn advisor(&self) -> &'s Advisor<'a, B> {
        self.setup.advisor
    }

    pub(super) fn run(mut self) -> Result<Advice, Error> {
        self.setup.check(&self.log)?;
        let (choice, objective) = (self.advisor().choice(), self.advisor().objective);
        match &self.advisor().recipes {
            Some(recipes) => {
                let plain = Recipe::plain();
                let others = recipes.iter().filter(|recipe| **recipe != plain).cloned().collect();
                self.measure(vec![plain.clone()])?;
                self.look(others)?;
            }
            // The total is not known before the best choice of data is.
            None => {
                self.measure(choice.foundations())?;
                self.measure(choice.built_on(objective, &self.outcomes))?;
                // Combinations first: if the search is ended early, the best recipe is more likely to be among them.
                self.look(choice.combinations(objective, &self.outcomes))?;
                self.look(choice.singles(&self.outcomes))?;
            }
        }
        self.measure_the_best()?;
        self.confirm_the_best()?;
        self.leave_out_parts()?;
        if !self.counted {
            // Their updates were counted to nothing, or to what a part of them reached.
            self.log.forget(&Recipe::plain());
        }
        Ok(Advice::new(
            self.advisor().wanted(),
            self.target,
            self.updates,
            !self.stopped,
            (self.outcomes, self.log),
        ))
    }

    fn measure(&mut self, recipes: Vec<Recipe>) -> Result<(), Error> {
        self.search_each(recipes, self.advisor().seeds)
    }

    /// Searches the rates of recipes with one seed, if only the best of them are to be measured with every seed.
    fn look(&mut self, recipes: Vec<Recipe>) -> Result<(), Error> {
        let Advisor { seeds, objective, every_rate, confirm, .. } = self.advisor();
        // An edge has to hold for every seed, and without confirmation no recipe is examined more closely than others.
        let all = *objective == Objective::HighestRate || *every_rate || confirm.0 == 0;
        self.search_each(recipes, if all { *seeds } else { 1 })
    }

    fn search_each(&mut self, recipes: Vec<Recipe>, seeds: u64) -> Result<(), Error> {
        self.parts.1 += recipes.len();
        for recipe in recipes {
            self.search(recipe, seeds)?;
            self.parts.0 += 1;
        }
        Ok(())
    }

    /// Measures the best recipes with every seed: whatever is among the best so far, until all of these have been.
    fn measure_the_best(&mut self) -> Result<(), Error> {
        let Advisor { seeds, objective, confirm, .. } = self.advisor();
        while !self.stopped {
            sort(&mut self.outcomes, *objective);
            let good = |o: &&Outcome| o.best(*objective).is_some();
            let mut best = self.outcomes.iter().filter(good).take(confirm.0);
            let Some(next) = best.find(|o| o.seeds() < *seeds as usize) else { break };
            let next = next.recipe.clone();
            self.search_each(vec![next], *seeds)?;
        }
        Ok(())
    }

    /// Searches the rates of a recipe with the first of the seeds, or goes on with a search with fewer.
    fn search(&mut self, recipe: Recipe, seeds: u64) -> Result<(), Error> {
        if self.stopped {
            return Ok(());
        }
        let advisor = self.advisor();
        let (rungs, first) = (self.ladder.len(), advisor.first_seed);
        let before = self.outcomes.iter().position(|outcome| outcome.recipe == recipe);
        let points = before.map(|at| self.outcomes[at].points.as_slice()).unwrap_or_default();
        let search = Search::new(rungs, seeds, advisor.objective, advisor.every_rate);
        let mut search = search.continued(&self.ladder, points);
        while let Some(ask) = search.next() {
            let (rung, end) = match ask {
                Ask::First(rung) => (rung, first.saturating_add(1)),
                Ask::Whole(rung) => (rung, first.saturating_add(seeds)),
            };
            // Some of the seeds may have been run already.
            let known = search.known(rung).cloned();
            let known = known.unwrap_or_else(|| Point::at(self.ladder[rung]));
            let from = first.saturating_add(known.losses.len() as u64);
            let Some(point) = self.point(&recipe, known, from..end)? else { break };
            search.take(rung, point);
        }
        let points = search.into_points();
        if !points.is_empty() {
            let mut outcome = Outcome::new(recipe, points);
            self.set_target(&mut outcome);
            match before {
                Some(at) => self.outcomes[at] = outcome,
                None => self.outcomes.push(outcome),
            }
        }
        Ok(())
    }

    /// Unless a target was given, takes it from plain descent, which is measured first.
    fn set_target(&mut self, outcome: &mut Outcome) {
        let plain = std::mem::take(&mut self.plain);
        if self.target.is_some() || outcome.recipe != Recipe::plain() {
            return;
        }
        self.counted = !self.stopped;
        // The worst of its seeds, so that plain descent reaches the target itself.
        self.target = outcome.best(Objective::LowestLoss).map(|point| point.spread().1);
        let Some(target) = self.target else { return };
        for point in &mut outcome.points {
            // Those of resumed runs have been counted to the same target.
            for (seed, reached) in (self.advisor().first_seed..).zip(&mut point.reached) {
                let run = (point.rate, seed);
                if let Some((_, trial)) = plain.iter().find(|(of, _)| *of == run) {
                    *reached = trial.updates_to(target);
                    self.log.set_reached(&outcome.recipe, run, *reached);
                }
            }
        }
    }

    /// Confirms the best recipes, and plain descent, the baseline of all of them.
    fn confirm_the_best(&mut self) -> Result<(), Error> {
        let (objective, plain) = (self.advisor().objective, Recipe::plain());
        sort(&mut self.outcomes, objective);
        let chosen = |(at, o): &(usize, &Outcome)| {
            o.best(objective).is_some() && (*at < self.advisor().confirm.0 || o.recipe == plain)
        };
        let chosen: Vec<usize> = match self.advisor().confirm.0 {
            0 => Vec::new(),
            _ => self.outcomes.iter().enumerate().filter(chosen).map(|(at, _)| at).collect(),
        };
        self.parts.1 += chosen.len();
        for at in chosen {
            self.refine(at)?;
            self.confirm(at)?;
            self.parts.0 += 1;
        }
        sort(&mut self.outcomes, objective);
        self.refine_edge(&Recipe::plain())
    }

    /// Measures whether the best recipe is worth its parts: without each of them, and without all the parts that it can
    /// do without, until nothing simpler is as good.
    fn leave_out_parts(&mut self) -> Result<(), Error> {
        let (objective, wanted) = (self.advisor().objective, self.advisor().wanted());
        if self.advisor().confirm.0 == 0 || objective == Objective::HighestRate {
            return Ok(());
        }
        let mut last = None;
        loop {
            sort(&mut self.outcomes, objective);
            let Some(recipe) = wanted.decide(&self.outcomes).map(|o| o.recipe.clone()) else {
                break;
            };
            if self.stopped || last.as_ref() == Some(&recipe) {
                break;
            }
            let parts = recipe.changes();
            for part in &parts {
                self.confirm_recipe(recipe.without(*part))?;
            }
            // Leaves out, all at once, the parts that can each be left out alone.
            sort(&mut self.outcomes, objective);
            let (Some(best), plain) = (self.outcomes.first(), self.find(&Recipe::plain())) else {
                break;
            };
            let spare = parts.iter().filter(|part| {
                let without = self.find(&recipe.without(**part));
                without.is_some_and(|other| wanted.is_as_good(best, other, plain))
            });
            let less = spare.fold(recipe.clone(), |less, part| less.without(*part));
            self.confirm_recipe(less)?;
            last = Some(recipe);
        }
        match last {
            Some(recipe) => {
                self.settle_rate(&recipe)?;
                self.refine_edge(&recipe)
            }
            None => Ok(()),
        }
    }

    /// Measures the best rates of a recipe with more seeds, and confirms the best of them: a few seeds tell a good rate
    /// from a bad one, but not the best of three good ones.
    fn settle_rate(&mut self, recipe: &Recipe) -> Result<(), Error> {
        let (objective, n) = (self.advisor().objective, self.advisor().confirm.1);
        // If fresh seeds have broken at the best rate, the choice is made: a lower one.
        let at =
            self.outcomes.iter().position(|o| o.recipe == *recipe && o.is_confirmed(objective));
        let Some(at) = at else { return Ok(()) };
        self.parts.1 += 1;
        // Seeds that neither the search nor the confirmation uses.
        let first = self.advisor().fresh_seed().saturating_add(n);
        let mut settled = Vec::new();
        for point in self.outcomes[at].best_few(SETTLED, objective) {
            let Some(point) = self.point(recipe, point, first..first.saturating_add(n))? else {
                // All of them or none: rates are compared by the same seeds.
                return Ok(());
            };
            settled.push(point);
        }
        // If none of them is stable with more seeds, what fewer seeds have chosen and fresh ones have confirmed stands.
        if settled.iter().any(|point| point.stable) {
            settled.into_iter().for_each(|point| self.outcomes[at].insert(point));
        }
        if !self.outcomes[at].is_confirmed(objective) {
            self.confirm(at)?;
        }
        self.parts.0 += 1;
        Ok(())
    }

    fn find(&self, recipe: &Recipe) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.recipe == *recipe)
    }

    /// Measures a recipe as closely as the best ones, unless that has been done.
    fn confirm_recipe(&mut self, recipe: Recipe) -> Result<(), Error> {
        if self.find(&recipe).is_some_and(|outcome| outcome.confirmed.is_some()) {
            return Ok(());
        }
        self.parts.1 += 1;
        let seeds = self.advisor().seeds;
        if self.find(&recipe).is_none_or(|outcome| outcome.seeds() < seeds as usize) {
            self.search(recipe.clone(), seeds)?;
        }
        if let Some(at) = self.outcomes.iter().position(|outcome| outcome.recipe == recipe) {
            self.refine(at)?;
            self.confirm(at)?;
        }
        self.parts.0 += 1;
        Ok(())
    }

    /// Refines the best rate, between the rungs.
    fn refine(&mut self, at: usize) -> Result<(), Error> {
        while let Some(rate) = search::nearer(&self.outcomes[at], self.advisor().objective) {
            let Some(point) = self.searched(at, rate)? else { break };
            self.outcomes[at].insert(point);
        }
        Ok(())
    }

    /// Refines the edge, between the rungs.
    fn refine_edge(&mut self, recipe: &Recipe) -> Result<(), Error> {
        let at = self.outcomes.iter().position(|outcome| outcome.recipe == *recipe);
        let Some(at) = at.filter(|_| self.advisor().confirm.0 > 0) else { return Ok(()) };
        self.parts.1 += 1;
        while let Some(rate) = search::edge(&self.outcomes[at]) {
            let Some(point) = self.searched(at, rate)? else { break };
            self.outcomes[at].insert(point);
        }
        self.parts.0 += 1;
        Ok(())
    }

    /// Runs a recipe at its best rate with fresh seeds, which played no part in choosing it. If one of the runs is not
    /// stable, tries a lower rate.
    fn confirm(&mut self, at: usize) -> Result<(), Error> {
        let (first, n) = (self.advisor().fresh_seed(), self.advisor().confirm.1);
        let objective = self.advisor().objective;
        let mut best = self.outcomes[at].best(objective).map(|point| point.rate);
        for _ in 0..LOWER {
            let Some(rate) = best.filter(|_| n > 0 && objective != Objective::HighestRate) else {
                break;
            };
            let recipe = self.outcomes[at].recipe.clone();
            let seeds = first..first.saturating_add(n);
            let Some(point) = self.point(&recipe, Point::at(rate), seeds)? else { break };
            best = match point.stable {
                true => None,
                false => self.outcomes[at].best_below(rate, objective).map(|point| point.rate),
            };
            self.outcomes[at].confirmed = Some(point);
        }
        Ok(())
    }

    /// Runs the seeds of the search at one rate.
    fn searched(&mut self, at: usize, rate: f64) -> Result<Option<Point>, Error> {
        let recipe = self.outcomes[at].recipe.clone();
        let seeds = self.advisor().first_seed..self.advisor().fresh_seed();
        self.point(&recipe, Point::at(rate), seeds)
    }

    /// The best result so far.
    fn so_far(outcomes: &[Outcome], objective: Objective) -> Option<(&Recipe, f64, f64)> {
        let best = outcomes.iter().filter_map(|o| Some((&o.recipe, o.believed(objective)?)));
        let best = best.min_by(|a, b| order(a.1.score(objective), b.1.score(objective)));
        best.map(|(recipe, point)| (recipe, point.rate, point.loss()))
    }

    /// Adds runs with these seeds to the results at one rate; `None` if the search was stopped.
    fn point(
        &mut self,
        recipe: &Recipe,
        mut point: Point,
        seeds: Range<u64>,
    ) -> Result<Option<Point>, Error> {
        if self.stopped {
            return Ok(None);
        }
        let (mut seconds, mut losses) = (0.0, 0u64);
        for seed in seeds {
            let Some(ran) = self.result(recipe, (point.rate, seed))? else {
                self.stopped = true;
                return Ok(None);
            };
            seconds += ran.seconds.unwrap_or(0.0);
            losses += ran.losses;
            point.take(&ran);
        }
        if losses > 0 {
            point.seconds = self.advisor().clock.as_ref().map(|_| seconds / losses as f64);
        }
        Ok(Some(point))
    }

    /// Returns the result of a run, which is made and logged unless it is known; `None` if it was stopped.
    fn result(&mut self, recipe: &Recipe, run: (f64, u64)) -> Result<Option<Ran>, Error> {
        if let Some(known) = self.log.find(recipe, run).cloned() {
            self.updates += known.updates;
            return Ok(Some(known));
        }
        let (advisor, (rate, seed)) = (self.advisor(), run);
        let (before, (done, of)) = (self.updates, self.parts);
        let so_far = Self::so_far(&self.outcomes, advisor.objective);
        let (updates, watch) = (&mut self.updates, &mut self.watch);
        let mut go_on = || {
            let stage = Stage { recipe, rate, seed, done, of, updates: *updates, so_far };
            let stop = advisor.is_spent(*updates)
                || watch.as_mut().is_some_and(|watch| watch(&stage) == ControlFlow::Break(()));
            *updates += u64::from(!stop);
            !stop
        };
        let now = || advisor.clock.as_ref().map(|clock| clock());
        let begun = now();
        let trial = self.setup.run(recipe, run, &mut go_on)?;
        if trial.end == End::Stopped {
            return Ok(None);
        }
        let ran = Ran {
            updates: self.updates - before,
            seconds: now().zip(begun).map(|(end, begun)| end - begun),
            ..Ran::of(&trial, run, self.target)
        };
        self.log.push(recipe, ran.clone());
        if self.target.is_none() && *recipe == Recipe::plain() {
            self.plain.push((run, trial));
        }
        Ok(Some(ran))
    }
}
