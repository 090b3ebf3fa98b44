//! Schedules by the names that people search for.
//!
//! Each is a few lines of the curves and combinators next door, and returns them with their type, so
//! that it can be changed where it does not fit. Lengths are in updates; `over` is that of the whole
//! run, with the warm-up in it.
//!
//! | name | what it is | known from |
//! |---|---|---|
//! | [`warmup_constant`] | a line up, then level | transformers `constant_with_warmup` |
//! | [`warmup_linear`] | a line up, a line down | BERT; transformers `linear` |
//! | [`warmup_cosine`] | a line up, half a cosine down | optax, transformers `cosine` |
//! | [`warmup_inverse_sqrt`] | a line up, then `1/√t` | fairseq, T5, Megatron |
//! | [`noam`] | the same, scaled by the model's size | "Attention is all you need" |
//! | [`wsd`] | warm-up, stable, decay by `1 − √p` | MiniCPM, Hägele et al. |
//! | [`trapezoid`] | the same, decaying in a line | modded-nanogpt |
//! | [`one_cycle`] | up once and down once | fastai, torch |
//! | [`one_cycle_with_momentum`] | and the momentum the other way | fastai, torch |
//! | [`flat_cosine`] | level, then half a cosine | fastai `fit_flat_cos` |
//! | [`sgdr`] | cosines with warm restarts | Loshchilov & Hutter |
//! | [`poly`] | polynomial decay of power 0.9 | DeepLab |
//! | [`swa`] | half a cosine to a constant | torch `SWALR` |
//! | [`range_test`] | an exponential sweep that ends | fastai, pytorch-lr-finder |
//! | [`Transformers`] | all of `get_scheduler` | transformers |

mod transformers;

pub use transformers::Transformers;

use super::{Anneal, Constant};
use super::{
    Cooldown, Cosine, InverseSqrt, Noam, OneCycle, Past, Polynomial, Ramp, RangeSweep, Schedule,
    Then, Until, WarmRestarts, Wsd,
};
use crate::Error;
use crate::error::check::Param;

/// What the warm-up leaves of a run.
fn rest(owner: &'static str, warm_up: u64, over: u64) -> Result<u64, Error> {
    let must = format_args!("at most the whole run, {over}");
    Param(owner, "warm_up").must(warm_up <= over, must, warm_up)?;
    Ok(over - warm_up)
}

/// A line from 0 to `peak`, which is then held: `Ramp::new(0.0, peak, warm_up)`.
///
/// # Errors
/// If `peak` is not finite.
pub fn warmup_constant(peak: f64, warm_up: u64) -> Result<Ramp, Error> {
    Ramp::new(0.0, peak, warm_up)
}

/// A line from 0 to `peak`, then a line to 0.
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
/// If `peak` is not finite, or the warm-up is longer than the run.
pub fn warmup_linear(peak: f64, warm_up: u64, over: u64) -> Result<Then<Ramp, Ramp>, Error> {
    let rest = rest("warmup_linear", warm_up, over)?;
    Ok(Ramp::new(0.0, peak, warm_up)?.then(warm_up, Ramp::new(peak, 0.0, rest)?))
}

/// A line from 0 to `peak`, then half a cosine to 0.
///
/// For an end above 0 write it out:
/// `Ramp::new(0.0, peak, warm_up)?.then(warm_up, Cosine::new(peak, end, over - warm_up)?)`.
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
/// If `peak` is not finite, or the warm-up is longer than the run.
pub fn warmup_cosine(peak: f64, warm_up: u64, over: u64) -> Result<Then<Ramp, Cosine>, Error> {
    let rest = rest("warmup_cosine", warm_up, over)?;
    Ok(Ramp::new(0.0, peak, warm_up)?.then(warm_up, Cosine::new(peak, 0.0, rest)?))
}

/// A line from 0 to `peak`, then an inverse square root with the warm-up for its timescale.
///
/// # Errors
/// If `peak` is not finite, or `warm_up` is 0.
pub fn warmup_inverse_sqrt(peak: f64, warm_up: u64) -> Result<Then<Ramp, InverseSqrt>, Error> {
    let warm_up = Param("warmup_inverse_sqrt", "warm_up").at_least(1, warm_up)?;
    Ok(Ramp::new(0.0, peak, warm_up)?.then(warm_up, InverseSqrt::new(peak, warm_up)?))
}

/// The rate of the first Transformer: [`Noam::new`].
///
/// # Errors
/// If `model_size` is 0.
pub fn noam(model_size: u64, warm_up: u64) -> Result<Noam, Error> {
    Noam::new(model_size, warm_up)
}

/// Warm-up, stable, decay: to 0 by `1 − √p` over the last fifth. [`Wsd`] has more to set.
///
/// # Errors
/// If `peak` is not finite, or the warm-up is longer than the run.
pub fn wsd(peak: f64, warm_up: u64, over: u64) -> Result<Wsd, Error> {
    Wsd::new(peak, over)?.warm_up(warm_up)
}

/// Warm-up, stable, and a line to 0 over the last fifth.
///
/// # Errors
/// If `peak` is not finite, or the warm-up is longer than the run.
pub fn trapezoid(peak: f64, warm_up: u64, over: u64) -> Result<Wsd, Error> {
    wsd(peak, warm_up, over)?.shape(Anneal::Linear)
}

/// Up from `peak/25` over 30 % of the run, and down to `peak/250000`: [`OneCycle::new`].
///
/// # Errors
/// If `peak` is not finite.
pub fn one_cycle(peak: f64, over: u64) -> Result<OneCycle, Error> {
    OneCycle::new(peak, over)
}

/// The rate of [`one_cycle`], and a momentum that goes from 0.95 to 0.85 and back.
///
/// # Errors
/// If `peak` is not finite.
pub fn one_cycle_with_momentum(peak: f64, over: u64) -> Result<(OneCycle, OneCycle), Error> {
    OneCycle::new(peak, over)?.with_momentum(0.95, 0.85)
}

/// `rate` for three quarters of the run, then half a cosine to `rate/10⁵`.
///
/// # Errors
/// If `rate` is not finite.
pub fn flat_cosine(rate: f64, over: u64) -> Result<Then<Constant, Cosine>, Error> {
    let decay = over / 4;
    Ok(Constant::new(rate)?.then(over - decay, Cosine::new(rate, rate / 1e5, decay)?))
}

/// Cosines from `peak` to 0, the first of them `first` updates long, and every one `period_factor`
/// times as long as the one before.
///
/// # Errors
/// If `peak` is not finite, `first` is 0, or `period_factor` is below 1 or not finite.
pub fn sgdr(peak: f64, first: u64, period_factor: f64) -> Result<WarmRestarts, Error> {
    WarmRestarts::new(peak, 0.0, first)?.period_factor(period_factor)
}

/// Polynomial decay of power 0.9 to 0.
///
/// # Errors
/// If `from` is not finite.
pub fn poly(from: f64, over: u64) -> Result<Polynomial, Error> {
    Polynomial::new(from, 0.0, over)?.power(0.9)
}

/// Half a cosine from the rate that a run has to the one that its weights are averaged at.
///
/// # Errors
/// If a rate is not finite.
pub fn swa(from: f64, to: f64, over: u64) -> Result<Cooldown, Error> {
    Cooldown::new(from, to, over)?.shape(Anneal::Cosine)
}

/// An exponential sweep through a range of rates. Past its end it is NaN, so that a
/// [`Keel`](crate::Keel) makes no further update.
///
/// # Errors
/// If a rate is not positive and finite.
pub fn range_test(from: f64, to: f64, over: u64) -> Result<Until<RangeSweep>, Error> {
    // The rate at `over` is still one of the sweep.
    RangeSweep::exponential(from, to, over)?.until(over.saturating_add(1), Past::Error)
}
