//! Updates for which only the device knows whether they count.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::kind::BridgeTensor;
use burn::tensor::{Int, Tensor};

use super::super::kernel::{self, Buffer, Picker, Plans, Shared};
use super::super::record::Memory;
use super::super::rule::Now;
use super::super::{DeviceVerdict, StepArgs, units};
use super::ParamGroups;
use super::entries::Slots;
use super::pass::{Context, rounds};
use crate::flag::Flag;

/// The unsettled state of one parameter.
#[derive(Clone, Debug)]
pub(super) struct Unsure {
    /// The memory after each number of updates that may have counted. Only one, which counts all of them, if the rule
    /// [remembers rates](super::super::rule::Fused::remembers_rates).
    memories: Vec<Memory>,
    /// The unsettled updates that the parameter was in: their positions in the order, and their inputs.
    rounds: Vec<(usize, Now)>,
    /// The tensors of state before the last update, if it may be taken back.
    before: Vec<Buffer>,
}

impl Unsure {
    /// Returns how many updates are not settled.
    pub(super) fn updates(&self) -> u64 {
        self.rounds.len() as u64
    }
}

/// Makes one update of all parameters that have a gradient, and applies factor and verdict of the device. `taken_back`
/// says whether [`keep_if`] may be stricter than the verdict.
pub(super) fn run<M: Module>(
    groups: &mut ParamGroups,
    args: &StepArgs,
    model: M,
    mut grads: GradientsParams,
    verdict: &DeviceVerdict,
    taken_back: bool,
) -> M {
    rounds(groups, model, |groups, model| {
        let (pickers, copies) = (HashMap::new(), HashMap::new());
        let (grads, shared) = (&mut grads, Shared::default());
        let strangers = false;
        let mut step =
            Step { groups, args, grads, verdict, taken_back, shared, pickers, copies, strangers };
        let model = model.map(&mut step);
        (model, step.strangers)
    })
}

/// Chooses between the tensors of state after the last update and those before it.
pub(super) fn keep_if(groups: &mut ParamGroups, counts: Flag) {
    let turn = groups.turn;
    for entry in groups.entries.iter_mut().filter(|entry| entry.turn == turn) {
        let Some(unsure) = &mut entry.unsure else { continue };
        if unsure.before.is_empty() {
            continue;
        }
        if let Slots::Live(slots) = &mut entry.slots {
            let pairs = std::mem::take(slots).into_iter().zip(std::mem::take(&mut unsure.before));
            *slots = pairs.map(|(after, before)| Buffer::chosen(&counts, after, before)).collect();
        }
    }
    groups.verdicts.push(counts);
}

/// Advances every memory by the updates that counted.
pub(super) fn settle(groups: &mut ParamGroups, counted: &[bool]) {
    groups.verdicts.clear();
    let ParamGroups { rules, entries, .. } = groups;
    for entry in entries.iter_mut() {
        let Some(unsure) = entry.unsure.take() else { continue };
        for (round, now) in unsure.rounds {
            if counted.get(round).copied().unwrap_or(false) {
                // The tensors were updated already; this updates the memory.
                let _ = rules[entry.group].1.0.plan(&now, &mut entry.memory);
            }
        }
    }
}

struct Step<'a> {
    groups: &'a mut ParamGroups,
    args: &'a StepArgs,
    grads: &'a mut GradientsParams,
    verdict: &'a DeviceVerdict,
    taken_back: bool,
    shared: Shared,
    /// By the earlier updates that a parameter was in: most parameters were in all of them.
    pickers: HashMap<Vec<usize>, Picker>,
    /// Updated parameters: they may be used in more than one place.
    copies: HashMap<ParamId, BridgeTensor>,
    strangers: bool,
}

impl ModuleMapper for Step<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(at) = self.groups.entries.position(param.id) else {
            self.strangers = true;
            return param;
        };
        if let Some(updated) = self.copies.get(&param.id) {
            let (id, _, mapper) = param.consume();
            return Param::from_mapped_value(id, Tensor::from_bridge(updated.clone()), mapper);
        }
        let Some(grad) = self.grads.remove::<D>(param.id) else { return param };
        let ParamGroups { rules, entries, verdicts, turn, .. } = &mut *self.groups;
        let entry = entries.get_mut(at);
        entry.turn = *turn;

        let (id, tensor, mapper) = param.consume();
        let context = Context::of(&tensor);
        let rule = &rules[entry.group].1.0;
        let lr = self.args.lr.lr_from_param(id, Some(&entry.path));
        let now = Now { lr, factor: self.args.factor, rank: D };
        let memory = entry.memory;
        let unsure = entry.unsure.get_or_insert_with(|| {
            Box::new(Unsure { memories: vec![memory], rounds: Vec::new(), before: Vec::new() })
        });

        let mut after = unsure.memories.clone();
        let plans: Vec<_> = after.iter_mut().map(|memory| rule.plan(&now, memory)).collect();
        match (rule.remembers_rates(), after.last()) {
            (false, Some(last)) => unsure.memories.push(*last),
            _ => unsure.memories = after,
        }
        let rounds: Vec<usize> = unsure.rounds.iter().map(|(round, _)| *round).collect();
        unsure.rounds.push((verdicts.len(), now));

        let grad = match rule.centralizes() {
            true => units::centralized(grad),
            false => grad,
        };
        let param = Buffer::of(tensor.inner()).beside::<D>(&Buffer::of(grad.clone()));
        let slots = entry.slots.take_to::<D>(&param);
        let slots = slots.into_iter().map(Buffer::into_tensor).collect();
        let param = param.into_tensor::<D>();
        let slots = kernel::begun(&plans[0], &param, slots);
        unsure.before = match self.taken_back {
            true => slots.iter().cloned().map(Buffer::of).collect(),
            false => Vec::new(),
        };
        // With a single plan it is the same, whichever updates counted.
        let rounds = if plans.len() == 1 { Vec::new() } else { rounds };
        let verdict = self.verdict;
        let picker = self.pickers.entry(rounds).or_insert_with_key(|rounds| {
            let device = verdict.counts.device();
            let count = match rounds.is_empty() {
                true => Tensor::zeros([1], &device),
                false => count(rounds, verdicts).to_device(&device),
            };
            let counts = Flag::of(verdict.counts.clone());
            Picker::new(count).gated(verdict.factor.clone(), counts)
        });
        let plans = Plans::Any(&plans, picker);
        let (param, slots) = kernel::step(&self.shared, plans, param, grad, slots);
        entry.slots = Slots::Live(slots.into_iter().map(Buffer::of).collect());
        let param = context.restored(param, id);
        self.copies.insert(id, param.clone().into_bridge());
        Param::from_mapped_value(id, param, mapper)
    }
}

/// Returns how many of these updates counted. There must be at least one.
fn count(rounds: &[usize], verdicts: &[Flag]) -> Tensor<1, Int> {
    let counts = rounds.iter().filter_map(|round| verdicts.get(*round));
    Tensor::cat(counts.map(|flag| flag.tensor().clone().int()).collect(), 0).sum()
}
