//! Two schedules, point by point.

use crate::schedule::{Schedule, saturate};

/// Defines a schedule that combines two others with a function of their two values.
macro_rules! pair {
    ($(#[$doc:meta])* $name:ident, $of:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $name<A, B>(A, B);

        impl<A, B> $name<A, B> {
            pub(in crate::schedule) fn new(a: A, b: B) -> Self {
                Self(a, b)
            }
        }

        impl<A: Schedule, B: Schedule> Schedule for $name<A, B> {
            fn at(&self, t: u64) -> f64 {
                let of: fn(f64, f64) -> f64 = $of;
                of(self.0.at(t), self.1.at(t))
            }
        }
    };
}

pair!(
    /// The product of two schedules: see [`Schedule::times`].
    Times, |a, b| saturate(a * b)
);
pair!(
    /// The sum of two schedules: see [`Schedule::plus`].
    Plus, |a, b| saturate(a + b)
);
pair!(
    /// The smaller of two schedules: see [`Schedule::min`]. A NaN from either is passed on, where
    /// [`f64::min`] would hide it.
    Min, |a, b| if a < b || a.is_nan() { a } else { b }
);
pair!(
    /// The larger of two schedules: see [`Schedule::max`]. A NaN from either is passed on, where
    /// [`f64::max`] would hide it.
    Max, |a, b| if a > b || a.is_nan() { a } else { b }
);
