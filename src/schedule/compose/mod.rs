//! Combinators: schedules made of other schedules.

/// Passes state and backoff on to the one schedule inside, at the update at which the inner one is
/// read.
macro_rules! passes_on {
    (|$this:ident, $t:ident| $inner:expr) => {
        fn state(&self) -> $crate::checkpoint::State {
            self.inner.state()
        }

        fn restore(&self, state: &$crate::checkpoint::State) -> Result<(), $crate::Error> {
            self.inner.restore(state)
        }

        fn rewound(&self, then: &$crate::checkpoint::State) -> Result<(), $crate::Error> {
            self.inner.rewound(then)
        }

        fn set_back(&$this, $t: u64, setback: &mut $crate::schedule::Setback) -> bool {
            $this.inner.set_back($inner, setback)
        }
    };
}

mod bound;
mod noise;
mod pair;
mod parts;
mod scale;
mod sequence;
mod shift;
mod stretch;
mod then;
mod until;

pub use bound::Clamp;
pub use noise::{Noise, Noisy};
pub use pair::{Max, Mean, Min, Plus, Times};
pub use scale::Scale;
pub use sequence::Sequence;
pub use shift::{Advance, Shift};
pub use stretch::Stretch;
pub use then::Then;
pub use until::{Past, Until};
