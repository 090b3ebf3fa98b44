//! Rules for adapting a good learning rate when another setting changes.
//!
//! Each rule keeps one quantity constant, and says which. The result is a starting point, not a final value: a rate
//! that was found for one setting is a guess for another.

use crate::Error;
use crate::error::check::Param;

/// The momentum of SGD: how much of the last step goes into the next.
///
/// ```text
/// v ← μ·v + (1 − d)·g        p ← p − rate·v           plain
///                            p ← p − rate·(g + μ·v)   Nesterov's
/// ```
///
/// with `μ` the momentum and `d` the dampening. For a gradient that stays the same, the step becomes
///
/// ```text
/// gain = (1 − d)/(1 − μ)     or   1 + μ·(1 − d)/(1 − μ)   with Nesterov's
/// ```
///
/// times as long as without momentum, after about `1/(1 − μ)` updates.
///
/// The default dampening is 0.1 in Burn and 0 in PyTorch: with `μ = 0.9`, that is a gain of 9 in Burn and of 10 in
/// PyTorch.
///
/// ```
/// use evenkeel::schedule::tuning::MomentumSettings;
///
/// let gain = |momentum: MomentumSettings| momentum.gain();
/// assert!((gain(MomentumSettings::new(0.9)?) - 10.0).abs() < 1e-12);
/// assert!((gain(MomentumSettings::new(0.9)?.dampening(0.1)?) - 9.0).abs() < 1e-12);
/// assert_eq!(gain(MomentumSettings::none()), 1.0);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MomentumSettings {
    mu: f64,
    dampening: f64,
    nesterov: bool,
}

impl MomentumSettings {
    /// Creates a momentum of `μ`, without dampening.
    ///
    /// # Errors
    /// If `μ` is not at least 0 and below 1.
    pub fn new(mu: f64) -> Result<Self, Error> {
        let mu = Param("MomentumSettings", "mu").below_one(mu)?;
        Ok(Self { mu, dampening: 0.0, nesterov: false })
    }

    /// Creates plain SGD, without momentum.
    #[must_use]
    pub fn none() -> Self {
        Self { mu: 0.0, dampening: 0.0, nesterov: false }
    }

    /// Sets the dampening to `d`.
    ///
    /// # Errors
    /// If `d` is not at least 0 and below 1.
    pub fn dampening(mut self, d: f64) -> Result<Self, Error> {
        self.dampening = Param("MomentumSettings", "dampening").below_one(d)?;
        Ok(self)
    }

    /// Switches to Nesterov's form.
    #[must_use]
    pub fn nesterov(mut self) -> Self {
        self.nesterov = true;
        self
    }

    /// Returns how many times longer steps become.
    #[must_use]
    pub fn gain(&self) -> f64 {
        let heavy = (1.0 - self.dampening) / (1.0 - self.mu);
        match self.nesterov {
            true => 1.0 + self.mu * heavy,
            false => heavy,
        }
    }
}

/// Returns the rate for momentum `to`, given `rate` for momentum `from`: `rate · gain(from)/gain(to)`.
///
/// Kept constant: the effective rate, `rate · gain`, which is the length of the step that a lasting gradient leads to.
///
/// Limits: it says nothing about stability. On a quadratic, momentum `μ` alone is stable up to a rate of `2(1 + μ)/λ`
/// instead of `2/λ`, so that adding momentum at the same effective rate makes training more stable, and removing it
/// less stable. The noise of the gradients is averaged over a longer time, and a schedule's changes take effect later.
///
/// ```
/// use evenkeel::schedule::tuning::{MomentumSettings, rate_for_momentum};
///
/// // A rate of 0.1 was good without momentum.
/// let rate = rate_for_momentum(0.1, MomentumSettings::none(), MomentumSettings::new(0.9)?)?;
/// assert!((rate - 0.01).abs() < 1e-15);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `rate` is negative or not finite.
pub fn rate_for_momentum(
    rate: f64,
    from: MomentumSettings,
    to: MomentumSettings,
) -> Result<f64, Error> {
    Ok(Param("rate_for_momentum", "rate").non_negative(rate)? * from.gain() / to.gain())
}

/// Returns a rate for Adam, given `rate` for SGD: `rate · gain · rms(g)`.
///
/// `gradient` is the root mean square of the gradient's elements, `‖g‖/√n` over `n` parameters, as measured in training
/// with SGD: [`Reading::grad_norm`](crate::Reading::grad_norm) divided by `√n`.
///
/// Kept constant: the size of the update, over all parameters. SGD's update is the effective rate times the gradient,
/// and Adam's is at most about the rate itself in each parameter, whatever the gradient is.
///
/// Limits: it is a starting point, to within a factor of 10. Adam makes small gradients count as much as large ones,
/// which is why it is used, so no rate makes the two equivalent. Where gradients are mostly noise, Adam's updates are
/// shorter than the rate, by a factor of down to `√((1 − β₁)/(1 + β₁))`. Never copy a rate from SGD to Adam unchanged.
///
/// ```
/// use evenkeel::schedule::tuning::{MomentumSettings, adam_from_sgd};
///
/// // The momentum makes steps 10 times as long.
/// let rate = adam_from_sgd(0.1, MomentumSettings::new(0.9)?, 1e-3)?;
/// assert!((rate - 1e-3).abs() < 1e-15);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `rate` or `gradient` is negative or not finite.
pub fn adam_from_sgd(rate: f64, momentum: MomentumSettings, gradient: f64) -> Result<f64, Error> {
    let rate = Param("adam_from_sgd", "rate").non_negative(rate)?;
    let gradient = Param("adam_from_sgd", "gradient").non_negative(gradient)?;
    Ok(rate * momentum.gain() * gradient)
}

/// Returns a rate for SGD, given `rate` for Adam: `rate/(gain · rms(g))`. This is the inverse of [`adam_from_sgd`].
///
/// It has the same limits.
///
/// ```
/// use evenkeel::schedule::tuning::{MomentumSettings, sgd_from_adam};
///
/// let rate = sgd_from_adam(1e-3, MomentumSettings::new(0.9)?, 1e-3)?;
/// assert!((rate - 0.1).abs() < 1e-12);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `rate` is negative or not finite, or `gradient` is not positive and finite.
pub fn sgd_from_adam(rate: f64, momentum: MomentumSettings, gradient: f64) -> Result<f64, Error> {
    let rate = Param("sgd_from_adam", "rate").non_negative(rate)?;
    let gradient = Param("sgd_from_adam", "gradient").positive(gradient)?;
    Ok(rate / (momentum.gain() * gradient))
}

/// Returns the rate of SGD for batches of `to` samples, given `rate` for batches of `from`: `rate · to/from`.
///
/// Kept constant: the distance covered per sample, in one large step instead of several small ones.
///
/// Limits: it holds as long as the rate doesn't change much from one small step to the next, which isn't the case at
/// the start, so use a warmup. It also holds only up to some batch size, from which on larger batches have nothing more
/// to average and the rate is bounded by the curvature. Goyal et al. went from 256 to 8192. The number of updates
/// should shrink by the same factor.
///
/// Source: Goyal et al. 2017 (arXiv 1706.02677), section 2.1.
///
/// ```
/// use evenkeel::schedule::tuning::linear_scaling;
///
/// assert_eq!(linear_scaling(0.1, 256, 8192)?, 3.2);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `rate` is negative or not finite, or a batch is empty.
pub fn linear_scaling(rate: f64, from: u64, to: u64) -> Result<f64, Error> {
    Ok(Param("linear_scaling", "rate").non_negative(rate)? * ratio("linear_scaling", from, to)?)
}

/// Returns the rate for batches of `to` samples, given `rate` for batches of `from`: `rate · √(to/from)`.
///
/// Kept constant: the noise that a step introduces. This is the rule for Adam and its relatives, whose updates don't
/// grow with the gradient; [`AdamSettings::for_batch`] adapts Adam's other settings as well.
///
/// Limits: those of [`linear_scaling`]; for Adam, it also assumes that gradients are mostly noise.
///
/// Source: Krizhevsky 2014 (arXiv 1404.5997), section 5; Malladi et al. 2022 (arXiv 2205.10287) for
/// Adam and RMSProp.
///
/// ```
/// use evenkeel::schedule::tuning::sqrt_scaling;
///
/// assert_eq!(sqrt_scaling(1e-3, 256, 1024)?, 2e-3);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `rate` is negative or not finite, or a batch is empty.
pub fn sqrt_scaling(rate: f64, from: u64, to: u64) -> Result<f64, Error> {
    Ok(Param("sqrt_scaling", "rate").non_negative(rate)? * ratio("sqrt_scaling", from, to)?.sqrt())
}

fn ratio(owner: &'static str, from: u64, to: u64) -> Result<f64, Error> {
    let from = Param(owner, "from").at_least(1, from)?;
    Ok(Param(owner, "to").at_least(1, to)? as f64 / from as f64)
}

/// The settings of Adam that depend on the batch size.
///
/// ```
/// use evenkeel::schedule::tuning::AdamSettings;
///
/// let large = AdamSettings { rate: 1e-3, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8 };
/// let small = large.for_batch(1024, 256)?;
/// assert_eq!((small.rate, small.epsilon), (5e-4, 2e-8));
/// assert!((small.beta_1 - 0.975).abs() < 1e-12 && (small.beta_2 - 0.99975).abs() < 1e-12);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamSettings {
    /// The learning rate.
    pub rate: f64,
    /// The decay of the first moment: the share of the past in it.
    pub beta_1: f64,
    /// The decay of the second moment: the share of the past in it.
    pub beta_2: f64,
    /// The term that prevents a division by 0.
    pub epsilon: f64,
}

impl AdamSettings {
    /// Returns the settings for batches of `to` samples, given these for batches of `from`. With `κ = to/from`, they
    /// are:
    ///
    /// ```text
    /// rate·√κ     1 − κ·(1 − β₁)     1 − κ·(1 − β₂)     ε/√κ
    /// ```
    ///
    /// Kept constant: the stochastic differential equation that Adam follows, that is, the noise of a step and how many
    /// samples its moments remember.
    ///
    /// Source: Malladi et al. 2022 (arXiv 2205.10287), definition 5.3. Its limits are those of
    /// [`sqrt_scaling`].
    ///
    /// ```
    /// use evenkeel::schedule::tuning::AdamSettings;
    ///
    /// let small = AdamSettings { rate: 1e-3, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8 };
    /// let large = small.for_batch(256, 1024)?;
    /// assert!((large.rate - 2e-3).abs() < 1e-15 && (large.beta_1 - 0.6).abs() < 1e-12);
    /// assert_eq!(
    ///     small.for_batch(256, 4096).unwrap_err().to_string(),
    ///     "`to` of AdamSettings must be below 2560, where nothing of the past is left in a moment, got 4096",
    /// );
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a setting is out of range, a batch is empty, or the ratio is so large that a moment would remember less than
    /// one step.
    pub fn for_batch(self, from: u64, to: u64) -> Result<Self, Error> {
        let Self { rate, beta_1, beta_2, epsilon } = self;
        let rate = Param("AdamSettings", "rate").non_negative(rate)?;
        let beta_1 = Param("AdamSettings", "beta_1").below_one(beta_1)?;
        let beta_2 = Param("AdamSettings", "beta_2").below_one(beta_2)?;
        let epsilon = Param("AdamSettings", "epsilon").non_negative(epsilon)?;
        let kappa = ratio("AdamSettings", from, to)?;
        // Moments without memory have none to keep.
        let beta = |beta: f64| if beta == 0.0 { 0.0 } else { 1.0 - kappa * (1.0 - beta) };
        let fits = beta(beta_1) >= 0.0 && beta(beta_2) >= 0.0;
        let most = (from as f64 / (1.0 - beta_1.min(beta_2))).round();
        let must = format_args!("below {most}, where nothing of the past is left in a moment");
        Param("AdamSettings", "to").must(fits, must, to)?;
        Ok(Self {
            rate: rate * kappa.sqrt(),
            beta_1: beta(beta_1),
            beta_2: beta(beta_2),
            epsilon: epsilon / kappa.sqrt(),
        })
    }
}

/// Returns the length of a linear warmup for Adam that needs no tuning: `⌈2/(1 − β₂)⌉` updates.
///
/// This is 2000 for the usual `β₂` of 0.999, and 40 for 0.95.
///
/// Source: Ma & Yarats 2019 (arXiv 1910.04209), section 5; it does about the same as RAdam. Limits: the variance of the
/// second moment is the only thing that it waits for.
///
/// ```
/// use evenkeel::schedule::{Schedule, recipe, tuning};
///
/// let warmup = tuning::untuned_warmup(0.95)?;
/// assert_eq!(warmup, 40);
/// assert_eq!(recipe::warmup_constant(1e-3, warmup)?.at(40), 1e-3);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `beta_2` is not at least 0 and below 1.
pub fn untuned_warmup(beta_2: f64) -> Result<u64, Error> {
    let beta_2 = Param("untuned_warmup", "beta_2").below_one(beta_2)?;
    // In floating point, 2/(1 − 0.999) is slightly above 2000.
    Ok((2.0 / (1.0 - beta_2) - 1e-6).ceil() as u64)
}
