//! The one decider: what a step is, and what it means for policies and counters. Steps that the host decides and steps
//! that the device has decided both go through here, so that neither can forget a part.

use burn::module::Module;

use super::Keel;
use super::judge::Ruling;
use super::rates::Held;
use crate::{Culprit, Fault, Reading, Report, Verdict};

impl<M: Module + 'static> Keel<M> {
    /// Decides on a step whose loss was multiplied by `loss_scale`: an overflow that a lower scale answers is a skip
    /// that doesn't count among the rejections in a row, everything else is for the guards.
    pub(super) fn ruling(&mut self, now: &Reading, loss_scale: f64) -> Ruling {
        // A number measured at another scale says nothing about the present one.
        if loss_scale == self.loss_scale() {
            return self.excuse(now).unwrap_or_else(|| self.judge(now));
        }
        let overflow = now.fault == Some(Fault::Gradient) && now.loss.is_finite();
        match overflow {
            true => {
                let by = format!("overflow at loss scale {loss_scale}");
                Ruling { verdict: Verdict::Skip, by, counts: false }
            }
            false => self.judge(now),
        }
    }

    /// Counts a step that was applied, and returns its report. The loss scale learns from it only if it is still the
    /// one of the step.
    pub(super) fn count_applied(
        &mut self,
        reading: Reading,
        factor: f64,
        held: Held,
        loss_scale: f64,
    ) -> Report {
        let current = loss_scale == self.loss_scale();
        self.record(&reading, factor, Verdict::Apply);
        self.progress.note_loss(reading.loss, true);
        // A bound on the rate doesn't count as strain: it is there so that any rate may be requested.
        self.strain.applied(factor);
        self.progress.rejected = 0;
        if let Some(scale) = self.loss_scale.as_mut().filter(|_| current) {
            scale.applied();
        }
        let mut report = Report::applied(reading, factor).held(held.share, held.cap);
        self.tell(&mut report);
        report
    }

    /// Counts a step that was rejected, and returns its report, whose verdict is still to be carried out.
    pub(super) fn count_rejected(
        &mut self,
        mut ruling: Ruling,
        reading: Reading,
        factor: f64,
        culprits: Vec<Culprit>,
    ) -> Report {
        if self.kept.spent {
            // A skip would leave a trace in the optimizer: only a snapshot has one to go on with.
            ruling.verdict = ruling.verdict.max(Verdict::Rewind);
        }
        self.progress.note_loss(reading.loss, false);
        self.strain.rejected();
        let elsewhere = self.differs_from_snapshot(&reading, &culprits);
        let Ruling { verdict, by, .. } = self.escalate(ruling, elsewhere);
        self.record(&reading, factor, verdict);
        let rejected = self.progress.rejected;
        let mut report = Report::rejected(reading, factor, verdict, by, rejected, culprits);
        self.tell(&mut report);
        report
    }

    /// Tells every policy the final verdict, once.
    fn record(&mut self, reading: &Reading, factor: f64, verdict: Verdict) {
        if verdict == Verdict::Apply {
            self.note_first_loss(reading.loss);
        }
        self.guards.iter_mut().for_each(|guard| guard.record(reading, verdict));
        self.clips.iter_mut().for_each(|clip| clip.record(reading, verdict));
        self.bounds.iter_mut().for_each(|bound| bound.record(reading, factor, verdict));
    }

    /// Adds the notices of policies to the report and the incidents, each text once.
    fn tell(&mut self, report: &mut Report) {
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
