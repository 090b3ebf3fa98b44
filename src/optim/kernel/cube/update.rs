//! The kernel: each unit does every so manieth element, in the same arithmetic as on every other device.

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

/// Which code a kernel is compiled to: everything that is the same for every element.
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
    /// `None` if the plan needs to know all elements before it can change one.
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

/// Units of a cube: what every device has.
const UNITS: u32 = 256;

/// Elements that are worth a unit, which has to read the plan first.
const SHARE: usize = 16;

/// The largest number of type `f16`.
const HALF: f32 = 65_504.0;

/// Cubes that every device can launch.
const CUBES: usize = 65_535;

/// The numbers of plans, and what the device knows.
pub(super) type Numbers = (CubeTensor, Option<CubeTensor>);

/// Runs the kernel over one parameter. With a control the device says which of the plans it is.
pub(super) fn launch(
    form: Form,
    param: CubeTensor,
    grad: CubeTensor,
    state: Vec<CubeTensor>,
    (table, control): Numbers,
) -> (CubeTensor, Vec<CubeTensor>) {
    let client = param.client.clone();
    let elements = param.meta.num_elements();
    let dim = CubeDim::new_1d(UNITS);
    let count = elements.div_ceil(UNITS as usize * SHARE).min(CUBES);
    let types = [param.dtype, grad.dtype].map(dtype_to_storage_type);
    // Past its range this type stops at the end of it.
    let ends = param.dtype == DType::F16;

    // Arguments that alias others are named by the place of those among the ones that do not.
    let (mut inputs, mut place) = (Vec::new(), 0);
    let mut output = |tensor: CubeTensor| {
        let writable = tensor.can_mut();
        let (target, argument) = match writable {
            true => (tensor.clone(), BufferArg::alias(place, elements)),
            false => {
                let target = fresh(&tensor);
                (target.clone(), target.into_buffer_arg())
            }
        };
        inputs.push(tensor.into_buffer_arg());
        place += 1;
        (target, argument)
    };
    let (param, param_out) = output(param);
    let (state, mut state_out): (Vec<_>, Vec<_>) = state.into_iter().map(output).unzip();
    // What a rule has no use for is never looked at; it takes the place of something of its type.
    let spare = place - 1;
    let mut inputs = inputs.into_iter();
    let (p, grad) = (inputs.next(), grad.into_buffer_arg());
    let nothing = || BufferArg::alias(spare, elements);
    let mut input = || inputs.next().unwrap_or_else(nothing);
    let (s0, s1, s2) = (input(), input(), input());
    state_out.reverse();
    let mut out = || state_out.pop().unwrap_or_else(nothing);
    let picked = control.is_some();
    let control = control.map_or_else(nothing, CubeTensor::into_buffer_arg);
    update::launch(
        &client,
        CubeCount::Static(count as u32, 1, 1),
        dim,
        width(elements),
        p.unwrap_or_else(nothing),
        s0,
        s1,
        s2,
        grad,
        table.into_buffer_arg(),
        control,
        param_out,
        out(),
        out(),
        out(),
        Limits::SINGLE.gradient as f32,
        form,
        picked,
        ends,
        types,
    );
    (param, state)
}

#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn update<P: Float, G: Float, N: Size>(
    p: &[Vector<P, N>],
    s0: &[Vector<f32, N>],
    s1: &[Vector<f32, N>],
    s2: &[Vector<f32, N>],
    g: &[Vector<G, N>],
    table: &[f32],
    control: &[f32],
    p_out: &mut [Vector<P, N>],
    s0_out: &mut [Vector<f32, N>],
    s1_out: &mut [Vector<f32, N>],
    s2_out: &mut [Vector<f32, N>],
    limit: f32,
    #[comptime] form: Form,
    #[comptime] picked: bool,
    #[comptime] ends: bool,
    #[define(P, G)] _types: [ElemType; 2],
) {
    // Known when it is compiled, if it can be: what all units read is then read once for many.
    let mut at = 0usize;
    let mut given = 1.0f32.runtime();
    if comptime!(picked) {
        if control[2] == 0.0 {
            keep(p, s0, s1, s2, p_out, s0_out, s1_out, s2_out, form);
            terminate!();
        }
        at = u32::cast_from(control[0]) as usize * COUNT;
        given = control[1];
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
    let mut i = CUBE_POS * CUBE_DIM as usize + UNIT_POS as usize;
    while i < p.len() {
        let param = Vector::<f32, N>::cast_from(p[i]);
        let grad = Vector::<f32, N>::cast_from(g[i]);
        let grad = clamp(factor * grad + coupled * param, least, most);
        let mut result = left * param;
        if comptime!(form.rule == MOMENTUM) {
            let mut step = by_gradient * grad;
            if comptime!(form.slots == 1) {
                let velocity = first_old * s0[i] + first_new * grad;
                s0_out[i] = velocity;
                step += by_moment * velocity;
            }
            result -= step;
        } else if comptime!(form.rule == FREE) {
            let z = s0[i];
            let mut d = grad;
            if comptime!(form.slots == 2) {
                let v = second_old * s1[i] + second_new * grad * grad;
                s1_out[i] = v;
                d = grad / (root * v.sqrt() + epsilon) + extra * param;
            }
            result = result + first_old * z - by_gradient * d;
            s0_out[i] = z - by_moment * d;
        } else {
            let old = s1[i];
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
            let m = first_old * s0[i] + first_new * into;
            s0_out[i] = m;
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
            s1_out[i] = v;
            let mut normal = v;
            if comptime!(form.rule == LARGEST) {
                normal = max(keep * s2[i], v);
                s2_out[i] = normal;
            }
            let mut step = by_gradient * g + by_moment * m;
            if comptime!(form.rule == INFINITY) {
                step /= normal;
            } else if comptime!(form.rule != ADOPT) {
                step /= root * normal.sqrt() + epsilon;
            }
            result -= step;
        }
        if comptime!(ends) {
            result = clamp(result, Vector::new(-HALF), Vector::new(HALF));
        }
        p_out[i] = Vector::cast_from(result);
        i += CUBE_COUNT * CUBE_DIM as usize;
    }
}

/// Leaves everything as it was, in other buffers if need be.
#[cube]
#[allow(clippy::too_many_arguments)]
fn keep<P: Float, N: Size>(
    p: &[Vector<P, N>],
    s0: &[Vector<f32, N>],
    s1: &[Vector<f32, N>],
    s2: &[Vector<f32, N>],
    p_out: &mut [Vector<P, N>],
    s0_out: &mut [Vector<f32, N>],
    s1_out: &mut [Vector<f32, N>],
    s2_out: &mut [Vector<f32, N>],
    #[comptime] form: Form,
) {
    let mut i = CUBE_POS * CUBE_DIM as usize + UNIT_POS as usize;
    while i < p.len() {
        p_out[i] = p[i];
        if comptime!(form.slots > 0) {
            s0_out[i] = s0[i];
        }
        if comptime!(form.slots > 1) {
            s1_out[i] = s1[i];
        }
        if comptime!(form.slots > 2) {
            s2_out[i] = s2[i];
        }
        i += CUBE_COUNT * CUBE_DIM as usize;
    }
}
