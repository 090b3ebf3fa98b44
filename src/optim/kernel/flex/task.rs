//! A run of elements of one tensor, and how it is divided among the cores.

use burn::tensor::{bf16, f16};
use half::slice::HalfFloatSliceExt;
use num_traits::AsPrimitive;
use rayon::prelude::*;

use super::super::{Limits, Plan, plan};
use super::buffers::{Place, split_off};
use super::loops::{self, Phase, Real, SLOTS, Sums};

/// Number of elements that one core processes at a time: enough to be worth its dispatch, and few enough that every
/// core gets some.
const CHUNK: usize = 1 << 15;

/// Number of elements that a loop covers at a time: a page of `f32`, so that all streams of an update stay in the L1
/// cache.
const BLOCK: usize = 1 << 10;

/// The same run of elements in all tensors of one update.
pub(super) struct Piece<'a, A> {
    pub(super) plan: &'a Plan,
    pub(super) param: Param<'a, A>,
    pub(super) grad: Grad<'a>,
    /// Empty where the rule has no such tensor.
    pub(super) state: [Place<'a, A>; SLOTS],
}

/// Elements stored in the type of the computation, or in a narrower one.
pub(super) enum Param<'a, A> {
    Wide(Place<'a, A>),
    F16(Place<'a, f16>),
    Bf16(Place<'a, bf16>),
}

pub(super) enum Grad<'a> {
    F16(&'a [f16]),
    Bf16(&'a [bf16]),
    F32(&'a [f32]),
    F64(&'a [f64]),
}

impl<A: Wide> Piece<'_, A> {
    /// Runs all of it, divided among the cores if it is large.
    pub(super) fn share(mut self, phase: Phase) -> Sums {
        if self.param.len() <= CHUNK {
            return self.run(phase);
        }
        let mut pieces = Vec::with_capacity(self.param.len().div_ceil(CHUNK));
        while self.param.len() > 0 {
            pieces.push(Piece {
                plan: self.plan,
                param: self.param.split_off(CHUNK),
                grad: self.grad.split_off(CHUNK),
                state: self.state.each_mut().map(|place| place.split_off(CHUNK)),
            });
        }
        let sums: Vec<Sums> = pieces.into_par_iter().map(|piece| piece.run(phase)).collect();
        // In the order of the pieces, whichever core was first, so that the bits are always the same.
        sums.into_iter().fold([0.0; 2], |sum, more| [sum[0] + more[0], sum[1] + more[1]])
    }

    fn run(mut self, phase: Phase) -> Sums {
        let mut sums = [0.0; 2];
        let (mut wide_param, mut wide_grad) = (Vec::new(), Vec::new());
        let plan = Cast::of(self.plan, A::LIMITS);
        loop {
            let param = self.param.split_off(BLOCK);
            let n = param.len();
            if n == 0 {
                return sums;
            }
            let grad = self.grad.split_off(n);
            let grad = A::same(&grad).unwrap_or_else(|| grad.widen(&mut wide_grad));
            let state = self.state.each_mut().map(|place| place.split_off(n).filled());
            let step = |param: &mut [A]| {
                let more = plan.step(phase, param, grad, state);
                sums = [sums[0] + more[0], sums[1] + more[1]];
            };
            match param {
                Param::Wide(place) => step(place.filled()),
                Param::F16(place) => {
                    let stored = place.filled();
                    step(Grad::F16(stored).widen(&mut wide_param));
                    narrow_f16(&wide_param, stored);
                }
                Param::Bf16(place) => {
                    let stored = place.filled();
                    step(Grad::Bf16(stored).widen(&mut wide_param));
                    narrow_bf16(&wide_param, stored);
                }
            }
        }
    }
}

/// A plan in the type of the computation.
enum Cast<A> {
    Momentum(plan::Momentum<A>),
    Adam(plan::Adam<A>),
    Free(plan::Free<A>),
}

impl<A: Wide> Cast<A> {
    fn of(plan: &Plan, limits: Limits) -> Self {
        match plan {
            Plan::Momentum(plan) => Self::Momentum(plan.cast()),
            Plan::Adam(plan) => Self::Adam(plan.cast(limits)),
            Plan::Free(plan) => Self::Free(plan.cast(limits)),
        }
    }

    fn step(&self, phase: Phase, param: &mut [A], grad: &[A], state: loops::State<'_, A>) -> Sums {
        match self {
            Self::Momentum(plan) => loops::momentum(plan, param, grad, state),
            Self::Adam(plan) => return loops::adam(plan, phase, param, grad, state),
            Self::Free(plan) => loops::free(plan, param, grad, state),
        }
        [0.0; 2]
    }
}

impl<A: Copy> Param<'_, A> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Wide(place) => place.len(),
            Self::F16(place) => place.len(),
            Self::Bf16(place) => place.len(),
        }
    }

    pub(super) fn split_off(&mut self, n: usize) -> Self {
        match self {
            Self::Wide(place) => Self::Wide(place.split_off(n)),
            Self::F16(place) => Self::F16(place.split_off(n)),
            Self::Bf16(place) => Self::Bf16(place.split_off(n)),
        }
    }
}

impl Grad<'_> {
    pub(super) fn split_off(&mut self, n: usize) -> Self {
        match self {
            Self::F16(x) => Self::F16(split_off(x, n)),
            Self::Bf16(x) => Self::Bf16(split_off(x, n)),
            Self::F32(x) => Self::F32(split_off(x, n)),
            Self::F64(x) => Self::F64(split_off(x, n)),
        }
    }

    /// Converts at most a block of elements to the type of the computation.
    fn widen<'s, A: Wide>(&self, scratch: &'s mut Vec<A>) -> &'s mut [A] {
        scratch.clear();
        let mut single = [0.0; BLOCK];
        match self {
            Self::F64(x) => scratch.extend(x.iter().map(|&x| A::of(x))),
            Self::F32(x) => scratch.extend(x.iter().map(|&x| A::from_single(x))),
            Self::F16(x) => {
                x.convert_to_f32_slice(&mut single[..x.len()]);
                scratch.extend(single[..x.len()].iter().map(|&x| A::from_single(x)));
            }
            Self::Bf16(x) => {
                x.convert_to_f32_slice(&mut single[..x.len()]);
                scratch.extend(single[..x.len()].iter().map(|&x| A::from_single(x)));
            }
        }
        scratch
    }
}

/// Rounds to `f16`, which saturates at the end of its range; NaN stays NaN.
fn narrow_f16<A: Wide>(wide: &[A], stored: &mut [f16]) {
    let mut single = [0.0; BLOCK];
    for (single, wide) in single.iter_mut().zip(wide) {
        *single = AsPrimitive::<f32>::as_(*wide).clamp(f16::MIN.to_f32(), f16::MAX.to_f32());
    }
    stored.convert_from_f32_slice(&single[..wide.len()]);
}

/// Rounds to `bf16`, whose range is that of `f32` less half of its last step; no bounded update gets there.
fn narrow_bf16<A: Wide>(wide: &[A], stored: &mut [bf16]) {
    let mut single = [0.0; BLOCK];
    for (single, wide) in single.iter_mut().zip(wide) {
        *single = AsPrimitive::<f32>::as_(*wide);
    }
    stored.convert_from_f32_slice(&single[..wide.len()]);
}

/// A type of the computation, and how values are converted to it.
pub(super) trait Wide: Real + AsPrimitive<f32> {
    const LIMITS: Limits;

    fn from_single(x: f32) -> Self;

    /// Returns the gradient itself, if it already has this type.
    fn same<'a>(grad: &Grad<'a>) -> Option<&'a [Self]>;
}

impl Wide for f32 {
    const LIMITS: Limits = Limits::SINGLE;

    fn from_single(x: f32) -> Self {
        x
    }

    fn same<'a>(grad: &Grad<'a>) -> Option<&'a [Self]> {
        match grad {
            Grad::F32(x) => Some(x),
            _ => None,
        }
    }
}

impl Wide for f64 {
    const LIMITS: Limits = Limits::DOUBLE;

    fn from_single(x: f32) -> Self {
        x.into()
    }

    fn same<'a>(grad: &Grad<'a>) -> Option<&'a [Self]> {
        match grad {
            Grad::F64(x) => Some(x),
            _ => None,
        }
    }
}
