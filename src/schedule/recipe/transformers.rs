//! The schedules of Hugging Face's transformers, under their original names.

use super::rest;
use crate::Error;
use crate::error::check::Param;
use crate::schedule::{
    Advance, Anneal, Boxed, Constant, Cosine, Greedy, InverseSqrt, Plateau, Polynomial, Ramp,
    Schedule, Sequence, Then, Times, Wsd,
};

/// The schedules of `get_scheduler` in Hugging Face's transformers, under the same names.
///
/// `rate` is the optimizer's learning rate in transformers. `warmup` and `total` are lengths in updates
/// (`num_warmup_steps`, `num_training_steps`); `total` includes the warmup.
///
/// The values agree, except past the end: in transformers, `cosine`, `cosine_with_min_lr` and
/// `cosine_warmup_with_min_lr` climb again, whereas here they hold their last value.
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
#[doc(alias = "get_scheduler")]
pub struct Transformers {
    rate: f64,
    warmup: u64,
    total: u64,
}

const NAME: &str = "Transformers";

impl Transformers {
    /// Creates the recipes for a run of `total` updates.
    ///
    /// # Errors
    /// If `rate` is not finite, or the warmup is longer than the run.
    pub fn new(rate: f64, warmup: u64, total: u64) -> Result<Self, Error> {
        rest(NAME, warmup, total)?;
        Ok(Self { rate: Param(NAME, "rate").finite(rate)?, warmup, total })
    }

    /// Returns what the warmup leaves of the run.
    fn rest(&self) -> u64 {
        self.total - self.warmup
    }

    fn warmed<S: Schedule>(&self, next: S) -> Result<Then<Ramp, S>, Error> {
        Ok(Ramp::new(0.0, self.rate, self.warmup)?.then(self.warmup, next))
    }

    /// Returns the `"constant"` schedule, which has no warmup.
    ///
    /// # Errors
    /// None: [`new`](Self::new) has already ruled them out.
    pub fn constant(&self) -> Result<Constant, Error> {
        Constant::new(self.rate)
    }

    /// Returns the `"constant_with_warmup"` schedule.
    ///
    /// # Errors
    /// None: [`new`](Self::new) has already ruled them out.
    pub fn constant_with_warmup(&self) -> Result<Ramp, Error> {
        Ramp::new(0.0, self.rate, self.warmup)
    }

    /// Returns the `"linear"` schedule.
    ///
    /// # Errors
    /// None: [`new`](Self::new) has already ruled them out.
    pub fn linear(&self) -> Result<Then<Ramp, Ramp>, Error> {
        self.warmed(Ramp::new(self.rate, 0.0, self.rest())?)
    }

    /// Returns the `"cosine"` schedule, with half a wave.
    ///
    /// # Errors
    /// None: [`new`](Self::new) has already ruled them out.
    pub fn cosine(&self) -> Result<Then<Ramp, Cosine>, Error> {
        self.cosine_with_min_lr(0.0)
    }

    /// Returns the `"cosine_with_restarts"` schedule, with `num_cycles = cycles`.
    ///
    /// Every cycle begins on a whole update, and so at its peak; if `cycles` does not divide the
    /// length, some cycles are one update longer than others. In transformers, such cycles begin between
    /// updates, and peaks are missed.
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

    /// Returns the `"polynomial"` schedule. The defaults in transformers are an end of 10⁻⁷ and a power of 1.
    ///
    /// # Errors
    /// If `end` is not finite, or `power` is negative or not finite.
    pub fn polynomial(&self, end: f64, power: f64) -> Result<Then<Ramp, Polynomial>, Error> {
        self.warmed(Polynomial::new(self.rate, end, self.rest())?.power(power)?)
    }

    /// Returns the `"inverse_sqrt"` schedule. Its timescale is the length of the warmup, or 10 000 without a warmup.
    ///
    /// # Errors
    /// None: [`new`](Self::new) has already ruled them out.
    pub fn inverse_sqrt(&self) -> Result<Then<Ramp, InverseSqrt>, Error> {
        let timescale = if self.warmup == 0 { 10_000 } else { self.warmup };
        self.warmed(InverseSqrt::new(self.rate, timescale)?)
    }

    /// Returns the `"cosine_with_min_lr"` schedule, with `min_lr = end`.
    ///
    /// # Errors
    /// If `end` is not finite.
    pub fn cosine_with_min_lr(&self, end: f64) -> Result<Then<Ramp, Cosine>, Error> {
        self.warmed(Cosine::new(self.rate, end, self.rest())?)
    }

    /// Returns the `"cosine_warmup_with_min_lr"` schedule, with `min_lr = end`: `cosine_with_min_lr` one update
    /// ahead, so that the first update already has an effect and the minimum is reached at `total − 1`.
    ///
    /// # Errors
    /// If `end` is not finite.
    pub fn cosine_warmup_with_min_lr(
        &self,
        end: f64,
    ) -> Result<Advance<Then<Ramp, Cosine>>, Error> {
        Ok(self.cosine_with_min_lr(end)?.advance(1))
    }

    /// Returns the `"warmup_stable_decay"` schedule, with `num_decay_steps = decay` and a half-cosine decay to 0.
    /// [`Wsd`] has setters for `decay_type`, `warmup_type` and `min_lr_ratio`.
    ///
    /// # Errors
    /// If warmup and decay together are longer than the run.
    pub fn warmup_stable_decay(&self, decay: u64) -> Result<Wsd, Error> {
        let wsd = Wsd::new(self.rate, self.total)?.warmup(self.warmup)?.decay(decay)?;
        wsd.shape(Anneal::Cosine)
    }

    /// Returns the `"reduce_lr_on_plateau"` schedule. Metrics are recorded through the handle `plateau`.
    ///
    /// # Errors
    /// None: [`new`](Self::new) has already ruled them out.
    pub fn reduce_lr_on_plateau(
        &self,
        plateau: &Plateau,
    ) -> Result<Times<Constant, Plateau>, Error> {
        Ok(self.constant()?.times(plateau.clone()))
    }

    /// Returns the `"greedy"` schedule. Metrics are recorded through the handle `greedy`.
    ///
    /// # Errors
    /// None: [`new`](Self::new) has already ruled them out.
    pub fn greedy(&self, greedy: &Greedy) -> Result<Times<Constant, Greedy>, Error> {
        Ok(self.constant()?.times(greedy.clone()))
    }

    /// Returns the schedule with the given name, with its defaults in transformers.
    ///
    /// `warmup_stable_decay` decays over a fifth of the run.
    ///
    /// # Errors
    /// If there is no schedule with that name, or it is one of the four that need more than a name:
    /// `cosine_with_min_lr`, `cosine_warmup_with_min_lr`, `reduce_lr_on_plateau` and `greedy`.
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
