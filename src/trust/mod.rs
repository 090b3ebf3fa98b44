//! Trust regions: bound each step by how far the model's outputs may move.
//!
//! A [`TrustRegion`] is a [bound](crate::bound) that measures the effect of a step: it tries the optimizer's own
//! step on a copy of the model and compares the outputs. It therefore accounts for curvature and depth, whatever
//! the architecture and the optimizer.

mod distance;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use std::collections::HashSet;

use crate::bound::{Cadence, Direction, Memory, StepBound};
use crate::checkpoint::State;
use crate::error::check::Param as Named;
use crate::monitor::{any_gradient, numbers, one_number};
use crate::optim::{ModelOptimizer, StepArgs};
use crate::shared::Shared;
use crate::{Error, Parameter, Reading, Verdict};
use distance::Distance;

/// Bounds the rate by how far a step moves the outputs of the model on the current batch.
///
/// ```text
/// mean_kl(δ)         mean over rows of KL(softmax z ‖ softmax z′) ≤ δ              δ = 0.01 to 0.03
/// binary_kl(δ)       the same for independent binary outputs, summed over columns
/// worst_sample(r)    max over rows of (max_k Δz_k − min_k Δz_k) ≤ r·π                r = 0.3 to 1
/// residual(c)        rms(Δz) ≤ c·rms(z − y)                                          c = 0.1 to 0.3
/// ```
///
/// `z` are the outputs before the step, `z′ = z + Δz` the outputs after it, and `y` the targets of a regression.
/// The step is the optimizer's own, momentum and preconditioner included: a copy of the optimizer makes it on a
/// copy of the model, at the rate of the last bound, and repeats it while the rate is off by more than 3 %. Both
/// models are evaluated in inference mode, where BatchNorm uses its running statistics and dropout is disabled
/// and draws no random numbers.
///
/// Like a [`Governor`](crate::curvature::Governor), it is passed to a [`Keel`](crate::Keel) as a
/// [bound](crate::bound) and watches the model before each step; clones share their measurements. If the step of
/// a batch is not applied, its measurement is dropped. It measures at each of the first 40 updates, then at every
/// tenth and after a loss more than twice the mean of recent losses. The bound falls at once and grows by at most
/// a factor of 1.3 per measurement.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::nn::loss::CrossEntropyLossConfig;
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Int, Tensor};
/// use evenkeel::Keel;
/// use evenkeel::optim::Adam;
/// use evenkeel::trust::TrustRegion;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::default().autodiff();
/// let mut model = LinearConfig::new(2, 2).init(&device);
/// let trust = TrustRegion::mean_kl(0.03)?;
/// let mut keel = Keel::wrap(Adam::new()).bound(trust.clone()).build(&model)?;
///
/// let x = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, -1.0]], &device);
/// let y = Tensor::<1, Int>::from_ints([0, 1], &device);
/// for _ in 0..20 {
///     let loss = CrossEntropyLossConfig::new().init(&device).forward(model.forward(x.clone()), y.clone());
///     let grads = GradientsParams::from_grads(loss.backward(), &model);
///     // In inference mode: with inputs on the device without autodiff.
///     let plain = x.clone().inner();
///     trust.watch(keel.updates(), &model, &grads, || keel.optimizer(), |model| model.forward(plain.clone()))?;
///     // Any rate will do.
///     model = keel.step(1e9, model, grads, &loss)?.model;
/// }
/// assert!(trust.rate_at_most().unwrap() < 1e9);
/// # Ok(())
/// # }
/// ```
///
/// # Shapes
/// Outputs are `[rows, classes]`: flatten logits of higher rank, and if there is padding, select the rows that
/// count. For [`residual`](Self::residual), pass the outputs minus the targets.
///
/// # Limitations
/// It sees the current batch only: a step that suits this batch may still be wrong for others. In deep networks
/// with momentum, the [`Governor`](crate::curvature::Governor) is the better bound.
///
/// # Edges
/// A step that moves no output is not bounded, and the bound grows. A step that produces non-finite outputs
/// lowers the bound a hundredfold. The trial step is made without clips. For plain descent, the bound is raised
/// accordingly, divided by the share of the gradient that they keep; with momentum, it is lower than necessary
/// where they clip heavily.
///
/// # Cost
/// When a measurement is due: a forward pass for the outputs before the step, and one to five updates of copies,
/// each with a forward pass and a readback; usually one or two. When none is due: nothing.
///
/// Source: for the divergence, the trust regions of TRPO (Schulman et al. 2015, arXiv 1502.05477) and of K-FAC's
/// KL clipping (Ba et al. 2017); for the worst sample, Sao 2026 (arXiv 2603.13552): beyond π, no Taylor model of
/// the cross entropy holds.
#[derive(Debug, Clone)]
#[doc(alias = "kl_clip")]
#[doc(alias = "target_kl")]
pub struct TrustRegion {
    distance: Distance,
    limit: f64,
    cadence: Cadence,
    growth: f64,
    /// Whether a step shrinks by the same factor as the clips shrink the gradient, as it does without momentum.
    follows: bool,
    memory: Shared<Memory>,
}

const NAME: &str = "TrustRegion";

/// The rate that is tried first.
const START: f64 = 1e-3;

/// The maximum number of rates tried per measurement, and how near its trial rate a result must be to be
/// accepted.
const ROUNDS: usize = 5;
const NEAR: f64 = 1.03;

/// The maximum factor by which the rate changes from one trial to the next.
const MOST: f64 = 100.0;

impl TrustRegion {
    /// Bounds the mean over rows of the divergence of the predicted classes by `delta`.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn mean_kl(delta: f64) -> Result<Self, Error> {
        Ok(Self::of(Distance::MeanKl, Named(NAME, "mean_kl").positive(delta)?))
    }

    /// Bounds the divergence of columns that are independent binary outputs, given as logits, by `delta`: the
    /// mean over rows of the sum over columns.
    ///
    /// # Errors
    /// If `delta` is not positive and finite.
    pub fn binary_kl(delta: f64) -> Result<Self, Error> {
        Ok(Self::of(Distance::BinaryKl, Named(NAME, "binary_kl").positive(delta)?))
    }

    /// Bounds how far the outputs of the worst row move apart, by `share·π`.
    ///
    /// # Errors
    /// If `share` is not positive and finite.
    pub fn worst_sample(share: f64) -> Result<Self, Error> {
        let limit = Named(NAME, "worst_sample").positive(share)? * std::f64::consts::PI;
        Ok(Self::of(Distance::WorstSample, limit))
    }

    /// Bounds how far the outputs of a regression move, by `share` times their distance from the targets. The
    /// watched function must return the outputs minus the targets.
    ///
    /// # Errors
    /// If `share` is not positive and finite.
    pub fn residual(share: f64) -> Result<Self, Error> {
        Ok(Self::of(Distance::Residual, Named(NAME, "residual").positive(share)?))
    }

    /// Bounds a custom distance between the outputs before and after a step, by `limit`. The distance is a single
    /// number, which for small steps grows as the rate to the power of `power`: 1 for differences, 2 for
    /// divergences and squares.
    ///
    /// # Errors
    /// If `limit` or `power` is not positive and finite.
    pub fn by(
        limit: f64,
        power: f64,
        distance: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<1> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let limit = Named(NAME, "limit").positive(limit)?;
        let power = Named(NAME, "power").positive(power)?;
        Ok(Self::of(Distance::Own(std::sync::Arc::new(distance), power), limit))
    }

    fn of(distance: Distance, limit: f64) -> Self {
        let cadence = Cadence { dense: 40, every: 10 };
        let memory = Shared::default();
        Self { distance, limit, cadence, growth: 1.3, follows: false, memory }
    }

    /// Sets the number of initial updates at which it measures every time.
    #[must_use]
    pub fn dense_over(mut self, updates: u64) -> Self {
        self.cadence.dense = updates;
        self
    }

    /// Sets how many updates lie between measurements after that.
    ///
    /// # Errors
    /// If it is 0.
    pub fn every(mut self, updates: u64) -> Result<Self, Error> {
        self.cadence.every = Named(NAME, "every").at_least(1, updates)?;
        Ok(self)
    }

    /// Returns the highest rate allowed now; `None` before the first measurement.
    #[must_use]
    pub fn rate_at_most(&self) -> Option<f64> {
        self.memory.with(|memory| memory.now().cap)
    }

    /// Returns the number of measurements so far.
    #[must_use]
    pub fn measurements(&self) -> u64 {
        self.memory.with(|memory| memory.now().measured)
    }

    /// Returns whether it would measure before this update.
    #[must_use]
    pub fn is_due(&self, update: u64) -> bool {
        let most = self.rate_at_most();
        self.memory.with(|memory| memory.is_due(update, most, self.cadence))
    }

    /// Measures, if a measurement is due before `update`, and updates the bound. `grads` are the gradients that
    /// the step will follow, not scaled; `optimizer` returns a copy of the optimizer, as
    /// [`Keel::optimizer`](crate::Keel::optimizer) does; `outputs` computes the outputs of a model in inference
    /// mode, for the same batch each time.
    ///
    /// # Errors
    /// If no parameter of `model` has a gradient, the distance is not one number, or the device cannot be read.
    pub fn watch<M: Module + 'static>(
        &self,
        update: u64,
        model: &M,
        grads: &GradientsParams,
        optimizer: impl Fn() -> Box<dyn ModelOptimizer<M>>,
        outputs: impl Fn(&M) -> Tensor<2>,
    ) -> Result<(), Error> {
        if !self.is_due(update) {
            return Ok(());
        }
        any_gradient(model, grads).map_err(|why| why.of(NAME))?;
        let before = outputs(&model.valid());
        let mut rate = self.rate_at_most().unwrap_or(START);
        for _ in 0..ROUNDS {
            // The norm is irrelevant: nothing is decided by it here.
            let args = StepArgs::new(rate, 1.0, f64::MAX);
            let after = optimizer().update(args, model.clone(), copied(model, grads));
            let distance = self.distance.between(before.clone(), outputs(&after.valid()));
            one_number("distance", &distance).map_err(|why| why.of(NAME))?;
            let distance = numbers(distance)?.first().copied().unwrap_or(f64::NAN);
            let by = (self.limit / distance.max(0.0)).powf(1.0 / self.distance.power());
            let by = if by.is_nan() { 1.0 / MOST } else { by.clamp(1.0 / MOST, MOST) };
            rate = (rate * by).clamp(f64::MIN_POSITIVE, f64::MAX);
            if (1.0 / NEAR..=NEAR).contains(&by) {
                break;
            }
        }
        let next = |cap: Option<f64>| Some(cap.map_or(rate, |cap| rate.min(self.growth * cap)));
        self.memory.with(|memory| memory.measured(update, next));
        Ok(())
    }
}

impl StepBound for TrustRegion {
    fn start(&mut self, parameters: &[Parameter]) -> Result<(), Error> {
        let plain = |of: &Parameter| {
            matches!(of.direction, Some(Direction::Gradient { momentum: 0.0, .. }))
        };
        self.follows = parameters.iter().filter(|parameter| parameter.trainable).all(plain);
        Ok(())
    }

    fn looks_at_direction(&self) -> bool {
        true
    }

    fn rate_at_most(&self, _: &Reading, left: f64) -> Option<f64> {
        let cap = self.rate_at_most()?;
        Some(if self.follows && left > 0.0 { cap / left } else { cap })
    }

    fn record(&mut self, now: &Reading, _: f64, ruling: Verdict) {
        self.memory.record(now, ruling);
    }

    /// The bound is the lower of the current and the earlier one.
    fn rewound(&mut self, then: &State) -> Result<(), Error> {
        self.memory.rewound(then)
    }

    fn name(&self) -> &str {
        NAME
    }

    fn state(&self) -> State {
        self.memory.state()
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        self.memory.restore(state)
    }
}

/// Copies the gradients, because an update consumes them.
fn copied<M: Module>(model: &M, grads: &GradientsParams) -> GradientsParams {
    struct Copy<'a>(&'a GradientsParams, GradientsParams, HashSet<ParamId>);

    impl ModuleVisitor for Copy<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.2.insert(param.id)
                && let Some(grad) = self.0.get::<D>(param.id)
            {
                self.1.register(param.id, grad);
            }
        }
    }

    let mut copy = Copy(grads, GradientsParams::new(), HashSet::new());
    model.visit(&mut copy);
    copy.1
}
