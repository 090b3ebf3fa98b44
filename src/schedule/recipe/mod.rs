//! Ready-made schedules under familiar names.
//!
//! Each recipe is a few lines of curves and combinators from the parent module. It returns their concrete type,
//! so the result can be adapted where it doesn't fit. Lengths are in updates; `over` is the length of the whole
//! run, including the warmup.
//!
//! | name | what it is | known from |
//! |---|---|---|
//! | [`warmup_constant`] | linear warmup, then constant | transformers `constant_with_warmup` |
//! | [`warmup_linear`] | linear warmup, linear decay | BERT; transformers `linear` |
//! | [`warmup_cosine`] | linear warmup, half-cosine decay | optax, transformers `cosine` |
//! | [`warmup_inverse_sqrt`] | linear warmup, then `1/√t` | fairseq, T5, Megatron |
//! | [`noam`] | the same, scaled by the model size | "Attention is all you need" |
//! | [`wsd`] | warmup, stable phase, decay by `1 − √p` | MiniCPM, Hägele et al. |
//! | [`trapezoid`] | the same with a linear decay | modded-nanogpt |
//! | [`one_cycle`] | up once, down once | fastai, torch |
//! | [`one_cycle_with_momentum`] | the same, with the opposite curve for the momentum | fastai, torch |
//! | [`flat_cosine`] | constant, then half a cosine | fastai `fit_flat_cos` |
//! | [`sgdr`] | cosines with warm restarts | Loshchilov & Hutter |
//! | [`poly`] | polynomial decay of power 0.9 | DeepLab |
//! | [`swa`] | half a cosine to a constant | torch `SWALR` |
//! | [`range_test`] | an exponential sweep with a hard end | fastai, pytorch-lr-finder |
//! | [`Transformers`] | all schedules of `get_scheduler` | transformers |

mod transformers;

pub use transformers::Transformers;

use super::{Anneal, Constant};
use super::{
    Cooldown, Cosine, InverseSqrt, Noam, OneCycle, Past, Polynomial, Ramp, RangeSweep, Schedule,
    Then, Until, WarmRestarts, Wsd,
};
use crate::Error;
use crate::error::check::Param;

/// Returns what the warmup leaves of a run.
fn rest(owner: &'static str, warmup: u64, over: u64) -> Result<u64, Error> {
    let must = format_args!("at most the whole run, {over}");
    Param(owner, "warmup").must(warmup <= over, must, warmup)?;
    Ok(over - warmup)
}

/// Creates a linear warmup from 0 to `peak`, which is then held: `Ramp::new(0.0, peak, warmup)`.
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe};
///
/// let rate = recipe::warmup_constant(1.0, 10)?;
/// assert_eq!([0, 5, 10, 1000].map(|t| rate.at(t)), [0.0, 0.5, 1.0, 1.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `peak` is not finite.
pub fn warmup_constant(peak: f64, warmup: u64) -> Result<Ramp, Error> {
    Ramp::new(0.0, peak, warmup)
}

/// Creates a linear warmup from 0 to `peak`, followed by a linear decay to 0.
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe};
///
/// let rate = recipe::warmup_linear(1.0, 10, 30)?;
/// assert_eq!([0, 5, 10, 20, 30, 31].map(|t| rate.at(t)), [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `peak` is not finite, or the warmup is longer than the run.
#[doc(alias = "get_linear_schedule_with_warmup")]
pub fn warmup_linear(peak: f64, warmup: u64, over: u64) -> Result<Then<Ramp, Ramp>, Error> {
    let rest = rest("warmup_linear", warmup, over)?;
    Ok(Ramp::new(0.0, peak, warmup)?.then(warmup, Ramp::new(peak, 0.0, rest)?))
}

/// Creates a linear warmup from 0 to `peak`, followed by half a cosine to 0.
///
/// For an end above 0, write it out:
/// `Ramp::new(0.0, peak, warmup)?.then(warmup, Cosine::new(peak, end, over - warmup)?)`.
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe};
///
/// let rate = recipe::warmup_cosine(1.0, 10, 30)?;
/// assert_eq!([0, 5, 10, 20, 30, 31].map(|t| rate.at(t)), [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `peak` is not finite, or the warmup is longer than the run.
#[doc(alias = "get_cosine_schedule_with_warmup")]
#[doc(alias = "warmup_cosine_decay_schedule")]
pub fn warmup_cosine(peak: f64, warmup: u64, over: u64) -> Result<Then<Ramp, Cosine>, Error> {
    let rest = rest("warmup_cosine", warmup, over)?;
    Ok(Ramp::new(0.0, peak, warmup)?.then(warmup, Cosine::new(peak, 0.0, rest)?))
}

/// Creates a linear warmup from 0 to `peak`, followed by an inverse square-root decay with the warmup length as its
/// timescale.
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe};
///
/// let rate = recipe::warmup_inverse_sqrt(1.0, 100)?;
/// assert_eq!([0, 50, 100, 400, 1600].map(|t| rate.at(t)), [0.0, 0.5, 1.0, 0.5, 0.25]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `peak` is not finite, or `warmup` is 0.
#[doc(alias = "get_inverse_sqrt_schedule")]
pub fn warmup_inverse_sqrt(peak: f64, warmup: u64) -> Result<Then<Ramp, InverseSqrt>, Error> {
    let warmup = Param("warmup_inverse_sqrt", "warmup").at_least(1, warmup)?;
    Ok(Ramp::new(0.0, peak, warmup)?.then(warmup, InverseSqrt::new(peak, warmup)?))
}

/// Creates the schedule of the original Transformer: [`Noam::new`].
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe};
///
/// let rate = recipe::noam(256, 4096)?;
/// // The peak is 1/√(256·4096).
/// assert_eq!([2047, 4095, 16_383].map(|t| 1024.0 * rate.at(t)), [0.5, 1.0, 0.5]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `model_size` is 0.
pub fn noam(model_size: u64, warmup: u64) -> Result<Noam, Error> {
    Noam::new(model_size, warmup)
}

/// Creates a warmup-stable-decay schedule, with a decay to 0 by `1 − √p` over the last fifth. [`Wsd`] has more options.
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe};
///
/// let rate = recipe::wsd(1.0, 10, 100)?;
/// assert_eq!([0, 5, 10, 80, 85, 100].map(|t| rate.at(t)), [0.0, 0.5, 1.0, 1.0, 0.5, 0.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `peak` is not finite, or the warmup is longer than the run.
pub fn wsd(peak: f64, warmup: u64, over: u64) -> Result<Wsd, Error> {
    Wsd::new(peak, over)?.warmup(warmup)
}

/// Creates a warmup-stable-decay schedule with a linear decay to 0 over the last fifth.
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe};
///
/// let rate = recipe::trapezoid(1.0, 10, 100)?;
/// assert_eq!([5, 10, 80, 85, 90, 100].map(|t| rate.at(t)), [0.5, 1.0, 1.0, 0.75, 0.5, 0.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `peak` is not finite, or the warmup is longer than the run.
pub fn trapezoid(peak: f64, warmup: u64, over: u64) -> Result<Wsd, Error> {
    wsd(peak, warmup, over)?.shape(Anneal::Linear)
}

/// Creates a cycle that rises from `peak/25` over 30 % of the run and then falls to `peak/250000`: [`OneCycle::new`].
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe};
///
/// let rate = recipe::one_cycle(1.0, 1000)?;
/// assert_eq!([0, 300, 1000, 2000].map(|t| rate.at(t)), [0.04, 1.0, 4e-6, 4e-6]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `peak` is not finite.
pub fn one_cycle(peak: f64, over: u64) -> Result<OneCycle, Error> {
    OneCycle::new(peak, over)
}

/// Creates the rate schedule of [`one_cycle`], and a momentum schedule that goes from 0.95 to 0.85 and back.
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe};
///
/// let (rate, momentum) = recipe::one_cycle_with_momentum(1.0, 1000)?;
/// assert_eq!([0, 300, 1000].map(|t| rate.at(t)), [0.04, 1.0, 4e-6]);
/// assert_eq!([0, 300, 1000].map(|t| momentum.at(t)), [0.95, 0.85, 0.95]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `peak` is not finite.
pub fn one_cycle_with_momentum(peak: f64, over: u64) -> Result<(OneCycle, OneCycle), Error> {
    OneCycle::new(peak, over)?.with_momentum(0.95, 0.85)
}

/// Creates a schedule that stays at `rate` for three quarters of the run, followed by half a cosine to `rate/10⁵`.
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe};
///
/// let rate = recipe::flat_cosine(1.0, 80)?;
/// assert_eq!([0, 60, 80, 90].map(|t| rate.at(t)), [1.0, 1.0, 1e-5, 1e-5]);
/// assert!((rate.at(70) - 0.500005).abs() < 1e-12);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `rate` is not finite.
#[doc(alias = "fit_flat_cos")]
pub fn flat_cosine(rate: f64, over: u64) -> Result<Then<Constant, Cosine>, Error> {
    let decay = over / 4;
    Ok(Constant::new(rate)?.then(over - decay, Cosine::new(rate, rate / 1e5, decay)?))
}

/// Creates cosine decays from `peak` to 0 with warm restarts: the first is `first` updates long, and each one is
/// `period_factor` times as long as the one before.
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe};
///
/// let rate = recipe::sgdr(1.0, 10, 2.0)?;
/// // Cycles begin at 0, 10 and 30.
/// assert_eq!([0, 5, 10, 20, 30].map(|t| rate.at(t)), [1.0, 0.5, 1.0, 0.5, 1.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `peak` is not finite, `first` is 0, or `period_factor` is below 1 or not finite.
pub fn sgdr(peak: f64, first: u64, period_factor: f64) -> Result<WarmRestarts, Error> {
    WarmRestarts::new(peak, 0.0, first)?.period_factor(period_factor)
}

/// Creates a polynomial decay to 0 with power 0.9.
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe};
///
/// let rate = recipe::poly(1.0, 100)?;
/// assert_eq!((rate.at(0), rate.at(100)), (1.0, 0.0));
/// assert!((rate.at(50) - 0.5f64.powf(0.9)).abs() < 1e-15);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `from` is not finite.
pub fn poly(from: f64, over: u64) -> Result<Polynomial, Error> {
    Polynomial::new(from, 0.0, over)?.power(0.9)
}

/// Creates a half cosine from the current rate of a run to the rate at which its weights are averaged.
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe};
///
/// let rate = recipe::swa(0.5, 0.25, 10)?;
/// assert_eq!([0, 5, 10, 20].map(|t| rate.at(t)), [0.5, 0.375, 0.25, 0.25]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If a rate is not finite.
#[doc(alias = "SWALR")]
pub fn swa(from: f64, to: f64, over: u64) -> Result<Cooldown, Error> {
    Cooldown::new(from, to, over)?.shape(Anneal::Cosine)
}

/// Creates an exponential sweep through a range of rates. Past its end the value is NaN, so that a
/// [`Keel`](crate::Keel) makes no further update.
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe};
///
/// let rate = recipe::range_test(1e-6, 1.0, 60)?;
/// assert_eq!((rate.at(0), rate.at(60)), (1e-6, 1.0));
/// assert!((rate.at(30) - 1e-3).abs() < 1e-15);
/// assert!(rate.at(61).is_nan());
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If a rate is not positive and finite.
pub fn range_test(from: f64, to: f64, over: u64) -> Result<Until<RangeSweep>, Error> {
    // The rate at `over` is still part of the sweep.
    RangeSweep::exponential(from, to, over)?.until(over.saturating_add(1), Past::Error)
}
