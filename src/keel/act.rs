//! Acting: the one place where parameters change, and where they are put back.

use std::collections::HashMap;

use burn::module::Module;
use burn::optim::GradientsParams;

use super::judge::Ruling;
use super::{Halted, Keel, SPENT, Stepped};
use crate::clip::scale_each;
use crate::optim::Pace;
use crate::report::Rewound;
use crate::schedule::Rate;
use crate::{Culprit, Fault, Part, Reading, Report, Rewind, Verdict, monitor};

/// An update that was taken back.
struct Failed<M> {
    before: M,
    reading: Reading,
    ruling: Ruling,
    culprits: Vec<Culprit>,
}

impl<M: Module + 'static> Keel<M> {
    /// Judges a step and does what is ruled. The gradients are `scale` times too large.
    pub(super) fn decide(
        &mut self,
        rate: Rate<'_>,
        model: M,
        grads: GradientsParams,
        reading: Reading,
        scale: f64,
    ) -> Result<Stepped<M>, Halted<M>> {
        if self.spent {
            return Err(self.broken(rate, model, SPENT));
        }
        self.note_start(&rate);
        self.progress.attempts += 1;

        if let Some(excused) = self.excuse(&reading) {
            return self.rejected(rate, model, reading, 1.0, excused, Vec::new());
        }
        let ruling = self.judge(&reading);
        if ruling.verdict != Verdict::Apply {
            let culprits = self.culprits(&reading, &model, &grads);
            return self.rejected(rate, model, reading, 1.0, ruling, culprits);
        }
        let factor = self.factor(&reading);
        if self.update.squares_in_own_type() && self.monitor.halves_overflow(&reading, factor) {
            let mut reading = reading;
            reading.fault = Some(Fault::Gradient);
            let ruling = self.judge(&reading);
            return self.rejected(rate, model, reading, factor, ruling, Vec::new());
        }
        let share = self.share(&rate, &reading, factor);
        let pace = self.pace(&rate, share, factor / scale, reading.grad_norm * scale);
        let (grads, kept) = self.trim(&model, grads, &reading, factor);
        // What is left of the step, of the gradient and of the rate together.
        let factor = factor * share * kept;
        match self.attempt(pace, model, grads, reading) {
            Ok((model, reading)) => Ok(self.applied(rate, model, reading, factor)),
            Err(failed) => {
                let Failed { before, reading, ruling, culprits } = *failed;
                self.rejected(rate, before, reading, factor, ruling, culprits)
            }
        }
    }

    /// The gradients with what single parameters lose beyond `factor`, which all lose; and the share of
    /// the whole gradient's norm that is left by that.
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

    /// The first snapshot is taken before any step has shown where the schedule stands.
    pub(super) fn note_start(&mut self, rate: &Rate<'_>) {
        if let (Some(at), Some(start)) = (rate.position(), self.ring.oldest_mut()) {
            start.position.get_or_insert(at);
        }
    }

    fn culprits(&mut self, reading: &Reading, model: &M, grads: &GradientsParams) -> Vec<Culprit> {
        let Some(fault) = reading.fault else { return Vec::new() };
        if fault == Fault::Optimizer {
            // Nothing can be built on it, whatever is ruled; only a rewind brings another.
            self.spent = true;
        }
        let mut culprits = monitor::culprits(model, Some(grads), &self.monitor);
        if fault == Fault::Loss {
            // A broken loss breaks every gradient: none of them says where it came from.
            culprits.retain(|culprit| culprit.part != Part::Gradient);
        }
        culprits
    }

    /// The updated model, if it is sound and the guards that look at updates agree.
    ///
    /// Where the optimizer does not vouch for the outcome, the model before the update is held, which
    /// costs Burn's optimizers nothing: they write the new parameters over the step rather than over
    /// the old ones. The optimizer is held too only if a guard looks at updates. Otherwise it would
    /// write its state anew at every step, for the sake of something that a sound rate and a sound
    /// optimizer never do; if they do, the optimizer is spent.
    fn attempt(
        &mut self,
        pace: Pace,
        model: M,
        grads: GradientsParams,
        mut reading: Reading,
    ) -> Result<(M, Reading), Box<Failed<M>>> {
        let looked_at = self.guards.iter().any(|guard| guard.looks_at_updates());
        if !looked_at && self.update.is_bounded(&pace) {
            return Ok((self.update.update(pace, model, grads), reading));
        }
        let before = model.clone();
        let held = looked_at.then(|| self.update.boxed());
        let after = self.update.update(pace, model, grads);

        // A device that cannot be read has not shown that the update is good.
        let mut culprits = Vec::new();
        if !self.monitor.is_sound(&after).unwrap_or(false) {
            culprits = monitor::culprits(&after, None, &self.monitor);
            reading.fault = Some(Fault::Update);
        } else if looked_at && let Ok((updates, sizes)) = self.monitor.moves(&before, &after) {
            reading = reading.with_updates(updates, sizes);
        }
        let mut ruling = self.judge(&reading);
        if reading.fault.is_none() && ruling.verdict == Verdict::Apply {
            return Ok((after, reading));
        }
        match held {
            Some(optimizer) => self.update = optimizer,
            None => {
                // The optimizer has seen this gradient, so a skip would leave a trace.
                ruling.verdict = ruling.verdict.max(Verdict::Rewind);
                self.spent = true;
            }
        }
        Err(Box::new(Failed { before, reading, ruling, culprits }))
    }

    fn applied(&mut self, rate: Rate<'_>, model: M, reading: Reading, factor: f64) -> Stepped<M> {
        self.record(&reading, Verdict::Apply);
        self.running.commit(&model);
        if let Some(scale) = &mut self.loss_scale {
            scale.applied();
        }
        if let Some(average) = &mut self.average {
            average.take(self.progress.updates, &model);
        }
        self.progress.rejected = 0;
        self.progress.updates += 1;

        let position = rate.position().map(|at| at.saturating_add(1));
        self.keep_snapshot(self.progress.updates - 1, &model, position);
        Stepped { model, report: Report::applied(reading, factor), late: Vec::new() }
    }

    /// Takes a snapshot, if one has fallen due since update `from`.
    pub(super) fn keep_snapshot(&mut self, from: u64, model: &M, position: Option<u64>) {
        let updates = self.progress.updates;
        let due = |rewind: Rewind| updates / rewind.every > from / rewind.every;
        if self.limits.rewind.is_some_and(due) {
            self.ring.push(updates, self.snapshot(model, position));
            if updates > self.progress.frontier {
                self.progress.rewinds = 0;
            }
        }
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
        if self.spent {
            ruling.verdict = ruling.verdict.max(Verdict::Rewind);
        }
        let Ruling { verdict, by, .. } = self.escalate(ruling);
        self.record(&reading, verdict);
        let rejected = self.progress.rejected;
        let mut report = Report::rejected(reading, factor, verdict, by, rejected, culprits);
        let stepped = match verdict {
            Verdict::Rewind => self.rewind(rate, &mut report),
            _ => {
                rate.hold();
                None
            }
        };
        self.incidents.push(&report);
        match (stepped, verdict) {
            (Some(model), _) => Ok(Stepped { model, report, late: Vec::new() }),
            (None, Verdict::Skip) => {
                Ok(Stepped { model: self.running.restore(model), report, late: Vec::new() })
            }
            (None, _) => {
                self.progress.rejected = 0;
                Err(Halted::new(self.running.restore(model), report))
            }
        }
    }

    /// Everything back to a snapshot; `None` if there is none, which a keel that rewinds always has.
    pub(super) fn rewind(&mut self, rate: Rate<'_>, report: &mut Report) -> Option<M> {
        let rewind = self.limits.rewind?;
        let progress = &mut self.progress;
        let (to, snapshot) = self.ring.back(progress.updates, rewind.age)?;
        let abandoned = progress.updates - to;
        let batches = progress.attempts - snapshot.attempts;
        report.rewound = Some(Rewound::new(to, abandoned, batches));

        progress.frontier = progress.frontier.max(progress.updates);
        (progress.updates, progress.rejected) = (to, 0);
        progress.rewinds += 1;
        if !rate.rewind(snapshot.position, rewind.damp, rewind.warm_up) {
            progress.damping.dampen(to, rewind.damp);
            progress.damping.warm_up(to, rewind.warm_up);
        }
        self.update = snapshot.update.boxed();
        self.spent = false;
        self.average = snapshot.average.clone();
        self.running = snapshot.running.clone();
        self.accumulated.clear();
        Some(self.running.restore(snapshot.model.clone()))
    }

    /// Nothing is known of this step: the device could not be read, or the optimizer is spent.
    pub(super) fn broken(&mut self, rate: Rate<'_>, model: M, why: &str) -> Halted<M> {
        let mut reading = Reading::new(self.progress.updates).with_lr(rate.value());
        reading.attempt = self.progress.attempts;
        rate.hold();
        let report = Report::rejected(reading, 1.0, Verdict::Halt, why.to_string(), 0, Vec::new());
        self.incidents.push(&report);
        Halted::new(self.running.restore(model), report)
    }

    /// Every policy hears the final verdict, once.
    pub(super) fn record(&mut self, reading: &Reading, verdict: Verdict) {
        self.guards.iter_mut().for_each(|guard| guard.record(reading, verdict));
        self.clips.iter_mut().for_each(|clip| clip.record(reading, verdict));
    }
}
