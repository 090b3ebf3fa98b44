//! Two schedules, combined point by point.

use super::parts;
use crate::Error;
use crate::checkpoint::State;
use crate::schedule::math::{lerp, saturate};
use crate::schedule::{Schedule, Setback};

/// Defines a schedule that combines two others with a function of their two values.
macro_rules! pair {
    ($(#[$doc:meta])* $name:ident, $of:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $name<A, B>(pub(in crate::schedule) A, pub(in crate::schedule) B);

        impl<A, B> $name<A, B> {
            pub(in crate::schedule) fn new(a: A, b: B) -> Self {
                Self(a, b)
            }
        }

        impl<A: Schedule, B: Schedule> $name<A, B> {
            fn parts(&self) -> [(String, &dyn Schedule); 2] {
                [("first".into(), &self.0), ("second".into(), &self.1)]
            }
        }

        impl<A: Schedule, B: Schedule> Schedule for $name<A, B> {
            fn at(&self, t: u64) -> f64 {
                let of: fn(f64, f64) -> f64 = $of;
                of(self.0.at(t), self.1.at(t))
            }

            fn state(&self) -> State {
                parts::state(self.parts())
            }

            fn restore(&self, state: &State) -> Result<(), Error> {
                parts::restore(self.parts(), state)
            }

            fn rewound(&self, then: &State) -> Result<(), Error> {
                parts::rewound(self.parts(), then)
            }

            fn set_back(&self, t: u64, setback: &mut Setback) -> bool {
                // Both take the setback, whatever the first one returns.
                self.0.set_back(t, setback) | self.1.set_back(t, setback)
            }
        }
    };
}

pair!(
    /// The product of two schedules; see [`Schedule::times`].
    Times, |a, b| saturate(a * b)
);
pair!(
    /// The sum of two schedules; see [`Schedule::plus`].
    Plus, |a, b| saturate(a + b)
);
pair!(
    /// The mean of two schedules; see [`Schedule::mean`].
    Mean, |a, b| lerp(a, b, 0.5)
);
pair!(
    /// The smaller of two schedules; see [`Schedule::min`]. A NaN from either is passed on, whereas
    /// [`f64::min`] would hide it.
    Min, |a, b| if a < b || a.is_nan() { a } else { b }
);
pair!(
    /// The larger of two schedules; see [`Schedule::max`]. A NaN from either is passed on, whereas
    /// [`f64::max`] would hide it.
    Max, |a, b| if a > b || a.is_nan() { a } else { b }
);
