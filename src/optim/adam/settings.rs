//! Settings of the Adam family.

use std::marker::PhantomData;

use super::super::hyper::{HyperParam, Range};
use super::super::kernel::Scaling;
use super::super::rule::Decay;
use super::kind::{Kind, Squares};
use super::{Adam, AdamW, Adaptive, Adopt, NAdam, Spam};
use crate::Error;
use crate::error::check::Param;

impl<K: Kind> Default for Adaptive<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Kind> Adaptive<K> {
    /// Creates the rule with its defaults.
    #[must_use]
    pub fn new() -> Self {
        let has = K::DEFAULTS;
        Self {
            betas: [has.betas.0, has.betas.1].map(|beta| HyperParam::number(beta, Range::Share)),
            epsilon: HyperParam::number(has.epsilon, Range::Positive),
            decay: Decay::new(has.decay, has.decoupled),
            corrected: true,
            amsgrad: false,
            momentum_decay: HyperParam::number(0.004, Range::NonNegative),
            bound: Some(0.25),
            gradient_start: false,
            spam: None,
            scaling: Scaling::default(),
            centralized: false,
            maximize: false,
            kind: PhantomData,
        }
    }

    fn param(name: &'static str) -> Param {
        Param(K::DEFAULTS.name, name)
    }

    pub(in super::super) fn with_momentum_decay(mut self, psi: HyperParam) -> Result<Self, Error> {
        self.momentum_decay = psi.checked(Range::NonNegative, Self::param("momentum_decay"))?;
        Ok(self)
    }

    pub(in super::super) fn with_rms(mut self, threshold: f64) -> Result<Self, Error> {
        self.scaling.rms = Some(Self::param("update_rms_at_most").positive(threshold)?);
        Ok(self)
    }

    /// Sets `β₁`, the share of the first moment that is kept, in `[0, 1)`.
    ///
    /// # Errors
    /// If it is out of range.
    pub fn beta_1(mut self, beta: impl Into<HyperParam>) -> Result<Self, Error> {
        self.betas[0] = beta.into().checked(Range::Share, Self::param("beta_1"))?;
        Ok(self)
    }

    /// Sets `β₂`, the share of the second moment that is kept, in `[0, 1)`.
    ///
    /// For long runs, 0.95 to 0.99 is safer than 0.999: most of Adam's loss spikes come from a second moment that lags
    /// behind a growing gradient.
    ///
    /// # Errors
    /// If it is out of range.
    pub fn beta_2(mut self, beta: impl Into<HyperParam>) -> Result<Self, Error> {
        self.betas[1] = beta.into().checked(Range::Share, Self::param("beta_2"))?;
        Ok(self)
    }

    /// Sets `ε`, added to the root of the second moment; positive.
    ///
    /// If it underflows in the type of the computation, the smallest normal number of that type is used, so nothing is
    /// ever divided by 0.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn epsilon(mut self, epsilon: impl Into<HyperParam>) -> Result<Self, Error> {
        self.epsilon = epsilon.into().checked(Range::Positive, Self::param("epsilon"))?;
        Ok(self)
    }

    /// Sets weight decay `λ`.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn weight_decay(mut self, decay: impl Into<HyperParam>) -> Result<Self, Error> {
        self.decay.rate = decay.into().checked(Range::NonNegative, Self::param("weight_decay"))?;
        Ok(self)
    }

    /// Sets decoupled weight decay of `λ` at the rate `peak`, independent of how high that is: `p ← (1 − λ·γ/peak)·p − …`,
    /// where `γ/peak` is the shape of the schedule
    /// ([Wortsman et al. 2023](https://arxiv.org/abs/2309.14322)).
    ///
    /// The usual decay is `γλ`, so whoever tries another rate tries another decay with it; the best rate then says more
    /// about the decay than about the step. It is the same as [`decoupled`](Self::decoupled) with
    /// [`weight_decay(λ/peak)`](Self::weight_decay). Where a [bound](crate::bound) holds the rate, the decay is held with
    /// it.
    ///
    /// ```
    /// use evenkeel::optim::AdamW;
    ///
    /// let (independent, usual) = (|peak| AdamW::new().independent_weight_decay(1e-3, peak), AdamW::new());
    /// let same = |a: AdamW, b: AdamW| format!("{a:?}") == format!("{b:?}");
    /// assert!(same(independent(0.5)?, usual.clone().weight_decay(2e-3)?));
    /// assert!(same(independent(0.25)?, usual.weight_decay(4e-3)?));
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `λ` is negative or not finite, or `peak` is not a positive finite number.
    pub fn independent_weight_decay(self, decay: f64, peak: f64) -> Result<Self, Error> {
        let name = "independent_weight_decay";
        let decay = Self::param(name).non_negative(decay)?;
        let peak = Param(K::DEFAULTS.name, "peak").positive(peak)?;
        let rate = Self::param(name).non_negative(decay / peak)?;
        self.decoupled().weight_decay(rate)
    }

    /// Decouples weight decay from the gradient: `p ← (1 − γλ)·p − …`.
    #[must_use]
    pub fn decoupled(mut self) -> Self {
        self.decay.decoupled = true;
        self
    }

    /// Couples weight decay to the gradient: `g ← g + λ·p`.
    #[must_use]
    pub fn coupled(mut self) -> Self {
        self.decay.decoupled = false;
        self
    }

    /// Exempts biases and normalization weights from weight decay: all tensors of rank 0 and 1.
    #[must_use]
    pub fn decay_matrices_only(mut self) -> Self {
        self.decay.matrices_only = true;
        self
    }

    /// Leaves the moments biased towards 0. The first steps are then several times longer, as with a higher rate: three
    /// times at the first, with the usual `β`.
    #[must_use]
    pub fn without_bias_correction(mut self) -> Self {
        self.corrected = false;
        self
    }

    /// Keeps only those elements of a step that point along the gradient, and divides them by their share, taken as at
    /// least 0.001: the cautious update ([Liang et al. 2024](https://arxiv.org/abs/2411.16085)). Weight decay is not
    /// affected.
    #[must_use]
    pub fn cautious(mut self) -> Self {
        self.scaling.cautious = true;
        self
    }

    /// Subtracts from the gradient the mean of each unit: gradient centralisation
    /// ([Yong et al. 2020](https://arxiv.org/abs/2004.01461)). A unit is a column of a matrix, which is an output of a
    /// `Linear`, or one index of the first axis of a tensor with more dimensions, which is an output of a convolution.
    /// Vectors are unchanged.
    ///
    /// # Cost
    /// One pass to read the gradient, and one to write another.
    #[must_use]
    pub fn centralized(mut self) -> Self {
        self.centralized = true;
        self
    }

    /// Ascends instead of descending.
    #[must_use]
    pub fn maximize(mut self) -> Self {
        self.maximize = true;
        self
    }
}

impl Adam {
    /// Divides by the largest `√v` so far instead of the current one
    /// ([Reddi et al. 2018](https://arxiv.org/abs/1904.09237)).
    #[must_use]
    pub fn amsgrad(mut self) -> Self {
        self.amsgrad = true;
        self
    }
}

impl AdamW {
    /// Divides by the largest `√v` so far instead of the current one
    /// ([Reddi et al. 2018](https://arxiv.org/abs/1904.09237)).
    #[must_use]
    pub fn amsgrad(mut self) -> Self {
        self.amsgrad = true;
        self
    }
}

impl NAdam {
    /// Sets `ψ`, how fast `μ` rises from `½β₁` to `β₁`.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn momentum_decay(self, psi: impl Into<HyperParam>) -> Result<Self, Error> {
        self.with_momentum_decay(psi.into())
    }
}

impl Adopt {
    /// Removes the bound on the normalized gradient, as in the first version of the paper.
    #[must_use]
    pub fn without_bound(mut self) -> Self {
        self.bound = None;
        self
    }
}

impl<K: Squares> Adaptive<K> {
    /// Shortens the step of a tensor whose gradient has outgrown its second moment: StableAdamW
    /// ([Wortsman et al. 2023](https://arxiv.org/abs/2304.13013)), with a threshold of 1.
    ///
    /// ```text
    /// RMS = √mean(g²/max(v̂, ε²))        γ ← γ/max(1, RMS/threshold)
    /// ```
    ///
    /// Decoupled decay uses the shortened rate too, as in the paper. This does not replace a clip: the moments have
    /// seen the gradient.
    ///
    /// # Errors
    /// If the threshold is not positive and finite.
    #[doc(alias = "StableAdamW")]
    pub fn update_rms_at_most(self, threshold: f64) -> Result<Self, Error> {
        self.with_rms(threshold)
    }

    /// Starts the second moment at the square of the first gradient, and corrects its bias as usual: GI-Adam
    /// ([Kalra & Barkeshli 2024](https://arxiv.org/abs/2406.09405)). The first steps are scaled by `√(1 − β₂ᵗ)`, which
    /// is a warmup in itself.
    #[must_use]
    pub fn gradient_start(mut self) -> Self {
        self.gradient_start = true;
        self
    }

    /// Cuts spikes in single elements, and resets the moments at intervals.
    #[must_use]
    pub fn spam(mut self, spam: Spam) -> Self {
        self.spam = Some(spam);
        self
    }
}
