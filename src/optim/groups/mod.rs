//! All tensors of a model, stepped together.

mod entries;
pub(super) mod eval;
mod pass;
mod saved;
mod unsure;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ParamGroup};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Tensor};

use super::hyper::HyperParam;
use super::rule::{Before, Erased};
use super::second_moments::SecondMoment;
use super::{DeviceVerdict, ModelOptimizer, Rule, SecondMoments, StepArgs};
use crate::checkpoint::State;
use crate::gate::Flag;
use crate::{Error, fit};
use entries::Entries;
pub(super) use entries::Slots;
pub(super) use pass::Context;

/// The rules of this crate over a whole model, by parameter group: what
/// [`Keel::wrap`](crate::Keel::wrap) makes of a rule.
///
/// It does what Burn's [`ModuleOptimizer`](burn::optim::ModuleOptimizer) does, for the rules of this crate, and three
/// things more. All tensors are updated in parallel, while the others are still being collected, so that many small
/// ones keep all cores busy. The factor of the clips goes into that pass. And it can say beforehand whether an update
/// keeps every parameter finite, so that a [`Keel`](crate::Keel) need neither hold the old parameters nor check the new
/// ones.
///
/// ```
/// use burn::module::ParamGroup;
/// use burn::nn::LinearConfig;
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::optim::{AdamW, ParamGroups, Momentum};
///
/// let device = Device::default().autodiff();
/// let model = LinearConfig::new(2, 1).init(&device);
/// let mut optimizer = ParamGroups::new(AdamW::new().decay_matrices_only())
///     .with_group(ParamGroup::from_predicate("head"), Momentum::new(0.9)?);
///
/// let loss = model.forward(Tensor::<2>::ones([1, 2], &device)).mean();
/// let grads = GradientsParams::from_grads(loss.backward(), &model);
/// let model = optimizer.step(1e-3, model, grads);
/// # let _ = model;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Edges
/// A parameter without a gradient stays as it is, and no update of it is counted. A parameter that
/// is used in two places is updated once, and stays one.
///
/// # Cost
/// See the rules. Beside that, two walks over the module: tensors are taken out, and put back.
#[derive(Clone, Debug)]
pub struct ParamGroups {
    rules: Vec<(ParamGroup, Erased)>,
    entries: Entries,
    /// The longest gradient that an update was made with.
    longest: f64,
    /// How many rounds of updates there were: not part of the state.
    turn: u64,
    /// The verdicts that are not read yet.
    verdicts: Vec<Flag>,
}

impl ParamGroups {
    /// One rule for all parameters.
    pub fn new(rule: impl Rule) -> Self {
        Self::of(rule.erased())
    }

    pub(super) fn of(rule: Erased) -> Self {
        let rules = vec![(ParamGroup::all(), rule)];
        Self { rules, entries: Entries::default(), longest: 0.0, turn: 0, verdicts: Vec::new() }
    }

    /// Another rule for the parameters of `group`. Of several that a parameter is in, the last one
    /// added counts. State that there is already is forgotten.
    ///
    /// A group that no parameter is in is an error of [`Builder::build`](crate::Builder::build). A loop
    /// without a [`Keel`](crate::Keel) asks by [`check_fit`](ModelOptimizer::check_fit).
    pub fn with_group(mut self, group: ParamGroup, rule: impl Rule) -> Self {
        self.rules.push((group, rule.erased()));
        Self { entries: Entries::default(), longest: 0.0, ..self }
    }

    /// Updates the parameters of `model` that have a gradient in `grads`.
    pub fn step<M: Module>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: M,
        grads: GradientsParams,
    ) -> M {
        // Nobody has measured these gradients.
        self.longest = f64::INFINITY;
        pass::run(self, &lr.into(), 1.0, model, grads)
    }

    /// A copy of `model` with the weights to evaluate: the averages of the
    /// [schedule-free](super::ScheduleFree) rules, and the weights themselves for all others.
    pub fn eval_model<M: Module>(&self, model: &M) -> M {
        eval::model(self, model)
    }
}

/// The biases of `model` and its weights of normalisation, as a group: all float parameters of rank 0
/// and 1, which weight decay is not meant for.
///
/// For whatever has parameter groups. Where only the decay is to differ, `decay_matrices_only` of a
/// rule is shorter.
///
/// ```
/// use evenkeel::optim::{AdamW, ParamGroups, Momentum, biases_and_norms};
/// # use burn::{nn::LinearConfig, tensor::Device};
///
/// # let model = LinearConfig::new(2, 1).init(&Device::default().autodiff());
/// let optimizer =
///     ParamGroups::new(AdamW::new()).with_group(biases_and_norms(&model), Momentum::new(0.9)?);
/// # let _ = optimizer;
/// # Ok::<(), evenkeel::Error>(())
/// ```
pub fn biases_and_norms<M: Module>(model: &M) -> ParamGroup {
    ParamGroup::from_ids(entries::biases_and_norms(model))
}

/// What no element of `factor · g` exceeds, where the norm of `g` was measured.
///
/// A square below the least `f32` that is not denormal may have been taken for 0, so that a norm says nothing of
/// elements as small as its root.
fn longest(factor: f64, grad_norm: f64) -> f64 {
    const UNSEEN: f64 = 1.1e-19;
    factor * grad_norm.max(UNSEEN)
}

impl ParamGroups {
    /// Asks every curve for what the next update will ask it for. One that panics does so here, before a tensor of
    /// state has been taken out.
    fn foresee(&self) {
        let curves = |(_, rule): &(ParamGroup, Erased)| {
            rule.0
                .hypers()
                .into_iter()
                .filter(|hyper| hyper.constant().is_none())
                .cloned()
                .collect()
        };
        let curves: Vec<HyperParam> =
            self.rules.iter().flat_map::<Vec<HyperParam>, _>(curves).collect();
        if curves.is_empty() {
            return;
        }
        for time in self.entries.times() {
            for curve in &curves {
                let _ = curve.at(time);
            }
        }
    }
}

impl<M: Module + 'static> ModelOptimizer<M> for ParamGroups {
    fn update(&mut self, pace: StepArgs, model: M, grads: GradientsParams) -> M {
        self.foresee();
        self.longest = self.longest.max(longest(pace.factor, pace.grad_norm));
        pass::run(self, &pace.lr, pace.factor, model, grads)
    }

    fn update_unsure(&mut self, pace: StepArgs, model: M, grads: GradientsParams) -> M {
        self.foresee();
        // Nobody knows how long these gradients are.
        self.longest = f64::INFINITY;
        unsure::run(self, &pace, model, grads, None)
    }

    fn update_gated(
        &mut self,
        pace: &StepArgs,
        model: M,
        grads: GradientsParams,
        unread: &DeviceVerdict,
    ) -> Result<M, (M, GradientsParams)> {
        self.foresee();
        let taken_back = !ModelOptimizer::<M>::is_bounded(self, pace);
        self.longest = self.longest.max(longest(pace.factor, pace.grad_norm));
        Ok(unsure::run(self, pace, model, grads, Some((unread, taken_back))))
    }

    fn keep_if(&mut self, counts: &Tensor<1, Bool>) -> bool {
        unsure::keep_if(self, Flag::of(counts.clone()));
        true
    }

    fn settle(&mut self, counted: &[bool]) {
        unsure::settle(self, counted);
    }

    fn is_bounded(&self, pace: &StepArgs) -> bool {
        // Above that the rate over a correction of bias may overflow.
        const SAFE: f64 = 1e24;
        let (lowest, highest) = pace.range;
        if !(lowest >= 0.0 && highest <= SAFE) {
            return false;
        }
        let before = Before {
            lr: highest,
            gradient: self.longest.max(longest(pace.factor, pace.grad_norm)),
            times: &self.entries.times(),
        };
        self.rules.iter().all(|(_, rule)| rule.0.bound(&before).is_safe())
    }

    /// Half precision is squared in `f32`.
    fn squares_in_own_type(&self) -> bool {
        false
    }

    fn check_fit(&self, model: &M) -> Result<(), Error> {
        fit::check_groups("ParamGroups", self.rules.iter().skip(1).map(|(group, _)| group), model)?;
        self.entries.check_fit(model)
    }

    fn is_finite(&self) -> Result<bool, Error> {
        self.entries.are_finite().map_err(|cause| Error::io("reading the optimizer's state", cause))
    }

    fn eval_model(&self, model: &M) -> M {
        eval::model(self, model)
    }

    fn second_moments(&self) -> SecondMoments {
        let mut moments = SecondMoments::default();
        // What the device has not told yet is not known: such a parameter is left out.
        for entry in self.entries.iter().filter(|entry| entry.unsure.is_none()) {
            if let entries::Slots::Live(slots) = &entry.slots
                && let Some(average) = slots.get(1).cloned()
                && let Some((correction, epsilon)) =
                    self.rules[entry.group].1.0.second_moment(&entry.memory)
            {
                moments.put(entry.id, SecondMoment { average, correction, epsilon });
            }
        }
        moments
    }

    fn boxed(&self) -> Box<dyn ModelOptimizer<M>> {
        Box::new(self.clone())
    }

    fn state(&self) -> Result<State, Error> {
        saved::state(self)
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        *self = saved::restored(self, state)?;
        Ok(())
    }
}
