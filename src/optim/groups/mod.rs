//! Optimizers that step all tensors of a model together.

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
use super::{DeviceOptimizer, DeviceVerdict, ModelOptimizer, Rule, SecondMoments, StepArgs};
use crate::checkpoint::State;
use crate::flag::Flag;
use crate::{Error, fit};
use entries::Entries;
pub(super) use entries::Slots;
pub(super) use pass::Context;

/// Applies rules of this crate to a whole model, by parameter group. [`Keel::wrap`](crate::Keel::wrap) makes one of a
/// rule.
///
/// It is the counterpart of Burn's [`ModuleOptimizer`](burn::optim::ModuleOptimizer) for the rules of this crate, with
/// three additions. All tensors are updated in parallel, while others are still being collected, so that many small
/// ones keep all cores busy. The factor of the clips is part of that pass. And it can tell beforehand whether an update
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
/// A parameter without a gradient stays unchanged, and no update of it is counted. A parameter that is used in two
/// places is updated once, and stays one tensor.
///
/// # Cost
/// That of the rules, and two walks over the module: tensors are taken out, and put back.
#[derive(Clone, Debug)]
pub struct ParamGroups {
    rules: Vec<(ParamGroup, Erased)>,
    entries: Entries,
    /// The largest gradient norm of any update so far.
    longest: f64,
    /// Number of rounds of updates so far; not part of the state.
    turn: u64,
    /// The verdicts that have not been read yet.
    verdicts: Vec<Flag>,
}

impl ParamGroups {
    /// Creates an optimizer with one rule for all parameters.
    pub fn new(rule: impl Rule) -> Self {
        Self::of(rule.erased())
    }

    pub(super) fn of(rule: Erased) -> Self {
        let rules = vec![(ParamGroup::all(), rule)];
        Self { rules, entries: Entries::default(), longest: 0.0, turn: 0, verdicts: Vec::new() }
    }

    /// Uses another rule for the parameters of `group`. If a parameter is in several groups, the last one added
    /// applies. Existing state is dropped.
    ///
    /// A group that contains no parameter is an error of [`Builder::build`](crate::Builder::build). A loop without a
    /// [`Keel`](crate::Keel) can call [`check_fit`](ModelOptimizer::check_fit).
    #[must_use]
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
        // The norm of these gradients has not been measured.
        self.longest = f64::INFINITY;
        pass::run(self, &lr.into(), 1.0, model, grads)
    }

    /// Returns a copy of `model` with the weights to evaluate: the averages of [schedule-free](super::ScheduleFree)
    /// rules, and the weights themselves for all others.
    pub fn eval_model<M: Module>(&self, model: &M) -> M {
        eval::model(self, model)
    }
}

/// Returns the biases and normalization weights of `model`, as a group: all float parameters of rank 0 and 1, for which
/// weight decay is not meant.
///
/// For use wherever there are parameter groups. If only the decay is to differ, a rule's `decay_matrices_only` is
/// shorter.
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

/// Returns a bound on every element of `factor · g`, given the measured norm of `g`.
///
/// A square below the smallest normal `f32` may have been rounded to 0, so a norm says nothing about elements below the
/// root of that number.
fn longest(factor: f64, grad_norm: f64) -> f64 {
    const UNSEEN: f64 = 1.1e-19;
    factor * grad_norm.max(UNSEEN)
}

impl ParamGroups {
    /// Evaluates every curve where the next update will evaluate it. One that panics does so here, before a tensor of
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

impl<M: Module + 'static> DeviceOptimizer<M> for ParamGroups {
    fn update_gated(
        &mut self,
        args: &StepArgs,
        model: M,
        grads: GradientsParams,
        verdict: &DeviceVerdict,
    ) -> M {
        self.foresee();
        let taken_back = !ModelOptimizer::<M>::is_bounded(self, args);
        self.longest = self.longest.max(longest(args.factor, args.grad_norm));
        unsure::run(self, args, model, grads, verdict, taken_back)
    }

    fn keep_if(&mut self, counts: &Tensor<1, Bool>) -> bool {
        unsure::keep_if(self, Flag::of(counts.clone()));
        true
    }

    fn settle(&mut self, counted: &[bool]) {
        unsure::settle(self, counted);
    }
}

impl<M: Module + 'static> ModelOptimizer<M> for ParamGroups {
    fn update(&mut self, args: StepArgs, model: M, grads: GradientsParams) -> M {
        self.foresee();
        self.longest = self.longest.max(longest(args.factor, args.grad_norm));
        pass::run(self, &args.lr, args.factor, model, grads)
    }

    fn on_device(&mut self) -> Option<&mut dyn DeviceOptimizer<M>> {
        Some(self)
    }

    fn is_bounded(&self, args: &StepArgs) -> bool {
        // Above this, the rate divided by a bias correction may overflow.
        const SAFE: f64 = 1e24;
        let (lowest, highest) = args.range;
        if !(lowest >= 0.0 && highest <= SAFE) {
            return false;
        }
        let before = Before {
            lr: highest,
            gradient: self.longest.max(longest(args.factor, args.grad_norm)),
            times: &self.entries.times(),
        };
        self.rules.iter().all(|(_, rule)| rule.0.bound(&before).is_safe())
    }

    /// Returns `false`: half precision is squared in `f32`.
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
        // A parameter with unread verdicts is left out, because its memory is not known yet.
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

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::super::Sgd;
    use super::*;

    #[test]
    fn the_longest_gradient_is_kept_whoever_judges_the_updates() {
        let device = Device::flex().autodiff();
        let mut model: Linear = LinearConfig::new(2, 1).init(&device);
        let mut groups = ParamGroups::new(Sgd::new());
        let counts = Tensor::from_bool([true], &Device::flex());
        let verdict = DeviceVerdict::new(None, counts.clone());
        for (norm, on_device, longest) in
            [(3.0, true, 1.5), (1.0, true, 1.5), (4.0, false, 2.0), (1.0, false, 2.0)]
        {
            let loss = model.forward(Tensor::<2>::ones([1, 2], &device)).sum();
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            let args = StepArgs::new(0.1, 0.5, norm);
            if on_device {
                model = groups.update_gated(&args, model, grads, &verdict);
                DeviceOptimizer::<Linear>::keep_if(&mut groups, &counts);
            } else {
                DeviceOptimizer::<Linear>::settle(&mut groups, &[true, true]);
                model = groups.update(args, model, grads);
            }
            assert_eq!(groups.longest, longest, "after {norm}");
        }
    }

    #[test]
    fn a_rate_is_bounded_up_to_where_its_quotient_may_overflow() {
        let groups = ParamGroups::new(Sgd::new());
        let bounded =
            |rate| ModelOptimizer::<Linear>::is_bounded(&groups, &StepArgs::new(rate, 1.0, 1.0));
        assert!(bounded(0.0) && bounded(1e24));
        assert!(!bounded(1.1e24) && !bounded(-1e-9) && !bounded(f64::NAN));
    }
}
