//! What is asked of an optimizer that works under a guard.

use std::fmt;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Tensor};

use super::{ParamGroups, Rule, SecondMoments};
use crate::Error;
use crate::checkpoint::State;

/// What an optimizer is told about one update.
#[derive(Clone)]
#[non_exhaustive]
pub struct StepArgs {
    /// The rate of each parameter.
    pub lr: ModuleLearningRate,
    /// The lowest and the highest of them.
    pub range: (f64, f64),
    /// What the gradients are to be multiplied by: what the clips leave of them, over the loss scale.
    pub factor: f64,
    /// The norm of the gradients as they are handed over, or more; finite.
    pub grad_norm: f64,
}

impl StepArgs {
    /// `factor` of a gradient with norm `grad_norm`, at rate `lr`.
    pub fn new(lr: f64, factor: f64, grad_norm: f64) -> Self {
        Self { lr: lr.into(), range: (lr, lr), factor, grad_norm }
    }

    /// The same at rates by parameter group, none of which is below `lowest` or above `highest`.
    pub fn with_rates(self, lr: ModuleLearningRate, lowest: f64, highest: f64) -> Self {
        Self { lr, range: (lowest, highest), ..self }
    }
}

impl fmt::Debug for StepArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepArgs")
            .field("lr", &self.lr.base())
            .field("range", &self.range)
            .field("factor", &self.factor)
            .field("grad_norm", &self.grad_norm)
            .finish()
    }
}

/// What only the device knows of one update: see [`ModelOptimizer::update_gated`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeviceVerdict {
    /// What the gradients are to be multiplied by, of one element; `None` is 1.
    pub factor: Option<Tensor<1>>,
    /// Whether the update is to count, of one element.
    pub counts: Tensor<1, Bool>,
}

impl DeviceVerdict {
    /// `factor` of the gradients, if it `counts`.
    pub fn new(factor: Option<Tensor<1>>, counts: Tensor<1, Bool>) -> Self {
        Self { factor, counts }
    }
}

/// Advances a whole model by one step, and can be put back.
///
/// Cloning must be cheap, of handles rather than of buffers, and the clone must not be touched by
/// what becomes of the original: snapshots are made of clones.
pub trait ModelOptimizer<M: Module>: Send {
    /// The model after one step along `pace.factor · grads`. A parameter without a gradient stays as
    /// it is. Every gradient is finite.
    fn update(&mut self, pace: StepArgs, model: M, grads: GradientsParams) -> M;

    /// One update that may turn out not to count, where the device decides and the host does not know:
    /// see [`Decide::OnDevice`](crate::Decide::OnDevice). [`keep_if`](Self::keep_if) follows with the
    /// verdict, and [`settle`](Self::settle) when it has been read. Where the update is not to count
    /// the gradients are all zero.
    fn update_unsure(&mut self, pace: StepArgs, model: M, grads: GradientsParams) -> M {
        self.update(pace, model, grads)
    }

    /// One [unsure update](Self::update_unsure) whose factor and verdict the optimizer applies by itself:
    /// the gradients are as they came, and may be anything where the update is not to count. Then
    /// parameters and state are as if it had never been. Where it counts, `pace.grad_norm` bounds the
    /// gradients with the factor on them. If the update [is bounded](Self::is_bounded) at this pace,
    /// [`keep_if`](Self::keep_if) follows with the same verdict; else it may be a stricter one.
    ///
    /// # Errors
    /// The model and the gradients as they were, if the optimizer cannot do this: the caller then puts
    /// factor and verdict on the gradients. Unless overridden it cannot.
    fn update_gated(
        &mut self,
        pace: &StepArgs,
        model: M,
        grads: GradientsParams,
        unread: &DeviceVerdict,
    ) -> Result<M, (M, GradientsParams)> {
        let _ = (pace, unread);
        Err((model, grads))
    }

    /// Takes the last update back on the device, where the flag is false, and says whether it can: then
    /// it is as if that update had never been. The parameters are the caller's. Unless overridden it
    /// cannot, and an update that does not count is one with a gradient of zero.
    fn keep_if(&mut self, counts: &Tensor<1, Bool>) -> bool {
        let _ = counts;
        false
    }

    /// Which of the [unsure updates](Self::update_unsure) since the last call have counted, in order.
    fn settle(&mut self, counted: &[bool]) {
        let _ = counted;
    }

    /// Whether the parameters are certain to stay finite through an update at this pace. Where an
    /// optimizer can say so, from a bound on what it may add to a parameter, the old parameters need
    /// not be held and the new ones need not be checked.
    fn is_bounded(&self, pace: &StepArgs) -> bool {
        let _ = pace;
        false
    }

    /// Whether it squares gradients in the parameters' own type. If so, a gradient of type `f16` is not
    /// shown to it when a square could overflow there, which is from 256 on.
    fn squares_in_own_type(&self) -> bool {
        true
    }

    /// Whether what it adds to a parameter in half precision is lost where it is below half of the last digit. A
    /// [`Keel`](crate::Keel) looks now and then how much is.
    fn rounds_away(&self) -> bool {
        true
    }

    /// Checks that it is for this model, with the state that it has. [`Builder::build`](crate::Builder::build) asks,
    /// and [`Keel::resume`](crate::Keel::resume) after [`restore`](Self::restore). Unless overridden it is for any.
    ///
    /// # Errors
    /// If a group of parameters has none in the model, or the state of a parameter is not of its shape.
    fn check_fit(&self, model: &M) -> Result<(), Error> {
        let _ = model;
        Ok(())
    }

    /// Whether all of its state is finite.
    ///
    /// # Errors
    /// If the state cannot be read from the device.
    fn is_finite(&self) -> Result<bool, Error>;

    /// The weights to evaluate with, which are the model's own unless the optimizer averages.
    fn eval_model(&self, model: &M) -> M {
        model.clone()
    }

    /// The averages of squared gradients that it divides by; none, unless it is one that shows them. The
    /// rules of this crate that have them do; Burn's optimizers show their state only as a copy on the host.
    fn second_moments(&self) -> SecondMoments {
        SecondMoments::default()
    }

    /// A copy with a fate of its own.
    fn boxed(&self) -> Box<dyn ModelOptimizer<M>>;

    /// Everything that later steps depend on.
    ///
    /// # Errors
    /// If the state cannot be read from the device.
    fn state(&self) -> Result<State, Error>;

    /// Takes that state back.
    ///
    /// # Errors
    /// If it is not this optimizer's; the optimizer is then unchanged.
    fn restore(&mut self, state: &State) -> Result<(), Error>;
}

/// Every method is handed on: a box that fell back on one of the trait's own would hide what is in it.
impl<M: Module> ModelOptimizer<M> for Box<dyn ModelOptimizer<M>> {
    fn update(&mut self, pace: StepArgs, model: M, grads: GradientsParams) -> M {
        (**self).update(pace, model, grads)
    }

    fn update_unsure(&mut self, pace: StepArgs, model: M, grads: GradientsParams) -> M {
        (**self).update_unsure(pace, model, grads)
    }

    fn update_gated(
        &mut self,
        pace: &StepArgs,
        model: M,
        grads: GradientsParams,
        unread: &DeviceVerdict,
    ) -> Result<M, (M, GradientsParams)> {
        (**self).update_gated(pace, model, grads, unread)
    }

    fn keep_if(&mut self, counts: &Tensor<1, Bool>) -> bool {
        (**self).keep_if(counts)
    }

    fn settle(&mut self, counted: &[bool]) {
        (**self).settle(counted);
    }

    fn is_bounded(&self, pace: &StepArgs) -> bool {
        (**self).is_bounded(pace)
    }

    fn squares_in_own_type(&self) -> bool {
        (**self).squares_in_own_type()
    }

    fn rounds_away(&self) -> bool {
        (**self).rounds_away()
    }

    fn check_fit(&self, model: &M) -> Result<(), Error> {
        (**self).check_fit(model)
    }

    fn is_finite(&self) -> Result<bool, Error> {
        (**self).is_finite()
    }

    fn eval_model(&self, model: &M) -> M {
        (**self).eval_model(model)
    }

    fn second_moments(&self) -> SecondMoments {
        (**self).second_moments()
    }

    fn boxed(&self) -> Box<dyn ModelOptimizer<M>> {
        (**self).boxed()
    }

    fn state(&self) -> Result<State, Error> {
        (**self).state()
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        (**self).restore(state)
    }
}

/// What [`Keel::wrap`](crate::Keel::wrap) takes: an [`ModelOptimizer`], or a rule of this crate, which becomes
/// one over all parameters.
///
/// `By` only tells the two apart, and is never written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be put under guard",
    note = "a rule of `evenkeel::optim`, its `ParamGroups`, or Burn's `ModuleOptimizer` can: \
            `SomeConfig::new().init()`, or `ModuleOptimizer::from(optimizer)`"
)]
pub trait IntoModelOptimizer<M: Module, By> {
    /// The optimizer as a keel holds it.
    fn into_model_optimizer(self) -> Box<dyn ModelOptimizer<M>>;
}

/// Marks what is an [`ModelOptimizer`] already.
#[derive(Debug)]
pub struct Whole;

/// Marks a rule for single tensors.
#[derive(Debug)]
pub struct Single;

impl<M: Module, U: ModelOptimizer<M> + 'static> IntoModelOptimizer<M, Whole> for U {
    fn into_model_optimizer(self) -> Box<dyn ModelOptimizer<M>> {
        Box::new(self)
    }
}

impl<M: Module + 'static, R: Rule> IntoModelOptimizer<M, Single> for R {
    fn into_model_optimizer(self) -> Box<dyn ModelOptimizer<M>> {
        Box::new(ParamGroups::new(self))
    }
}
