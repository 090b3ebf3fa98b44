//! What rewinds have left of the rate.

use super::Setback;
use super::metric::same_settings;
use super::shared::Shared;
use crate::Error;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::schedule::Schedule;
use crate::schedule::math::{lerp, progress};

/// The guard's damping, as a factor.
///
/// It starts at 1. When [`Keel`](crate::Keel) rewinds training, it dampens the schedule. Without a
/// `Damping` in it, the [`Scheduler`](crate::schedule::Scheduler) multiplies the whole curve by a
/// gain, for good. With one, the damping is taken here, so that it has a place of its own: under a
/// floor, on one phase of a sequence, or with a way back up.
///
/// ```text
/// y(t) = g                                        for t ≤ b, or where there is no recovery
///      = g + (1 − g)·min((t − b)/recover, 1)      for t > b
/// ```
///
/// with `g` what is left, and `b` the update of the last damping. A further damping multiplies what
/// the factor has come back to by then.
///
/// Its clones share their memory, and may be in several places of a schedule and in several parameter
/// groups. In a sequence, the phase in force takes the damping, if it has one of these.
///
/// ```
/// use evenkeel::schedule::{Constant, Damping, Schedule};
///
/// let damping = Damping::recovering(10)?;
/// let mut schedule = Constant::new(1.0)?.times(damping.clone()).start();
/// schedule.seek(100);
/// schedule.dampen(0.5)?;
/// assert_eq!([100, 105, 110, 200].map(|t| schedule.curve().at(t)), [0.5, 0.75, 1.0, 1.0]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Damping {
    /// 0 for never.
    pub(in crate::schedule) recover: u64,
    memory: Shared<Memory>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Memory {
    left: f64,
    at: u64,
}

impl Default for Damping {
    /// A damping that stays.
    fn default() -> Self {
        Self { recover: 0, memory: Shared::new(Memory { left: 1.0, at: 0 }) }
    }
}

impl Damping {
    /// A damping that is undone in a straight line, over so many updates: a second warm-up.
    ///
    /// # Errors
    /// If `over` is 0.
    pub fn recovering(over: u64) -> Result<Self, Error> {
        Ok(Self { recover: Param("Damping", "over").at_least(1, over)?, ..Self::default() })
    }

    /// Multiplies the factor by `factor`, from update `at` on. What a rewind does, by hand.
    ///
    /// # Errors
    /// If `factor` is not above 0 and at most 1. Nothing is changed then.
    pub fn dampen(&self, at: u64, factor: f64) -> Result<(), Error> {
        let factor = Param("Damping", "factor").fraction(factor)?;
        self.damp(at, &mut Setback::new(factor));
        Ok(())
    }

    fn factor(&self, memory: Memory, t: u64) -> f64 {
        let Memory { left, at } = memory;
        match t.saturating_sub(at) {
            _ if self.recover == 0 => left,
            since if since >= self.recover => 1.0,
            since => lerp(left, 1.0, progress(since, self.recover)),
        }
    }
}

impl Schedule for Damping {
    fn at(&self, t: u64) -> f64 {
        self.factor(self.memory.with(|memory| *memory), t)
    }

    fn state(&self) -> State {
        let Memory { left, at } = self.memory.with(|memory| *memory);
        State::new()
            .with_list("settings", vec![self.recover as f64])
            .with_number("left", left)
            .with_count("at", at)
    }

    fn restore(&self, state: &State) -> Result<(), Error> {
        state.only(&["settings", "left", "at"])?;
        same_settings("damping", state.list("settings")?, &[self.recover as f64])?;
        let memory = Memory { left: state.number("left")?, at: state.count("at")? };
        if !(memory.left > 0.0 && memory.left <= 1.0) {
            return Err(Error::record(format_args!("a damping of {}", memory.left)));
        }
        self.memory.with(|own| *own = memory);
        Ok(())
    }

    fn damp(&self, t: u64, setback: &mut Setback) -> bool {
        if setback.is_new_to(self.memory.address()) {
            self.memory.with(|memory| {
                // Never to nothing, however often.
                let left = (self.factor(*memory, t) * setback.factor()).max(f64::MIN_POSITIVE);
                *memory = Memory { left, at: t };
            });
        }
        true
    }
}
