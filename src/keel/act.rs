//! Carrying out verdicts on the host: the one place where it changes parameters, and where it puts them back.

use std::collections::HashMap;

use burn::module::Module;
use burn::optim::GradientsParams;

use super::judge::Ruling;
use super::rates::Held;
use super::{Keel, SPENT};
use crate::clip::scale_each;
use crate::monitor::Rounding;
use crate::optim::StepArgs;
use crate::schedule::Rate;
use crate::{Culprit, Fault, Halted, Part, Reading, Stepped, Verdict, monitor, tie};

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

        let mut ruling = self.ruling(&reading, self.loss_scale());
        if ruling.verdict != Verdict::Apply {
            let culprits = if !ruling.counts {
                // An overflow: the scale is too high, and no tensor is to blame.
                Vec::new()
            } else if self.crew.is_none() {
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
            Ok((model, reading)) => Ok(self.applied(rate, model, reading, factor, held)),
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
        let ruling = self.judge(&reading);
        if reading.fault.is_none() && ruling.verdict == Verdict::Apply {
            self.note_rounding(rounding, &after);
            return Ok((after, reading));
        }
        match held {
            Some(optimizer) => self.kept.update = optimizer,
            // The optimizer has seen this gradient.
            None => self.kept.spent = true,
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
        let report = self.count_applied(reading, factor, held, self.loss_scale());
        self.note_rate(held);
        self.kept.running.commit(&model);
        if let Some(average) = &mut self.kept.average {
            average.take(self.progress.updates, &model);
        }
        self.progress.updates += 1;

        let position = rate.position().map(|at| at.saturating_add(1));
        self.progress.beside(position);
        self.resumed = false;
        self.keep_snapshot(self.progress.updates - 1, &model, position, &rate);
        Stepped { model, report, late: Vec::new() }
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
        if broken && self.limits.rewind.is_some_and(|rewind| rewind.recent > 0) {
            ruling.verdict = ruling.verdict.max(Verdict::Rewind);
        }
        let mut report = self.count_rejected(ruling, reading, factor, culprits);
        match report.verdict {
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
}
