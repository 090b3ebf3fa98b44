//! Late conclusions on the host, from what the device has decided.

use burn::module::Module;

use super::Keel;
use super::on_device::{Facts, Pending};
use crate::report::Layers;
use crate::schedule::Rate;
use crate::{Fault, Halted, Reading, Report, Stepped, Verdict};

/// The outcome of the pending steps.
struct Arrived {
    /// One report for each step, up to one that ends in a rewind or a halt.
    late: Vec<Report>,
    /// Number of steps that the device has dropped.
    dropped: u64,
    /// Whether the last report's verdict is still to be carried out.
    stop: bool,
    /// Number of updates before them.
    from: u64,
}

impl<M: Module + 'static> Keel<M> {
    /// Reads what is pending and acts on it. `rate` is used up if it belonged to the last pending step.
    pub(super) fn arrive(
        &mut self,
        mut rate: Rate<'_>,
        model: M,
        used: bool,
    ) -> Result<Stepped<M>, Halted<M>> {
        let arrived = match self.judge_pending() {
            Ok(arrived) => arrived,
            Err(error) => return Err(self.broken(rate, model, &error.to_string())),
        };
        rate.lag(arrived.dropped);
        self.conclude(rate, model, arrived, used)
    }

    /// Rejects a step that is known to be bad without a readback, because of its rate or because nothing was
    /// accumulated. Everything before it is settled first.
    pub(super) fn refuse(
        &mut self,
        mut rate: Rate<'_>,
        model: M,
        mut reading: Reading,
    ) -> Result<Stepped<M>, Halted<M>> {
        let arrived = match self.judge_pending() {
            Ok(arrived) => arrived,
            Err(error) => return Err(self.broken(rate, model, &error.to_string())),
        };
        rate.lag(arrived.dropped);
        if arrived.stop {
            return self.conclude(rate, model, arrived, false);
        }
        // The outcome of the steps before it is known, and this one changes nothing.
        self.keep_snapshot(arrived.from, &model, rate.next(false), &rate);
        (reading.attempt, reading.update) = (self.progress.attempts, self.progress.updates);
        self.progress.attempts += 1;
        let ruling = self.judge(&reading);
        let mut late = arrived.late;
        match self.rejected(rate, model, reading, 1.0, ruling, Vec::new()) {
            Ok(stepped) => {
                late.push(stepped.report.clone());
                Ok(Stepped { late, ..stepped })
            }
            Err(halted) => Err(halted.with_late(late)),
        }
    }

    fn conclude(
        &mut self,
        rate: Rate<'_>,
        model: M,
        arrived: Arrived,
        used: bool,
    ) -> Result<Stepped<M>, Halted<M>> {
        let Arrived { mut late, stop, from, .. } = arrived;
        let mut report = match late.pop() {
            Some(report) => report,
            None => {
                rate.hold();
                let reading = Reading::new(self.progress.updates);
                return Ok(Stepped { model, report: Report::unread(reading), late });
            }
        };
        let next = rate.next(used);
        let model = if !stop {
            self.keep_snapshot(from, &model, next, &rate);
            if used {
                rate.go_on()
            } else {
                rate.hold()
            }
            model
        } else if report.verdict == Verdict::Rewind {
            match self.rewind(rate, &mut report) {
                Some(earlier) => {
                    self.incidents.push(&report);
                    earlier
                }
                None => return Err(self.stopped(model, report).with_late(late)),
            }
        } else {
            return Err(self.halt(rate, used, model, report).with_late(late));
        };
        late.push(report.clone());
        Ok(Stepped { model, report, late })
    }

    /// Judges what is pending, in order. After a verdict that stops the run, the rest is ignored.
    fn judge_pending(&mut self) -> Result<Arrived, crate::Error> {
        let pending = std::mem::take(&mut self.pending);
        let from = self.progress.updates - pending.len() as u64;
        let (rows, facts): (Vec<_>, Vec<_>) =
            pending.into_iter().map(|Pending { row, facts }| (row, facts)).unzip();
        let mut arrived = Arrived { late: Vec::new(), dropped: 0, stop: false, from };
        if rows.is_empty() {
            return Ok(arrived);
        }
        let numbers = self.monitor.late(rows)?;
        if let Some(update) = self.kept.update.on_device() {
            update.settle(&numbers.iter().map(|step| step.applied).collect::<Vec<_>>());
        }
        self.progress.updates = from;
        for (step, facts) in numbers.into_iter().zip(facts) {
            let applied = step.applied;
            if applied {
                self.progress.updates += 1;
            } else {
                arrived.dropped += 1;
                if let Some(average) = self.kept.average.as_mut().filter(|_| facts.averaged) {
                    average.untake();
                }
            }
            if arrived.stop {
                continue;
            }
            let mut reading = step.reading.with_lr(facts.lr);
            reading.attempt = facts.attempt;
            reading.update = self.progress.updates - u64::from(applied);
            if !self.looks_at_parameters(reading.update) {
                reading.sizes = Layers::default();
            }
            if !self.looks_at_alignments(reading.update) {
                reading.alignments = Layers::default();
            }
            reading.grad_norm /= facts.scale;
            reading.layers = std::mem::take(&mut reading.layers).scaled(1.0 / facts.scale);
            let report = self.judge_late(reading, step.factor, applied, &facts);
            arrived.stop = report.verdict > Verdict::Skip;
            if report.verdict == Verdict::Skip {
                self.incidents.push(&report);
            }
            arrived.late.push(report);
        }
        Ok(arrived)
    }

    /// Judges a step that the device has `applied` or dropped.
    fn judge_late(
        &mut self,
        reading: Reading,
        factor: f64,
        applied: bool,
        facts: &Facts,
    ) -> Report {
        let mut ruling = self.ruling(&reading, facts.loss_scale);
        if applied && ruling.verdict > Verdict::Apply {
            // The step is already in the weights.
            ruling.verdict = ruling.verdict.max(Verdict::Rewind);
        }
        if reading.fault == Some(Fault::Update) && !facts.exact {
            // The optimizer has seen this gradient.
            self.kept.spent = true;
        }
        if ruling.verdict == Verdict::Apply {
            return self.count_applied(reading, factor, facts.held, facts.loss_scale);
        }
        let report = self.count_rejected(ruling, reading, factor, Vec::new());
        if applied { report.held(facts.held.share, facts.held.cap) } else { report }
    }
}
