//! The one-cycle schedule.

use super::Anneal;
use crate::Error;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::{lerp, progress};

/// One-cycle schedule: up to the peak and down to almost zero, over the whole run.
///
/// ```text
/// two phases     start ─► peak (at `peak_at`) ─► end (at `over`)
/// three phases   start ─► peak (at `peak_at`) ─► start (at `back_at`) ─► end (at `over`)
/// ```
///
/// All phases have the same [shape](Self::shape). `over` is a length in updates; `peak_at` and `back_at` are
/// update indices.
///
/// Defaults: two phases, half cosines, the peak at 30 % of the run, `start = peak/25` and
/// `end = start/10⁴`.
///
/// Edges: `at(0) = start`, `at(peak_at) = peak` and `at(over) = end`, exactly; `end` is held past the
/// end. Phases may have zero length: with the peak at 0, the run starts at the peak.
///
/// Source: Smith & Topin 2018 (arXiv 1708.07120). Agrees with optax `cosine_onecycle_schedule` and,
/// with [`back_at`](Self::back_at) at 85 %, `linear_onecycle_schedule`. torch's `OneCycleLR` with
/// `total_steps = T` corresponds to `over = T − 1` with the peak at `pct_start·T − 1`, which torch hits only if
/// that is a whole number; one step past its end, torch's schedule climbs again or goes negative.
///
/// ```
/// use evenkeel::schedule::{OneCycle, Schedule};
///
/// let rate = OneCycle::new(1.0, 1000)?;
/// assert_eq!((rate.at(0), rate.at(300), rate.at(1000)), (0.04, 1.0, 4e-6));
/// assert_eq!(rate.at(u64::MAX), 4e-6);
///
/// let (rate, momentum) = rate.with_momentum(0.95, 0.85)?;
/// assert_eq!((rate.at(300), momentum.at(0), momentum.at(300)), (1.0, 0.95, 0.85));
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "OneCycleLR")]
#[doc(alias = "fit_one_cycle")]
#[doc(alias = "linear_onecycle_schedule")]
#[doc(alias = "cosine_onecycle_schedule")]
pub struct OneCycle {
    pub(in crate::schedule) from: f64,
    pub(in crate::schedule) peak: f64,
    pub(in crate::schedule) to: f64,
    pub(in crate::schedule) over: u64,
    pub(in crate::schedule) peak_at: u64,
    pub(in crate::schedule) back_at: Option<u64>,
    pub(in crate::schedule) shape: Anneal,
}

impl OneCycle {
    /// Creates a cycle with a peak of `peak`, `over` updates long.
    ///
    /// # Errors
    /// If `peak` is not finite.
    pub fn new(peak: f64, over: u64) -> Result<Self, Error> {
        let peak = Param("OneCycle", "peak").finite(peak)?;
        Ok(Self {
            from: peak / 25.0,
            peak,
            to: peak / 25.0 / 1e4,
            over,
            peak_at: (u128::from(over) * 3 / 10) as u64,
            back_at: None,
            shape: Anneal::Cosine,
        })
    }

    /// Sets `start = peak/start_div` and `end = start/end_div`, like torch's `div_factor` and
    /// `final_div_factor`. fastai's defaults are 25 and 4000.
    ///
    /// # Errors
    /// If a divisor is not positive and finite, or a quotient is not finite.
    pub fn div_factors(self, start_div: f64, end_div: f64) -> Result<Self, Error> {
        let start_div = Param("OneCycle", "start_div").positive(start_div)?;
        let end_div = Param("OneCycle", "end_div").positive(end_div)?;
        let start = self.peak / start_div;
        self.from(start)?.to(start / end_div)
    }

    /// Sets the value at the start.
    ///
    /// # Errors
    /// If it is not finite.
    pub fn from(mut self, start: f64) -> Result<Self, Error> {
        self.from = Param("OneCycle", "from").finite(start)?;
        Ok(self)
    }

    /// Sets the value at the end.
    ///
    /// # Errors
    /// If it is not finite.
    pub fn to(mut self, end: f64) -> Result<Self, Error> {
        self.to = Param("OneCycle", "to").finite(end)?;
        Ok(self)
    }

    /// Sets the update of the peak.
    ///
    /// # Errors
    /// If it is past the end, or past the end of the second of three phases.
    pub fn peak_at(mut self, update: u64) -> Result<Self, Error> {
        let last = self.back_at.unwrap_or(self.over);
        let must = format_args!("at most {last}");
        self.peak_at = Param("OneCycle", "peak_at").must(update <= last, must, update)?;
        Ok(self)
    }

    /// Selects three phases: down to the start value in as many updates as the rise took, then on to the end
    /// value. Uses the peak's update as set at the time of the call.
    #[must_use]
    pub fn three_phase(mut self) -> Self {
        self.back_at = Some(self.peak_at.saturating_mul(2).min(self.over));
        self
    }

    /// Selects three phases: back to the start value at `update`, then on to the end value.
    ///
    /// # Errors
    /// If it is before the peak, or past the end.
    pub fn back_at(mut self, update: u64) -> Result<Self, Error> {
        let (peak, over) = (self.peak_at, self.over);
        let must = format_args!("between the peak, {peak}, and the end, {over}");
        let fits = peak <= update && update <= over;
        self.back_at = Some(Param("OneCycle", "back_at").must(fits, must, update)?);
        Ok(self)
    }

    /// Sets the shape of every phase, for example [`Anneal::Linear`].
    ///
    /// # Errors
    /// If the shape's parameter is out of range.
    pub fn shape(mut self, shape: Anneal) -> Result<Self, Error> {
        self.shape = shape.checked("OneCycle")?;
        Ok(self)
    }

    /// Returns this curve for the rate, and its mirror image for the momentum: `high` at the start and at the
    /// end, `low` at the peak of the rate. In a third phase the momentum stays at `high`.
    ///
    /// Source: Smith 2018 (arXiv 1803.09820), section 4.3. torch's and fastai's momenta are 0.95 and
    /// 0.85.
    ///
    /// # Errors
    /// If a momentum is not at least 0 and below 1.
    pub fn with_momentum(self, high: f64, low: f64) -> Result<(Self, Self), Error> {
        let param = Param("OneCycle", "with_momentum");
        let (high, low) = (param.below_one(high)?, param.below_one(low)?);
        Ok((self, Self { from: high, peak: low, to: high, ..self }))
    }
}

impl Schedule for OneCycle {
    fn at(&self, t: u64) -> f64 {
        let Self { from, peak, to, over, peak_at, back_at, shape } = *self;
        let falling = |a: f64, b: f64, begin: u64, end: u64| {
            lerp(b, a, shape.weight(progress(t - begin, end - begin)))
        };
        match back_at {
            _ if t >= over => to,
            // Also if the fall from the peak has zero length.
            Some(_) if t == peak_at => peak,
            _ if t < peak_at => lerp(from, peak, shape.rise(progress(t, peak_at))),
            None => falling(peak, to, peak_at, over),
            Some(back) if t < back => falling(peak, from, peak_at, back),
            Some(back) => falling(from, to, back, over),
        }
    }
}
