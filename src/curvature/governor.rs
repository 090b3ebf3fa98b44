//! A governor: caps the rate by the curvature along the gradient.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::space::{gradient, moved, step};
use crate::bound::{Cadence, Memory, StepBound};
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::monitor::{Side, any_gradient, dots};
use crate::shared::Shared;
use crate::{Error, Reading, Verdict};

/// Caps the rate of [`Sgd`](crate::optim::Sgd) and [`Momentum`](crate::optim::Momentum) at what the curvature
/// along the gradient currently allows.
///
/// ```text
/// q = 2·gᵀg/|gᵀHg|                                 measured every 10 updates, at first at every update
/// cap = q                                          at the first measurement
///     = max(min(q, √(cap·q), 1.15·cap), cap/100)   later: falls at once and rises slowly
/// rate·factor ≤ c·(1 − μ)·cap                      c = 2, and ½ without momentum
/// ```
///
/// `q` is the rate from which one step along `g` no longer lowers the loss. The clips' factor is taken into
/// account: the bound applies to the rate times the factor. `Hg` is computed as a difference of gradients, so a
/// measurement costs one extra gradient.
///
/// It is passed to a [`Keel`](crate::Keel) as a [bound](crate::bound) and watches the model before each step;
/// clones share their measurements. It also measures after a loss more than twice the mean of roughly the last
/// ten, because something has then changed that cannot wait.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::Keel;
/// use evenkeel::curvature::Governor;
/// use evenkeel::optim::Momentum;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::default().autodiff();
/// let mut model = LinearConfig::new(2, 1).init(&device);
/// let governor = Governor::new(0.9)?;
/// let mut keel = Keel::wrap(Momentum::new(0.9)?).bound(governor.clone()).build(&model)?;
///
/// for _ in 0..50 {
///     let x = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]], &device);
///     let loss_of =
///         |model: &Linear| (model.forward(x.clone()) - x.clone().sum_dim(1)).powi_scalar(2).mean();
///     let loss = loss_of(&model);
///     let grads = GradientsParams::from_grads(loss.backward(), &model);
///     governor.watch(keel.updates(), &model, &grads, loss_of)?;
///     // A rate that is absurd without it.
///     model = keel.step(100.0, model, grads, &loss)?.model;
/// }
/// assert!(governor.rate_at_most().unwrap() < 1.0);
/// # Ok(())
/// # }
/// ```
///
/// # When to use it
/// It was tried at 18 constant rates from 2⁻¹² to 32, with momentum 0.9 and 3 seeds. A residual network of 16
/// layers without normalization learned digits at 18 of the rates (7 without the governor), a plain one at 16
/// (5), and one with LayerNorm at 17 (8); none of these ended in non-finite numbers: `examples/governor`. A cap
/// does not replace a schedule: it does not have the benefits of a rate that decays at the end. The noise of
/// small batches is part of `q`; a loss that draws random numbers adds its own.
///
/// It is not for Adam. [`DeepRelativeTrust`](crate::bound::DeepRelativeTrust) works for every optimizer and costs
/// no gradient. The same cap along Adam's own step `u = m̂/(√v̂ + ε)` was tried on a small character model: with
/// `c` = 1, every rate ends at a cross entropy of 2.27, since the rate falls to 5·10⁻⁵; with `c` = 19, Adam's own
/// factor relative to descent, the curve is flatter and the good rates become worse. Along `g/(√v̂ + ε)`, which
/// leaves out the momentum, the plain network of 16 layers reached 1.66 at best, with `c` of 1, 5 and 19; without
/// any cap it reaches 0.009.
///
/// # Edges
/// A non-finite gradient is not measured. A gradient that becomes non-finite a small step away halves the cap.
/// Where the loss has no curvature along the gradient, nothing bounds the rate, and the cap grows. Before the
/// first measurement there is no cap.
///
/// # Cost
/// When a measurement is due: one extra gradient of the loss, three passes over the parameters and two readbacks.
/// On the five networks above, with 0.05 M parameters in about 30 tensors, a measurement takes 1.3 to 1.6 times
/// as long as a bare step, so one in ten adds 13 to 17 %: `--cost` of the example. Each of the first 40 updates
/// costs that much, unless the rate is far below the bound; then one in ten does. When none is due: nothing.
/// Without a governor: nothing.
///
/// Source: Roulet et al. 2024 (arXiv 2407.06183), whose CDAT sets the rate to `q`; here `q` caps a rate that is
/// set elsewhere, with the limits on growth that made this safe.
#[derive(Debug, Clone)]
pub struct Governor {
    momentum: f64,
    caution: f64,
    dense: u64,
    every: u64,
    growth: f64,
    memory: Shared<Memory>,
}

const NAME: &str = "Governor";

impl Governor {
    /// Creates a governor for momentum `μ`, or 0 for plain descent. It measures at each of the first 40 updates,
    /// and then at every tenth.
    ///
    /// # Errors
    /// If `μ` is not in `[0, 1)`.
    pub fn new(momentum: f64) -> Result<Self, Error> {
        let momentum = Param(NAME, "momentum").below_one(momentum)?;
        let caution = if momentum == 0.0 { 0.5 } else { 2.0 };
        let memory = Shared::default();
        Ok(Self { momentum, caution, dense: 40, every: 10, growth: 1.15, memory })
    }

    /// Sets `c`, the factor on the cap; a larger value is bolder. The default is 2 rather than 1, because
    /// training is too slow for its 300 updates with 1: the plain network of 16 layers learned at 3 of 18 rates,
    /// and with 2 at 16; the one with BatchNorm at none, and with 2 at 14. At 3 and above, it is not safe.
    ///
    /// # Errors
    /// If `c` is not positive and finite.
    pub fn caution(mut self, c: f64) -> Result<Self, Error> {
        self.caution = Param(NAME, "caution").positive(c)?;
        Ok(self)
    }

    /// Sets the number of initial updates at which it measures every time.
    #[must_use]
    pub fn dense_over(mut self, updates: u64) -> Self {
        self.dense = updates;
        self
    }

    /// Sets how many updates lie between measurements after that. With 25, measurements came too late.
    ///
    /// # Errors
    /// If it is 0.
    pub fn every(mut self, updates: u64) -> Result<Self, Error> {
        self.every = Param(NAME, "every").at_least(1, updates)?;
        Ok(self)
    }

    /// Sets the maximum factor by which the cap grows per measurement.
    ///
    /// # Errors
    /// If it is below 1 or not finite.
    pub fn growth(mut self, factor: f64) -> Result<Self, Error> {
        let fits = factor.is_finite() && factor >= 1.0;
        self.growth = Param(NAME, "growth").must(fits, "a finite number of at least 1", factor)?;
        Ok(self)
    }

    /// Returns the highest value allowed now for the rate times the clips' factor: `c·(1 − μ)·cap`.
    #[must_use]
    pub fn rate_at_most(&self) -> Option<f64> {
        let cap = self.memory.with(|memory| memory.now().cap)?;
        Some(self.caution * (1.0 - self.momentum) * cap)
    }

    /// Returns the number of measurements so far.
    #[must_use]
    pub fn measurements(&self) -> u64 {
        self.memory.with(|memory| memory.now().measured)
    }

    /// Returns whether it would measure before this update: at each of the first updates, unless the last
    /// requested rate is below an eighth of the bound; after those, or in that case,
    /// [at regular intervals](Self::every) and after a loss far above the others.
    #[must_use]
    pub fn is_due(&self, update: u64) -> bool {
        let (most, when) = (self.rate_at_most(), Cadence { dense: self.dense, every: self.every });
        self.memory.with(|memory| memory.is_due(update, most, when))
    }

    /// Measures, if a measurement is due before `update`, and updates the cap. `grads` are the gradients of
    /// `loss` at `model`, for the current batch and not scaled.
    ///
    /// If the step is then rejected, the measurement on its batch is dropped. Without a keel to report the
    /// outcome, the next measurement assumes that the step was accepted.
    ///
    /// # Errors
    /// If the loss has not one element, no parameter of `model` has a gradient, or the device cannot be
    /// read.
    pub fn watch<M: Module>(
        &self,
        update: u64,
        model: &M,
        grads: &GradientsParams,
        loss: impl Fn(&M) -> Tensor<1>,
    ) -> Result<(), Error> {
        if !self.is_due(update) {
            return Ok(());
        }
        let Some(q) = critical(model, grads, &loss)? else { return Ok(()) };
        self.memory.with(|memory| memory.measured(update, |cap| next(cap, q, self.growth)));
        Ok(())
    }
}

/// Returns `2·gᵀg/|gᵀHg|`: infinite without curvature, and NaN if the gradient is not finite a small step away.
/// `None` if the gradient itself is not finite: no such step is ever made.
fn critical<M: Module>(
    model: &M,
    grads: &GradientsParams,
    loss: &dyn Fn(&M) -> Tensor<1>,
) -> Result<Option<f64>, Error> {
    any_gradient(model, grads).map_err(|why| why.of(NAME))?;
    let own = Side::Grads(grads);
    // Running statistics are not part of the point: a statistic of 10⁶ would put the other end of the difference
    // much too far away.
    let trained = Side::Trained(grads);
    let read = dots(model, &[(own, own), (trained, trained)])?;
    let (gg, size) = (read[0], read[1].sqrt());
    if gg == 0.0 {
        return Ok(Some(f64::INFINITY));
    }
    if !(gg.is_finite() && size.is_finite()) {
        return Ok(None);
    }
    let delta = step(size) / gg.sqrt();
    let there = gradient(&moved(model, grads, delta), loss)?;
    let curvature = dots(model, &[(own, Side::Difference(&there, grads))])?[0] / delta;
    Ok(Some(2.0 * gg / curvature.abs()))
}

/// The maximum factor by which one measurement lowers the cap.
const MOST: f64 = 100.0;

/// Returns the cap after a measurement of `q`.
fn next(cap: Option<f64>, q: f64, growth: f64) -> Option<f64> {
    match cap {
        // A cap of 0 could never grow again.
        None => Some(q).filter(|q| q.is_finite() && *q > 0.0),
        Some(cap) if q.is_nan() => Some(cap / 2.0),
        // One batch of absurd curvature must not hold the rate down for good, because the cap grows slowly.
        Some(cap) => Some(q.min((cap * q).sqrt()).min(growth * cap).max(cap / MOST)),
    }
    .map(|cap| cap.max(f64::MIN_POSITIVE))
}

impl StepBound for Governor {
    /// The bound is on the rate times the share that the clips keep.
    fn rate_at_most(&self, _: &Reading, left: f64) -> Option<f64> {
        self.rate_at_most().map(|most| if left > 0.0 { most / left } else { most })
    }

    fn record(&mut self, now: &Reading, _: f64, ruling: Verdict) {
        self.memory.record(now, ruling);
    }

    /// The cap is the lower of the current and the earlier one: back at flatter weights, a higher cap would lead
    /// the run to where it has just come from. It grows as measurements allow.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bound::Known;

    #[test]
    fn the_cap_falls_at_once_and_grows_slowly() {
        assert_eq!(next(None, 4.0, 1.3), Some(4.0));
        assert_eq!(next(Some(4.0), 1.0, 1.3), Some(1.0));
        assert_eq!(next(Some(4.0), 100.0, 1.3), Some(5.2));
        // Between the two: the geometric mean.
        assert_eq!(next(Some(4.0), 4.41, 1.3), Some((4.0f64 * 4.41).sqrt()));
        assert_eq!(next(Some(4.0), f64::INFINITY, 1.3), Some(5.2));
        assert_eq!(next(Some(4.0), f64::NAN, 1.3), Some(2.0));
        // Infinite curvature is a property of one batch, and does not end training.
        assert_eq!(next(Some(4.0), 0.0, 1.3), Some(0.04));
        assert_eq!(next(None, f64::NAN, 1.3), None);
        assert_eq!(next(None, f64::INFINITY, 1.3), None);
        // Nor does it at the first measurement, or at a hundred of them.
        assert_eq!(next(None, 0.0, 1.3), None);
        let lowest = (0..1000).try_fold(4.0, |cap, _| next(Some(cap), 0.0, 1.3)).unwrap();
        assert!(next(Some(lowest), 1.0, 1.3).unwrap() > lowest);
    }

    #[test]
    fn it_is_due_often_at_first_and_never_skips_a_turn_for_good() {
        let governor = Governor::new(0.9).unwrap().dense_over(3).every(5).unwrap();
        let look = |update| governor.memory.with(|memory| memory.known.at = Some(update));
        assert!(governor.is_due(0) && governor.is_due(100));
        look(2);
        let due: Vec<u64> = (0..12).filter(|update| governor.is_due(*update)).collect();
        assert_eq!(due, [0, 1, 2, 7, 8, 9, 10, 11]);
        // Far below the bound of 10 · (1 − 0.9) · 2 = 2, the first updates are treated like the others.
        look(2);
        let ask = |asked| {
            governor.memory.with(|memory| {
                memory.known.cap = Some(10.0);
                memory.asked = Some(asked);
            });
        };
        let dense = Governor { dense: 8, ..governor.clone() };
        ask(0.2);
        assert_eq!((3..9).filter(|update| dense.is_due(*update)).collect::<Vec<_>>(), [7, 8]);
        ask(0.3);
        assert_eq!((3..9).filter(|update| dense.is_due(*update)).count(), 6);
        // After a rewind.
        look(50);
        assert!(governor.is_due(40) && !governor.is_due(51));
    }

    #[test]
    fn a_rejected_step_is_forgotten() {
        let mut governor = Governor::new(0.0).unwrap();
        let see = |governor: &Governor, cap| {
            let known = Known { cap: Some(cap), measured: 1, at: Some(3) };
            governor.memory.with(|memory| memory.unsure = Some(known));
        };
        let now = Reading::new(3);
        see(&governor, 4.0);
        assert_eq!(governor.rate_at_most(), Some(2.0));
        governor.record(&now, 1.0, Verdict::Skip);
        assert_eq!((governor.rate_at_most(), governor.measurements()), (None, 0));
        see(&governor, 4.0);
        governor.record(&now, 1.0, Verdict::Apply);
        see(&governor, 1.0);
        assert_eq!(governor.rate_at_most(), Some(0.5));
        governor.record(&now, 1.0, Verdict::Rewind);
        assert_eq!(governor.rate_at_most(), Some(2.0));
    }

    #[test]
    fn its_state_resumes_it() {
        let mut governor = Governor::new(0.9).unwrap();
        let known = Known { cap: Some(0.25), measured: 7, at: Some(40) };
        let mut memory = Memory::default();
        (memory.known, memory.asked) = (known, Some(0.25));
        governor.memory.with(|now| *now = memory.clone());
        let mut fresh = Governor::new(0.9).unwrap();
        assert_eq!(fresh.rate_at_most(), None);
        fresh.restore(&governor.state()).unwrap();
        assert_eq!(fresh.memory.with(|now| now.clone()), memory);
        assert!((fresh.rate_at_most().unwrap() - 0.05).abs() < 1e-15);

        for (cap, asked) in [(f64::NAN, 1.0), (1.0, f64::NAN)] {
            let broken = State::new().with_list("cap", vec![cap]).with_list("asked", vec![asked]);
            let broken = broken.with_count("measured", 1).with_count("next", 1);
            assert!(governor.restore(&broken).is_err());
        }
        assert!(governor.restore(&State::new()).is_err());
        assert_eq!(governor.memory.with(|now| now.clone()), memory);
    }
}
