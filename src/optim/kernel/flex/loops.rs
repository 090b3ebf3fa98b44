//! The loops over elements, short and branchless so that the compiler vectorizes them.

use num_traits::{AsPrimitive, Float};

use super::super::Limits;
use super::super::plan::{Adam, Free, Incoming, Momentum, Second};
use super::cast::Number;

/// The types of the computation.
pub(super) trait Real: Float + Number + AsPrimitive<f64> + Send + Sync {
    /// Returns [`Limits::gradient`] in this type.
    fn limit() -> Self;

    /// Returns the number, or 0 if it is denormal. A moment that shrinks by a constant factor at each step ends at the
    /// smallest denormal number and stays there, which makes every later step slow; no useful moment is that small.
    #[inline(always)]
    fn flushed(self) -> Self {
        if self.abs() < Self::min_positive_value() { Self::zero() } else { self }
    }
}

impl Real for f32 {
    fn limit() -> Self {
        Limits::SINGLE.gradient as f32
    }
}

impl Real for f64 {
    fn limit() -> Self {
        Limits::DOUBLE.gradient
    }
}

/// The state that a loop may write; tensors that the rule does not have are empty.
pub(super) type State<'a, A> = [&'a mut [A]; SLOTS];

/// Largest number of state tensors of a rule.
pub(super) const SLOTS: usize = 3;

/// Computes `g'`. NaN passes, because comparisons with it are false.
#[inline(always)]
fn incoming<A: Real>(k: &Incoming<A>, p: A, g: A) -> A {
    let (g, limit) = (k.factor * g + k.coupled * p, A::limit());
    let g = if g > limit { limit } else { g };
    if g < -limit { -limit } else { g }
}

#[inline(always)]
pub(super) fn momentum<A: Real>(k: &Momentum<A>, p: &mut [A], g: &[A], [v, ..]: State<'_, A>) {
    let keep = A::one() - k.shrink;
    match k.velocity {
        None => {
            for (p, &g) in p.iter_mut().zip(g) {
                let g = incoming(&k.incoming, *p, g);
                *p = keep * *p - k.by_gradient * g;
            }
        }
        Some((old, new)) => {
            for ((p, &g), v) in p.iter_mut().zip(g).zip(v) {
                let g = incoming(&k.incoming, *p, g);
                *v = (old * *v + new * g).flushed();
                *p = keep * *p - (k.by_gradient * g + k.by_velocity * *v);
            }
        }
    }
}

#[inline(always)]
pub(super) fn free<A: Real>(k: &Free<A>, p: &mut [A], g: &[A], [z, v, _]: State<'_, A>) {
    let rest = A::one() - k.average;
    let advance = |y: &mut A, z: &mut A, d: A| {
        *y = rest * *y + k.average * *z - k.pull * d;
        *z = *z - k.rate * d;
    };
    match k.normal {
        None => {
            for ((y, &g), z) in p.iter_mut().zip(g).zip(z) {
                let g = incoming(&k.incoming, *y, g);
                advance(y, z, g);
            }
        }
        Some(n) => {
            let (old, new) = n.squares;
            for (((y, &g), z), v) in p.iter_mut().zip(g).zip(z).zip(v) {
                let g = incoming(&k.incoming, *y, g);
                *v = (old * *v + new * g * g).flushed();
                let d = g / (n.root * v.sqrt() + n.epsilon) + n.decay * *y;
                advance(y, z, d);
            }
        }
    }
}

/// The part of an Adam update that a loop does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Phase {
    /// All of it.
    Whole,
    /// The moments, and the sums that scale the step.
    Moments,
    /// The parameter, once the scale is known.
    Apply { rate: f64, share: f64 },
}

/// `Σ(g'/max(k√d, ε))²`, and the number of elements of the step that point along the gradient.
pub(super) type Sums = [f64; 2];

/// Picks the loop, so that no choice is left for each element.
#[inline(always)]
pub(super) fn adam<A: Real>(
    k: &Adam<A>,
    phase: Phase,
    p: &mut [A],
    g: &[A],
    state: State<'_, A>,
) -> Sums {
    const SQUARE: u8 = Second::Square as u8;
    const LARGEST: u8 = Second::Largest as u8;
    const BELIEF: u8 = Second::Belief as u8;
    const INFINITY: u8 = Second::Infinity as u8;
    const ADOPT: u8 = Second::Adopt as u8;
    match (k.second, k.spike.is_finite()) {
        (Second::Square, false) => adam_as::<A, SQUARE, false>(k, phase, p, g, state),
        (Second::Square, true) => adam_as::<A, SQUARE, true>(k, phase, p, g, state),
        (Second::Largest, false) => adam_as::<A, LARGEST, false>(k, phase, p, g, state),
        (Second::Largest, true) => adam_as::<A, LARGEST, true>(k, phase, p, g, state),
        (Second::Belief, _) => adam_as::<A, BELIEF, false>(k, phase, p, g, state),
        (Second::Infinity, _) => adam_as::<A, INFINITY, false>(k, phase, p, g, state),
        (Second::Adopt, _) => adam_as::<A, ADOPT, false>(k, phase, p, g, state),
    }
}

#[inline(always)]
fn adam_as<A: Real, const SECOND: u8, const SPIKE: bool>(
    k: &Adam<A>,
    phase: Phase,
    p: &mut [A],
    g: &[A],
    [m, v, w]: State<'_, A>,
) -> Sums {
    let mut sums = [0.0; 2];
    let n = p.len();
    let (g, m, v) = (&g[..n], &mut m[..n], &mut v[..n]);
    // Only AMSGrad has a third tensor; the others never look at it.
    let w = if SECOND == Second::Largest as u8 { &mut w[..n] } else { w };
    match phase {
        Phase::Whole => {
            let keep = A::one() - k.shrink;
            for i in 0..n {
                let mut none = A::zero();
                let w = if SECOND == Second::Largest as u8 { &mut w[i] } else { &mut none };
                let g = incoming(&k.incoming, p[i], g[i]);
                let g = moments::<A, SECOND, SPIKE>(k, g, &mut m[i], &mut v[i], w);
                p[i] = keep * p[i] - step::<A, SECOND>(k, g, m[i], v[i], *w);
            }
        }
        Phase::Moments => {
            for i in 0..n {
                let mut none = A::zero();
                let w = if SECOND == Second::Largest as u8 { &mut w[i] } else { &mut none };
                let g = incoming(&k.incoming, p[i], g[i]);
                let g = moments::<A, SECOND, SPIKE>(k, g, &mut m[i], &mut v[i], w);
                let ratio = g / (k.root * normalizer::<A, SECOND>(v[i], *w)).max(k.epsilon);
                let step = step::<A, SECOND>(k, g, m[i], v[i], *w);
                sums[0] += (ratio * ratio).as_();
                sums[1] += if is_along(step, g) { 1.0 } else { 0.0 };
            }
        }
        Phase::Apply { rate, share } => {
            let (rate, share) = (A::of(rate), A::of(share));
            let (keep, cautious) = (A::one() - rate * k.shrink, k.scaling.cautious);
            for i in 0..n {
                let w = if SECOND == Second::Largest as u8 { w[i] } else { A::zero() };
                let g = incoming(&k.incoming, p[i], g[i]);
                let step = step::<A, SECOND>(k, g, m[i], v[i], w);
                let step = if cautious && !is_along(step, g) { A::zero() } else { step * share };
                p[i] = keep * p[i] - rate * step;
            }
        }
    }
    sums
}

#[inline(always)]
fn is_along<A: Real>(step: A, g: A) -> bool {
    (step > A::zero() && g > A::zero()) || (step < A::zero() && g < A::zero())
}

/// Advances the moments, and returns the gradient, cut if it was a spike.
#[inline(always)]
fn moments<A: Real, const SECOND: u8, const SPIKE: bool>(
    k: &Adam<A>,
    g: A,
    m: &mut A,
    v: &mut A,
    w: &mut A,
) -> A {
    let ((b1, k1), (b2, k2)) = (k.first, k.squares);
    let g = if SPIKE {
        let limit = k.spike * *v;
        if *v > A::zero() && g * g > limit { limit.sqrt().copysign(g) } else { g }
    } else {
        g
    };
    if SECOND == Second::Adopt as u8 {
        let normal = g / v.sqrt().max(k.epsilon);
        let normal = if normal > k.extra { k.extra } else { normal };
        let normal = if normal < -k.extra { -k.extra } else { normal };
        *m = (b1 * *m + k1 * normal).flushed();
        *v = (b2 * *v + k2 * g * g).flushed();
        return g;
    }
    *m = (b1 * *m + k1 * g).flushed();
    if SECOND == Second::Belief as u8 {
        let d = g - *m;
        *v = b2 * *v + k2 * d * d + k.extra;
    } else if SECOND == Second::Infinity as u8 {
        *v = (b2 * *v).max(g.abs() + k.epsilon);
    } else {
        *v = (b2 * *v + k2 * g * g).flushed();
    }
    if SECOND == Second::Largest as u8 {
        *w = (k.keep * *w).max(*v);
    }
    g
}

#[inline(always)]
fn normalizer<A: Real, const SECOND: u8>(v: A, w: A) -> A {
    if SECOND == Second::Largest as u8 { w.sqrt() } else { v.sqrt() }
}

/// Returns what is subtracted from the parameter.
#[inline(always)]
fn step<A: Real, const SECOND: u8>(k: &Adam<A>, g: A, m: A, v: A, w: A) -> A {
    let top = k.by_gradient * g + k.by_moment * m;
    if SECOND == Second::Adopt as u8 {
        top
    } else if SECOND == Second::Infinity as u8 {
        top / v
    } else {
        top / (k.root * normalizer::<A, SECOND>(v, w) + k.epsilon)
    }
}

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn the_smallest_normal_number_is_kept() {
        assert_eq!(f32::MIN_POSITIVE.flushed(), f32::MIN_POSITIVE);
        assert_eq!((-f64::MIN_POSITIVE).flushed(), -f64::MIN_POSITIVE);
        assert_eq!((0.5 * f64::MIN_POSITIVE).flushed(), 0.0);
    }
}
