//! Checking what was configured, and building a keel of it.

use std::collections::HashMap;

use burn::module::Module;

use super::super::accumulate::Accumulated;
use super::super::agree::Crew;
use super::super::direction;
use super::super::kept::Kept;
use super::super::strain::Strain;
use super::super::{Keel, Progress, RateUse};
use super::Builder;
use crate::clip::Clip;
use crate::error::check::Param;
use crate::guard::{Guard, NonFinite, rejection};
use crate::incident::Incidents;
use crate::monitor::Monitor;
use crate::precision::LossScale;
use crate::report::is_under;
use crate::rewind::Ring;
use crate::running_statistics::Running;
use crate::{Decide, Error, Reading};

impl<M: Module + 'static> Builder<M> {
    /// Returns whether the loss is scaled.
    #[cfg(feature = "train")]
    pub(crate) fn is_scaled(&self) -> bool {
        self.loss_scale.is_some()
    }

    /// Checks whether this keel works in a trainer that may save at any time and computes gradients in the model's own
    /// step. `knows_scale` says whether that step knows the loss scale.
    #[cfg(feature = "train")]
    pub(crate) fn check_trainer(&self, knows_scale: bool) -> Result<(), Error> {
        let wrong =
            |name, must: &str, got: &str| Err(Error::parameter("KeelTrainer", name, must, got));
        if self.limits.decide != Decide::Now {
            return wrong("decide", "Decide::Now", "Decide::OnDevice");
        }
        match self.loss_scale {
            Some(_) if !knows_scale => {
                let must = "given to the model by `KeelTrainer::loss_factor`, or left out";
                wrong("loss_scale", must, "a LossScale alone")
            }
            _ => Ok(()),
        }
    }

    /// Checks whether the device can decide everything that is configured.
    fn check_decide(&self) -> Result<(), Error> {
        let Decide::OnDevice { every } = self.limits.decide else { return Ok(()) };
        let wrong = |name, must: &str, got: &str| {
            Err(Error::parameter("Keel", name, format_args!("{must} with Decide::OnDevice"), got))
        };
        Param("Decide::OnDevice", "every").at_least(1, every)?;
        if let Some(ranks) = &self.ranks {
            return wrong("ranks", "left out", &format!("{} of them", ranks.count()));
        }
        if let Some(guard) = self.guards.iter().find(|guard| guard.looks_at_updates()) {
            return wrong("guard", "one that does not look at updates", guard.name());
        }
        let unbounded = |clip: &&dyn Clip| clip.norm_at_most(&Reading::new(0)).is_none();
        if let Some(clip) = self.clips.iter().map(AsRef::as_ref).find(unbounded) {
            return wrong("clip", "a bound on the global norm", clip.name());
        }
        match self.limits.check_optimizer {
            Some(n) => wrong("check_optimizer_every", "left out", &n.to_string()),
            None => Ok(()),
        }
    }

    /// Checks whether the model has the parts that policies refer to: a misspelt path would bound nothing.
    fn check_parts(&self, monitor: &Monitor) -> Result<(), Error> {
        let guards = self.guards.iter().map(|guard| ("guard", guard.name(), guard.part()));
        let clips = self.clips.iter().map(|clip| ("clip", clip.name(), clip.part()));
        for (kind, name, part) in guards.chain(clips) {
            let is_there =
                |part| monitor.layout().entries().iter().any(|e| is_under(&e.path, part));
            if let Some(part) = part.filter(|part| !is_there(part)) {
                let got = format_args!("{name} under {part:?}, where there is no parameter");
                return Err(Error::parameter("Keel", kind, "for a part of the model", got));
            }
        }
        Ok(())
    }

    /// Builds a keel for `model`, which must be the model that is trained: its present running statistics are
    /// recorded, and it is the first snapshot.
    ///
    /// # Errors
    /// If a setting is out of range; if no parameter of the model requires a gradient; if a parameter
    /// or running statistic is already non-finite; if a group of the optimizer has no parameter, or a guard
    /// or clip is for a part that the model doesn't have; if a bound does not fit the optimizer.
    ///
    /// # Cost
    /// One pass over the parameters and one readback; both again with a bound, and up to four updates of copies with a
    /// bound that [asks how the optimizer steps](crate::bound::StepBound::looks_at_direction).
    pub fn build(self, model: &M) -> Result<Keel<M>, Error> {
        let checks = [
            ("check_parameters_every", self.limits.check_parameters),
            ("check_optimizer_every", self.limits.check_optimizer),
        ];
        for (name, every) in checks {
            Param("Keel", name).at_least(1, every.unwrap_or(1))?;
        }
        self.check_decide()?;
        self.loss_scale.as_ref().map_or(Ok(()), LossScale::check)?;
        let first = NonFinite.answering(rejection("Keel", "on_non_finite", self.non_finite)?)?;
        let running = Running::of(model);
        let powers = self.clips.iter().filter_map(|clip| clip.power());
        let monitor = Monitor::new(model, running.ids().collect()).with_powers(powers);
        monitor.check_fit(model)?;
        self.update.check_fit(model)?;
        self.check_parts(&monitor)?;

        let mut guards: Vec<Box<dyn Guard>> = vec![Box::new(first)];
        guards.extend(self.guards);
        let mut bounds = self.bounds;
        if !bounds.is_empty() {
            let directions = match bounds.iter().any(|bound| bound.looks_at_direction()) {
                true => direction::of(&*self.update, model)?,
                false => HashMap::new(),
            };
            let parameters = monitor.parameters(model, &directions)?;
            bounds.iter_mut().try_for_each(|bound| bound.start(&parameters))?;
            let late = self.limits.decide != Decide::Now;
            if let Some(bound) = bounds.iter().find(|bound| late && bound.looks_at_gradients()) {
                let must = "one that does not look at gradients with Decide::OnDevice";
                return Err(Error::parameter("Keel", "bound", must, bound.name()));
            }
        }
        let mut keel = Keel {
            kept: Kept {
                update: self.update,
                spent: false,
                running,
                average: self.average,
                accumulated: Accumulated::default(),
            },
            guards,
            clips: self.clips,
            bounds,
            loss_scale: self.loss_scale,
            limits: self.limits,
            ring: Ring::new(self.limits.rewind.map_or(0, |rewind| rewind.keep)),
            monitor,
            progress: Progress::default(),
            incidents: Incidents::default(),
            unsaid: Vec::new(),
            seed: self.seed,
            strain: Strain::default(),
            peak: None,
            rates: RateUse::default(),
            crew: self.ranks.map(Crew::new),
            pending: Vec::new(),
            resumed: false,
            other_policies: false,
        };
        if keel.limits.rewind.is_some() {
            let start = keel.snapshot(model, None, None);
            keel.ring.push(0, start);
        }
        keel.seed_forward(model);
        Ok(keel)
    }
}
