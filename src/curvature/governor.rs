//! A cap on the rate, from the curvature along the gradient.

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

/// Caps the rate of [`Sgd`](crate::optim::Sgd) and [`Momentum`](crate::optim::Momentum) at what the
/// curvature along the gradient allows now.
///
/// ```text
/// q = 2·gᵀg/|gᵀHg|                                 measured every 10 updates, at first at every one
/// cap = q                                          at the first measurement
///     = max(min(q, √(cap·q), 1.15·cap), cap/100)   later: down at once, and up slowly
/// rate·factor ≤ c·(1 − μ)·cap                      c = 2, and ½ without momentum
/// ```
///
/// `q` is where one step along `g` no longer lowers the loss. The clips' factor counts: what is bounded is
/// the rate times the factor. `Hg` is a difference of gradients, so that a measurement is one more gradient.
///
/// It goes to a [`Keel`](crate::Keel) as a [bound](crate::bound), and looks at the model before each step;
/// clones share what it has seen. It also measures after a loss of more than twice the mean of the last ten or
/// so: then something has changed that cannot wait.
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
/// # Where it helps, and where not
/// Of 18 constant rates from 2⁻¹² to 32 with momentum 0.9, over 3 seeds, a residual net of 16 layers without
/// normalisation learnt digits at 18 (bare at 7), a plain one at 16 (5), one with LayerNorm at 17 (8), and none of
/// these ended in numbers that are not finite: `examples/governor`. A cap is no schedule: what a rate that falls
/// at the end is good for, it does not give. The noise of small batches is in `q`; a loss that draws random
/// numbers adds its own.
///
/// It is not for Adam: for every optimizer there is
/// [`DeepRelativeTrust`](crate::bound::DeepRelativeTrust), which costs no gradient. The same cap along Adam's own
/// step `u = m̂/(√v̂ + ε)` was tried on a small character model: with `c` = 1 every rate ends at a cross entropy of
/// 2.27, since the rate falls to 5·10⁻⁵, and with `c` = 19, Adam's own factor over descent, the curve is flatter and
/// the good rates become worse. Along `g/(√v̂ + ε)`, which leaves the momentum out, the plain net of 16 layers came to
/// 1.66 at best, with `c` of 1, 5, and 19; without any cap it comes to 0.009.
///
/// # Edges
/// A gradient that is not finite is not measured; one that is not a small step away halves the cap. Where the
/// loss has no curvature along the gradient nothing bounds the rate, and the cap grows. Before the first
/// measurement there is no cap.
///
/// # Cost
/// When a measurement is due: one more gradient of the loss, three passes over the parameters and two
/// readbacks; on the five nets above, of 0.05 M parameters in some 30 tensors, 1.3 to 1.6 times a bare step,
/// so that one in ten adds 13 to 17 %: `--cost` of the example. The first 40 at each update are that much
/// each, unless the rate is far below the bound, and then they are one in ten as well. When none is due:
/// nothing. Without it: nothing.
///
/// Source: Roulet et al. 2024 (arXiv 2407.06183), whose CDAT sets the rate by `q`; here it is a cap on a
/// rate that somebody else has set, with the limits on its growth that made that safe.
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
    /// For momentum `μ`, 0 for plain descent. Measures at each of the first 40 updates, and then at every
    /// tenth.
    ///
    /// # Errors
    /// If `μ` is not in `[0, 1)`.
    pub fn new(momentum: f64) -> Result<Self, Error> {
        let momentum = Param(NAME, "momentum").below_one(momentum)?;
        let caution = if momentum == 0.0 { 0.5 } else { 2.0 };
        let memory = Shared::default();
        Ok(Self { momentum, caution, dense: 40, every: 10, growth: 1.15, memory })
    }

    /// `c`: how bold it is. 2 and not 1, because with 1 training is too slow for its 300 updates: the plain net
    /// of 16 layers learnt at 3 of 18 rates, and with 2 at 16; the one with BatchNorm at none, and with 2 at 14.
    /// From 3 on it is not safe.
    ///
    /// # Errors
    /// If `c` is not positive and finite.
    pub fn caution(mut self, c: f64) -> Result<Self, Error> {
        self.caution = Param(NAME, "caution").positive(c)?;
        Ok(self)
    }

    /// For how many updates at the start it measures at each one.
    pub fn dense_over(mut self, updates: u64) -> Self {
        self.dense = updates;
        self
    }

    /// How many updates lie between measurements after that. At 25 it came too late.
    ///
    /// # Errors
    /// If it is 0.
    pub fn every(mut self, updates: u64) -> Result<Self, Error> {
        self.every = Param(NAME, "every").at_least(1, updates)?;
        Ok(self)
    }

    /// What the cap may be multiplied by at a measurement.
    ///
    /// # Errors
    /// If it is below 1 or not finite.
    pub fn growth(mut self, factor: f64) -> Result<Self, Error> {
        let fits = factor.is_finite() && factor >= 1.0;
        self.growth = Param(NAME, "growth").must(fits, "a finite number of at least 1", factor)?;
        Ok(self)
    }

    /// The most that the rate, times the clips' factor, may be now: `c·(1 − μ)·cap`.
    pub fn rate_at_most(&self) -> Option<f64> {
        let cap = self.memory.with(|memory| memory.now().cap)?;
        Some(self.caution * (1.0 - self.momentum) * cap)
    }

    /// How many measurements there were.
    pub fn measurements(&self) -> u64 {
        self.memory.with(|memory| memory.now().measured)
    }

    /// Whether it would measure before this update: at each of the first ones, unless the rate that was
    /// asked for last is below an eighth of the bound; later, and then, once in [so many](Self::every), and
    /// after a loss that was far above the others.
    pub fn is_due(&self, update: u64) -> bool {
        let (most, when) = (self.rate_at_most(), Cadence { dense: self.dense, every: self.every });
        self.memory.with(|memory| memory.is_due(update, most, when))
    }

    /// Measures, if it is due before `update`, and moves the cap. `grads` are those of `loss` at `model`,
    /// of the batch at hand and not scaled.
    ///
    /// If the step is then rejected, what was measured on its batch is forgotten. Without a keel that
    /// tells, the next measurement takes it as accepted.
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

/// `2·gᵀg/|gᵀHg|`; infinite without curvature, NaN if it is not finite a small step away. `None` where the
/// gradient itself is not: such a step is made by nobody.
fn critical<M: Module>(
    model: &M,
    grads: &GradientsParams,
    loss: &dyn Fn(&M) -> Tensor<1>,
) -> Result<Option<f64>, Error> {
    any_gradient(model, grads).map_err(|why| why.of(NAME))?;
    let own = Side::Grads(grads);
    // Running statistics are no part of the point: one of 10⁶ would put the other end of the difference
    // outside of everything.
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

/// The most that one measurement may lower the cap by.
const MOST: f64 = 100.0;

/// The cap after a measurement of `q`.
fn next(cap: Option<f64>, q: f64, growth: f64) -> Option<f64> {
    match cap {
        // Nothing can be multiplied up from 0.
        None => Some(q).filter(|q| q.is_finite() && *q > 0.0),
        Some(cap) if q.is_nan() => Some(cap / 2.0),
        // One batch of absurd curvature must not hold the rate for good: it grows slowly.
        Some(cap) => Some(q.min((cap * q).sqrt()).min(growth * cap).max(cap / MOST)),
    }
    .map(|cap| cap.max(f64::MIN_POSITIVE))
}

impl StepBound for Governor {
    /// What is bounded is the rate times what the clips have left.
    fn rate_at_most(&self, _: &Reading, left: f64) -> Option<f64> {
        self.rate_at_most().map(|most| if left > 0.0 { most / left } else { most })
    }

    fn record(&mut self, now: &Reading, _: f64, ruling: Verdict) {
        self.memory.with(|memory| memory.record(now, ruling));
    }

    /// The cap is the lower one of now and then: back at flatter weights a higher one would lead to where
    /// the run has just come from. It grows as measurements allow.
    fn rewound(&mut self, then: &State) -> Result<(), Error> {
        let then = Memory::restored(then)?;
        self.memory.with(|memory| memory.went_back(then));
        Ok(())
    }

    fn name(&self) -> &str {
        NAME
    }

    fn state(&self) -> State {
        self.memory.with(|memory| memory.state())
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let restored = Memory::restored(state)?;
        self.memory.with(|memory| *memory = restored);
        Ok(())
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
        // Between: the geometric mean.
        assert_eq!(next(Some(4.0), 4.41, 1.3), Some((4.0f64 * 4.41).sqrt()));
        assert_eq!(next(Some(4.0), f64::INFINITY, 1.3), Some(5.2));
        assert_eq!(next(Some(4.0), f64::NAN, 1.3), Some(2.0));
        // An infinite curvature is one batch's, and not the end of training.
        assert_eq!(next(Some(4.0), 0.0, 1.3), Some(0.04));
        assert_eq!(next(None, f64::NAN, 1.3), None);
        assert_eq!(next(None, f64::INFINITY, 1.3), None);
        // Nor is it one in the first measurement, or in a hundred of them.
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
        // Far below the bound of 10 · (1 − 0.9) · 2 = 2 the first ones are no different from the others.
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
