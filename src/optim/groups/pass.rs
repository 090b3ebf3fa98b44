//! One update of a model: its tensors are taken out, run through the kernels together, and put back.

use std::collections::{HashMap, HashSet};
use std::iter::Peekable;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::kind::BridgeTensor;
use burn::tensor::{GradientCheckpointingStrategy, Tensor};

use super::super::kernel::{Buffer, Done, Job, Queue};
use super::super::rule::Now;
use super::super::units;
use super::ParamGroups;
use super::entries::Slots;

pub(super) fn run<M: Module>(
    groups: &mut ParamGroups,
    lr: &ModuleLearningRate,
    factor: f64,
    model: M,
    mut grads: GradientsParams,
) -> M {
    rounds(groups, model, |groups, model| round(groups, lr, factor, model, &mut grads))
}

/// Makes a round over all parameters, and another one if the first met parameters without an entry, as at the first
/// update.
pub(super) fn rounds<M: Module>(
    groups: &mut ParamGroups,
    model: M,
    mut round: impl FnMut(&mut ParamGroups, M) -> (M, bool),
) -> M {
    groups.turn += 1;
    let (model, strangers) = round(groups, model);
    if !strangers {
        return model;
    }
    groups.entries.complete(&groups.rules, &model);
    round(groups, model).0
}

/// Updates every parameter that has an entry, and returns whether any parameter had none.
fn round<M: Module>(
    groups: &mut ParamGroups,
    lr: &ModuleLearningRate,
    factor: f64,
    model: M,
    grads: &mut GradientsParams,
) -> (M, bool) {
    let mut take = Take {
        queue: Queue::default(),
        groups,
        lr,
        factor,
        grads,
        seats: Vec::new(),
        again: HashSet::new(),
        strangers: false,
        hollow: HashMap::new(),
    };
    let model = model.map(&mut take);
    let Take { groups, queue, seats, again, strangers, .. } = take;
    let seats = seats.into_iter().zip(queue.finish()).peekable();
    let model = model.map(&mut Put { groups, seats, again, copies: HashMap::new() });
    (model, strangers)
}

/// Where an updated tensor belongs.
struct Seat {
    id: ParamId,
    entry: usize,
    context: Context,
}

/// Takes the tensors out, so that nothing else holds their buffers.
struct Take<'a> {
    groups: &'a mut ParamGroups,
    lr: &'a ModuleLearningRate,
    factor: f64,
    grads: &'a mut GradientsParams,
    queue: Queue,
    seats: Vec<Seat>,
    /// Parameters that are used in more than one place.
    again: HashSet<ParamId>,
    strangers: bool,
    /// Placeholders for the tensors that are out, by rank.
    hollow: HashMap<usize, BridgeTensor>,
}

impl ModuleMapper for Take<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let ParamGroups { rules, entries, turn, .. } = &mut *self.groups;
        let Some(at) = entries.position(param.id) else {
            self.strangers = true;
            return param;
        };
        let entry = entries.get_mut(at);
        if entry.turn == *turn {
            self.again.insert(param.id);
            return param;
        }
        let Some(grad) = self.grads.remove::<D>(param.id) else {
            return param;
        };
        if grad.dims().contains(&0) {
            // Not every device can launch a kernel over an empty tensor.
            return param;
        }
        entry.turn = *turn;

        let (id, tensor, mapper) = param.consume();
        let context = Context::of(&tensor);
        let rule = &rules[entry.group].1.0;
        let lr = self.lr.lr_from_param(id, Some(&entry.path));
        let plan = rule.plan(&Now { lr, factor: self.factor, rank: D }, &mut entry.memory);
        let grad = Buffer::of(match rule.centralizes() {
            true => units::centralized(grad),
            false => grad,
        });
        let tensor = Buffer::of(tensor.inner()).beside::<D>(&grad);
        let slots = entry.slots.take_to::<D>(&tensor);
        let hollow = self.hollow.entry(D).or_insert_with(|| hollow::<D>(&tensor).into_bridge());
        let hollow = hollow.clone();
        self.queue.push(Job::new(D, plan, tensor, grad, slots));
        self.seats.push(Seat { id, entry: at, context });
        Param::from_mapped_value(id, Tensor::from_bridge(hollow), mapper)
    }
}

/// Returns a tensor without elements, on the device of `beside`.
fn hollow<const D: usize>(beside: &Buffer) -> Tensor<D> {
    Tensor::empty([0; D], &beside.device())
}

/// Puts the updated tensors back.
struct Put<'a, I: Iterator<Item = (Seat, Done)>> {
    groups: &'a mut ParamGroups,
    seats: Peekable<I>,
    again: HashSet<ParamId>,
    /// The tensors of those parameters: one for all places, so that autodiff adds up the gradients of all uses.
    copies: HashMap<ParamId, BridgeTensor>,
}

impl<I: Iterator<Item = (Seat, Done)>> ModuleMapper for Put<'_, I> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if let Some((seat, done)) = self.seats.next_if(|(seat, _)| seat.id == param.id) {
            let (id, _, mapper) = param.consume();
            self.groups.entries.get_mut(seat.entry).slots = Slots::Live(done.slots);
            let tensor = seat.context.restored(done.param.into_tensor::<D>(), id);
            if self.again.contains(&id) {
                self.copies.insert(id, tensor.clone().into_bridge());
            }
            return Param::from_mapped_value(id, tensor, mapper);
        }
        match self.copies.get(&param.id) {
            None => param,
            Some(updated) => {
                let (id, _, mapper) = param.consume();
                Param::from_mapped_value(id, Tensor::from_bridge(updated.clone()), mapper)
            }
        }
    }
}

/// The autodiff settings of a parameter, which its value does not carry.
pub(in crate::optim) struct Context {
    require_grad: bool,
    distributed: bool,
    checkpointing: Option<GradientCheckpointingStrategy>,
}

impl Context {
    pub(in crate::optim) fn of<const D: usize>(parameter: &Tensor<D>) -> Self {
        Self {
            require_grad: parameter.is_require_grad(),
            distributed: parameter.is_distributed(),
            checkpointing: parameter.gradient_checkpointing_strategy(),
        }
    }

    pub(in crate::optim) fn restored<const D: usize>(
        self,
        updated: Tensor<D>,
        id: ParamId,
    ) -> Tensor<D> {
        let mut tensor = Tensor::from_inner(updated);
        if let Some(strategy) = self.checkpointing {
            tensor = tensor.with_gradient_checkpointing_strategy(strategy);
        }
        if self.require_grad {
            tensor = tensor.require_grad();
        }
        if self.distributed {
            tensor = tensor.set_distributed(id);
        }
        tensor
    }
}
