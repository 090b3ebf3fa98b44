//! Every rule in tensor operations, for any device; the reference that the other kernels are tested against.

use burn::tensor::{DType, Tensor, f16};

use super::Limits;
use super::choice::{Choice, Number, Plans};
use super::plan::{Adam, Free, Incoming, Momentum, Normal, Plan, Second};

/// Makes one update. Returns the parameter, and the state in the order of the rule, as [`begun`] completes it. Half
/// precision is computed, and its state kept, in `f32`.
///
/// # Cost
/// About a dozen passes for Adam, each into a separate buffer unless one can be reused.
pub(crate) fn step<const D: usize>(
    plans: Plans<'_>,
    param: Tensor<D>,
    grad: Tensor<D>,
    slots: Vec<Tensor<D>>,
) -> (Tensor<D>, Vec<Tensor<D>>) {
    let (stored, wide) = (param.dtype(), super::wide(param.dtype()));
    let limits = Limits::of(wide);
    let (param, grad) = (param.cast(wide), grad.cast(wide));
    let at = (&param.device(), wide);
    let mut slots = slots.into_iter();
    let mut slot = || slots.next().unwrap_or_else(|| param.zeros_like());
    let (param, slots) = match plans.first() {
        Plan::Momentum(first) => {
            let velocity = first.velocity.map(|_| slot());
            let plan = plans.choice(at, |plan| match plan {
                Plan::Momentum(plan) => Some(*plan),
                _ => None,
            });
            let (param, velocity) = momentum(&plan, param, grad, velocity, limits);
            (param, velocity.into_iter().collect())
        }
        Plan::Adam(first) => {
            let moments = [slot(), slot()];
            let largest = (first.second == Second::Largest).then(slot);
            let plan = plans.choice(at, |plan| match plan {
                Plan::Adam(plan) => Some(*plan),
                _ => None,
            });
            let (param, moments, largest) = adam(&plan, param, grad, moments, largest, limits);
            (param, moments.into_iter().chain(largest).collect())
        }
        Plan::Free(first) => {
            let (z, v) = (slot(), first.normal.map(|_| slot()));
            let plan = plans.choice(at, |plan| match plan {
                Plan::Free(plan) => Some(*plan),
                _ => None,
            });
            let (param, z, v) = free(&plan, param, grad, z, v, limits);
            (param, [Some(z), v].into_iter().flatten().collect())
        }
    };
    let param = match stored {
        // `f16` saturates at the end of its range.
        DType::F16 => param.clamp(f16::MIN.to_f64(), f16::MAX.to_f64()),
        _ => param,
    };
    (param.cast(stored), slots)
}

/// Completes the state with zeros, or with the rule's initial values.
pub(crate) fn begun<const D: usize>(
    plan: &Plan,
    param: &Tensor<D>,
    mut slots: Vec<Tensor<D>>,
) -> Vec<Tensor<D>> {
    let param = || param.clone().cast(super::wide(param.dtype()));
    while slots.len() < plan.slots() {
        slots.push(match (plan, slots.len()) {
            // At the first update the three sequences coincide.
            (Plan::Free(_), 0) => param(),
            _ => param().zeros_like(),
        });
    }
    slots
}

/// Computes `g'`.
fn incoming<const D: usize, P: Copy>(
    plan: &Choice<'_, P>,
    of: impl Fn(&P) -> Incoming,
    param: &Tensor<D>,
    grad: Tensor<D>,
    limits: Limits,
) -> Tensor<D> {
    let grad = match plan.factor() {
        Some(factor) => factor.times(grad),
        None => grad,
    };
    let grad = match plan.number(|plan| of(plan).factor) {
        Number::Known(1.0) => grad,
        factor => factor.times(grad),
    };
    let grad = match plan.number(|plan| of(plan).coupled) {
        Number::Known(0.0) => grad,
        decay => grad + decay.times(param.clone()),
    };
    grad.clamp(-limits.gradient, limits.gradient)
}

fn momentum<const D: usize>(
    plan: &Choice<'_, Momentum>,
    param: Tensor<D>,
    grad: Tensor<D>,
    velocity: Option<Tensor<D>>,
    limits: Limits,
) -> (Tensor<D>, Option<Tensor<D>>) {
    let g = incoming(plan, |plan| plan.incoming, &param, grad, limits);
    let velocity = velocity.map(|velocity| {
        let [c, k] = [0, 1].map(|at| {
            plan.number(|plan| plan.velocity.map_or(0.0, |(c, k)| if at == 0 { c } else { k }))
        });
        c.times(velocity) + k.times(g.clone())
    });
    let by_gradient = plan.number(|plan| plan.by_gradient);
    let step = match &velocity {
        Some(velocity) => {
            by_gradient.times(g) + plan.number(|plan| plan.by_velocity).times(velocity.clone())
        }
        None => by_gradient.times(g),
    };
    (shrunk(plan, |plan| plan.shrink, param) - step, velocity)
}

fn shrunk<const D: usize, P: Copy>(
    plan: &Choice<'_, P>,
    by: impl Fn(&P) -> f64,
    param: Tensor<D>,
) -> Tensor<D> {
    match plan.number(|plan| 1.0 - by(plan)) {
        Number::Known(1.0) => param,
        left => left.times(param),
    }
}

fn adam<const D: usize>(
    plan: &Choice<'_, Adam>,
    param: Tensor<D>,
    grad: Tensor<D>,
    [m, v]: [Tensor<D>; 2],
    largest: Option<Tensor<D>>,
    limits: Limits,
) -> (Tensor<D>, [Tensor<D>; 2], Option<Tensor<D>>) {
    let (second, scaling) = (plan.first().second, plan.first().scaling);
    let epsilon = plan.number(|plan| limits.epsilon(plan.epsilon));
    let mut g = incoming(plan, |plan| plan.incoming, &param, grad, limits);
    match plan.number(|plan| plan.spike) {
        Number::Known(f64::INFINITY) => {}
        spike => {
            // If it is infinite, the limit is infinite too, or NaN: neither is exceeded.
            let limit = spike.times(v.clone());
            let spike = (g.clone() * g.clone())
                .greater(limit.clone())
                .bool_and(v.clone().greater_elem(0.0));
            g = g.clone().mask_where(spike, g.sign() * limit.sqrt());
        }
    }
    let average = |v: Tensor<D>, x: Tensor<D>| {
        plan.number(|plan| plan.squares.0).times(v)
            + plan.number(|plan| plan.squares.1).times(x.clone()) * x
    };
    let first = |m: Tensor<D>, x: Tensor<D>| {
        plan.number(|plan| plan.first.0).times(m) + plan.number(|plan| plan.first.1).times(x)
    };
    let by_moment = plan.number(|plan| plan.by_moment);

    if second == Second::Adopt {
        let normal = g.clone() / epsilon.at_least(v.clone().sqrt());
        let normal = plan.number(|plan| plan.extra).within(normal);
        let m = first(m, normal);
        let step = by_moment.times(m.clone());
        let param = apply(plan, param, step, &g, None);
        return (param, [m, average(v, g)], None);
    }

    let m = first(m, g.clone());
    let v = match second {
        Second::Belief => {
            let extra = plan.number(|plan| limits.epsilon(plan.extra));
            extra.plus(average(v, g.clone() - m.clone()))
        }
        Second::Infinity => {
            plan.number(|plan| plan.squares.0).times(v).max_pair(epsilon.plus(g.clone().abs()))
        }
        _ => average(v, g.clone()),
    };
    let largest = largest.map(|w| plan.number(|plan| plan.keep).times(w).max_pair(v.clone()));
    let corrects = plan.number(|plan| plan.root);
    let root = || corrects.times(largest.as_ref().unwrap_or(&v).clone().sqrt());
    let bottom = match second {
        Second::Infinity => v.clone(),
        _ => epsilon.plus(root()),
    };
    let top = match plan.number(|plan| plan.by_gradient) {
        Number::Known(0.0) => by_moment.times(m.clone()),
        by => by.times(g.clone()) + by_moment.times(m.clone()),
    };
    let rms = scaling.rms.map(|threshold| {
        let ratio = g.clone() / epsilon.at_least(root());
        (ratio.clone() * ratio).mean().sqrt() / threshold
    });
    let param = apply(plan, param, top / bottom, &g, rms);
    (param, [m, v], largest)
}

/// Computes `p = (1 − s)·p − u`, with `u` scaled as the plan says; `rms` is in units of its threshold.
fn apply<const D: usize>(
    plan: &Choice<'_, Adam>,
    param: Tensor<D>,
    step: Tensor<D>,
    grad: &Tensor<D>,
    rms: Option<Tensor<1>>,
) -> Tensor<D> {
    let step = match plan.first().scaling.cautious {
        true => cautious(step, grad.clone()),
        false => step,
    };
    match rms {
        Some(rms) => {
            let part = rms.clamp_min(1.0).recip().reshape([1; D]);
            let taken = plan.number(|plan| plan.shrink).times(param.clone()) + step;
            param - taken * part
        }
        None => shrunk(plan, |plan| plan.shrink, param) - step,
    }
}

/// Returns the elements of a step that point along the gradient, divided by their share. Both have the same type.
pub(crate) fn cautious<const D: usize>(step: Tensor<D>, grad: Tensor<D>) -> Tensor<D> {
    // By signs, because the product of two small numbers may vanish.
    let along = (step.clone().sign() * grad.sign()).greater_elem(0.0);
    let share = along.clone().float().cast(step.dtype()).mean().clamp_min(LEAST_SHARE);
    step.mask_fill(along.bool_not(), 0.0) * share.recip().reshape([1; D])
}

/// The smallest share assumed in a cautious step, as in the authors' code.
pub(crate) const LEAST_SHARE: f64 = 1e-3;

fn free<const D: usize>(
    plan: &Choice<'_, Free>,
    y: Tensor<D>,
    grad: Tensor<D>,
    z: Tensor<D>,
    v: Option<Tensor<D>>,
    limits: Limits,
) -> (Tensor<D>, Tensor<D>, Option<Tensor<D>>) {
    let g = incoming(plan, |plan| plan.incoming, &y, grad, limits);
    let (d, v) = match v {
        Some(v) => {
            let of = |number: fn(&Normal) -> f64| {
                plan.number(|plan| plan.normal.as_ref().map_or(0.0, number))
            };
            let v = of(|normal| normal.squares.0).times(v)
                + of(|normal| normal.squares.1).times(g.clone()) * g.clone();
            let epsilon = plan
                .number(|plan| limits.epsilon(plan.normal.map_or(0.0, |normal| normal.epsilon)));
            let bottom = epsilon.plus(of(|normal| normal.root).times(v.clone().sqrt()));
            let d = g / bottom;
            let d = match of(|normal| normal.decay) {
                Number::Known(0.0) => d,
                decay => d + decay.times(y.clone()),
            };
            (d, Some(v))
        }
        None => (g, None),
    };
    let c = plan.number(|plan| plan.average);
    let rest = plan.number(|plan| 1.0 - plan.average);
    let pulled = plan.number(|plan| plan.pull).times(d.clone());
    let y = rest.times(y) + c.times(z.clone()) - pulled;
    (y, z - plan.number(|plan| plan.rate).times(d), v)
}
