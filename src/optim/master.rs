//! Master weights: weights in single precision behind a model in half precision.

use std::collections::HashMap;
use std::fmt;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::kind::BridgeTensor;
use burn::tensor::{Bool, Bytes, DType, Tensor, TensorData, bf16, f16};
use burn_pack::{Reader, Tensor as Packed, Writer};

use super::groups::{Context, Slots};
use super::kernel::Buffer;
use super::{
    DeviceOptimizer, DeviceVerdict, IntoModelOptimizer, ModelOptimizer, SecondMoments, StepArgs,
};
use crate::Error;
use crate::checkpoint::State;
use crate::flag::{Flag, gated};

/// Keeps an `f32` copy of every parameter in half precision, and lets an optimizer step the copy.
///
/// ```text
/// w ← w − step(g)      in f32        p = w, rounded to f16 or bf16: what the model computes with
/// ```
///
/// `f16` has three digits, `bf16` two: a step below half of the last digit leaves a parameter unchanged, and so does
/// every such step after it. With this wrapper, small steps add up. Gradients are widened before the loss scale is
/// divided out of them, so that what the scale has kept from vanishing is not lost there, whatever the optimizer.
/// Wrappers and Burn's optimizers compute in `f32` too. Parameters in `f32` and `f64` are passed on unchanged.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use evenkeel::Keel;
/// use evenkeel::optim::{AdamW, MasterWeights};
/// use evenkeel::precision::LossScale;
///
/// # fn main() -> Result<(), evenkeel::Error> {
/// let model = LinearConfig::new(2, 1).init(&Device::default().autodiff());
/// let keel = Keel::wrap(MasterWeights::new(AdamW::new()))
///     .loss_scale(LossScale::dynamic())
///     .build(&model)?;
/// # let _ = keel;
/// # Ok(())
/// # }
/// ```
///
/// # Edges
/// A parameter that was changed from outside is respected: where the weight does not round to it, the parameter
/// replaces the weight. Parameters saturate at the end of their range.
///
/// A keel reports once, among its [notices](crate::Report::notices), if updates leave most elements in half precision
/// unchanged; with this wrapper it does not check.
///
/// Source: Micikevicius et al. 2018 (arXiv 1710.03740), section 3.1; `master_params` of NVIDIA's Apex.
///
/// # Cost
/// An additional `f32` copy of each parameter in half precision, and about four passes over it at each update; the
/// optimizer works on `f32`. No readback.
#[doc(alias = "master_params")]
pub struct MasterWeights<M: Module> {
    inner: Box<dyn ModelOptimizer<M>>,
    weights: HashMap<ParamId, Slots>,
    /// The weights before the last update, while it may be taken back.
    before: HashMap<ParamId, Slots>,
}

impl<M: Module> fmt::Debug for MasterWeights<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterWeights")
            .field("weights", &self.weights.len())
            .finish_non_exhaustive()
    }
}

impl<M: Module + 'static> MasterWeights<M> {
    /// Wraps whatever a [`Keel`](crate::Keel) accepts: a rule of this crate, its groups, or any Burn optimizer.
    pub fn new<By>(optimizer: impl IntoModelOptimizer<M, By>) -> Self {
        Self {
            inner: optimizer.into_model_optimizer(),
            weights: HashMap::new(),
            before: HashMap::new(),
        }
    }

    /// Returns the model with weights in place of parameters in half precision, and the gradients in their type. If
    /// `held`, the weights before the update are kept.
    fn widened(
        &mut self,
        model: M,
        grads: GradientsParams,
        held: bool,
    ) -> (M, GradientsParams, Halves) {
        let mut widen = Widen { grads, halves: HashMap::new() };
        model.visit(&mut widen);
        let Widen { grads, halves } = widen;
        self.before.clear();
        if halves.is_empty() {
            return (model, grads, halves);
        }
        let (halves, copies) = (halves, HashMap::new());
        let model = model.map(&mut Put { master: self, halves: &halves, copies, held });
        (model, grads, halves)
    }

    /// Returns the model in its own types, after an update of its weights.
    fn narrowed(&mut self, model: M, halves: &Halves) -> M {
        if halves.is_empty() {
            return model;
        }
        model.map(&mut Round { weights: Some(&mut self.weights), halves, copies: HashMap::new() })
    }

    /// Returns a copy of `model` with weights in place of parameters in half precision that require a gradient.
    fn wide(&self, model: &M) -> (M, Halves) {
        let mut trained = Trained(HashMap::new());
        model.visit(&mut trained);
        let halves = trained.0;
        let mut copy = Self {
            inner: self.inner.boxed(),
            weights: self.weights.clone(),
            before: HashMap::new(),
        };
        let (master, copies) = (&mut copy, HashMap::new());
        let model = model.clone().map(&mut Put { master, halves: &halves, copies, held: false });
        (model, halves)
    }
}

/// The parameters in half precision that are affected, with their types.
type Halves = HashMap<ParamId, DType>;

fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// Widens the gradients in half precision, and records their parameters.
struct Widen {
    grads: GradientsParams,
    halves: Halves,
}

impl ModuleVisitor for Widen {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let stored = param.base().dtype();
        if !is_half(stored) || self.halves.contains_key(&param.id) {
            return;
        }
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            self.grads.register(param.id, grad.cast(DType::F32));
            self.halves.insert(param.id, stored);
        }
    }
}

/// Finds the trained parameters in half precision.
struct Trained(Halves);

impl ModuleVisitor for Trained {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let stored = param.base().dtype();
        if is_half(stored) && param.is_require_grad() {
            self.0.insert(param.id, stored);
        }
    }
}

/// Puts the weights in place of the parameters.
struct Put<'a, M: Module> {
    master: &'a mut MasterWeights<M>,
    halves: &'a Halves,
    /// Weights put in so far: a parameter may be used in more than one place.
    copies: HashMap<ParamId, BridgeTensor>,
    held: bool,
}

impl<M: Module> ModuleMapper for Put<'_, M> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.halves.contains_key(&param.id) {
            return param;
        }
        let (id, tensor, mapper) = param.consume();
        if let Some(copy) = self.copies.get(&id) {
            return Param::from_mapped_value(id, Tensor::from_bridge(copy.clone()), mapper);
        }
        let context = Context::of(&tensor);
        let value = tensor.without_autodiff();
        let MasterWeights { weights, before, .. } = &mut *self.master;
        let weight = weights.remove(&id).and_then(|kept| kept.first::<D>(&value.device()));
        let wide = value.clone().cast(DType::F32);
        let wide = match weight {
            // Where the weight does not round to the parameter, the parameter was changed from outside.
            Some(weight) => {
                let same = weight.clone().cast(value.dtype()).equal(value);
                wide.mask_where(same, weight)
            }
            None => wide,
        };
        if self.held {
            before.insert(id, Slots::Live(vec![Buffer::of(wide.clone())]));
        }
        let wide = context.restored(wide, id);
        self.copies.insert(id, wide.clone().into_bridge());
        Param::from_mapped_value(id, wide, mapper)
    }
}

/// Takes the weights out, and rounds them to the types of the model.
struct Round<'a> {
    /// Where the weights are kept, if they are.
    weights: Option<&'a mut HashMap<ParamId, Slots>>,
    halves: &'a Halves,
    copies: HashMap<ParamId, BridgeTensor>,
}

impl ModuleMapper for Round<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(&stored) = self.halves.get(&param.id) else { return param };
        let (id, tensor, mapper) = param.consume();
        if let Some(copy) = self.copies.get(&id) {
            return Param::from_mapped_value(id, Tensor::from_bridge(copy.clone()), mapper);
        }
        let context = Context::of(&tensor);
        let end = match stored {
            DType::F16 => f16::MAX.to_f64(),
            _ => bf16::MAX.to_f64(),
        };
        let weight = tensor.without_autodiff().clamp(-end, end);
        let rounded = weight.clone().cast(stored);
        if let Some(weights) = &mut self.weights {
            weights.insert(id, Slots::Live(vec![Buffer::of(weight)]));
        }
        let rounded = context.restored(rounded, id);
        self.copies.insert(id, rounded.clone().into_bridge());
        Param::from_mapped_value(id, rounded, mapper)
    }
}

impl<M: Module + 'static> DeviceOptimizer<M> for MasterWeights<M> {
    fn update_gated(
        &mut self,
        args: &StepArgs,
        model: M,
        grads: GradientsParams,
        verdict: &DeviceVerdict,
    ) -> M {
        let (model, grads, halves) = self.widened(model, grads, true);
        let model = match self.inner.on_device() {
            Some(inner) => inner.update_gated(args, model, grads, verdict),
            None => {
                let counts = Flag::of(verdict.counts.clone());
                let grads = gated(&model, grads, verdict.factor.as_ref(), &counts);
                let args = StepArgs { factor: 1.0, grad_norm: f64::INFINITY, ..args.clone() };
                self.inner.update(args, model, grads)
            }
        };
        self.narrowed(model, &halves)
    }

    fn keep_if(&mut self, counts: &Tensor<1, Bool>) -> bool {
        let flag = Flag::of(counts.clone());
        for (id, before) in std::mem::take(&mut self.before) {
            if let (Slots::Live(before), Some(Slots::Live(after))) =
                (before, self.weights.get_mut(&id))
            {
                let pairs = std::mem::take(after).into_iter().zip(before);
                *after = pairs.map(|(new, old)| Buffer::chosen(&flag, new, old)).collect();
            }
        }
        self.inner.on_device().is_some_and(|inner| inner.keep_if(counts))
    }

    fn settle(&mut self, counted: &[bool]) {
        if let Some(inner) = self.inner.on_device() {
            inner.settle(counted);
        }
    }
}

impl<M: Module + 'static> ModelOptimizer<M> for MasterWeights<M> {
    fn update(&mut self, args: StepArgs, model: M, grads: GradientsParams) -> M {
        let (model, grads, halves) = self.widened(model, grads, false);
        let model = self.inner.update(args, model, grads);
        self.narrowed(model, &halves)
    }

    fn on_device(&mut self) -> Option<&mut dyn DeviceOptimizer<M>> {
        Some(self)
    }

    fn is_bounded(&self, args: &StepArgs) -> bool {
        self.inner.is_bounded(args)
    }

    /// Returns `false`: the optimizer sees gradients in `f32` where parameters are in half precision.
    fn squares_in_own_type(&self) -> bool {
        false
    }

    fn rounds_away(&self) -> bool {
        false
    }

    fn check_fit(&self, model: &M) -> Result<(), Error> {
        let shapes = crate::fit::shapes(model);
        for (id, kept) in &self.weights {
            let fits = shapes.get(id).is_some_and(|shape| kept.shapes() == [shape.clone()]);
            if !fits {
                return Err(Error::record("the weights in `f32` in it are not of this model"));
            }
        }
        self.inner.check_fit(&self.wide(model).0)
    }

    fn is_finite(&self) -> Result<bool, Error> {
        let failed = |cause| Error::io("reading the weights in f32", cause);
        for kept in self.weights.values() {
            let data = kept.data().map_err(failed)?;
            if !data.iter().all(|data| data.iter::<f64>().all(f64::is_finite)) {
                return Ok(false);
            }
        }
        self.inner.is_finite()
    }

    fn eval_model(&self, model: &M) -> M {
        let (wide, halves) = self.wide(model);
        let model = self.inner.eval_model(&wide);
        model.map(&mut Round { weights: None, halves: &halves, copies: HashMap::new() })
    }

    fn second_moments(&self) -> SecondMoments {
        self.inner.second_moments()
    }

    fn boxed(&self) -> Box<dyn ModelOptimizer<M>> {
        Box::new(Self {
            inner: self.inner.boxed(),
            weights: self.weights.clone(),
            before: self.before.clone(),
        })
    }

    fn state(&self) -> Result<State, Error> {
        let failed = |cause: String| Error::io("writing the weights in f32", cause);
        let mut tensors = Vec::new();
        for (id, kept) in &self.weights {
            for data in kept.data().map_err(|cause| failed(cause.to_string()))? {
                let (bytes, shape, dtype) = data.into_parts();
                let (id, shape) = (id.val(), shape.iter().copied().collect::<Vec<usize>>());
                tensors.push(Packed::new(id.to_string(), dtype, shape, Some(id), bytes));
            }
        }
        // Sorted by name, because the order of the map differs every time.
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let bytes = Writer::new(tensors).into_bytes().map_err(|cause| failed(cause.to_string()))?;
        Ok(State::new()
            .with_part("inner", self.inner.state()?)
            .with_bytes("weights", bytes.to_vec()))
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let damaged =
            |cause| Error::record(format_args!("the weights in f32 are damaged: {cause}"));
        let bytes = Bytes::from_bytes_vec(state.bytes("weights")?.to_vec());
        let mut weights = HashMap::new();
        for tensor in Reader::from_bytes(bytes).map_err(damaged)?.into_tensors().map_err(damaged)? {
            let (name, dtype, shape, _, bytes) = tensor.into_parts().map_err(damaged)?;
            let id: u64 = match (name.parse(), dtype) {
                (Ok(id), DType::F32) => id,
                _ => return Err(Error::record(format_args!("`{name}` is no weight in f32"))),
            };
            let data = TensorData::from_bytes(bytes, shape, dtype);
            weights.insert(ParamId::from(id), Slots::Saved(vec![data]));
        }
        self.inner.restore(&state.part("inner"))?;
        self.weights = weights;
        self.before.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;
    use crate::optim::Sgd;

    /// A layer of this type, and a gradient for its weight.
    fn layer(dtype: DType) -> (Linear, GradientsParams) {
        let device = Device::flex();
        let mut layer: Linear = LinearConfig::new(2, 2).with_bias(false).init(&device.autodiff());
        layer.weight = layer.weight.map(|w| w.detach().cast(dtype).detach().require_grad());
        let mut grads = GradientsParams::new();
        grads.register(layer.weight.id, Tensor::<2>::ones([2, 2], &Device::flex()).cast(dtype));
        (layer, grads)
    }

    #[test]
    fn only_parameters_in_half_precision_have_a_copy() {
        for (dtype, copies) in [(DType::F32, 0), (DType::F16, 1), (DType::BF16, 1)] {
            let (layer, grads) = layer(dtype);
            let mut widen = Widen { grads, halves: HashMap::new() };
            layer.visit(&mut widen);
            assert_eq!(widen.halves.len(), copies, "{dtype:?}");
        }
    }

    #[test]
    fn the_weights_before_an_update_are_kept_only_while_it_may_be_taken_back() {
        for held in [true, false] {
            let (layer, grads) = layer(DType::F16);
            let mut master = MasterWeights::new(Sgd::new());
            let _ = master.widened(layer, grads, held);
            assert_eq!(master.before.len(), usize::from(held));
        }
    }
}
