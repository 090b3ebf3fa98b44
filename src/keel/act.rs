//! Applying verdicts: the one place where parameters change, and where they are put back.

use std::collections::HashMap;

use burn::module::Module;
use burn::optim::GradientsParams;

use super::judge::Ruling;
use super::rates::Held;
use super::{Keel, SPENT};
use crate::clip::scale_each;
use crate::monitor::Rounding;
use crate::optim::StepArgs;
use crate::report::Rewound;
use crate::schedule::Rate;
use crate::{
    Culprit, Fault, Halted, Part, Reading, Report, Rewind, Stepped, Verdict, monitor, tie,
};

/// An update that was taken back.
struct Failed<M> {
    before: M,
    reading: Reading,
    ruling: Ruling,
    culprits: Vec<Culprit>,
}

impl<M: Module + 'static> Keel<M> {
    /// Judges a step and carries out the verdict. The gradients are `scale` times too large.
    pub(super) fn decide(
        &mut self,
        rate: Rate<'_>,
        model: M,
        grads: GradientsParams,
        reading: Reading,
        scale: f64,
    ) -> Result<Stepped<M>, Halted<M>> {
        if self.kept.spent {
            return Err(self.broken(rate, model, SPENT));
        }
        self.note_start(&rate);
        self.note_peak(&rate);
        self.progress.attempts += 1;

        if let Some(excused) = self.excuse(&reading) {
            return self.rejected(rate, model, reading, 1.0, excused, Vec::new());
        }
        let mut ruling = self.judge(&reading);
        if ruling.verdict != Verdict::Apply {
            let culprits = if self.crew.is_none() {
                self.culprits(&reading, &model, &grads)
            } else {
                match self.all_culprits(&reading, &model, &mut ruling.by) {
                    Ok(culprits) => culprits,
                    Err(apart) => return Err(self.apart(rate, model, apart)),
                }
            };
            return self.rejected(rate, model, reading, 1.0, ruling, culprits);
        }
        self.forget_own();
        let factor = self.factor(&reading);
        if self.kept.update.squares_in_own_type() && self.monitor.halves_overflow(&reading, factor)
        {
            let mut reading = reading;
            reading.fault = Some(Fault::Gradient);
            let ruling = self.judge(&reading);
            return self.rejected(rate, model, reading, factor, ruling, Vec::new());
        }
        let held = self.held(&rate, &reading, factor);
        let args = self.args(&rate, held.share, factor / scale, reading.grad_norm * scale);
        let (grads, kept) = self.trim(&model, grads, &reading, factor);
        let factor = factor * kept;
        match self.attempt(args, model, grads, reading) {
            Ok((model, reading)) => {
                // A bound on the rate doesn't count as strain: it is there so that any rate may be requested.
                self.strain.applied(factor);
                Ok(self.applied(rate, model, reading, factor, held))
            }
            Err(failed) => {
                let Failed { before, reading, ruling, culprits } = *failed;
                self.rejected(rate, before, reading, factor, ruling, culprits)
            }
        }
    }

    /// Applies what single parameters lose beyond `factor`, which applies to all of them. Returns the gradients, and
    /// the share of the whole gradient's norm that this leaves.
    fn trim(
        &self,
        model: &M,
        grads: GradientsParams,
        now: &Reading,
        factor: f64,
    ) -> (GradientsParams, f64) {
        let Some(shares) = self.layer_shares(now, factor) else { return (grads, 1.0) };
        let of: HashMap<&str, f64> =
            now.layers.iter().zip(&shares).map(|((path, _), &share)| (path, share)).collect();
        let layout = self.monitor.layout();
        let share = |id| of.get(layout.path(id)).copied().unwrap_or(1.0);
        let left = now.layers.iter().zip(&shares).map(|((_, norm), share)| share * norm);
        let left = left.map(|norm| norm * norm).sum::<f64>().sqrt();
        let kept = (left / now.grad_norm).min(1.0);
        (scale_each(grads, model, share), kept)
    }

    /// Completes the first snapshot, which is taken before any step has shown the position of the schedule.
    pub(super) fn note_start(&mut self, rate: &Rate<'_>) {
        if let (Some(at), Some(start)) = (rate.position(), self.ring.oldest_mut()) {
            start.position.get_or_insert(at);
            if start.schedule.is_none() {
                start.schedule = rate.memory();
            }
        }
    }

    /// Completes the first snapshot with its loss.
    fn note_first_loss(&mut self, loss: f64) {
        if let Some(start) = self.ring.oldest_mut().filter(|_| loss.is_finite()) {
            start.level.get_or_insert(loss);
        }
    }

    pub(super) fn culprits(
        &mut self,
        reading: &Reading,
        model: &M,
        grads: &GradientsParams,
    ) -> Vec<Culprit> {
        let Some(fault) = reading.fault else { return Vec::new() };
        if fault == Fault::Optimizer {
            // Training can't continue with this optimizer, whatever the verdict; only a rewind restores another.
            self.kept.spent = true;
        }
        let mut culprits = monitor::culprits(model, Some(grads), &self.monitor);
        if fault == Fault::Loss {
            // A non-finite loss breaks every gradient, so none of them shows the origin.
            culprits.retain(|culprit| culprit.part != Part::Gradient);
        }
        culprits
    }

    /// Returns the updated model, if it is sound and the guards that look at updates agree.
    ///
    /// If the optimizer does not vouch for the outcome, the model before the update is held. This costs Burn's
    /// optimizers nothing: they write the new parameters over the step rather than over the old ones. The optimizer is
    /// held too only if a guard looks at updates. Holding it always would make it write its state to new memory at
    /// every step, only for a failure that never happens with a sound rate and a sound optimizer; if it does happen,
    /// the optimizer is spent.
    fn attempt(
        &mut self,
        args: StepArgs,
        model: M,
        grads: GradientsParams,
        mut reading: Reading,
    ) -> Result<(M, Reading), Box<Failed<M>>> {
        let looked_at = self.guards.iter().any(|guard| guard.looks_at_updates());
        let rounding = self.rounding(&args, &model, &grads);
        if !looked_at && self.kept.update.is_bounded(&args) {
            let after = self.updated(args, model, grads);
            self.note_rounding(rounding, &after);
            return Ok((after, reading));
        }
        let before = model.clone();
        let held = looked_at.then(|| self.kept.update.boxed());
        let after = self.updated(args, model, grads);

        // A device that cannot be read has not shown that the update is good.
        let mut culprits = Vec::new();
        if !self.monitor.is_sound(&after).unwrap_or(false) {
            // This update didn't cause weights that were broken before it.
            culprits = monitor::culprits(&before, None, &self.monitor);
            culprits.retain(|culprit| culprit.part == Part::Parameter);
            reading.fault = Some(Fault::Parameter);
            if culprits.is_empty() {
                culprits = monitor::culprits(&after, None, &self.monitor);
                reading.fault = Some(Fault::Update);
            }
        } else if looked_at && let Ok((updates, sizes)) = self.monitor.moves(&before, &after) {
            reading = reading.with_updates(updates, sizes);
        }
        let mut ruling = self.judge(&reading);
        if reading.fault.is_none() && ruling.verdict == Verdict::Apply {
            self.note_rounding(rounding, &after);
            return Ok((after, reading));
        }
        match held {
            Some(optimizer) => self.kept.update = optimizer,
            None => {
                // The optimizer has seen this gradient, so a skip would leave a trace.
                ruling.verdict = ruling.verdict.max(Verdict::Rewind);
                self.kept.spent = true;
            }
        }
        Err(Box::new(Failed { before, reading, ruling, culprits }))
    }

    /// Returns what is needed to check whether an update is lost in the rounding of half precision: at update 16, and
    /// each time the number of updates has doubled.
    fn rounding(&self, args: &StepArgs, model: &M, grads: &GradientsParams) -> Option<Rounding> {
        let update = self.progress.updates;
        let due = update >= 16 && update.is_power_of_two();
        let moves = args.range.1 != 0.0 && args.factor != 0.0;
        match due && moves && self.kept.update.rounds_away() {
            true => Rounding::of(model, grads),
            false => None,
        }
    }

    fn note_rounding(&mut self, rounding: Option<Rounding>, after: &M) {
        // A device that cannot be read reports it in the next step.
        if let Some(Ok(share)) = rounding.map(|rounding| rounding.lost(after)) {
            self.strain.stuck(share);
        }
    }

    fn updated(&mut self, args: StepArgs, model: M, grads: GradientsParams) -> M {
        let model = self.kept.update.update(args, model, grads);
        self.tied(model)
    }

    /// Ties the model. Optimizers that update a model place by place give each place of a tied weight a separate leaf,
    /// and the next gradient would be that of only one of them.
    pub(super) fn tied(&self, model: M) -> M {
        match self.monitor.layout().is_tied() {
            true => tie(model),
            false => model,
        }
    }

    fn applied(
        &mut self,
        rate: Rate<'_>,
        model: M,
        reading: Reading,
        factor: f64,
        held: Held,
    ) -> Stepped<M> {
        self.record(&reading, factor, Verdict::Apply);
        self.note_rate(held);
        self.progress.note_loss(reading.loss, true);
        self.kept.running.commit(&model);
        if let Some(scale) = &mut self.loss_scale {
            scale.applied();
        }
        if let Some(average) = &mut self.kept.average {
            average.take(self.progress.updates, &model);
        }
        self.progress.rejected = 0;
        self.progress.updates += 1;

        let position = rate.position().map(|at| at.saturating_add(1));
        self.progress.beside(position);
        self.resumed = false;
        self.keep_snapshot(self.progress.updates - 1, &model, position, &rate);
        let mut report = Report::applied(reading, factor).held(held.share, held.cap);
        self.tell(&mut report);
        Stepped { model, report, late: Vec::new() }
    }

    /// Takes a snapshot, if one has fallen due since update `from`.
    pub(super) fn keep_snapshot(
        &mut self,
        from: u64,
        model: &M,
        position: Option<u64>,
        rate: &Rate<'_>,
    ) {
        let updates = self.progress.updates;
        let due = |rewind: Rewind| updates / rewind.every > from / rewind.every;
        if self.limits.rewind.is_some_and(due) {
            self.ring.push(updates, self.snapshot(model, position, rate.memory()));
            if updates > self.progress.frontier {
                (self.progress.rewinds, self.progress.broken) = (0, 0);
            }
        } else if self.limits.rewind.is_some_and(|rewind| rewind.recent_is_due(from, updates)) {
            self.ring.push_recent(updates, self.snapshot(model, position, rate.memory()));
            if updates > self.progress.frontier {
                self.progress.broken = 0;
            }
        }
    }

    /// Returns whether the weights were broken from outside: no bounded step makes them so large. A fault that recurs
    /// before training has got any further has another cause.
    fn is_from_outside(&self, report: &Report, at_most: u64) -> bool {
        !self.bounds.is_empty()
            && self.progress.broken < at_most
            && report.reading.fault != Some(Fault::Update)
            && report.culprits.iter().any(|culprit| culprit.part == Part::Parameter)
    }

    pub(super) fn rejected(
        &mut self,
        rate: Rate<'_>,
        model: M,
        reading: Reading,
        factor: f64,
        mut ruling: Ruling,
        culprits: Vec<Culprit>,
    ) -> Result<Stepped<M>, Halted<M>> {
        // If the weights are broken, another batch is no better; after a failed update, the culprits are not in these
        // weights.
        let broken = reading.fault != Some(Fault::Update)
            && culprits.iter().any(|culprit| culprit.part == Part::Parameter);
        if self.kept.spent || (broken && self.limits.rewind.is_some_and(|rewind| rewind.recent > 0))
        {
            ruling.verdict = ruling.verdict.max(Verdict::Rewind);
        }
        self.progress.note_loss(reading.loss, false);
        self.strain.rejected();
        let Ruling { verdict, by, .. } =
            self.escalate(ruling, self.differs_from_snapshot(&reading, &culprits));
        self.record(&reading, factor, verdict);
        let rejected = self.progress.rejected;
        let mut report = Report::rejected(reading, factor, verdict, by, rejected, culprits);
        self.tell(&mut report);
        match verdict {
            Verdict::Apply | Verdict::Skip => {
                rate.hold();
                self.incidents.push(&report);
                Ok(Stepped { model: self.kept.running.restore(model), report, late: Vec::new() })
            }
            Verdict::Rewind => match self.rewind(rate, &mut report) {
                Some(earlier) => {
                    self.incidents.push(&report);
                    Ok(Stepped { model: earlier, report, late: Vec::new() })
                }
                None => Err(self.stopped(model, report)),
            },
            Verdict::Halt => Err(self.halt(rate, false, model, report)),
        }
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

    /// Tells every policy the final verdict, once.
    pub(super) fn record(&mut self, reading: &Reading, factor: f64, verdict: Verdict) {
        if verdict == Verdict::Apply {
            self.note_first_loss(reading.loss);
        }
        self.guards.iter_mut().for_each(|guard| guard.record(reading, verdict));
        self.clips.iter_mut().for_each(|clip| clip.record(reading, verdict));
        self.bounds.iter_mut().for_each(|bound| bound.record(reading, factor, verdict));
    }

    /// Adds the notices of policies to the report and the incidents, each text once.
    pub(super) fn tell(&mut self, report: &mut Report) {
        let guards = self.guards.iter().filter_map(|guard| guard.notice());
        let clips = self.clips.iter().filter_map(|clip| clip.notice());
        let bounds = self.bounds.iter().filter_map(|bound| bound.notice());
        let unsaid = self.unsaid.drain(..);
        for text in unsaid.chain(guards).chain(clips).chain(bounds).chain(self.strain.notices()) {
            if self.incidents.notice(report.reading.attempt, &text) {
                report.notices.push(text);
            }
        }
    }
}
