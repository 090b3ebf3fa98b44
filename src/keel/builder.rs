//! How a keel is put together.

use std::fmt;

use burn::module::Module;

use super::{Keel, Progress, Snapshot};
use crate::clip::Clip;
use crate::error::check::Param;
use crate::guard::{Guard, NonFinite, rejection};
use crate::monitor::Monitor;
use crate::optim::Update;
use crate::recover::{Rewind, Ring};
use crate::running::Running;
use crate::{Error, Verdict};

/// A [`Keel`] in the making: see [`Keel::wrap`].
#[must_use = "`build` makes the keel"]
pub struct Builder<M: Module> {
    update: Box<dyn Update<M>>,
    non_finite: Verdict,
    guards: Vec<Box<dyn Guard>>,
    clips: Vec<Box<dyn Clip>>,
    skips_at_most: u64,
    check_parameters: Option<u64>,
    rewind: Option<Rewind>,
}

impl<M: Module> fmt::Debug for Builder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

impl<M: Module + 'static> Builder<M> {
    pub(super) fn new(update: Box<dyn Update<M>>) -> Self {
        Self {
            update,
            non_finite: Verdict::Skip,
            guards: Vec::new(),
            clips: Vec::new(),
            skips_at_most: 10,
            check_parameters: None,
            rewind: None,
        }
    }

    /// Adds a judge. The most severe verdict counts, so the order of guards does not matter.
    pub fn guard(mut self, guard: impl Guard + 'static) -> Self {
        self.guards.push(Box::new(guard));
        self
    }

    /// Adds a clip. The smallest factor counts, so the order of clips does not matter.
    pub fn clip(mut self, clip: impl Clip + 'static) -> Self {
        self.clips.push(Box::new(clip));
        self
    }

    /// What a non-finite rate, loss, gradient, statistic or parameter leads to: a
    /// [`Skip`](Verdict::Skip), unless said otherwise here. A non-finite update cannot be skipped: it
    /// leads to a [`Rewind`](Verdict::Rewind) at least.
    pub fn on_non_finite(mut self, verdict: Verdict) -> Self {
        self.non_finite = verdict;
        self
    }

    /// How many steps may be skipped in a row: 10, unless said otherwise here. The next one rewinds,
    /// if rewinding is on, and halts otherwise.
    pub fn skips_at_most(mut self, in_a_row: u64) -> Self {
        self.skips_at_most = in_a_row;
        self
    }

    /// Checks the parameters *before* every `n`-th step too. Off by default: parameters are checked
    /// after every update, so this only finds what was put into them from outside.
    pub fn check_parameters_every(mut self, n: u64) -> Self {
        self.check_parameters = Some(n);
        self
    }

    /// Keeps snapshots, and goes back to one when a guard asks for it, or when skips in a row have
    /// used up their bound.
    pub fn rewind(mut self, rewind: Rewind) -> Self {
        self.rewind = Some(rewind);
        self
    }

    /// A keel for `model`, which must be the one that is trained: its running statistics are noted as
    /// they are now, and it is the first snapshot.
    ///
    /// # Errors
    /// If a setting is out of range; if no parameter of the model asks for a gradient; if a parameter
    /// or running statistic is non-finite already.
    ///
    /// # Cost
    /// One pass over the parameters, one readback.
    pub fn build(self, model: &M) -> Result<Keel<M>, Error> {
        if let Some(every) = self.check_parameters {
            Param("Keel", "check_parameters_every").at_least(1, every)?;
        }
        let first = NonFinite.answering(rejection("Keel", "on_non_finite", self.non_finite)?)?;
        let running = Running::of(model);
        let monitor = Monitor::new(model, running.ids().collect());
        monitor.check_fit(model)?;

        let mut guards: Vec<Box<dyn Guard>> = vec![Box::new(first)];
        guards.extend(self.guards);
        let mut keel = Keel {
            update: self.update,
            guards,
            clips: self.clips,
            skips_at_most: self.skips_at_most,
            check_parameters: self.check_parameters,
            rewind: self.rewind,
            ring: Ring::new(self.rewind.map_or(0, |rewind| rewind.keep)),
            monitor,
            running,
            progress: Progress {
                attempts: 0,
                updates: 0,
                rejected: 0,
                rewinds: 0,
                frontier: 0,
                gain: 1.0,
            },
            spent: false,
        };
        if keel.rewind.is_some() {
            let start: Snapshot<M> = keel.snapshot(model, None);
            keel.ring.push(0, start);
        }
        Ok(keel)
    }
}
