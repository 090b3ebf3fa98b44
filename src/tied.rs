//! Tied weights: parameters that are used in more than one place of a model.

use std::collections::{HashMap, HashSet};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::kind::BridgeTensor;

/// Returns the model with its tied weights tied again, so that all places of a parameter hold one tensor.
///
/// Places belong to one parameter if they have the same id, as a layer and its clone have. Autodiff adds up the
/// gradients of all uses of one tensor. Operations that rebuild a model place by place give each place a separate
/// tensor: [`Module::train`], [`Module::to_device`], loading a record, and the steps of Burn's optimizers. From then on
/// [`GradientsParams::from_grads`](burn::optim::GradientsParams::from_grads) silently keeps the gradient of only one of
/// the places.
///
/// [`Keel`](crate::Keel) and the optimizers of this crate tie the models they return. Call this function after loading
/// or moving a model with tied weights, before its first forward pass.
///
/// If the places hold different values, the first one's is used.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::tie;
///
/// let device = Device::default().autodiff();
/// let layer: Linear = LinearConfig::new(1, 1).with_bias(false).init(&device);
/// let model = vec![layer.clone(), layer];
/// // A copy of which each place has a tensor of its own.
/// let apart = model.valid().train();
///
/// let x = Tensor::<2>::ones([1, 1], &device);
/// let gradient = |model: Vec<Linear>| {
///     let loss = (model[0].forward(x.clone()) + model[1].forward(x.clone())).sum();
///     let grads = GradientsParams::from_grads(loss.backward(), &model);
///     grads.get::<2>(model[0].weight.id).unwrap().into_scalar::<f32>()
/// };
/// assert_eq!(gradient(apart.clone()), 1.0);
/// assert_eq!(gradient(tie(apart)), 2.0);
/// ```
///
/// # Cost
/// One pass over the parameters, and another if some are tied. Copies handles.
#[doc(alias = "tie_weights")]
pub fn tie<M: Module>(model: M) -> M {
    let mut find = Find::default();
    model.visit(&mut find);
    match find.repeated.is_empty() {
        true => model,
        false => model.map(&mut Tie { repeated: find.repeated, first: HashMap::new() }),
    }
}

#[derive(Default)]
struct Find {
    seen: HashSet<ParamId>,
    repeated: HashSet<ParamId>,
}

impl ModuleVisitor for Find {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.seen.insert(param.id) {
            self.repeated.insert(param.id);
        }
    }
}

struct Tie {
    repeated: HashSet<ParamId>,
    first: HashMap<ParamId, BridgeTensor>,
}

impl ModuleMapper for Tie {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.repeated.contains(&param.id) {
            return param;
        }
        match self.first.get(&param.id) {
            None => {
                self.first.insert(param.id, param.base().into_bridge());
                param
            }
            Some(first) => {
                let (id, _, mapper) = param.consume();
                Param::from_mapped_value(id, Tensor::from_bridge(first.clone()), mapper)
            }
        }
    }
}

/// Returns a copy of `model` that shares nothing that a forward pass writes. Clones would share the running statistics
/// of BatchNorm.
pub(crate) fn apart<M: Module>(model: &M) -> M {
    tie(model.valid().train())
}
