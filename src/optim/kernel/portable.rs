//! Every rule in tensor operations, for any device: what the other kernels are tested against.

use burn::tensor::{DType, Tensor, f16};

use super::Limits;
use super::plan::{Adam, Free, Incoming, Momentum, Normal, Plan, Scaling, Second};

/// One update: the parameter, and the state in the order of the rule. Half precision is computed,
/// and its state kept, in `f32`.
///
/// # Cost
/// About a dozen passes for Adam, each into a buffer of its own where one cannot be reused.
pub(crate) fn step<const D: usize>(
    plan: &Plan,
    param: Tensor<D>,
    grad: Tensor<D>,
    mut slots: impl Iterator<Item = Tensor<D>>,
) -> (Tensor<D>, Vec<Tensor<D>>) {
    let (stored, wide) = (param.dtype(), super::wide(param.dtype()));
    let limits = Limits::of(wide);
    let (param, grad) = (param.cast(wide), grad.cast(wide));
    let (device, shape) = (param.device(), param.shape());
    let zeros = || Tensor::zeros(shape.clone(), (&device, wide));
    let (param, slots) = match plan {
        Plan::Momentum(plan) => {
            let velocity = plan.velocity.map(|_| slots.next().unwrap_or_else(zeros));
            let (param, velocity) = momentum(plan, param, grad, velocity, limits);
            (param, velocity.into_iter().collect())
        }
        Plan::Adam(plan) => {
            let moments = [(); 2].map(|()| slots.next().unwrap_or_else(zeros));
            let largest = (plan.second == Second::Largest).then(|| slots.next());
            let largest = largest.map(|slot| slot.unwrap_or_else(zeros));
            let (param, moments, largest) = adam(plan, param, grad, moments, largest, limits);
            (param, moments.into_iter().chain(largest).collect())
        }
        Plan::Free(plan) => {
            // At the first update the three sequences are at one place.
            let z = slots.next().unwrap_or_else(|| param.clone());
            let v = plan.normal.map(|_| slots.next().unwrap_or_else(zeros));
            let (param, z, v) = free(plan, param, grad, z, v, limits);
            (param, [Some(z), v].into_iter().flatten().collect())
        }
    };
    let param = match stored {
        // Past its range a narrow float stops at the end of it.
        DType::F16 => param.clamp(f16::MIN.to_f64(), f16::MAX.to_f64()),
        _ => param,
    };
    (param.cast(stored), slots)
}

/// `g'`
fn incoming<const D: usize>(
    plan: &Incoming,
    param: &Tensor<D>,
    grad: Tensor<D>,
    limits: Limits,
) -> Tensor<D> {
    let grad = match plan.factor {
        1.0 => grad,
        factor => grad * factor,
    };
    let grad = match plan.coupled {
        0.0 => grad,
        decay => grad + param.clone() * decay,
    };
    grad.clamp(-limits.gradient, limits.gradient)
}

fn momentum<const D: usize>(
    plan: &Momentum,
    param: Tensor<D>,
    grad: Tensor<D>,
    velocity: Option<Tensor<D>>,
    limits: Limits,
) -> (Tensor<D>, Option<Tensor<D>>) {
    let g = incoming(&plan.incoming, &param, grad, limits);
    let velocity = match (plan.velocity, velocity) {
        (Some((c, k)), Some(velocity)) => Some(velocity * c + g.clone() * k),
        _ => None,
    };
    let step = match &velocity {
        Some(velocity) => g * plan.by_gradient + velocity.clone() * plan.by_velocity,
        None => g * plan.by_gradient,
    };
    (shrunk(param, plan.shrink) - step, velocity)
}

fn shrunk<const D: usize>(param: Tensor<D>, by: f64) -> Tensor<D> {
    match by {
        0.0 => param,
        by => param * (1.0 - by),
    }
}

fn adam<const D: usize>(
    plan: &Adam,
    param: Tensor<D>,
    grad: Tensor<D>,
    [m, v]: [Tensor<D>; 2],
    largest: Option<Tensor<D>>,
    limits: Limits,
) -> (Tensor<D>, [Tensor<D>; 2], Option<Tensor<D>>) {
    let ((b1, k1), (b2, k2)) = (plan.first, plan.squares);
    let epsilon = limits.epsilon(plan.epsilon);
    let mut g = incoming(&plan.incoming, &param, grad, limits);
    if plan.spike.is_finite() {
        let limit = v.clone() * plan.spike;
        let spike =
            (g.clone() * g.clone()).greater(limit.clone()).bool_and(v.clone().greater_elem(0.0));
        g = g.clone().mask_where(spike, g.sign() * limit.sqrt());
    }
    let average = |v: Tensor<D>, x: Tensor<D>| v * b2 + x.clone() * k2 * x;

    if plan.second == Second::Adopt {
        let normal = g.clone() / v.clone().sqrt().clamp_min(epsilon);
        let normal = normal.clamp(-plan.extra, plan.extra);
        let m = m * b1 + normal * k1;
        let step = m.clone() * plan.by_moment;
        let param = apply(plan.scaling, plan.shrink, param, step, &g, None);
        return (param, [m, average(v, g)], None);
    }

    let m = m * b1 + g.clone() * k1;
    let v = match plan.second {
        Second::Belief => average(v, g.clone() - m.clone()) + limits.epsilon(plan.extra),
        Second::Infinity => (v * b2).max_pair(g.clone().abs() + epsilon),
        _ => average(v, g.clone()),
    };
    let largest = largest.map(|w| (w * plan.keep).max_pair(v.clone()));
    let root = || largest.as_ref().unwrap_or(&v).clone().sqrt() * plan.root;
    let bottom = match plan.second {
        Second::Infinity => v.clone(),
        _ => root() + epsilon,
    };
    let top = match plan.by_gradient {
        0.0 => m.clone() * plan.by_moment,
        by => g.clone() * by + m.clone() * plan.by_moment,
    };
    let rms = plan.scaling.rms.map(|threshold| {
        let ratio = g.clone() / root().clamp_min(epsilon);
        (ratio.clone() * ratio).mean().sqrt() / threshold
    });
    let param = apply(plan.scaling, plan.shrink, param, top / bottom, &g, rms);
    (param, [m, v], largest)
}

/// `p = (1 − s)·p − u`, scaled as asked; `rms` is in units of its threshold.
fn apply<const D: usize>(
    scaling: Scaling,
    shrink: f64,
    param: Tensor<D>,
    step: Tensor<D>,
    grad: &Tensor<D>,
    rms: Option<Tensor<1>>,
) -> Tensor<D> {
    let step = match scaling.cautious {
        true => {
            // By signs: the product of two small numbers may vanish.
            let along = (step.clone().sign() * grad.clone().sign()).greater_elem(0.0);
            let share = along.clone().float().cast(step.dtype()).mean().clamp_min(LEAST_SHARE);
            step.mask_fill(along.bool_not(), 0.0) * share.recip().reshape([1; D])
        }
        false => step,
    };
    match rms {
        Some(rms) => {
            let part = rms.clamp_min(1.0).recip().reshape([1; D]);
            param.clone() - (param * shrink + step) * part
        }
        None => shrunk(param, shrink) - step,
    }
}

/// The least share of a cautious step that is assumed to be left, as in the authors' code.
pub(crate) const LEAST_SHARE: f64 = 1e-3;

fn free<const D: usize>(
    plan: &Free,
    y: Tensor<D>,
    grad: Tensor<D>,
    z: Tensor<D>,
    v: Option<Tensor<D>>,
    limits: Limits,
) -> (Tensor<D>, Tensor<D>, Option<Tensor<D>>) {
    let g = incoming(&plan.incoming, &y, grad, limits);
    let (d, v) = match (plan.normal, v) {
        (Some(Normal { squares: (b2, k2), root, epsilon, decay }), Some(v)) => {
            let v = v * b2 + g.clone() * k2 * g.clone();
            let bottom = v.clone().sqrt() * root + limits.epsilon(epsilon);
            let d = g / bottom;
            let d = match decay {
                0.0 => d,
                decay => d + y.clone() * decay,
            };
            (d, Some(v))
        }
        _ => (g, None),
    };
    let c = plan.average;
    let y = y * (1.0 - c) + z.clone() * c - d.clone() * plan.pull;
    (y, z - d * plan.rate, v)
}
