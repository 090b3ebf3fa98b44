//! A plan as a row of numbers.

use super::super::{Adam, Free, Limits, Momentum, Plan};

/// The number of values in a plan.
pub(super) const COUNT: usize = 14;

// The place of each number in a row; unused ones are 0.
pub(super) const FACTOR: usize = 0;
pub(super) const COUPLED: usize = 1;
/// `β₁`, or `c` of a velocity and of an average.
pub(super) const FIRST_OLD: usize = 2;
/// `κ₁`, or `k` of a velocity.
pub(super) const FIRST_NEW: usize = 3;
pub(super) const SECOND_OLD: usize = 4;
pub(super) const SECOND_NEW: usize = 5;
pub(super) const KEEP: usize = 6;
/// `1 − s`
pub(super) const LEFT: usize = 7;
/// `a`, or `q` of a schedule-free update.
pub(super) const BY_GRADIENT: usize = 8;
/// `b`, or `γ` of a schedule-free update.
pub(super) const BY_MOMENT: usize = 9;
pub(super) const ROOT: usize = 10;
pub(super) const EPSILON: usize = 11;
/// `extra`, or `λ` of a schedule-free update.
pub(super) const EXTRA: usize = 12;
/// `θ`, or [`NEVER`].
pub(super) const SPIKE: usize = 13;

/// Stands for an infinite `θ`: a shader may be compiled under the assumption that infinity does not occur.
const NEVER: f64 = -1.0;

/// Returns the plan in `f32`, as the kernel takes it.
pub(super) fn numbers(plan: &Plan) -> [f32; COUNT] {
    let mut row = [0.0; COUNT];
    match plan {
        Plan::Momentum(plan) => momentum(plan, &mut row),
        Plan::Adam(plan) => adam(plan, &mut row),
        Plan::Free(plan) => free(plan, &mut row),
    }
    row.map(|number| number as f32)
}

type Row = [f64; COUNT];

fn momentum(plan: &Momentum, row: &mut Row) {
    (row[FACTOR], row[COUPLED]) = (plan.incoming.factor, plan.incoming.coupled);
    (row[FIRST_OLD], row[FIRST_NEW]) = plan.velocity.unwrap_or_default();
    row[LEFT] = 1.0 - plan.shrink;
    (row[BY_GRADIENT], row[BY_MOMENT]) = (plan.by_gradient, plan.by_velocity);
}

fn adam(plan: &Adam, row: &mut Row) {
    let epsilon = |x| Limits::SINGLE.epsilon(x);
    (row[FACTOR], row[COUPLED]) = (plan.incoming.factor, plan.incoming.coupled);
    (row[FIRST_OLD], row[FIRST_NEW]) = plan.first;
    (row[SECOND_OLD], row[SECOND_NEW]) = plan.squares;
    (row[KEEP], row[LEFT]) = (plan.keep, 1.0 - plan.shrink);
    (row[BY_GRADIENT], row[BY_MOMENT]) = (plan.by_gradient, plan.by_moment);
    (row[ROOT], row[EPSILON]) = (plan.root, epsilon(plan.epsilon));
    row[EXTRA] = match plan.second {
        super::super::plan::Second::Belief => epsilon(plan.extra),
        // Without a bound it is infinite, which a shader need not support.
        _ => plan.extra.min(f64::from(f32::MAX)),
    };
    row[SPIKE] = match plan.spike.is_finite() {
        true => plan.spike,
        false => NEVER,
    };
}

fn free(plan: &Free, row: &mut Row) {
    (row[FACTOR], row[COUPLED]) = (plan.incoming.factor, plan.incoming.coupled);
    (row[FIRST_OLD], row[LEFT]) = (plan.average, 1.0 - plan.average);
    (row[BY_GRADIENT], row[BY_MOMENT]) = (plan.pull, plan.rate);
    if let Some(normal) = &plan.normal {
        (row[SECOND_OLD], row[SECOND_NEW]) = normal.squares;
        (row[ROOT], row[EPSILON]) = (normal.root, Limits::SINGLE.epsilon(normal.epsilon));
        row[EXTRA] = normal.decay;
    }
}
