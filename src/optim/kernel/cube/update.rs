//! The kernel: several cubes per tensor, in which each unit handles every *n*-th element, with the same arithmetic as
//! on every other device.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::DType;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::super::Limits;
use super::super::plan::{Plan, Second};
use super::fresh;
use super::numbers::{
    BY_GRADIENT, BY_MOMENT, COUNT, COUPLED, EPSILON, EXTRA, FACTOR, FIRST_NEW, FIRST_OLD, KEEP,
    LEFT, ROOT, SECOND_NEW, SECOND_OLD, SPIKE,
};
use crate::cube::width;

/// The code that a kernel is compiled to: everything that is the same for every element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Form {
    rule: u32,
    slots: usize,
    spikes: bool,
}

const MOMENTUM: u32 = 0;
const SQUARE: u32 = 1;
const LARGEST: u32 = 2;
const BELIEF: u32 = 3;
const INFINITY: u32 = 4;
const ADOPT: u32 = 5;
const FREE: u32 = 6;

impl Form {
    /// Returns `None` if the plan needs all elements before it can change one.
    pub(super) fn of(plans: &[Plan]) -> Option<Self> {
        let plan = plans.first()?;
        let (rule, spikes) = match plan {
            Plan::Momentum(_) => (MOMENTUM, false),
            Plan::Free(_) => (FREE, false),
            Plan::Adam(adam) if adam.scaling.is_needed() => return None,
            Plan::Adam(adam) => {
                let rule = match adam.second {
                    Second::Square => SQUARE,
                    Second::Largest => LARGEST,
                    Second::Belief => BELIEF,
                    Second::Infinity => INFINITY,
                    Second::Adopt => ADOPT,
                };
                let spikes =
                    |plan: &Plan| matches!(plan, Plan::Adam(adam) if adam.spike.is_finite());
                (rule, plans.iter().any(spikes))
            }
        };
        Some(Self { rule, slots: plan.slots(), spikes })
    }

    pub(super) fn slots(self) -> usize {
        self.slots
    }
}

/// Units of a cube, supported by every device.
const UNITS: u32 = 256;

/// Number of elements that make a unit worthwhile: it has to read the plan first.
const SHARE: usize = 16;

/// The largest finite number of type `f16`.
const HALF: f32 = 65_504.0;

/// Number of cubes that every device can launch.
const CUBES: usize = 65_535;

/// Number of elements from which a tensor gets a separate launch.
const ALONE: usize = 1 << 18;

/// Number of tensors that one launch updates, if the device has enough bindings: a launch takes longer than a small
/// tensor.
const TOGETHER: usize = 8;

/// The work on one tensor: its code, and the index of its table.
pub(super) struct Work {
    pub(super) form: Form,
    pub(super) table: usize,
    pub(super) param: CubeTensor,
    pub(super) grad: CubeTensor,
    pub(super) state: Vec<CubeTensor>,
}

/// What all tensors of a launch have in common.
#[derive(Clone, Copy, PartialEq)]
struct Alike {
    form: Form,
    table: usize,
    param: DType,
    grad: DType,
    width: usize,
}

impl Work {
    fn elements(&self) -> usize {
        self.param.meta.num_elements()
    }

    fn cubes(&self) -> u32 {
        self.elements().div_ceil(UNITS as usize * SHARE).min(CUBES) as u32
    }

    fn alike(&self) -> Alike {
        let (form, table, width) = (self.form, self.table, width(self.elements()));
        Alike { form, table, param: self.param.dtype, grad: self.grad.dtype, width }
    }

    /// Returns how many buffers it takes.
    fn bindings(&self) -> usize {
        let written = [&self.param].into_iter().chain(&self.state);
        1 + written.map(|tensor| if tensor.can_mut() { 1 } else { 2 }).sum::<usize>()
    }
}

/// Tensors that can share a launch, and the number of buffers that they take.
struct Group {
    of: Alike,
    /// With their positions in the order.
    works: Vec<(usize, Work)>,
    bindings: usize,
    is_open: bool,
}

/// Updates tensors, those that can share a launch together, and returns parameter and state of each, in order. With a
/// control, the device picks the plan in a table.
pub(super) fn launch_all(
    works: Vec<Work>,
    tables: &[CubeTensor],
    control: Option<&CubeTensor>,
) -> Vec<CubeTensor> {
    let mut groups: Vec<Group> = Vec::new();
    for (at, work) in works.into_iter().enumerate() {
        let (of, bindings) = (work.alike(), work.bindings());
        // Besides the numbers, the control, and the kernel's other arguments.
        let free = work.param.client.properties().hardware.max_bindings.saturating_sub(3) as usize;
        let is_open = work.elements() < ALONE;
        let fits = |group: &&mut Group| {
            let room = group.works.len() < TOGETHER && group.bindings + bindings <= free;
            group.is_open && is_open && group.of == of && room
        };
        match groups.iter_mut().rev().find(fits) {
            Some(group) => {
                group.works.push((at, work));
                group.bindings += bindings;
            }
            None => groups.push(Group { of, works: vec![(at, work)], bindings, is_open }),
        }
    }
    let mut done = Vec::new();
    for Group { of, works, .. } in groups {
        let (places, works): (Vec<_>, Vec<_>) = works.into_iter().unzip();
        let outputs = launch(of, works, &tables[of.table], control);
        done.extend(places.into_iter().zip(outputs));
    }
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().flat_map(|(_, tensors)| tensors).collect()
}

/// Runs the kernel over parameters that share a launch.
fn launch(
    of: Alike,
    works: Vec<Work>,
    table: &CubeTensor,
    control: Option<&CubeTensor>,
) -> Vec<Vec<CubeTensor>> {
    let client = table.client.clone();
    let (count, rows) = (works.len(), 1 + of.form.slots());
    let mut inputs: Vec<Vec<BufferArg>> = (0..=SLOTS).map(|_| Vec::new()).collect();
    let mut outputs: Vec<Vec<BufferArg>> = (0..=SLOTS).map(|_| Vec::new()).collect();
    let (mut grads, mut ends, mut cubes, mut done) = (Vec::new(), Vec::new(), 0, Vec::new());
    for (k, work) in works.into_iter().enumerate() {
        let elements = work.elements();
        cubes += work.cubes();
        ends.push(cubes);
        grads.push(work.grad.into_buffer_arg());
        let mut targets = Vec::with_capacity(rows);
        for (row, tensor) in [work.param].into_iter().chain(work.state).enumerate() {
            // An argument that aliases another names it by its position among the arguments that do not alias.
            let (target, argument) = match tensor.can_mut() {
                true => (tensor.clone(), BufferArg::alias(row * count + k, elements)),
                false => {
                    let target = fresh(&tensor);
                    (target.clone(), target.into_buffer_arg())
                }
            };
            inputs[row].push(tensor.into_buffer_arg());
            outputs[row].push(argument);
            targets.push(target);
        }
        done.push(targets);
    }
    let (mut inputs, mut outputs) = (inputs.into_iter(), outputs.into_iter());
    let mut input = || inputs.next().unwrap_or_default();
    let mut output = || outputs.next().unwrap_or_default();
    update::launch(
        &client,
        CubeCount::Static(cubes, 1, 1),
        CubeDim::new_1d(UNITS),
        of.width,
        input().into_iter().collect(),
        input().into_iter().collect(),
        input().into_iter().collect(),
        input().into_iter().collect(),
        grads.into_iter().collect(),
        table.clone().into_buffer_arg(),
        control.map(|control| control.clone().into_buffer_arg()).into_iter().collect(),
        output().into_iter().collect(),
        output().into_iter().collect(),
        output().into_iter().collect(),
        output().into_iter().collect(),
        ends.into_iter().collect(),
        Limits::SINGLE.gradient as f32,
        of.form,
        // `f16` saturates at the end of its range.
        of.param == DType::F16,
        [of.param, of.grad].map(dtype_to_storage_type),
    );
    done
}

/// Largest number of state tensors of a rule.
const SLOTS: usize = 3;

type Many<T> = Sequence<Box<[T]>>;

#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn update<P: Float, G: Float, N: Size>(
    p: &Many<Vector<P, N>>,
    s0: &Many<Vector<f32, N>>,
    s1: &Many<Vector<f32, N>>,
    s2: &Many<Vector<f32, N>>,
    g: &Many<Vector<G, N>>,
    table: &[f32],
    control: &Many<f32>,
    p_out: &mut Many<Vector<P, N>>,
    s0_out: &mut Many<Vector<f32, N>>,
    s1_out: &mut Many<Vector<f32, N>>,
    s2_out: &mut Many<Vector<f32, N>>,
    ends: &Sequence<u32>,
    limit: f32,
    #[comptime] form: Form,
    #[comptime] is_half: bool,
    #[define(P, G)] _types: [ElemType; 2],
) {
    // Known at compile time if possible: what all units read is then read once for many of them.
    let mut at = 0usize;
    let mut given = 1.0f32.runtime();
    let mut counts = true.runtime();
    if comptime!(control.len() == 1) {
        at = u32::cast_from(control.index(0)[0]) as usize * COUNT;
        given = control.index(0)[1];
        counts = control.index(0)[2] != 0.0;
    }
    let factor = Vector::new(given * table[at + FACTOR]);
    let coupled = Vector::new(table[at + COUPLED]);
    let first_old = Vector::new(table[at + FIRST_OLD]);
    let first_new = Vector::new(table[at + FIRST_NEW]);
    let second_old = Vector::new(table[at + SECOND_OLD]);
    let second_new = Vector::new(table[at + SECOND_NEW]);
    let keep = Vector::new(table[at + KEEP]);
    let left = Vector::new(table[at + LEFT]);
    let by_gradient = Vector::new(table[at + BY_GRADIENT]);
    let by_moment = Vector::new(table[at + BY_MOMENT]);
    let root = Vector::new(table[at + ROOT]);
    let epsilon = Vector::new(table[at + EPSILON]);
    let extra = Vector::new(table[at + EXTRA]);
    let spike = Vector::new(table[at + SPIKE]);
    let (least, most) = (Vector::new(-limit), Vector::new(limit));
    let zero = Vector::<f32, N>::new(0.0f32);
    let cube = CUBE_POS as u32;
    #[unroll]
    for k in 0..comptime!(p.len()) {
        let mut begin = 0u32;
        if comptime!(k > 0) {
            begin = *ends.index(comptime!(k - 1));
        }
        let end = *ends.index(k);
        if cube >= begin && cube < end {
            let mut i = (cube - begin) as usize * CUBE_DIM as usize + UNIT_POS as usize;
            let stride = (end - begin) as usize * CUBE_DIM as usize;
            if !counts {
                // Everything stays as it was, copied to other buffers if necessary.
                while i < p.index(k).len() {
                    p_out.index_mut(k)[i] = p.index(k)[i];
                    if comptime!(form.slots > 0) {
                        s0_out.index_mut(k)[i] = s0.index(k)[i];
                    }
                    if comptime!(form.slots > 1) {
                        s1_out.index_mut(k)[i] = s1.index(k)[i];
                    }
                    if comptime!(form.slots > 2) {
                        s2_out.index_mut(k)[i] = s2.index(k)[i];
                    }
                    i += stride;
                }
            }
            while i < p.index(k).len() {
                let param = Vector::<f32, N>::cast_from(p.index(k)[i]);
                let grad = Vector::<f32, N>::cast_from(g.index(k)[i]);
                let grad = clamp(factor * grad + coupled * param, least, most);
                let mut result = left * param;
                if comptime!(form.rule == MOMENTUM) {
                    let mut step = by_gradient * grad;
                    if comptime!(form.slots == 1) {
                        let velocity = first_old * s0.index(k)[i] + first_new * grad;
                        s0_out.index_mut(k)[i] = velocity;
                        step += by_moment * velocity;
                    }
                    result -= step;
                } else if comptime!(form.rule == FREE) {
                    let z = s0.index(k)[i];
                    let mut d = grad;
                    if comptime!(form.slots == 2) {
                        let v = second_old * s1.index(k)[i] + second_new * grad * grad;
                        s1_out.index_mut(k)[i] = v;
                        d = grad / (root * v.sqrt() + epsilon) + extra * param;
                    }
                    result = result + first_old * z - by_gradient * d;
                    s0_out.index_mut(k)[i] = z - by_moment * d;
                } else {
                    let old = s1.index(k)[i];
                    let mut g = grad;
                    if comptime!(form.spikes) {
                        let bound = spike * old;
                        let cut = bound.sqrt();
                        let cut = select_many(g.less_than(&zero), -cut, cut);
                        let seen = old.greater_than(&zero).vec_and(spike.greater_than(&zero));
                        let is_spike = (g * g).greater_than(&bound).vec_and(seen);
                        g = select_many(is_spike, cut, g);
                    }
                    let mut into = g;
                    if comptime!(form.rule == ADOPT) {
                        into = clamp(g / max(old.sqrt(), epsilon), -extra, extra);
                    }
                    let m = first_old * s0.index(k)[i] + first_new * into;
                    s0_out.index_mut(k)[i] = m;
                    let mut square = g;
                    if comptime!(form.rule == BELIEF) {
                        square = g - m;
                    }
                    let mut v = second_old * old + second_new * square * square;
                    if comptime!(form.rule == BELIEF) {
                        v += extra;
                    }
                    if comptime!(form.rule == INFINITY) {
                        v = max(second_old * old, g.abs() + epsilon);
                    }
                    s1_out.index_mut(k)[i] = v;
                    let mut normal = v;
                    if comptime!(form.rule == LARGEST) {
                        normal = max(keep * s2.index(k)[i], v);
                        s2_out.index_mut(k)[i] = normal;
                    }
                    let mut step = by_gradient * g + by_moment * m;
                    if comptime!(form.rule == INFINITY) {
                        step /= normal;
                    } else if comptime!(form.rule != ADOPT) {
                        step /= root * normal.sqrt() + epsilon;
                    }
                    result -= step;
                }
                if comptime!(is_half) {
                    result = clamp(result, Vector::new(-HALF), Vector::new(HALF));
                }
                p_out.index_mut(k)[i] = Vector::cast_from(result);
                i += stride;
            }
        }
    }
}
