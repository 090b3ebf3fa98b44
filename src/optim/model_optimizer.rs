//! The interface of an optimizer that a keel wraps.

use std::fmt;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Tensor};

use super::{ParamGroups, Rule, SecondMoments};
use crate::Error;
use crate::checkpoint::State;

/// Inputs of one update, besides the model and its gradients.
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::GradientsParams;
/// # use burn::tensor::{Device, Tensor};
/// use evenkeel::optim::{ModelOptimizer, ParamGroups, Sgd, StepArgs};
///
/// # let device = Device::default().autodiff();
/// # let model = LinearConfig::new(1, 1).with_bias(false).init(&device);
/// # let loss = model.forward(Tensor::<2>::ones([1, 1], &device)).mean();
/// # let grads = GradientsParams::from_grads(loss.backward(), &model);
/// // A gradient of 1, of which a clip leaves a half, at a rate of 0.1.
/// let args = StepArgs::new(0.1, 0.5, 1.0);
/// let before = model.weight.val().into_scalar::<f32>();
/// let after = ParamGroups::new(Sgd::new()).update(args, model, grads);
/// assert!((before - after.weight.val().into_scalar::<f32>() - 0.05).abs() < 1e-6);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct StepArgs {
    /// The rate of each parameter.
    pub lr: ModuleLearningRate,
    /// The lowest and the highest rate.
    pub range: (f64, f64),
    /// Factor on the gradients: what the clips leave of them, divided by the loss scale.
    pub factor: f64,
    /// Upper bound on the norm of the gradients as they are passed in; infinite if it is unknown.
    pub grad_norm: f64,
}

impl StepArgs {
    /// Creates the inputs for a gradient of norm `grad_norm`, multiplied by `factor`, at rate `lr`.
    #[must_use]
    pub fn new(lr: f64, factor: f64, grad_norm: f64) -> Self {
        Self { lr: lr.into(), range: (lr, lr), factor, grad_norm }
    }

    /// Sets rates by parameter group, none of which is below `lowest` or above `highest`.
    #[must_use]
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

/// Inputs of one update that only the device knows: see [`DeviceOptimizer::update_gated`].
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::GradientsParams;
/// use burn::tensor::{Bool, Device, Tensor};
/// use evenkeel::optim::{DeviceOptimizer, DeviceVerdict, ParamGroups, Sgd, StepArgs};
///
/// # let device = Device::default().autodiff();
/// # let model = LinearConfig::new(1, 1).with_bias(false).init(&device);
/// # let loss = model.forward(Tensor::<2>::ones([1, 1], &device)).mean();
/// # let grads = GradientsParams::from_grads(loss.backward(), &model);
/// let before = model.weight.val().into_scalar::<f32>();
/// // The device knows that the update does not count.
/// let counts = Tensor::<1, Bool>::from_bool([false], &Device::default());
/// let verdict = DeviceVerdict::new(None, counts);
/// let args = StepArgs::new(0.1, 1.0, 1.0);
/// let updated = ParamGroups::new(Sgd::new()).update_gated(&args, model, grads, &verdict);
/// assert_eq!(updated.weight.val().into_scalar::<f32>(), before);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeviceVerdict {
    /// Factor on the gradients, of one element; `None` means 1.
    pub factor: Option<Tensor<1>>,
    /// Whether the update counts, of one element.
    pub counts: Tensor<1, Bool>,
}

impl DeviceVerdict {
    /// Creates the inputs from the factor on the gradients and whether the update counts.
    #[must_use]
    pub fn new(factor: Option<Tensor<1>>, counts: Tensor<1, Bool>) -> Self {
        Self { factor, counts }
    }
}

/// An optimizer that advances a whole model by one step, and can be restored.
///
/// Cloning must be cheap, copying handles rather than buffers, and what becomes of the original must not affect the
/// clone: snapshots are clones.
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::GradientsParams;
/// # use burn::tensor::{Device, Tensor};
/// use burn::nn::Linear;
/// use evenkeel::optim::{AdamW, ModelOptimizer, ParamGroups, StepArgs};
///
/// # let device = Device::default().autodiff();
/// # let model = LinearConfig::new(1, 1).with_bias(false).init(&device);
/// # let loss = model.forward(Tensor::<2>::ones([1, 1], &device)).mean();
/// # let grads = GradientsParams::from_grads(loss.backward(), &model);
/// let new = || -> Box<dyn ModelOptimizer<Linear>> { Box::new(ParamGroups::new(AdamW::new())) };
/// let mut optimizer = new();
/// let model = optimizer.update(StepArgs::new(1e-3, 1.0, 1.0), model, grads);
///
/// let mut resumed = new();
/// resumed.restore(&optimizer.state()?)?;
/// assert_eq!(resumed.state()?, optimizer.state()?);
/// # let _ = model;
/// # Ok::<(), evenkeel::Error>(())
/// ```
pub trait ModelOptimizer<M: Module>: Send {
    /// Returns the model after one step along `args.factor · grads`. A parameter without a gradient stays unchanged.
    /// Every gradient is finite.
    fn update(&mut self, args: StepArgs, model: M, grads: GradientsParams) -> M;

    /// Returns the optimizer's methods for updates that the device decides; `None`, the default, if it has none. The
    /// caller then sets the gradients of an update that does not count to zero and calls [`update`](Self::update).
    fn on_device(&mut self) -> Option<&mut dyn DeviceOptimizer<M>> {
        None
    }

    /// Returns whether the parameters are certain to stay finite through an update with these arguments. If an optimizer can
    /// tell, from a bound on what it adds to a parameter, the old parameters need not be held and the new ones need not
    /// be checked.
    fn is_bounded(&self, args: &StepArgs) -> bool {
        let _ = args;
        false
    }

    /// Returns whether it squares gradients in the parameters' own type. If so, it is not given a gradient of type
    /// `f16` whose square could overflow there, as happens from 256 on.
    fn squares_in_own_type(&self) -> bool {
        true
    }

    /// Returns whether an addition to a parameter in half precision is lost if it is below half of the last digit. If
    /// so, a [`Keel`](crate::Keel) checks now and then how much is lost.
    fn rounds_away(&self) -> bool {
        true
    }

    /// Checks that it fits this model, including its state. [`Builder::build`](crate::Builder::build) calls it, and
    /// [`Keel::resume`](crate::Keel::resume) after [`restore`](Self::restore). By default it fits any model.
    ///
    /// # Errors
    /// If a group of parameters has none in the model, or the state of a parameter has another shape.
    fn check_fit(&self, model: &M) -> Result<(), Error> {
        let _ = model;
        Ok(())
    }

    /// Returns whether all of its state is finite.
    ///
    /// # Errors
    /// If the state cannot be read from the device.
    fn is_finite(&self) -> Result<bool, Error>;

    /// Returns the model with the weights to evaluate, which are its own unless the optimizer averages.
    fn eval_model(&self, model: &M) -> M {
        model.clone()
    }

    /// Returns the averages of squared gradients that it divides by; empty by default. The rules of this crate return
    /// theirs if they have any; Burn's optimizers expose their state only as a copy on the host.
    fn second_moments(&self) -> SecondMoments {
        SecondMoments::default()
    }

    /// Returns an independent copy.
    fn boxed(&self) -> Box<dyn ModelOptimizer<M>>;

    /// Returns everything that later steps depend on.
    ///
    /// # Errors
    /// If the state cannot be read from the device.
    fn state(&self) -> Result<State, Error>;

    /// Restores a saved state.
    ///
    /// # Errors
    /// If it does not belong to this optimizer; the optimizer is then unchanged.
    fn restore(&mut self, state: &State) -> Result<(), Error>;
}

/// Updates that may turn out not to count, because the device decides and the host does not know: see
/// [`Decide::OnDevice`](crate::Decide::OnDevice). [`ModelOptimizer::on_device`] gives access to them.
pub trait DeviceOptimizer<M: Module>: ModelOptimizer<M> {
    /// Makes one update, and applies the verdict's factor to the gradients. They may be anything if the update does not
    /// count; parameters and state must then be as if it had never happened. If it counts, `args.grad_norm` bounds the
    /// gradients after the factor.
    ///
    /// [`keep_if`](Self::keep_if) follows: with the same verdict if the update
    /// [is bounded](ModelOptimizer::is_bounded) with these arguments, otherwise with one that may be stricter.
    fn update_gated(
        &mut self,
        args: &StepArgs,
        model: M,
        grads: GradientsParams,
        verdict: &DeviceVerdict,
    ) -> M;

    /// Takes the last update back on the device where the flag is false, as if it had never happened, and returns
    /// whether it can; if not, the update was one with gradients of zero. The parameters are left to the caller.
    fn keep_if(&mut self, counts: &Tensor<1, Bool>) -> bool;

    /// Tells which of the updates since the last call counted, in order.
    fn settle(&mut self, counted: &[bool]);
}

/// Forwards every method: a default method of the trait would hide the one in the box.
impl<M: Module> ModelOptimizer<M> for Box<dyn ModelOptimizer<M>> {
    fn update(&mut self, args: StepArgs, model: M, grads: GradientsParams) -> M {
        (**self).update(args, model, grads)
    }

    fn on_device(&mut self) -> Option<&mut dyn DeviceOptimizer<M>> {
        (**self).on_device()
    }

    fn is_bounded(&self, args: &StepArgs) -> bool {
        (**self).is_bounded(args)
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

/// What [`Keel::wrap`](crate::Keel::wrap) accepts: a [`ModelOptimizer`], or a rule of this crate, which becomes one
/// over all parameters.
///
/// `By` only tells the two apart, and never needs to be written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be put under guard",
    note = "a rule of `evenkeel::optim`, its `ParamGroups`, or Burn's `ModuleOptimizer` can: \
            `SomeConfig::new().init()`, or `ModuleOptimizer::from(optimizer)`"
)]
pub trait IntoModelOptimizer<M: Module, By> {
    /// Converts it into the optimizer that a keel holds.
    fn into_model_optimizer(self) -> Box<dyn ModelOptimizer<M>>;
}

/// Marks a type that is already a [`ModelOptimizer`].
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
