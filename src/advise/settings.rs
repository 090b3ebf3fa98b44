//! The settings of a search.

use std::ops::ControlFlow;

use super::advisor::{Advisor, NAME, Stage};
use super::outcome::Objective;
use super::{Advice, Recipe};
use crate::Error;
use crate::error::check::Param;

impl<'a, B> Advisor<'a, B> {
    /// Sets the share of the best recipe's gain over plain descent that a simpler one may lack and still be
    /// [recommended](Advice::recommended); the default is 0.05. A recipe that is
    /// not significantly worse may lack a tenth in any case.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn tolerance(mut self, share: f64) -> Result<Self, Error> {
        self.tolerance = Param(NAME, "tolerance").non_negative(share)?;
        Ok(self)
    }

    /// Sets the objective; the default is the lowest loss.
    ///
    /// # Errors
    /// If a target is not finite.
    pub fn objective(mut self, objective: Objective) -> Result<Self, Error> {
        if let Objective::FastestTo(target) = objective {
            Param(NAME, "objective").finite(target)?;
        }
        self.objective = objective;
        Ok(self)
    }

    /// Sets the loss up to which updates are counted, whatever the objective. The default is the target of
    /// [`FastestTo`](Objective::FastestTo), if that is the objective, and otherwise the loss that plain descent reaches
    /// at its best rate with each seed.
    ///
    /// # Errors
    /// If it is not finite.
    pub fn target(mut self, loss: f64) -> Result<Self, Error> {
        self.target = Some(Param(NAME, "target").finite(loss)?);
        Ok(self)
    }

    /// Sets the number of updates of a run; the default is 200.
    ///
    /// # Errors
    /// If `updates` is less than 10.
    pub fn over(mut self, updates: u64) -> Result<Self, Error> {
        self.over = Param(NAME, "over").at_least(10, updates)?;
        Ok(self)
    }

    /// Sets the number of seeds that each rate of a good recipe is tried with; the default is 2. A single seed gives no
    /// measure of chance. Recipes that are not among the best, as many as are to be [confirmed](Self::confirm), are tried
    /// with the first seed only, unless none are to be confirmed, every rate is measured, or the objective is the
    /// [highest rate](Objective::HighestRate).
    ///
    /// # Errors
    /// If `n` is 0.
    pub fn seeds(mut self, n: u64) -> Result<Self, Error> {
        self.seeds = Param(NAME, "seeds").at_least(1, n)?;
        Ok(self)
    }

    /// Sets the first seed; the default is 0.
    pub fn seeds_from(mut self, first: u64) -> Self {
        self.first_seed = first;
        self
    }

    /// Sets how many of the best recipes are examined more closely, in addition to plain descent, and with how many
    /// fresh seeds. The best rate is refined between the rates tried so far, and then run with each of the fresh seeds,
    /// which played no part in choosing it. If one of these runs is not stable, the next lower good rate is taken, with
    /// up to four rates in all. The same is then done for the best recipe without each of its parts. At last, the three
    /// best rates of the recommended recipe are run with as many more seeds, the rate with the lowest mean over these and
    /// the seeds of the search is taken, and, if it is another one, run with the fresh seeds. The default is the best 5
    /// with 10 seeds; with 0 recipes, none are confirmed.
    ///
    /// Fewer than 10 seeds cannot tell the best 5 recipes, and plain descent, apart with confidence. If the objective
    /// is the [highest rate](Objective::HighestRate), edges are refined and no fresh seeds are run.
    pub fn confirm(mut self, recipes: usize, seeds: u64) -> Self {
        self.confirm = (recipes, seeds);
        self
    }

    /// Measures plain descent and these recipes, instead of those that the advisor would choose: to try the recipe of
    /// an [`Outcome`](super::Outcome) of another search, or a modified one. The best of them is still measured
    /// [without its parts](Self::confirm).
    pub fn recipes(mut self, recipes: impl IntoIterator<Item = Recipe>) -> Self {
        self.recipes = Some(recipes.into_iter().collect());
        self
    }

    /// Measures every recipe at every rate, two per decade, instead of searching coarse to fine: a full grid to compare
    /// the advice with, at several times the cost.
    pub fn every_rate(mut self) -> Self {
        self.every_rate = true;
        self
    }

    /// Sets the range of rates to search, rounded to half decades; the default is 10⁻⁶ to 100. If both are the same, only
    /// that rate is tried, as it is.
    ///
    /// # Errors
    /// If they are not positive and finite, or the highest is below the lowest.
    pub fn between(mut self, from: f64, to: f64) -> Result<Self, Error> {
        let from = Param(NAME, "rates").positive(from)?;
        let must = format_args!("finite, and at least {from}");
        let to = Param(NAME, "rates").must(to.is_finite() && to >= from, must, to)?;
        self.rates = (from, to);
        Ok(self)
    }

    /// Limits the number of updates of all runs together. When they are used up, the advice contains the results so
    /// far, and is [not complete](Advice::is_complete).
    pub fn budget(mut self, updates: u64) -> Self {
        self.budget = Some(updates);
        self
    }

    /// Limits the seconds of all runs together, by the [clock](Self::clock), which has to be given too. When they are
    /// over, the advice contains the results so far, and is [not complete](Advice::is_complete). Unlike with a budget
    /// of updates, these results depend on the machine.
    ///
    /// # Errors
    /// If they are negative or not finite.
    pub fn budget_seconds(mut self, seconds: f64) -> Result<Self, Error> {
        self.seconds = Some(Param(NAME, "budget_seconds").non_negative(seconds)?);
        Ok(self)
    }

    /// Sets a clock, in seconds, to measure the cost of updates. Without one, nothing depends on time.
    ///
    /// ```
    /// # let advisor = evenkeel::advise::Advisor::new(
    /// #     |_| burn::nn::LinearConfig::new(1, 1).init(&burn::tensor::Device::default()),
    /// #     |_: &burn::nn::Linear, _: ()| unreachable!(),
    /// #     |_| (),
    /// # );
    /// let begun = std::time::Instant::now();
    /// let advisor = advisor.clock(move || begun.elapsed().as_secs_f64());
    /// ```
    pub fn clock(mut self, seconds: impl Fn() -> f64 + 'a) -> Self {
        self.clock = Some(Box::new(seconds));
        self
    }

    /// Sets a callback that receives the progress of the search before every update; [`Break`](ControlFlow::Break) ends
    /// the search, and the advice contains the results so far.
    pub fn watch(mut self, watch: impl FnMut(&Stage<'_>) -> ControlFlow<()> + 'a) -> Self {
        self.watch = Some(Box::new(watch));
        self
    }

    /// Continues the search that this advice is of. The runs that it knows are not made again; the result is that of a
    /// search that was never interrupted. With the feature `serde`, an advice can be kept in a file in between.
    ///
    /// The model, the data, the objective, the target, the rates, the seeds and the length of the runs have to be the
    /// same. The recipes, the [tolerance](Self::tolerance) and the [confirmations](Self::confirm) may be others. A
    /// [budget](Self::budget) counts the updates of the known runs too.
    ///
    /// ```
    /// use burn::nn::{Linear, LinearConfig};
    /// use burn::tensor::Device;
    /// use evenkeel::advise::Advisor;
    ///
    /// # fn main() -> Result<(), evenkeel::Error> {
    /// # let device = Device::default().autodiff();
    /// let advisor = || {
    ///     let build = |seed: u64| {
    ///         device.seed(seed);
    ///         LinearConfig::new(1, 1).with_bias(false).init(&device)
    ///     };
    ///     let loss = |model: &Linear, _: u64| model.weight.val().powi_scalar(2).mean();
    ///     Advisor::new(build, loss, |k| k).by_training_loss().recipes([]).over(20)
    /// };
    /// let part = advisor()?.budget(100).run()?;
    /// let whole = advisor()?.resume(part).run()?;
    /// assert!(whole.is_complete());
    /// # Ok(())
    /// # }
    /// ```
    pub fn resume(mut self, advice: Advice) -> Self {
        self.resumed = Some(advice);
        self
    }
}
