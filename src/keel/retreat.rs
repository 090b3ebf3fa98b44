//! Going back to a snapshot, and ending training.

use burn::module::Module;

use super::Keel;
use crate::report::Rewound;
use crate::schedule::Rate;
use crate::{Fault, Halted, Part, Reading, Report, Verdict};

impl<M: Module + 'static> Keel<M> {
    /// Returns whether the weights were broken from outside: no bounded step makes them so large. A fault that recurs
    /// before training has got any further has another cause.
    fn is_from_outside(&self, report: &Report, at_most: u64) -> bool {
        !self.bounds.is_empty()
            && self.progress.broken < at_most
            && report.reading.fault != Some(Fault::Update)
            && report.culprits.iter().any(|culprit| culprit.part == Part::Parameter)
    }

    /// Ends training with the best available state: `model`, unless its losses show that it was harmed and there is a
    /// snapshot. In that case all state goes back to the snapshot together, so that training could continue from there.
    ///
    /// `used` says whether the update for this rate was made.
    pub(super) fn halt(
        &mut self,
        rate: Rate<'_>,
        used: bool,
        model: M,
        mut report: Report,
    ) -> Halted<M> {
        let now = self.progress.updates;
        let age = self.limits.rewind.map_or(0, |rewind| rewind.age);
        let broken = report.culprits.iter().any(|culprit| culprit.part == Part::Parameter);
        let worse = |level: f64| broken || !self.progress.is_sound_beside(level);
        let earlier = self.ring.peek(now, age).filter(|(to, _)| *to < now || broken);
        if !earlier.is_some_and(|(_, then)| then.level.map_or(broken, worse)) {
            if used {
                rate.go_on()
            } else {
                rate.hold()
            }
            return self.stopped(model, report);
        }
        match self.rewind(rate, &mut report) {
            Some(earlier) => self.stopped(earlier, report).with_abandoned(model),
            None => self.stopped(model, report),
        }
    }

    /// Ends training, and returns a model that no rejected batch has written into.
    pub(super) fn stopped(&mut self, model: M, report: Report) -> Halted<M> {
        self.incidents.push(&report);
        self.progress.rejected = 0;
        Halted::new(self.kept.running.restore(model), report)
    }

    /// Restores a snapshot. Returns `None` if there is none, which never happens in a keel that rewinds, or if a policy
    /// doesn't accept its memory; the report then says which.
    pub(super) fn rewind(&mut self, mut rate: Rate<'_>, report: &mut Report) -> Option<M> {
        let rewind = self.limits.rewind?;
        let outside = self.is_from_outside(report, rewind.at_most);
        let progress = &mut self.progress;
        let earlier = match outside {
            true => self.ring.back_to_recent(progress.updates, rewind.age),
            false => self.ring.back(progress.updates, rewind.age),
        };
        let Some((to, snapshot)) = earlier else {
            rate.hold();
            return None;
        };
        // The rate didn't break the weights, and no lower one would prevent it from happening again.
        let (backoff, warmup) = if outside { (1.0, 0) } else { (rewind.backoff, rewind.warmup) };
        let policies = &snapshot.policies;
        let mut took = Ok(());
        for (guard, then) in self.guards.iter_mut().zip(&policies.guards) {
            took = took.and(guard.rewound(then).map_err(|cause| (guard.name().to_string(), cause)));
        }
        for (clip, then) in self.clips.iter_mut().zip(&policies.clips) {
            took = took.and(clip.rewound(then).map_err(|cause| (clip.name().to_string(), cause)));
        }
        for (bound, then) in self.bounds.iter_mut().zip(&policies.bounds) {
            took = took.and(bound.rewound(then).map_err(|cause| (bound.name().to_string(), cause)));
        }
        if let Some(then) = &snapshot.schedule {
            took =
                took.and(rate.rewound(then).map_err(|cause| ("the schedule".to_string(), cause)));
        }
        if let Err((name, cause)) = took {
            rate.hold();
            report.verdict = Verdict::Halt;
            report.by = Some(format!("{name} does not take its memory back: {cause}"));
            return None;
        }
        let abandoned = progress.updates - to;
        let batches = progress.attempts - snapshot.attempts;
        report.rewound = Some(Rewound::new(to, abandoned, batches));

        progress.frontier = progress.frontier.max(progress.updates);
        (progress.updates, progress.rejected) = (to, 0);
        *if outside { &mut progress.broken } else { &mut progress.rewinds } += 1;
        progress.went_back(snapshot.level);
        progress.beside(rate.position().map(|at| snapshot.position.unwrap_or(at)));
        if !rate.rewind(snapshot.position, backoff, warmup) && !outside {
            progress.backoff.back_off(to, backoff);
            progress.backoff.warmup(to, warmup);
        }
        self.kept = snapshot.kept.taken();
        Some(self.kept.running.restore(snapshot.model.clone()))
    }

    /// Halts a step of which nothing is known: the device could not be read, the optimizer is spent, or the arguments
    /// were unusable.
    pub(super) fn broken(&mut self, rate: Rate<'_>, model: M, why: &str) -> Halted<M> {
        let mut reading = Reading::new(self.progress.updates).with_lr(rate.value());
        reading.attempt = self.progress.attempts;
        rate.hold();
        let report = Report::rejected(reading, 1.0, Verdict::Halt, why.to_string(), 0, Vec::new());
        self.incidents.push(&report);
        Halted::new(self.kept.running.restore(model), report)
    }
}
