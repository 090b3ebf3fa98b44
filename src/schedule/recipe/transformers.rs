//! The schedules of transformers, by their names there.

use super::rest;
use crate::Error;
use crate::error::check::Param;
use crate::schedule::{
    Advance, Anneal, Boxed, Constant, Cosine, Greedy, InverseSqrt, Plateau, Polynomial, Ramp,
    Schedule, Sequence, Then, Times, Wsd,
};

/// What `get_scheduler` of Hugging Face's transformers offers, by the same names.
///
/// `rate` is the optimizer's own rate there. `warm_up` and `total` are lengths in updates
/// (`num_warmup_steps`, `num_training_steps`); `total` has the warm-up in it.
///
/// The values agree, but for what is past the end: there, `cosine`, `cosine_with_min_lr` and
/// `cosine_warmup_with_min_lr` climb again, and these hold their end.
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe::Transformers};
///
/// let recipe = Transformers::new(5e-5, 500, 10_000)?;
/// let schedule = recipe.cosine()?;
/// assert_eq!((schedule.at(500), schedule.at(10_000)), (5e-5, 0.0));
/// assert_eq!(recipe.by_name("linear")?.at(250), 2.5e-5);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transformers {
    rate: f64,
    warm_up: u64,
    total: u64,
}

const NAME: &str = "Transformers";

impl Transformers {
    /// For a run of `total` updates.
    ///
    /// # Errors
    /// If `rate` is not finite, or the warm-up is longer than the run.
    pub fn new(rate: f64, warm_up: u64, total: u64) -> Result<Self, Error> {
        rest(NAME, warm_up, total)?;
        Ok(Self { rate: Param(NAME, "rate").finite(rate)?, warm_up, total })
    }

    /// What the warm-up leaves of the run.
    fn rest(&self) -> u64 {
        self.total - self.warm_up
    }

    fn warmed<S: Schedule>(&self, next: S) -> Result<Then<Ramp, S>, Error> {
        Ok(Ramp::new(0.0, self.rate, self.warm_up)?.then(self.warm_up, next))
    }

    /// `"constant"`: no warm-up either.
    ///
    /// # Errors
    /// None that [`new`](Self::new) has not found already.
    pub fn constant(&self) -> Result<Constant, Error> {
        Constant::new(self.rate)
    }

    /// `"constant_with_warmup"`.
    ///
    /// # Errors
    /// None that [`new`](Self::new) has not found already.
    pub fn constant_with_warmup(&self) -> Result<Ramp, Error> {
        Ramp::new(0.0, self.rate, self.warm_up)
    }

    /// `"linear"`.
    ///
    /// # Errors
    /// None that [`new`](Self::new) has not found already.
    pub fn linear(&self) -> Result<Then<Ramp, Ramp>, Error> {
        self.warmed(Ramp::new(self.rate, 0.0, self.rest())?)
    }

    /// `"cosine"`, half a wave of it.
    ///
    /// # Errors
    /// None that [`new`](Self::new) has not found already.
    pub fn cosine(&self) -> Result<Then<Ramp, Cosine>, Error> {
        self.cosine_with_min_lr(0.0)
    }

    /// `"cosine_with_restarts"`, with `num_cycles = cycles`.
    ///
    /// Every cycle begins on a whole update, and so at its peak; where `cycles` does not divide the
    /// length, some cycles are one update longer than others. There, they begin between updates, and
    /// peaks are missed.
    ///
    /// # Errors
    /// If `cycles` is not between 1 and 10 000.
    pub fn cosine_with_restarts(&self, cycles: u64) -> Result<Then<Ramp, Sequence<Cosine>>, Error> {
        let fits = (1..=10_000).contains(&cycles);
        let cycles = Param(NAME, "cycles").must(fits, "between 1 and 10000", cycles)?;
        let begin = |i: u64| (u128::from(self.rest()) * u128::from(i) / u128::from(cycles)) as u64;
        let phases = (0..cycles).map(|i| {
            let over = begin(i + 1) - begin(i);
            Ok((over, Cosine::new(self.rate, 0.0, over)?))
        });
        self.warmed(Sequence::of(phases.collect::<Result<Vec<_>, Error>>()?)?)
    }

    /// `"polynomial"`. The defaults there are an end of 10⁻⁷ and a power of 1.
    ///
    /// # Errors
    /// If `end` is not finite, or `power` is negative or not finite.
    pub fn polynomial(&self, end: f64, power: f64) -> Result<Then<Ramp, Polynomial>, Error> {
        self.warmed(Polynomial::new(self.rate, end, self.rest())?.power(power)?)
    }

    /// `"inverse_sqrt"`, with the warm-up for its timescale, or 10 000 without one.
    ///
    /// # Errors
    /// None that [`new`](Self::new) has not found already.
    pub fn inverse_sqrt(&self) -> Result<Then<Ramp, InverseSqrt>, Error> {
        let timescale = if self.warm_up == 0 { 10_000 } else { self.warm_up };
        self.warmed(InverseSqrt::new(self.rate, timescale)?)
    }

    /// `"cosine_with_min_lr"`, with `min_lr = end`.
    ///
    /// # Errors
    /// If `end` is not finite.
    pub fn cosine_with_min_lr(&self, end: f64) -> Result<Then<Ramp, Cosine>, Error> {
        self.warmed(Cosine::new(self.rate, end, self.rest())?)
    }

    /// `"cosine_warmup_with_min_lr"`, with `min_lr = end`: the same, one update ahead, so that the
    /// first update already moves, and the minimum is reached at `total − 1`.
    ///
    /// # Errors
    /// If `end` is not finite.
    pub fn cosine_warmup_with_min_lr(
        &self,
        end: f64,
    ) -> Result<Advance<Then<Ramp, Cosine>>, Error> {
        Ok(self.cosine_with_min_lr(end)?.advance(1))
    }

    /// `"warmup_stable_decay"`, with `num_decay_steps = decay`, and a decay by half a cosine to 0.
    /// [`Wsd`] has setters for `decay_type`, `warmup_type` and `min_lr_ratio`.
    ///
    /// # Errors
    /// If warm-up and decay are longer than the run.
    pub fn warmup_stable_decay(&self, decay: u64) -> Result<Wsd, Error> {
        let wsd = Wsd::new(self.rate, self.total)?.warm_up(self.warm_up)?.decay(decay)?;
        wsd.shape(Anneal::Cosine)
    }

    /// `"reduce_lr_on_plateau"`: `plateau` is the handle to tell the metrics.
    ///
    /// # Errors
    /// None that [`new`](Self::new) has not found already.
    pub fn reduce_lr_on_plateau(
        &self,
        plateau: &Plateau,
    ) -> Result<Times<Constant, Plateau>, Error> {
        Ok(self.constant()?.times(plateau.clone()))
    }

    /// `"greedy"`: `greedy` is the handle to tell the metrics.
    ///
    /// # Errors
    /// None that [`new`](Self::new) has not found already.
    pub fn greedy(&self, greedy: &Greedy) -> Result<Times<Constant, Greedy>, Error> {
        Ok(self.constant()?.times(greedy.clone()))
    }

    /// The schedule of this name, with the defaults that it has there.
    ///
    /// # Errors
    /// If there is none of that name, or it is one of the four that need more than a name:
    /// `cosine_with_min_lr` and `cosine_warmup_with_min_lr`, `reduce_lr_on_plateau` and `greedy`. A
    /// `warmup_stable_decay` decays over a fifth of the run.
    pub fn by_name(&self, name: &str) -> Result<Boxed, Error> {
        Ok(match name {
            "constant" => self.constant()?.boxed(),
            "constant_with_warmup" => self.constant_with_warmup()?.boxed(),
            "linear" => self.linear()?.boxed(),
            "cosine" => self.cosine()?.boxed(),
            "cosine_with_restarts" => self.cosine_with_restarts(1)?.boxed(),
            "polynomial" => self.polynomial(1e-7, 1.0)?.boxed(),
            "inverse_sqrt" => self.inverse_sqrt()?.boxed(),
            "warmup_stable_decay" => {
                self.warmup_stable_decay((self.total / 5).min(self.rest()))?.boxed()
            }
            other => {
                let must = "constant, constant_with_warmup, linear, cosine, cosine_with_restarts, \
                            polynomial, inverse_sqrt or warmup_stable_decay; others have a method";
                return Err(Error::parameter(NAME, "by_name", must, format_args!("{other:?}")));
            }
        })
    }
}
