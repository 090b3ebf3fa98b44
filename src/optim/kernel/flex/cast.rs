//! Plans in the type of the computation.

use super::super::plan::{Adam, Free, Incoming, Momentum, Normal, Second};
use super::Limits;

/// A type that a kernel computes in.
pub(crate) trait Number: Copy + 'static {
    /// Returns the nearest number to `x`.
    fn of(x: f64) -> Self;
}

impl Number for f32 {
    fn of(x: f64) -> Self {
        x as f32
    }
}

impl Number for f64 {
    fn of(x: f64) -> Self {
        x
    }
}

impl Incoming {
    pub(super) fn cast<A: Number>(self) -> Incoming<A> {
        Incoming { factor: A::of(self.factor), coupled: A::of(self.coupled) }
    }
}

impl Momentum {
    pub(super) fn cast<A: Number>(self) -> Momentum<A> {
        Momentum {
            incoming: self.incoming.cast(),
            velocity: self.velocity.map(cast_pair),
            shrink: A::of(self.shrink),
            by_gradient: A::of(self.by_gradient),
            by_velocity: A::of(self.by_velocity),
        }
    }
}

impl Adam {
    pub(super) fn cast<A: Number>(self, limits: Limits) -> Adam<A> {
        Adam {
            incoming: self.incoming.cast(),
            second: self.second,
            first: cast_pair(self.first),
            squares: cast_pair(self.squares),
            keep: A::of(self.keep),
            shrink: A::of(self.shrink),
            by_gradient: A::of(self.by_gradient),
            by_moment: A::of(self.by_moment),
            root: A::of(self.root),
            epsilon: A::of(limits.epsilon(self.epsilon)),
            extra: match self.second {
                Second::Belief => A::of(limits.epsilon(self.extra)),
                _ => A::of(self.extra),
            },
            spike: A::of(self.spike),
            scaling: self.scaling,
        }
    }
}

impl Free {
    pub(super) fn cast<A: Number>(self, limits: Limits) -> Free<A> {
        let normal = |normal: Normal| Normal {
            squares: cast_pair(normal.squares),
            root: A::of(normal.root),
            epsilon: A::of(limits.epsilon(normal.epsilon)),
            decay: A::of(normal.decay),
        };
        Free {
            incoming: self.incoming.cast(),
            average: A::of(self.average),
            rate: A::of(self.rate),
            pull: A::of(self.pull),
            normal: self.normal.map(normal),
        }
    }
}

fn cast_pair<A: Number>((a, b): (f64, f64)) -> (A, A) {
    (A::of(a), A::of(b))
}
