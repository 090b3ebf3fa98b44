//! The kernel: each unit does every so manieth element, in the same arithmetic as on every other device.

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

/// Cubes that every device can launch.
const CUBES: usize = 65_535;

/// Runs the kernel over one parameter. With `row` the device says which row of the table is meant.
pub(super) fn launch(
    form: Form,
    param: CubeTensor,
    grad: CubeTensor,
    state: Vec<CubeTensor>,
    table: CubeTensor,
    row: Option<CubeTensor>,
) -> (CubeTensor, Vec<CubeTensor>) {
    let client = param.client.clone();
    let elements = param.meta.num_elements();
    let dim = CubeDim::new_1d(UNITS);
    let count = elements.div_ceil(UNITS as usize * SHARE).min(CUBES);

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
    let mut inputs = inputs.into_iter();
    let nothing = || BufferArg::alias(0, elements);
    let picked = row.is_some();
    let mut input = || inputs.next().unwrap_or_else(nothing);
    let (p, s0, s1, s2) = (input(), input(), input(), input());
    state_out.reverse();
    let mut out = || state_out.pop().unwrap_or_else(nothing);
    let row = row.map_or_else(nothing, CubeTensor::into_buffer_arg);
    update::launch(
        &client,
        CubeCount::Static(count as u32, 1, 1),
        dim,
        width(elements),
        p,
        s0,
        s1,
        s2,
        grad.into_buffer_arg(),
        table.into_buffer_arg(),
        row,
        param_out,
        out(),
        out(),
        out(),
        Limits::SINGLE.gradient as f32,
        form,
        picked,
    );
    (param, state)
}

#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn update<N: Size>(
    p: &[Vector<f32, N>],
    s0: &[Vector<f32, N>],
    s1: &[Vector<f32, N>],
    s2: &[Vector<f32, N>],
    g: &[Vector<f32, N>],
    table: &[f32],
    row: &[f32],
    p_out: &mut [Vector<f32, N>],
    s0_out: &mut [Vector<f32, N>],
    s1_out: &mut [Vector<f32, N>],
    s2_out: &mut [Vector<f32, N>],
    limit: f32,
    #[comptime] form: Form,
    #[comptime] picked: bool,
) {
    let at = if picked { u32::cast_from(row[0]) as usize * COUNT } else { 0usize.runtime() };
    let factor = Vector::new(table[at + FACTOR]);
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
        let param = p[i];
        let grad = clamp(factor * g[i] + coupled * param, least, most);
        if comptime!(form.rule == MOMENTUM) {
            let mut step = by_gradient * grad;
            if comptime!(form.slots == 1) {
                let velocity = first_old * s0[i] + first_new * grad;
                s0_out[i] = velocity;
                step += by_moment * velocity;
            }
            p_out[i] = left * param - step;
        } else if comptime!(form.rule == FREE) {
            let z = s0[i];
            let mut d = grad;
            if comptime!(form.slots == 2) {
                let v = second_old * s1[i] + second_new * grad * grad;
                s1_out[i] = v;
                d = grad / (root * v.sqrt() + epsilon) + extra * param;
            }
            p_out[i] = left * param + first_old * z - by_gradient * d;
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
            p_out[i] = left * param - step;
        }
        i += CUBE_COUNT * CUBE_DIM as usize;
    }
}
