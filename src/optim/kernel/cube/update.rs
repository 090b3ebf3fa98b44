//! The kernel: one unit an element, the same arithmetic as on every other device.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::super::Limits;
use super::super::plan::{Plan, Second};
use super::fresh;
use super::numbers::{
    BY_GRADIENT, BY_MOMENT, COUNT, COUPLED, EPSILON, EXTRA, FACTOR, FIRST_NEW, FIRST_OLD, KEEP,
    LEFT, ROOT, SECOND_NEW, SECOND_OLD, SPIKE,
};

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
    let dim = CubeDim::new(&client, elements);
    let count = calculate_cube_count_elemwise(&client, elements, dim);

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
        count,
        dim,
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
fn update(
    p: &[f32],
    s0: &[f32],
    s1: &[f32],
    s2: &[f32],
    g: &[f32],
    table: &[f32],
    row: &[f32],
    p_out: &mut [f32],
    s0_out: &mut [f32],
    s1_out: &mut [f32],
    s2_out: &mut [f32],
    limit: f32,
    #[comptime] form: Form,
    #[comptime] picked: bool,
) {
    let i = ABSOLUTE_POS;
    if i >= p.len() {
        terminate!();
    }
    let at = if picked { u32::cast_from(row[0]) as usize * COUNT } else { 0usize.runtime() };
    let param = p[i];
    let grad = clamp(table[at + FACTOR] * g[i] + table[at + COUPLED] * param, -limit, limit);
    if comptime!(form.rule == MOMENTUM) {
        let mut step = table[at + BY_GRADIENT] * grad;
        if comptime!(form.slots == 1) {
            let velocity = table[at + FIRST_OLD] * s0[i] + table[at + FIRST_NEW] * grad;
            s0_out[i] = velocity;
            step += table[at + BY_MOMENT] * velocity;
        }
        p_out[i] = table[at + LEFT] * param - step;
    } else if comptime!(form.rule == FREE) {
        let z = s0[i];
        let mut d = grad;
        if comptime!(form.slots == 2) {
            let v = table[at + SECOND_OLD] * s1[i] + table[at + SECOND_NEW] * grad * grad;
            s1_out[i] = v;
            d = grad / (table[at + ROOT] * v.sqrt() + table[at + EPSILON])
                + table[at + EXTRA] * param;
        }
        p_out[i] =
            table[at + LEFT] * param + table[at + FIRST_OLD] * z - table[at + BY_GRADIENT] * d;
        s0_out[i] = z - table[at + BY_MOMENT] * d;
    } else {
        let old = s1[i];
        let mut g = grad;
        if comptime!(form.spikes) {
            let spike = table[at + SPIKE];
            let most = spike * old;
            if spike >= 0.0 && old > 0.0 && g * g > most {
                let root = most.sqrt();
                g = select(g < 0.0, -root, root);
            }
        }
        let epsilon = table[at + EPSILON];
        let mut into = g;
        if comptime!(form.rule == ADOPT) {
            let most = table[at + EXTRA];
            into = clamp(g / max(old.sqrt(), epsilon), -most, most);
        }
        let m = table[at + FIRST_OLD] * s0[i] + table[at + FIRST_NEW] * into;
        s0_out[i] = m;
        let mut square = g;
        if comptime!(form.rule == BELIEF) {
            square = g - m;
        }
        let mut v = table[at + SECOND_OLD] * old + table[at + SECOND_NEW] * square * square;
        if comptime!(form.rule == BELIEF) {
            v += table[at + EXTRA];
        }
        if comptime!(form.rule == INFINITY) {
            v = max(table[at + SECOND_OLD] * old, g.abs() + epsilon);
        }
        s1_out[i] = v;
        let mut normal = v;
        if comptime!(form.rule == LARGEST) {
            normal = max(table[at + KEEP] * s2[i], v);
            s2_out[i] = normal;
        }
        let top = table[at + BY_GRADIENT] * g + table[at + BY_MOMENT] * m;
        let mut step = top;
        if comptime!(form.rule == INFINITY) {
            step = top / normal;
        } else if comptime!(form.rule != ADOPT) {
            step = top / (table[at + ROOT] * normal.sqrt() + epsilon);
        }
        p_out[i] = table[at + LEFT] * param - step;
    }
}
